"""Match paths with patterns, one path component at a time, so that a walk can prune folders early.

Patterns are relative to the project: `*` and `?` match within one name, `**` spans folders, `{md,pdf}` is a choice. A
pattern that ends in the name of a folder matches everything in it. A hidden name is matched only by a component that
starts with a dot.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class _Name:
    """One component of a pattern, between slashes."""

    matches: Callable[[str], object]
    dotted: bool
    """Whether it matches hidden names."""


PatternParts = tuple[_Name | None, ...]
"""None stands for `**`; it is never last."""
MatchState = tuple[PatternParts, int]
"""A pattern, and how many of its parts a path has matched."""


def matches_pattern(source: str, pattern: str) -> bool:
    """Return whether a path relative to the project matches. `*` matches hidden names too, so no rule can be evaded."""
    states = list(initial_states(pattern))
    for name in source.split("/"):
        states = advance(states, name, hidden=True)
    return is_match(states)


def matches_item(source: str, pattern: str) -> bool:
    """Return whether an item `NAME:ID` of a source matches a pattern `NAME:` followed by a pattern of ids.

    `NAME:*` matches every id, also one with slashes.
    """
    name, colon, item = source.partition(":")
    if not colon:
        return False
    for choice in _choices(pattern):
        prefix, colon, ids = choice.partition(":")
        if colon and prefix == name and matches_pattern(item, "**" if ids == "*" else ids):
            return True
    return False


@cache
def initial_states(pattern: str) -> tuple[MatchState, ...]:
    """Return the states of a pattern at the root of the project."""
    starts = []
    for choice in _choices(pattern):
        names = [name for name in choice.split("/") if name not in ("", ".")]
        if not names:
            names = ["**"]
        if names[-1] == "**":
            names.append("*")
        elif not re.search(r"[*?\[]", names[-1]):
            starts.append((_parts([*names, "**", "*"]), 0))
        starts.append((_parts(names), 0))
    return tuple(starts)


@cache
def exclude_states(pattern: str) -> tuple[MatchState, ...]:
    """Return the states of an exclude pattern; a folder is matched rather than its content, so it need not be read."""
    anywhere = "/" not in pattern.rstrip("/")
    bare = re.sub(r"(/\*\*)+(/\*)?/?$|/$", "", pattern)
    return initial_states(f"**/{bare}" if anywhere and bare != "**" else bare)


def advance(states: Iterable[MatchState], name: str, *, hidden: bool = False) -> list[MatchState]:
    """Return the states after one more component of a path."""
    dotted = name.startswith(".") and not hidden
    after: dict[MatchState, None] = {}
    for parts, at in states:
        if at == len(parts):
            continue
        part = parts[at]
        if part is None:
            if not dotted:
                after[parts, at] = None
            at += 1
            part = parts[at]
        if part is not None and (part.dotted or not dotted) and part.matches(name):
            after[parts, at + 1] = None
    return list(after)


def is_match(states: list[MatchState]) -> bool:
    return any(at == len(parts) for parts, at in states)


def open_states(states: list[MatchState]) -> list[MatchState]:
    return [(parts, at) for parts, at in states if at < len(parts)]


def _parts(names: Sequence[str]) -> PatternParts:
    parts: list[_Name | None] = []
    for name in names:
        if name != "**":
            parts.append(_Name(re.compile(fnmatch.translate(name)).match, name.startswith(".")))
        elif not parts or parts[-1] is not None:
            parts.append(None)
    return tuple(parts)


def _choices(pattern: str) -> list[str]:
    """Expand `a.{md,pdf}` to `a.md`, `a.pdf`; braces without a comma are literal."""
    match = re.search(r"\{([^{}]*,[^{}]*)\}", pattern)
    if not match:
        return [pattern]
    heads = [pattern[: match.start()] + choice.strip() for choice in match[1].split(",")]
    return [expanded for head in heads for expanded in _choices(head + pattern[match.end() :])]
