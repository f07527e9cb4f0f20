"""The library's entry point: `Project`, its session, and the implementations of `init` and `check`.

`Project` is imported on demand: `init` and `advise` work without what it needs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundtune.project.api import Project

__all__ = ["Project"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from groundtune.project import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
