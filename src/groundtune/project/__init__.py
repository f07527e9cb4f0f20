"""The library's front door: `Project`, what it keeps open, and what `init` and `check` do."""

from groundtune.project.api import Project

__all__ = ["Project"]
