"""What papers found for and against a kind of approach. Knows nothing of this project."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from groundtune.approaches.families import Family


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure of a paper."""

    text: str
    source: str
    read: str
    """Whether the source was read: `source`, `abstract`, or `second-hand`."""


def findings(family: Family, task: str) -> dict[str, tuple[Finding, ...]]:
    """Return what speaks `for` and `against` a kind of approach in a task."""
    entries = tomllib.loads((files("groundtune.decide") / "literature.toml").read_text(encoding="utf-8"))["findings"]
    return {side: tuple(map(_finding, _on_side(entries, side, family, task))) for side in ("for", "against")}


def _on_side(entries: list[dict[str, Any]], side: str, family: Family, task: str) -> list[dict[str, Any]]:
    return [entry for entry in entries if family in entry[side] and task in entry["tasks"]]


def _finding(entry: Mapping[str, Any]) -> Finding:
    return Finding(entry["text"], entry["source"], entry["read"])
