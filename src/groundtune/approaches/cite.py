"""The former home of `groundtune.approaches.citations`, kept importable."""

from groundtune.approaches.citations import check_citations as check

__all__ = ["check"]
