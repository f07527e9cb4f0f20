"""Two ranked lists become one by a convex combination of their scores. Pure; knows no store.

score = w · cosine + (1 - w) · BM25 / ceiling. Both are absolute: the cosine needs no normalisation, and BM25 is
divided by what a few rare words are worth in a collection of this size, not by the best score of this very query; a
query on which BM25 finds little then does not get its little stretched to 1. Theory of such fusion: Bruch 2022,
arXiv 2210.11934. Figures by collection and weight: benchmarks/retrieval.py.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundtune.types import Candidate, Vectors

DEFAULT_DENSE_WEIGHT = 0.6
RARE_WORDS = 3.5
"""Number of words found in a single passage whose BM25 counts as much as a cosine of 1."""


@dataclass(frozen=True, slots=True)
class Fused:
    """A candidate with its scores by stage."""

    candidate: Candidate
    score: float
    dense: float
    bm25: float | None


@dataclass(frozen=True, slots=True)
class Shares:
    """What BM25 says of passages, 0 to 1."""

    found: Mapping[str, float]
    """By id of the passage."""
    floor: float
    """Of all others."""

    def of(self, passage_id: str) -> float:
        return self.found.get(passage_id, self.floor)


def fuse(
    lexical: Sequence[Candidate],
    dense: Sequence[Candidate],
    question: Vectors,
    *,
    dense_weight: float,
    collection: int,
    complete: bool,
) -> list[Fused]:
    """Best first. `question` is the query vector, `collection` the number of passages that the index holds.

    Every candidate has its exact cosine. A candidate that the lexical stage did not return scores 0 there when that
    list is `complete` (no passage with a common word was cut off), else what the last one on it scored.
    """
    found = {candidate.id: candidate.score for candidate in lexical}
    shares = lexical_shares(lexical, collection=collection, complete=complete)
    candidates = {candidate.id: candidate for candidate in (*lexical, *dense)}
    fused = []
    for passage_id, candidate in candidates.items():
        cosine = float(candidate.vector @ question)
        score = dense_weight * cosine + (1 - dense_weight) * shares.of(passage_id)
        fused.append(Fused(candidate, score, cosine, found.get(passage_id)))
    return sorted(fused, key=lambda item: (-item.score, item.candidate.id))


def lexical_shares(lexical: Sequence[Candidate], *, collection: int, complete: bool) -> Shares:
    """BM25 of the passages of one question on the scale of the cosine; parameters as for `fuse`."""
    ceiling = RARE_WORDS * math.log(1 + max(1, collection))
    floor = 0.0 if complete or not lexical else lexical[-1].score
    found = {candidate.id: min(1.0, candidate.score / ceiling) for candidate in lexical}
    return Shares(found, min(1.0, floor / ceiling))
