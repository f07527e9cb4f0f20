"""Decide which groups may see a document, by the access rules of the project."""

from collections.abc import Sequence

from groundtune.ingest.patterns import matches_pattern
from groundtune.types import EVERYONE

AccessRule = tuple[Sequence[str], Sequence[str]]
"""Patterns of sources, and the groups that may see the matching files."""


def groups_for(source: str, rules: Sequence[AccessRule]) -> tuple[str, ...]:
    """Return the groups that may see the file `source`, sorted: those of all matching rules, else everyone."""
    groups = {
        group
        for patterns, names in rules
        if any(matches_pattern(source, pattern) for pattern in patterns)
        for group in names
    }
    return tuple(sorted(groups)) or (EVERYONE,)
