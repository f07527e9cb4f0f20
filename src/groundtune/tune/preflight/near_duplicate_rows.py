"""Find texts that say nearly the same in the same words: candidates by MinHash (`datasketch`), then exact. Pure.

Source: Broder 1997; the bands as in Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import need

NEAR = 0.8
"""Minimum Jaccard similarity of the character runs of two near-duplicates."""
RUN = 5
"""Length of a run in bytes."""
BANDS, ROWS = 20, 6
"""A pair of similarity 0.8 is found with probability 0.998, one of 0.6 with 0.62."""
LOOSE = 0.6
"""Minimum similarity to the first text of a group for comparing its other texts too."""
LEAST = 0.5
"""Minimum estimated similarity for an exact comparison; estimates are off by 0.04 (standard deviation)."""
TRIED = 20
"""Texts compared exactly per lookup, best estimate first: bounds the time where all texts resemble each other."""
DENSE = 100
"""A text with more than this many candidates is not indexed, as enough similar texts are; this also bounds the time."""
FRAME, FRAMED = 40, 20
"""A frame is a prefix or suffix of at least FRAME characters shared by more than FRAMED texts, such as an instruction;
frames are ignored."""
PASSES = 3
"""Nested frames that are removed."""

Runs = NDArray[np.uint64]
_WORD = re.compile(r"\w+")


class NearDuplicateIndex:
    """Index of texts that finds near-duplicates. Only the first of a group of near-duplicates is indexed.

    Raises MissingError if the extra `local` is missing.
    """

    def __init__(self) -> None:
        library = need("datasketch", extra="local")
        self._empty = library.MinHash(num_perm=BANDS * ROWS, hashfunc=int)
        self._index = library.MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
        self._runs: list[Runs] = []
        self._sketches: dict[int, NDArray[np.uint32]] = {}
        self._groups: dict[int, list[int]] = {}

    def add(self, text: str) -> tuple[int, float] | None:
        """Add a text; returns what `find` returns for it."""
        runs = _runs(text)
        sketch = self._sketch(runs)
        candidates = self._index.query(sketch)
        duplicate, first = self._find(runs, sketch, candidates)
        number = len(self._runs)
        self._runs.append(runs)
        if first is not None:
            self._groups[first].append(number)
        elif len(candidates) < DENSE:
            self._index.insert(number, sketch, check_duplication=False)
            self._sketches[number] = sketch.hashvalues
            self._groups[number] = [number]
        return duplicate

    def find(self, text: str) -> tuple[int, float] | None:
        """Return the number of a near-duplicate, in the order of `add`, and its similarity; None when there is none."""
        runs = _runs(text)
        sketch = self._sketch(runs)
        return self._find(runs, sketch, self._index.query(sketch))[0]

    def _sketch(self, runs: Runs) -> Any:
        sketch = self._empty.copy()
        sketch.update_batch((runs * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)).tolist())
        return sketch

    def _find(self, runs: Runs, sketch: Any, candidates: Sequence[int]) -> tuple[tuple[int, float] | None, int | None]:
        """Return the near-duplicate, and the first text of its group."""
        if not candidates:
            return None, None
        equal = np.count_nonzero(
            np.stack([self._sketches[number] for number in candidates]) == sketch.hashvalues, axis=1
        )
        order = sorted(zip(equal.tolist(), candidates, strict=True), key=lambda pair: (-pair[0], pair[1]))
        best = [pair for pair in order[:TRIED] if pair[0] >= LEAST * BANDS * ROWS]
        loose = []
        for _, first in best:
            similarity = _similarity(runs, self._runs[first])
            if similarity >= NEAR:
                return (first, similarity), first
            if similarity >= LOOSE:
                loose.append(first)
        others = [(number, first) for first in loose for number in self._groups[first][1 : TRIED + 1]]
        for number, first in others[:TRIED]:
            if (similarity := _similarity(runs, self._runs[number])) >= NEAR:
                return (number, similarity), first
        return None, None


def strip_frames(texts: Sequence[str]) -> list[str]:
    """Reduce each text to lower-case words without the frames that many share. Pass all compared texts in one call."""
    reduced = [" ".join(_WORD.findall(text.casefold())) for text in texts]
    for _ in range(PASSES):
        reduced = _without_head(reduced)
        reduced = [text[::-1] for text in _without_head([text[::-1] for text in reduced])]
    return reduced


def _without_head(texts: Sequence[str]) -> list[str]:
    """Remove the beginning that more than `FRAMED` different texts share, where that leaves something."""
    alike: dict[str, set[str]] = defaultdict(set)
    for text in texts:
        if len(text) > FRAME:
            alike[text[:FRAME]].add(text)
    heads = {head: _common(min(members), max(members)) for head, members in alike.items() if len(members) > FRAMED}
    return [text[heads.get(text[:FRAME], 0) :].strip() or text for text in texts]


def _common(first: str, second: str) -> int:
    """Count the characters with which both begin."""
    return next(
        (place for place, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), len(first)
    )


def _runs(text: str) -> Runs:
    """Return the distinct runs of `RUN` bytes, each as one number, sorted."""
    data = np.frombuffer(f" {text} ".encode("utf-8", "surrogatepass"), np.uint8).astype(np.uint64)
    data = np.pad(data, (0, max(0, RUN - len(data))))
    width = len(data) - RUN + 1
    runs = data[:width].copy()
    for place in range(1, RUN):
        runs = runs << np.uint64(8) | data[place : place + width]
    return np.unique(runs)


def _similarity(first: Runs, second: Runs) -> float:
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / (len(first) + len(second) - common)
