"""Prompt, retrieve, fine-tune or combine? Find out on your own documents and examples, then run what you choose."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundtune.errors import ConfigError, GroundtuneError, MissingError, ProviderError, UsageError
    from groundtune.project import Project
    from groundtune.types import Answer, Citation, Document, Evidence, Example, Hit, Passage, Question, Result, Usage

_HOME = {
    "Project": "project",
    **dict.fromkeys(("ConfigError", "GroundtuneError", "MissingError", "ProviderError", "UsageError"), "errors"),
    **dict.fromkeys(
        ("Answer", "Citation", "Document", "Evidence", "Example", "Hit", "Passage", "Question", "Result", "Usage"),
        "types",
    ),
}

__all__ = [
    "Answer",
    "Citation",
    "ConfigError",
    "Document",
    "Evidence",
    "Example",
    "GroundtuneError",
    "Hit",
    "MissingError",
    "Passage",
    "Project",
    "ProviderError",
    "Question",
    "Result",
    "Usage",
    "UsageError",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `groundtune --help` starts fast."""
    if name not in _HOME:
        raise AttributeError(f"module 'groundtune' has no attribute {name!r}")
    return getattr(import_module(f"groundtune.{_HOME[name]}"), name)
