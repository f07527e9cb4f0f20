"""Describe what a check found: one problem each, with its level, its rows and how to fix it. Checks nothing itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]
"""error: training does not start; warning: look at it; note: good to know."""
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
NAMED = 10
"""Number of rows that a finding names."""


@dataclass(frozen=True, slots=True)
class PreflightFinding:
    """One problem. Never holds text of a row."""

    level: Level
    check: str
    """Name of the check, one word: length, template, duplicates, leakage, labels, secrets, access, …"""
    message: str
    hint: str | None = None
    rows: tuple[str, ...] = ()
    """Ids of the first rows it applies to."""
    count: int | None = None
    """Number of all rows it applies to; None when it concerns no row in particular."""


def make_finding(
    level: Level, check: str, message: str, *, hint: str | None = None, rows: Sequence[str] = ()
) -> PreflightFinding:
    """Create a finding. rows: ids of all rows it applies to."""
    return PreflightFinding(level, check, message, hint, tuple(rows[:NAMED]), len(rows) if rows else None)


def format_ids(ids: Sequence[str], *, most: int = 3) -> str:
    """`a, b, c and 4 more`."""
    more = f" and {len(ids) - most:,} more" if len(ids) > most else ""
    return ", ".join(ids[:most]) + more
