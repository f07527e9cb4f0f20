"""Fuse two ranked lists by a convex combination of their scores. Pure; knows no store.

score = w · cosine + (1 - w) · BM25 / ceiling. Both scales are absolute: the cosine needs no normalisation, and BM25 is
divided by the score that a few rare words would get in a collection of this size, not by the best score of the query.
Otherwise the weak matches of a query for which BM25 finds little would be stretched to 1. Theory of this fusion: Bruch
2022, arXiv 2210.11934. Figures by collection and weight: benchmarks/retrieval.py.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from groundtune.types import Candidate, Vectors

DEFAULT_DENSE_WEIGHT = 0.6
RARE_WORDS = 3.5
"""Number of words, each found in a single passage, whose BM25 equals a cosine of 1."""


@dataclass(frozen=True, slots=True)
class FusedCandidate:
    """A candidate with its score at each stage."""

    candidate: Candidate
    score: float
    dense: float
    bm25: float | None


@dataclass(frozen=True, slots=True)
class LexicalShares:
    """BM25 scores of passages, scaled to 0 to 1."""

    by_id: Mapping[str, float]
    """Scores by passage id."""
    floor: float
    """Score of all other passages."""

    def of(self, passage_id: str) -> float:
        return self.by_id.get(passage_id, self.floor)


Score = TypeVar("Score", float, NDArray[np.float32])


def fused_score(cosine: Score, lexical_share: Score, *, dense_weight: float) -> Score:
    """Return the convex combination of a cosine and a lexical share (BM25 / ceiling), of one passage or of many."""
    return dense_weight * cosine + (1 - dense_weight) * lexical_share


def fuse(
    lexical: Sequence[Candidate],
    dense: Sequence[Candidate],
    question: Vectors,
    *,
    dense_weight: float,
    collection: int,
    complete: bool,
) -> list[FusedCandidate]:
    """Return the candidates, best first. question: the query vector. collection: number of passages in the index.

    Every candidate has its exact cosine. A candidate that is not in the lexical list scores 0 there when that list is
    `complete` (no passage with a common word was cut off), and otherwise as much as the last one on it.
    """
    bm25_scores = {candidate.id: candidate.score for candidate in lexical}
    shares = lexical_shares(lexical, collection=collection, complete=complete)
    candidates = {candidate.id: candidate for candidate in (*lexical, *dense)}
    fused = []
    for passage_id, candidate in candidates.items():
        cosine = float(candidate.vector @ question)
        score = fused_score(cosine, shares.of(passage_id), dense_weight=dense_weight)
        fused.append(FusedCandidate(candidate, score, cosine, bm25_scores.get(passage_id)))
    return sorted(fused, key=lambda item: (-item.score, item.candidate.id))


def lexical_shares(lexical: Sequence[Candidate], *, collection: int, complete: bool) -> LexicalShares:
    """Scale the BM25 scores of a question's passages to those of the cosine; parameters as for `fuse`."""
    ceiling = RARE_WORDS * math.log(1 + max(1, collection))
    floor = 0.0 if complete or not lexical else lexical[-1].score
    scaled = {candidate.id: min(1.0, candidate.score / ceiling) for candidate in lexical}
    return LexicalShares(scaled, min(1.0, floor / ceiling))
