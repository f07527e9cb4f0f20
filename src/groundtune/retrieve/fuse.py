"""Two ranked lists become one by a convex combination of their scores. Pure; knows no store.

score = w · cosine + (1 - w) · BM25 / ceiling. Both are absolute: the cosine needs no normalisation, and BM25 is
divided by what a few rare words are worth in a collection of this size, not by the best score of this very query; a
query on which BM25 finds little then does not get its little stretched to 1. Theory of such fusion: Bruch 2022,
arXiv 2210.11934. Figures by collection and weight: benchmarks/retrieval.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.types import Candidate, Passage, Vectors

DEFAULT_DENSE_WEIGHT = 0.6
RARE_WORDS = 3.5
"""Number of words found in a single passage whose BM25 counts as much as a cosine of 1."""


@dataclass(frozen=True, slots=True)
class Fused:
    """A candidate with its scores by stage."""

    passage: Passage
    vector: Vectors
    score: float
    dense: float
    bm25: float | None


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
    ceiling = RARE_WORDS * math.log(1 + max(1, collection))
    floor = 0.0 if complete or not lexical else lexical[-1].score
    found = {candidate.passage.id: candidate.score for candidate in lexical}
    candidates = {candidate.passage.id: candidate for candidate in (*lexical, *dense)}
    fused = []
    for passage_id, candidate in candidates.items():
        bm25 = found.get(passage_id)
        cosine = float(candidate.vector @ question)
        lexical_score = min(1.0, (floor if bm25 is None else bm25) / ceiling)
        score = dense_weight * cosine + (1 - dense_weight) * lexical_score
        fused.append(Fused(candidate.passage, candidate.vector, score, cosine, bm25))
    return sorted(fused, key=lambda item: (-item.score, item.passage.id))
