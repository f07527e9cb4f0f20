"""What a look at the rows found: one thing each, with its level, its rows and how to fix it. Finds nothing itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]
"""error: training is refused; warning: a person should look; note: good to know."""
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
NAMED = 10
"""Rows that a finding names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. Never holds text of a row."""

    level: Level
    check: str
    """Which check found it, one word: length, template, duplicates, leakage, labels, secrets, access, …"""
    message: str
    hint: str | None = None
    rows: tuple[str, ...] = ()
    """Ids of the first rows that it is about."""
    count: int | None = None
    """Of all rows that it is about; None where it is about no row in particular."""


def finding(level: Level, check: str, message: str, *, hint: str | None = None, rows: Sequence[str] = ()) -> Finding:
    """rows: ids of all that it is about."""
    return Finding(level, check, message, hint, tuple(rows[:NAMED]), len(rows) if rows else None)


def counted(number: int, noun: str = "row", plural: str = "") -> str:
    """`1 row`, `2,000 rows`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def named(ids: Sequence[str], *, most: int = 3) -> str:
    """`a, b, c and 4 more`."""
    more = f" and {len(ids) - most:,} more" if len(ids) > most else ""
    return ", ".join(ids[:most]) + more


def folded(text: str) -> str:
    """The text as it counts when two inputs are held to be the same: case and white space do not."""
    return " ".join(text.casefold().split())
