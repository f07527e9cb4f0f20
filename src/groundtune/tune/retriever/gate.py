"""Rankings to nDCG, and whether one ranking is measurably better than another on the same questions. Pure.

The ranking that counts is the one that is served: cosine and BM25 together, as `retrieve/fuse.py` does it.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

K = 10
"""Of nDCG@10."""
RESAMPLES = 10_000
FEWEST = 10
"""Groups of questions below which no gain is believed: an interval from so few is worth nothing."""
WEIGHTS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Of the cosine in the fused score, among which one is fitted."""
FEWEST_FITTED = 40
"""Groups of questions below which no weight is fitted."""
Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Gain:
    """Mean of the differences of pairs with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int
    """Questions."""
    groups: int
    """Of questions that share a passage; only these are independent."""

    def __str__(self) -> str:
        groups = f" in {self.groups} groups" if self.groups != self.n else ""
        return f"{self.mean:+.3f} [{_signed(self.low)}, {_signed(self.high)}], n = {self.n}{groups}"


@dataclass(frozen=True, slots=True)
class Served:
    """One embedder on the validation questions, in the ranking that is served and on its own."""

    fused: tuple[float, ...]
    """nDCG@10 of each question. Where the weight is fitted, by one that never saw the question."""
    dense: tuple[float, ...] | None
    """None where it is not known."""
    weight: float
    """Fitted on all of the questions, or the one that was given."""
    fitted: bool

    @property
    def mean(self) -> float:
        return float(np.mean(self.fused))


def served(
    cosines: Floats,
    lexical: Floats,
    visible: NDArray[np.bool_],
    gold: Sequence[Collection[int]],
    *,
    weight: float,
    fixed: bool,
) -> Served:
    """cosines, lexical (0 to 1), visible: (questions, pool); what is not visible cannot be found.

    weight: the project's present one; fixed: it stays, else it is fitted anew, where there are enough questions.
    """

    def by(weight: float) -> list[float]:
        scores = np.where(visible, weight * cosines + (1 - weight) * lexical, -np.inf)
        return [ndcg(*one) for one in zip(scores, gold, strict=True)]

    dense, group = tuple(by(1.0)), _groups(gold)
    if fixed or group.max(initial=-1) + 1 < FEWEST_FITTED:
        return Served(tuple(by(weight)), dense, weight, fitted=False)
    tried = np.array([by(one) for one in WEIGHTS])
    half = np.random.default_rng(0).permutation(group.max() + 1)[group] % 2
    fused = np.empty(len(group))
    for own in (0, 1):
        fused[half == own] = tried[_best(tried[:, half != own], weight), half == own]
    return Served(tuple(map(float, fused)), dense, WEIGHTS[_best(tried, weight)], fitted=True)


def _best(tried: NDArray[np.float64], present: float) -> int:
    """Place of the weight with the best mean; of equal ones the nearest to the present one. tried: (weights, n)."""
    means = tried.mean(axis=1)
    return max(range(len(WEIGHTS)), key=lambda at: (round(float(means[at]), 9), -abs(WEIGHTS[at] - present)))


def ndcg(scores: Sequence[float] | NDArray[np.float32], gold: Collection[int]) -> float:
    """nDCG@10 of one question, binary; of equal scores the right passage is taken to come last."""
    found = np.asarray(scores, dtype=np.float32)
    right = np.zeros(len(found), dtype=bool)
    right[list(gold)] = True
    wrong = np.sort(found[~right])
    ranks = [
        order + len(wrong) - int(np.searchsorted(wrong, score, side="left"))
        for order, score in enumerate(sorted(found[right], reverse=True))
    ]
    return sum(1 / math.log2(rank + 2) for rank in ranks if rank < K) / _ideal(len(gold))


def ndcg_of_list(ranked: Sequence[int], gold: Collection[int]) -> float:
    """The same of places, best first."""
    return sum(1 / math.log2(rank + 2) for rank, place in enumerate(ranked[:K]) if place in gold) / _ideal(len(gold))


def gain(tuned: Sequence[float], base: Sequence[float], gold: Sequence[Collection[int]], *, seed: int = 0) -> Gain:
    """Bootstrap over groups of questions that share a passage (percentiles, widened for few groups: Hesterberg 2015).

    Raises ValueError for no questions.
    """
    differences = np.asarray(tuned, dtype=float) - np.asarray(base, dtype=float)
    group = _groups(gold)
    sums, sizes = np.bincount(group, weights=differences), np.bincount(group)
    n, mean = len(sums), float(differences.mean())
    if n < 2:
        return Gain(mean, -1.0, 1.0, len(differences), n)
    rng = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    for start in range(0, RESAMPLES, 500):
        chosen = rng.integers(0, n, size=(500, n))
        means[start : start + 500] = sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1)
    tail = NormalDist().cdf(-_student(n - 1) * math.sqrt(n / (n - 1)))
    low, high = np.quantile(means, [tail, 1 - tail])
    return Gain(mean, float(low), float(high), len(differences), n)


def refusal(found: Gain | None) -> str | None:
    """Why the tuned model is not adopted; None when it is."""
    if found is None:
        return "no validation question has evidence, so nobody knows whether it is better"
    if found.groups < FEWEST:
        return f"no measurable gain on the validation split: {found}; at least {FEWEST} independent ones are needed"
    if found.low <= 0:
        return f"no measurable gain on the validation split: {found}"
    return None


def _groups(gold: Sequence[Collection[int]]) -> NDArray[np.int64]:
    """A number for each question, the same for those that share a passage, directly or through others."""
    parent: dict[int, int] = {}

    def root(one: int) -> int:
        while parent.setdefault(one, one) != one:
            parent[one] = one = parent[parent[one]]
        return one

    for places in gold:
        first = root(min(places))
        for place in places:
            parent[root(place)] = first
    _, numbers = np.unique([root(min(places)) for places in gold], return_inverse=True)
    return np.asarray(numbers, dtype=np.int64)


def _student(degrees: int) -> float:
    """97.5 % quantile of Student's t, by the expansion of Cornish and Fisher; exact to 1 % from 4 degrees on."""
    first = (Z**3 + Z) / (4 * degrees)
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * degrees**2)
    return Z + first + second


def _ideal(relevant: int) -> float:
    return sum(1 / math.log2(rank + 2) for rank in range(min(relevant, K)))


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
