"""Score rankings: recall, reciprocal rank, nDCG, and the area under the ROC curve. Pure; retrieves nothing."""

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from groundtune.stats.inputs import as_floats, require_same_length


def recall_at(ranked: Sequence[Hashable], relevant: Sequence[Collection[Hashable]], k: int) -> float:
    """Return recall@k: the share of the evidence with a matching passage in the first k.

    relevant[i]: ids of the passages that match evidence i. Raises ValueError when there is no evidence.
    """
    _require_evidence(relevant)
    return sum(not set(ranked[:k]).isdisjoint(ids) for ids in relevant) / len(relevant)


def reciprocal_rank(ranked: Sequence[Hashable], relevant: Sequence[Collection[Hashable]]) -> float:
    """Return 1 / rank of the first passage that matches any evidence, 0 when none does; `mrr` is its mean.

    Raises ValueError when there is no evidence.
    """
    _require_evidence(relevant)
    relevant_ids = set[Hashable]().union(*relevant)
    return next((1 / rank for rank, passage_id in enumerate(ranked, start=1) if passage_id in relevant_ids), 0.0)


def ndcg_at(ranked: Sequence[Hashable], relevant: Sequence[Collection[Hashable]], k: int = 10) -> float:
    """Return the normalised discounted cumulative gain over the first k.

    The gain at a rank is the number of pieces of evidence found there for the first time. Overlapping passages, or the
    two halves of a split quote, match the same evidence; if each counted as a separate relevant passage, the ideal
    would require both, and evidence at rank 1 would not score 1. If each piece of evidence has exactly one passage,
    this is the usual binary nDCG. Evidence that no passage matches stays in the ideal, so evidence that was never
    ingested lowers the score.
    Source: Järvelin and Kekäläinen 2002.

    Raises ValueError when there is no evidence.
    """
    _require_evidence(relevant)
    dcg = _discounted_sum(_gains(ranked[:k], relevant))
    return min(1.0, dcg / _discounted_sum(_ideal_gains(relevant)[:k]))


def ndcg_of_ranks(ranks: Sequence[int | None], k: int = 10) -> float:
    """Return the nDCG@k of one question from the ranks, from 1, at which its pieces of evidence are found.

    The ideal finds one piece a rank, whatever a passage holds, so that passages of any size are on one scale; several
    at one rank score 1 at most. Raises ValueError when there is no evidence.
    """
    _require_evidence([()] * len(ranks))
    gain = sum(1 / math.log2(rank + 1) for rank in ranks if rank is not None and rank <= k)
    return min(1.0, gain / _discounted_sum([1] * min(len(ranks), k)))


def _require_evidence(relevant: Sequence[Collection[Hashable]]) -> None:
    if not relevant:
        raise ValueError("retrieval metrics need at least one piece of evidence")


def _gains(ranked: Iterable[Hashable], relevant: Sequence[Collection[Hashable]]) -> list[int]:
    remaining = set(range(len(relevant)))
    gains = []
    for passage_id in ranked:
        new = {index for index in remaining if passage_id in relevant[index]}
        gains.append(len(new))
        remaining -= new
    return gains


def _ideal_gains(relevant: Sequence[Collection[Hashable]]) -> list[int]:
    """Return the gains of the best order: greedily the passage with most new evidence, then unmatched evidence."""
    remaining = [set(ids) for ids in relevant if ids]
    gains = []
    while remaining:
        counts = Counter(passage_id for ids in remaining for passage_id in sorted(ids, key=str))
        best, gain = counts.most_common(1)[0]
        gains.append(gain)
        remaining = [ids for ids in remaining if best not in ids]
    return gains + [1] * (len(relevant) - sum(gains))


def _discounted_sum(gains: Iterable[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def binary_ndcg(ranked: Sequence[int], relevant: Collection[int], k: int = 10) -> float:
    """Return the binary nDCG@k of one question: `ranked` has item numbers, best first; `relevant` at least one."""
    gains = [int(item in relevant) for item in ranked[:k]]
    return _discounted_sum(gains) / _discounted_sum([1] * min(len(relevant), k))


def binary_ndcg_of_scores(
    scores: Sequence[float] | NDArray[np.float32], relevant: Collection[int], k: int = 10
) -> float:
    """Return the binary nDCG@k of scored items, numbered by place; among equal scores, relevant items rank last."""
    values = np.asarray(scores, dtype=np.float32)
    is_relevant = np.zeros(len(values), dtype=bool)
    is_relevant[list(relevant)] = True
    others = np.sort(values[~is_relevant])
    gains = [0] * k
    for order, score in enumerate(sorted(values[is_relevant], reverse=True)):
        rank = order + len(others) - int(np.searchsorted(others, score, side="left"))
        if rank < k:
            gains[rank] = 1
    return _discounted_sum(gains) / _discounted_sum([1] * min(len(relevant), k))


def auroc(scores: Sequence[float], positives: Sequence[bool]) -> float | None:
    """Return the area under the ROC curve; None when one class is absent.

    This is the probability that a positive scores above a negative, ties counted half (Mann and Whitney 1947).
    Raises ValueError on unequal lengths or a NaN score.
    """
    data, is_positive = as_floats(scores, finite=False), np.asarray(positives, dtype=bool)
    require_same_length(data, is_positive)
    n_positive = int(is_positive.sum())
    n_negative = int(is_positive.size) - n_positive
    if not n_positive or not n_negative:
        return None
    _, inverse, counts = np.unique(data, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    wins = float(ranks[is_positive].sum()) - n_positive * (n_positive + 1) / 2
    return wins / (n_positive * n_negative)
