"""Import the check of citations under a shorter path: an alias of `groundtune.approaches.citations`."""

from groundtune.approaches.citations import check_citations as check

__all__ = ["check"]
