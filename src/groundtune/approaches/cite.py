"""Import the check of citations under a shorter path: an alias of `groundtune.citations.checking`."""

from groundtune.citations.checking import check_citations as check

__all__ = ["check"]
