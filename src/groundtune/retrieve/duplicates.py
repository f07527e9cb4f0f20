"""Show near-duplicates once. Pure; keeps the better-scored of two passages that say the same in the same words."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from groundtune.retrieve.fuse import Fused
from groundtune.types import Passage

SAME_DIRECTION = 0.97
"""Cosine below which two passages are not compared word by word."""
SAME_WORDS = 0.9
"""Jaccard similarity of the sets of three-word runs."""
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Read:
    """A fused candidate whose passage was fetched."""

    fused: Fused
    passage: Passage


def repeats(one: Read, kept: Iterable[Read]) -> bool:
    """Whether it says what one before it says already.

    Passages that differ in a number (two versions of a price list) are never taken for the same.
    """
    return any(_same(one, other) for other in kept)


def _same(first: Read, second: Read) -> bool:
    one, two = first.passage.text, second.passage.text
    if one == two:
        return True
    if float(first.fused.candidate.vector @ second.fused.candidate.vector) < SAME_DIRECTION:
        return False
    if _NUMBER.findall(one) != _NUMBER.findall(two):
        return False
    left, right = _runs(one), _runs(two)
    return bool(left | right) and len(left & right) >= SAME_WORDS * len(left | right)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = text.casefold().split()
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}
