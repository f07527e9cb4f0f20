"""Texts that say nearly the same in the same words: found by MinHash (`datasketch`), then counted exactly. Pure.

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
"""Jaccard similarity of the runs of characters from which two texts are near-duplicates."""
RUN = 5
"""Bytes of one run."""
BANDS, ROWS = 20, 6
"""A pair of similarity 0.8 is found with probability 0.998, one of 0.6 with 0.62."""
LOOSE = 0.6
"""Similarity to the first of a group from which the others of the group are looked at as well."""
LEAST = 0.5
"""Similarity by the sketches, which are off by 0.04 (standard deviation), below which nothing is counted exactly."""
TRIED = 20
"""Texts that are counted exactly for one lookup, best estimate first: bounds the time where all resemble all."""
DENSE = 100
"""Texts that resemble one somewhat, above which it is not indexed: enough of its kind are. Bounds the time too."""
FRAME, FRAMED = 40, 20
"""Characters with which more than so many texts begin or end alike: an instruction around each; does not count."""
PASSES = 3
"""Frames inside of frames."""

Runs = NDArray[np.uint64]
_WORD = re.compile(r"\w+")


class Similar:
    """Texts that were put in, to be looked up by resemblance. Only the first of a group of near-duplicates is indexed.

    Raises MissingError without the extra `local`.
    """

    def __init__(self) -> None:
        library = need("datasketch", extra="local")
        self._empty = library.MinHash(num_perm=BANDS * ROWS, hashfunc=int)
        self._index = library.MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
        self._runs: list[Runs] = []
        self._sketches: dict[int, NDArray[np.uint32]] = {}
        self._groups: dict[int, list[int]] = {}

    def add(self, text: str) -> tuple[int, float] | None:
        """Puts a text in; see `find` for what comes back."""
        runs = _runs(text)
        sketch = self._sketch(runs)
        candidates = self._index.query(sketch)
        found, first = self._find(runs, sketch, candidates)
        number = len(self._runs)
        self._runs.append(runs)
        if first is not None:
            self._groups[first].append(number)
        elif len(candidates) < DENSE:
            self._index.insert(number, sketch, check_duplication=False)
            self._sketches[number] = sketch.hashvalues
            self._groups[number] = [number]
        return found

    def find(self, text: str) -> tuple[int, float] | None:
        """Number of a near-duplicate in the order of `add`, and the similarity; None when there is none."""
        runs = _runs(text)
        sketch = self._sketch(runs)
        return self._find(runs, sketch, self._index.query(sketch))[0]

    def _sketch(self, runs: Runs) -> Any:
        sketch = self._empty.copy()
        sketch.update_batch((runs * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)).tolist())
        return sketch

    def _find(self, runs: Runs, sketch: Any, candidates: Sequence[int]) -> tuple[tuple[int, float] | None, int | None]:
        """The near-duplicate, and the first of its group."""
        if not candidates:
            return None, None
        equal = np.count_nonzero(np.stack([self._sketches[one] for one in candidates]) == sketch.hashvalues, axis=1)
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


def comparable(texts: Sequence[str]) -> list[str]:
    """Each as words in lower case, without the frame that many of them share. All that are compared, in one call."""
    made = [" ".join(_WORD.findall(text.casefold())) for text in texts]
    for _ in range(PASSES):
        made = _without_head(made)
        made = [text[::-1] for text in _without_head([text[::-1] for text in made])]
    return made


def _without_head(texts: Sequence[str]) -> list[str]:
    """What begins alike in more than `FRAMED` different texts is taken off, where that leaves something."""
    alike: dict[str, set[str]] = defaultdict(set)
    for text in texts:
        if len(text) > FRAME:
            alike[text[:FRAME]].add(text)
    heads = {head: _common(min(own), max(own)) for head, own in alike.items() if len(own) > FRAMED}
    return [text[heads.get(text[:FRAME], 0) :].strip() or text for text in texts]


def _common(one: str, other: str) -> int:
    """Characters with which both begin."""
    return next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))


def _runs(text: str) -> Runs:
    """The different runs of `RUN` bytes, each as one number, sorted."""
    data = np.frombuffer(f" {text} ".encode("utf-8", "surrogatepass"), np.uint8).astype(np.uint64)
    data = np.pad(data, (0, max(0, RUN - len(data))))
    width = len(data) - RUN + 1
    made = data[:width].copy()
    for place in range(1, RUN):
        made = made << np.uint64(8) | data[place : place + width]
    return np.unique(made)


def _similarity(one: Runs, other: Runs) -> float:
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)
