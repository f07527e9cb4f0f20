"""Scale BM25 scores to 0 to 1, for every store. Pure; knows no store and no question.

The scale is absolute: a score is divided by the BM25 that a few rare words would get in a collection of this size, not
by the best score of the question. Otherwise the weak matches of a question for which BM25 finds little would be
stretched to 1. Figures by collection and weight: benchmarks/retrieval.py.
"""

import math
from collections.abc import Sequence

RARE_WORDS = 3.5
"""Number of words, each found in a single passage, whose BM25 is scaled to 1."""


def scale_bm25(scores: Sequence[float], collection: int) -> list[float]:
    """Return the scaled scores, in their order. collection: number of passages in the index."""
    ceiling = RARE_WORDS * math.log(1 + max(1, collection))
    return [min(1.0, score / ceiling) for score in scores]
