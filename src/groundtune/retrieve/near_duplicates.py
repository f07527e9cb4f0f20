"""Detect near-duplicates, so that each is shown once. Pure; compares passages in order of score."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from groundtune.retrieve.fusion import FusedCandidate
from groundtune.types import Passage

SAME_DIRECTION = 0.97
"""Minimum cosine for comparing two passages word by word."""
SAME_WORDS = 0.9
"""Jaccard similarity of the sets of three-word runs."""
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class FetchedCandidate:
    """A fused candidate whose passage was fetched."""

    fused: FusedCandidate
    passage: Passage


def is_duplicate(candidate: FetchedCandidate, earlier: Iterable[FetchedCandidate]) -> bool:
    """Whether a candidate repeats one that was kept before it.

    Passages that differ in a number (two versions of a price list) never count as duplicates.
    """
    return any(_same(candidate, other) for other in earlier)


def _same(first: FetchedCandidate, second: FetchedCandidate) -> bool:
    first_text, second_text = first.passage.text, second.passage.text
    if first_text == second_text:
        return True
    if float(first.fused.candidate.vector @ second.fused.candidate.vector) < SAME_DIRECTION:
        return False
    if _NUMBER.findall(first_text) != _NUMBER.findall(second_text):
        return False
    left, right = _runs(first_text), _runs(second_text)
    return bool(left | right) and len(left & right) >= SAME_WORDS * len(left | right)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = text.casefold().split()
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}
