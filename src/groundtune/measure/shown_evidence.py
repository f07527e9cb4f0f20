"""Find the evidence of a question in the text that a prompt would get, however it was split into passages. Pure.

Candidates whose passages differ in size can be compared only on the text that they show: a piece of evidence is found
at the first rank at which all of it stands in the text shown so far, within an amount of text that is the same for all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from groundtune.common.names import same_name
from groundtune.measure.metrics import contains_quote
from groundtune.types import Evidence, Hit

CLOSE = 2
"""Characters between two pieces that can only be white space: a space, or a blank line."""


@dataclass(frozen=True, slots=True)
class ShownEvidence:
    """Where the evidence of one question is in the text that a prompt gets."""

    ranks: tuple[int | None, ...]
    """Rank of the passage with which each piece of evidence is complete, from 1; None if it is not found."""
    passages: int
    """Passages that fit into the text, as a whole."""
    characters: int
    """Length of all the passages together, what two of them share counted once, up to the limit."""


def find_shown(hits: Sequence[Hit], evidence: Sequence[Evidence], *, most_characters: int | None) -> ShownEvidence:
    """Walk through the passages, best first, until the text is used up; the last one is cut off there.

    hits: with the larger piece in place of the passage, if it has one. most_characters: None for all of the hits.
    """
    ranks: list[int | None] = [None] * len(evidence)
    shown: dict[str, list[tuple[int, str]]] = {}
    left, whole, used = most_characters, 0, 0
    for rank, hit in enumerate(hits, start=1):
        start, text = hit.passage.start, hit.passage.text
        pieces = shown.setdefault(hit.passage.document_id, [])
        new = _new_characters(pieces, start, len(text))
        if left is not None and new > left:
            text = text[: len(text) - (new - left)]
        else:
            whole += 1
        pieces[:] = _merged([*pieces, (start, text)])
        used += new if left is None else min(new, left)
        for number, item in enumerate(evidence):
            if ranks[number] is None and _names(hit, item.source) and _holds(pieces, item.quote):
                ranks[number] = rank
        if left is not None:
            left -= min(new, left)
            if left == 0:
                break
    return ShownEvidence(tuple(ranks), whole, used)


def _names(hit: Hit, source: str) -> bool:
    """Whether the passage, or one that it stands for, is from this source."""
    return any(same_name(source, name) for name in (hit.passage.source, *hit.also_in))


def _holds(pieces: Sequence[tuple[int, str]], quote: str) -> bool:
    """Whether the quote stands in a piece, or goes on over the white space between two."""
    runs: list[str] = []
    end = None
    for start, text in pieces:
        if end is not None and start - end <= CLOSE:
            runs[-1] += "\n" * (start - end) + text
        else:
            runs.append(text)
        end = start + len(text)
    return any(contains_quote(run, quote) for run in runs)


def _new_characters(pieces: Sequence[tuple[int, str]], start: int, length: int) -> int:
    """Return how many characters of a span are in none of the pieces, which do not overlap."""
    shared = sum(max(0, min(start + length, at + len(text)) - max(start, at)) for at, text in pieces)
    return length - shared


def _merged(pieces: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the pieces of a document in order, those that overlap as one."""
    result: list[tuple[int, str]] = []
    for start, text in sorted(pieces):
        end = result[-1][0] + len(result[-1][1]) if result else -1
        if start <= end:
            result[-1] = (result[-1][0], result[-1][1] + text[end - start :])
        else:
            result.append((start, text))
    return result
