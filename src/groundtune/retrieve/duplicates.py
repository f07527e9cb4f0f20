"""Show near-duplicates once. Pure; keeps the better-scored of two passages that say the same in the same words."""

import re
from collections.abc import Iterable, Iterator

from groundtune.retrieve.fuse import Fused

SAME_DIRECTION = 0.97
"""Cosine below which two passages are not compared word by word."""
SAME_WORDS = 0.9
"""Jaccard similarity of the sets of three-word runs."""
_NUMBER = re.compile(r"\d+")


def distinct(ranked: Iterable[Fused]) -> Iterator[Fused]:
    """The ranked candidates in order, without those that repeat one before them.

    Passages that differ in a number (two versions of a price list) are never taken for the same.
    """
    kept: list[Fused] = []
    for candidate in ranked:
        if not any(_same(candidate, other) for other in kept):
            kept.append(candidate)
            yield candidate


def _same(first: Fused, second: Fused) -> bool:
    if first.passage.text == second.passage.text:
        return True
    if float(first.vector @ second.vector) < SAME_DIRECTION:
        return False
    one, two = first.passage.text, second.passage.text
    if _NUMBER.findall(one) != _NUMBER.findall(two):
        return False
    left, right = _runs(one), _runs(two)
    return bool(left | right) and len(left & right) >= SAME_WORDS * len(left | right)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = text.casefold().split()
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}
