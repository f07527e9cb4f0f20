"""Decide which groups may see a document, by the access rules of the project and the groups that a source gives."""

from collections.abc import Collection, Iterable, Sequence

from groundtune.ingest.patterns import matches_item, matches_pattern
from groundtune.types import EVERYONE

AccessRule = tuple[Sequence[str], Sequence[str]]
"""Patterns of sources, and the groups that may see the matching files."""


def groups_for(source: str, rules: Sequence[AccessRule]) -> tuple[str, ...]:
    """Return the groups that may see the document `source`, sorted: those of all matching rules, else everyone."""
    source = source.removeprefix("./")  # a file whose name looks like an item
    groups = {
        group for patterns, names in rules if any(applies(source, pattern) for pattern in patterns) for group in names
    }
    return tuple(sorted(groups)) or (EVERYONE,)


def may_read(groups: Collection[str] | None, document: Collection[str]) -> bool:
    """Whether somebody with these groups may read a document of those. None: the owner of the project."""
    return groups is None or not {EVERYONE, *groups}.isdisjoint(document)


def narrower(before: Iterable[str], after: Collection[str]) -> bool:
    """Whether some of those who could see a document may no longer."""
    return EVERYONE not in after and not set(before) <= set(after)


def stricter(given: Iterable[str], ruled: Iterable[str]) -> tuple[str, ...]:
    """Return the groups that both allow, sorted; empty if no group is in both, and then nobody may see the document."""
    first, second = set(given), set(ruled)
    if EVERYONE in first:
        first = second
    elif EVERYONE not in second:
        first &= second
    return tuple(sorted(first))


def applies(source: str, pattern: str) -> bool:
    """Return whether an access rule with this pattern is about a file or an item of a source."""
    return matches_pattern(source, pattern) or matches_item(source, pattern)
