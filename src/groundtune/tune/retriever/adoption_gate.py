"""Decide whether one ranking is measurably better than another on the same questions, by nDCG@10. Pure.

The ranking that counts is the deployed one: cosine and BM25 fused as in `retrieve/fusion.py`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundtune.common.text import format_count
from groundtune.retrieve.fusion import fused_score
from groundtune.stats.intervals import bootstrap_mean
from groundtune.stats.ranking_metrics import binary_ndcg_of_scores

Floats = NDArray[np.float32]

K = 10
"""Cutoff of nDCG@10."""
MIN_GROUPS = 10
"""Minimum number of question groups for accepting a gain; an interval from fewer is meaningless."""
WEIGHTS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Candidate weights of the cosine in the fused score."""
MIN_GROUPS_FITTED = 40
"""Minimum number of question groups for fitting a weight."""


@dataclass(frozen=True, slots=True)
class Gain:
    """Mean of paired differences with its 95% interval."""

    mean: float
    low: float
    high: float
    n: int
    """Number of questions."""
    groups: int
    """Number of groups of questions that share a passage; only groups are independent."""

    def __str__(self) -> str:
        groups = f" in {format_count(self.groups, 'group')}" if self.groups != self.n else ""
        return f"{self.mean:+.3f} [{_signed(self.low)}, {_signed(self.high)}], n = {self.n}{groups}"


@dataclass(frozen=True, slots=True)
class RankingScores:
    """An embedder's scores on the validation questions, in the deployed ranking and on its own."""

    fused: tuple[float, ...]
    """nDCG@10 of each question. When the weight is fitted, each question is scored with a weight fitted on others."""
    dense: tuple[float, ...] | None
    """nDCG@10 by cosine alone; None when unknown."""
    weight: float
    """Weight of the cosine: fitted on all questions, or the given one."""
    fitted: bool

    @property
    def mean(self) -> float:
        return float(np.mean(self.fused))


def score_ranking(
    cosines: Floats,
    lexical: Floats,
    visible: NDArray[np.bool_],
    gold: Sequence[Collection[int]],
    *,
    weight: float,
    fixed: bool,
) -> RankingScores:
    """Score an embedder in the deployed ranking.

    cosines, lexical (0 to 1), visible: (questions, pool); a passage that is not visible cannot be found.

    weight: the project's current one. fixed: keep it; otherwise it is fitted when there are enough questions.
    """

    def ndcg_by_question(weight: float) -> list[float]:
        scores = np.where(visible, fused_score(cosines, lexical, dense_weight=weight), -np.inf)
        return [binary_ndcg_of_scores(*pair, K) for pair in zip(scores, gold, strict=True)]

    dense, group = tuple(ndcg_by_question(1.0)), _groups(gold)
    if fixed or group.max(initial=-1) + 1 < MIN_GROUPS_FITTED:
        return RankingScores(tuple(ndcg_by_question(weight)), dense, weight, fitted=False)
    scores_by_weight = np.array([ndcg_by_question(candidate) for candidate in WEIGHTS])
    half = np.random.default_rng(0).permutation(group.max() + 1)[group] % 2
    fused = np.empty(len(group))
    for fold in (0, 1):
        fused[half == fold] = scores_by_weight[_best(scores_by_weight[:, half != fold], weight), half == fold]
    return RankingScores(tuple(map(float, fused)), dense, WEIGHTS[_best(scores_by_weight, weight)], fitted=True)


def _best(tried: NDArray[np.float64], present: float) -> int:
    """Return the index of the weight with the best mean; of equal ones, the nearest to `present`.

    tried: (weights, n).
    """
    means = tried.mean(axis=1)
    return max(range(len(WEIGHTS)), key=lambda at: (round(float(means[at]), 9), -abs(WEIGHTS[at] - present)))


def bootstrap_gain(
    tuned: Sequence[float], base: Sequence[float], gold: Sequence[Collection[int]], *, seed: int = 0
) -> Gain:
    """Return the mean gain with its interval over groups of questions that share a passage (`stats.intervals`).

    Raises ValueError when there are no questions.
    """
    differences = np.asarray(tuned, dtype=float) - np.asarray(base, dtype=float)
    groups = _groups(gold)
    interval = bootstrap_mean(differences.tolist(), bounds=(-1, 1), clusters=groups.tolist(), seed=seed)
    return Gain(interval.mean, interval.low, interval.high, interval.n, len(set(groups.tolist())))


def why_refused(gain: Gain | None) -> str | None:
    """Why the tuned model is not adopted, or None."""
    if gain is None:
        return "no validation question has evidence, so a gain cannot be measured"
    if gain.groups < MIN_GROUPS:
        return (
            f"no measurable gain on the validation split: {gain}; at least {MIN_GROUPS} independent groups are needed"
        )
    if gain.low <= 0:
        return f"no measurable gain on the validation split: {gain}"
    return None


def _groups(gold: Sequence[Collection[int]]) -> NDArray[np.int64]:
    """Return a group number for each question, equal for questions that share a passage, directly or indirectly."""
    parent: dict[int, int] = {}

    def root(place: int) -> int:
        while parent.setdefault(place, place) != place:
            parent[place] = place = parent[parent[place]]
        return place

    for places in gold:
        first = root(min(places))
        for place in places:
            parent[root(place)] = first
    _, numbers = np.unique([root(min(places)) for places in gold], return_inverse=True)
    return np.asarray(numbers, dtype=np.int64)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
