"""Fuse two ranked lists by a convex combination of their scores. Pure; knows no store.

score = w · cosine + (1 - w) · lexical score. Both scales are absolute: the cosine needs no normalisation, and stores
scale the lexical score to 0 to 1 (`lexical_scale.py`). Theory of this fusion: Bruch 2022, arXiv 2210.11934. Figures by
collection and weight: benchmarks/retrieval.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from groundtune.types import Candidate, Vectors

DEFAULT_DENSE_WEIGHT = 0.6


@dataclass(frozen=True, slots=True)
class FusedCandidate:
    """A candidate with its score at each stage."""

    candidate: Candidate
    score: float
    dense: float
    bm25: float | None


@dataclass(frozen=True, slots=True)
class LexicalShares:
    """Lexical scores of passages, 0 to 1."""

    by_id: Mapping[str, float]
    """Scores by passage id."""
    floor: float
    """Score of all other passages."""

    def of(self, passage_id: str) -> float:
        return self.by_id.get(passage_id, self.floor)


Score = TypeVar("Score", float, NDArray[np.float32])


def fused_score(cosine: Score, lexical_share: Score, *, dense_weight: float) -> Score:
    """Return the convex combination of a cosine and a lexical score, of one passage or of many."""
    return dense_weight * cosine + (1 - dense_weight) * lexical_share


def fuse(
    lexical: Sequence[Candidate],
    dense: Sequence[Candidate],
    question: Vectors,
    *,
    dense_weight: float,
    complete: bool,
) -> list[FusedCandidate]:
    """Return the candidates, best first. question: the query vector.

    Every candidate has its exact cosine. A candidate that is not in the lexical list scores 0 there when that list is
    `complete` (no passage with a common word was cut off), and otherwise as much as the last one on it.
    """
    shares = lexical_shares(lexical, complete=complete)
    candidates = {candidate.id: candidate for candidate in (*lexical, *dense)}
    fused = []
    for passage_id, candidate in candidates.items():
        cosine = float(candidate.vector @ question)
        score = fused_score(cosine, shares.of(passage_id), dense_weight=dense_weight)
        fused.append(FusedCandidate(candidate, score, cosine, shares.by_id.get(passage_id)))
    return sorted(fused, key=lambda item: (-item.score, item.candidate.id))


def lexical_shares(lexical: Sequence[Candidate], *, complete: bool) -> LexicalShares:
    """Return the lexical score of every passage for a question; parameters as for `fuse`."""
    floor = 0.0 if complete or not lexical else lexical[-1].score
    return LexicalShares({candidate.id: candidate.score for candidate in lexical}, floor)
