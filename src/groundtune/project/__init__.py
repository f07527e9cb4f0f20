"""The library's entry point: `Project`, its session, and the implementations of `init` and `check`."""

from groundtune.project.api import Project

__all__ = ["Project"]
