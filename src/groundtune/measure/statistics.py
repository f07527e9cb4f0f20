"""Turn lists of numbers into intervals, ranking quality and thresholds. Never reads files, never guesses a value."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groundtune.measure import intervals
from groundtune.measure.intervals import Floats, by_cluster
from groundtune.types import Interval

_FEWEST = 6
"""With fewer independent observations no two-sided test of signs comes under 0.05."""
_Z = intervals.Z
_POWER = intervals.NORMAL.inv_cdf(0.8)


@dataclass(frozen=True, slots=True)
class Point:
    """What answering at or above one confidence would mean."""

    threshold: float
    coverage: float
    """Share of the questions that would be answered, 0 to 1."""
    risk: float
    """Share of the answered that would be wrong, 0 to 1."""
    n: int
    """Number of questions that would be answered."""


@dataclass(frozen=True, slots=True)
class Paired:
    """How two lists of scores of the same examples differ."""

    difference: float
    """Mean of the first minus mean of the second."""
    low: float
    """95 % interval of the difference."""
    high: float
    p: float
    """Of the hypothesis that the two are equal; two-sided."""
    n: int
    detectable: float | None
    """Smallest true difference that n such examples show (p < 0.05) in four of five cases; None where none does."""
    needed: int | None
    """Examples that would show the observed difference in four of five cases, were it true; None when it is 0."""


def bootstrap_mean(
    values: Sequence[float],
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    resamples: int = 10_000,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> Interval:
    """Mean with its 95 % interval; the same seed, the same interval.

    `bounds` is the range in which a value can lie: (0, 1) for scores, (-1, 1) for differences of scores.
    `clusters` has one label a value: values that share one are not independent and are resampled together; a
    label of None stands alone. The interval then is about more such clusters.

    Chosen by coverage in simulation (benchmarks/verdict.py):
    - values that are all at a bound, as 0 and 1 are: Wilson (1927) with Student's quantile, and where there are
      clusters with the effective number of values (Dean and Pagano 2015);
    - else the bootstrap, bias-corrected and accelerated (BCa; Efron 1987), its quantiles widened for n as Hesterberg
      (2015) widens those of the percentile bootstrap; under 30 values or clusters no narrower than Student's t;
    - under 10 Student's t alone, no narrower than the next;
    - all values or cluster means equal, one value included: a bootstrap would claim a width of zero, so what n equal
      observations leave open. With 97.5 % confidence on each side, at most 1 - 0.025^(1/n) of the population differs,
      and lies at worst at the bound. For scores of 0 and 1 that is the exact interval of Clopper and Pearson (1934).

    Raises ValueError for no values, one that is not a number or outside `bounds`, or lists not equally long.
    """
    data = _floats(values)
    low, high = bounds
    if data.size == 0:
        raise ValueError("no values, so no mean")
    if data.min() < low or data.max() > high:
        raise ValueError(f"a value is outside {low} to {high}: give bounds=")
    sums, sizes = by_cluster(data, clusters)
    mean, n = float(data.mean()), int(data.size)
    if sums.size > 1 and data.min() < data.max() and bool(np.isin(data, bounds).all()):
        below, above = (
            low + (high - low) * limit for limit in intervals.wilson((sums - low * sizes) / (high - low), sizes)
        )
    else:
        below, above = intervals.mean_limits(
            sums, sizes, bounds=bounds, resamples=resamples, rng=np.random.default_rng(seed)
        )
    return Interval(mean, below, above, n)


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> Paired:
    """Mean of a - b over examples that both have a score for, with interval, p, and what n is good for.

    The interval is that of `bootstrap_mean`, but for scores of 0 and 1 the score interval of Tango (1998), where there
    are clusters with the effective number of pairs. p is the exact test of McNemar (1947) for scores of 0 and 1 that
    are not clustered; else signs are turned around by chance, those of a cluster together (Fisher 1935), and
    p = (1 + as far from 0) / (1 + resamples). `detectable` and `needed` are approximations (Connor 1987 for 0 and 1).

    Raises ValueError when there are no scores, one is not a number, or the lists are not equally long.
    """
    first, second = _floats(a), _floats(b)
    _same_length(first, second)
    n = int(first.size)
    if n == 0:
        raise ValueError("no scores, so no difference")
    both = np.concatenate((first, second))
    scale = max(1.0, float(both.max())) - min(0.0, float(both.min()))
    apart = first - second
    mean = float(apart.mean()) if abs(apart.mean()) > 1e-12 * scale else 0.0
    sums, sizes = by_cluster(apart, clusters)
    rng = np.random.default_rng(seed)
    binary = bool(np.isin(both, (0, 1)).all())
    if binary:
        low, high = intervals.tango(apart, sums, sizes)
    else:
        low, high = intervals.mean_limits(sums, sizes, bounds=(-scale, scale), resamples=resamples, rng=rng)
    if binary and sums.size == n:
        wins, losses = int((apart > 0).sum()), int((apart < 0).sum())
        p, share = _mcnemar(wins, losses), (wins + losses) / n
        needed = _discordant_needed(abs(mean), share) if mean and n > 1 else None
        detectable = _discordant_detectable(n, share)
    else:
        p = _sign_flips(sums, resamples, rng)
        needed, detectable = _power(sums, sizes, mean, scale)
    total = None if needed is None else math.ceil(max(needed, _FEWEST * n / sums.size))
    return Paired(mean, low, high, p, n, detectable, total)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that 5 % is the chance of any false one among all under 0.05 (Holm 1979); same order.

    Raises ValueError when one is not between 0 and 1.
    """
    data = _floats(p_values)
    if data.size and not (data.min() >= 0 and data.max() <= 1):
        raise ValueError("a p-value is not between 0 and 1")
    order = np.argsort(data, kind="stable")
    adjusted = np.empty(data.size)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(data[order] * np.arange(data.size, 0, -1)))
    return [float(p) for p in adjusted]


def auroc(scores: Sequence[float], positives: Sequence[bool]) -> float | None:
    """Chance that a positive scores above a negative, ties counted half; None when one class is absent.

    Source: Mann and Whitney 1947. Raises ValueError on unequal lengths or a score that is not a number.
    """
    data, truth = _floats(scores, finite=False), np.asarray(positives, dtype=bool)
    _same_length(data, truth)
    n_positive = int(truth.sum())
    n_negative = int(truth.size) - n_positive
    if not n_positive or not n_negative:
        return None
    _, inverse, counts = np.unique(data, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    wins = float(ranks[truth].sum()) - n_positive * (n_positive + 1) / 2
    return wins / (n_positive * n_negative)


def risk_coverage(confidences: Sequence[float], correct: Sequence[float]) -> list[Point]:
    """One point for each distinct confidence, strictest first: answer where confidence >= threshold.

    correct: 1 or true where the answer was right; fractions count as partly wrong. Empty in, empty out.
    Source: El-Yaniv and Wiener 2010. Raises ValueError on unequal lengths or what is not a number.
    """
    data, right = _floats(confidences), _floats(correct)
    _same_length(data, right)
    if data.size == 0:
        return []
    order = np.argsort(-data, kind="stable")
    data, wrong = data[order], np.cumsum(1 - right[order])
    last = np.append(np.flatnonzero(np.diff(data)), data.size - 1)
    return [Point(float(data[i]), float((i + 1) / data.size), float(wrong[i] / (i + 1)), int(i) + 1) for i in last]


def choose_threshold(
    points: Sequence[Point], *, max_risk: float | None = None, min_coverage: float | None = None
) -> Point | None:
    """The point to work at; None when no point meets the demand.

    `max_risk` takes the highest coverage at that risk or less; `min_coverage` takes the lowest risk at that
    coverage or more, and of equals the higher coverage. Choose on the validation split, report on the test
    split: the risk of a chosen point is too good to be true on the data it was chosen on.

    Raises ValueError unless exactly one of the two is given.
    """
    if (max_risk is None) == (min_coverage is None):
        raise ValueError("give either max_risk or min_coverage")
    if max_risk is not None:
        safe = [point for point in points if point.risk <= max_risk]
        return max(safe, key=lambda point: point.coverage, default=None)
    wide = [point for point in points if min_coverage is not None and point.coverage >= min_coverage]
    return min(wide, key=lambda point: (point.risk, -point.coverage), default=None)


def _mcnemar(wins: int, losses: int) -> float:
    discordant = wins + losses
    term = total = 1
    for place in range(min(wins, losses)):
        term = term * (discordant - place) // (place + 1)
        total += term
    return min(1.0, 2 * total / (1 << discordant))


def _sign_flips(sums: Floats, resamples: int, rng: np.random.Generator) -> float:
    observed, reach = abs(float(sums.sum())), float(np.abs(sums).sum())
    sizes, counts = np.unique(np.round(np.abs(sums[sums != 0]), 12), return_counts=True)
    if sizes.size == 0:
        return 1.0
    hits = 0
    for size in intervals.chunks(resamples, max(1, intervals.CELLS // sizes.size)):
        shape = (size, sizes.size)
        ups = _coins(rng, shape) if counts.max() == 1 else rng.binomial(counts, 0.5, shape)
        flipped = 2 * (ups @ sizes) - counts @ sizes
        hits += int((np.abs(flipped) >= observed - 1e-9 * reach).sum())
    return (1 + hits) / (1 + resamples)


def _coins(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Zeros and ones; a byte gives eight of them, and matrices of floats are multiplied the quickest."""
    bits = np.unpackbits(np.frombuffer(rng.bytes(math.prod(shape) // 8 + 1), dtype=np.uint8))
    return bits[: math.prod(shape)].reshape(shape).astype(np.float64)


def _discordant_needed(difference: float, share: float) -> float:
    """Pairs of 0 and 1 of which `share` differ. The last term is for the test being exact, fitted by enumeration."""
    root = _Z * math.sqrt(share) + _POWER * math.sqrt(max(0.0, share - difference**2))
    return (root / difference) ** 2 + 1 / difference


def _discordant_detectable(n: int, share: float) -> float | None:
    """A difference above `share` takes more discordant pairs than were seen, all of them on one side."""
    if n < _FEWEST or _discordant_needed(1.0, 1.0) > n:
        return None
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        enough = _discordant_needed(middle, max(share, middle)) <= n
        low, high = (low, middle) if enough else (middle, high)
    return high


def _power(sums: Floats, sizes: Floats, mean: float, scale: float) -> tuple[float | None, float | None]:
    """Examples needed for `mean`, and the difference that can be detected, from the spread between units."""
    units = sums.size
    spread = intervals.spread_of_mean(sums, sizes) * math.sqrt(units) if units > 1 else 0.0
    if spread == 0.0:  # nothing varies, so only how many might be seen to differ is known
        share = _discordant_detectable(units, 0.0)
        return (0.0 if mean and units > 1 else None), (None if share is None else share * scale)
    extra = _Z**2 / 2  # for the spread being an estimate (Guenther 1981)
    needed = (((_Z + _POWER) * spread / mean) ** 2 + extra) * sizes.sum() / units if mean else None
    detectable = (_Z + _POWER) * spread / math.sqrt(units - extra) if units >= _FEWEST else None
    return needed, detectable if detectable is not None and detectable <= scale else None


def _floats(values: ArrayLike, *, finite: bool = True) -> Floats:
    data = np.asarray(values, dtype=np.float64)
    if np.isnan(data).any() or (finite and np.isinf(data).any()):
        raise ValueError("a value is not a number; leave out what is unknown")
    return data


def _same_length(first: NDArray[np.generic], second: NDArray[np.generic]) -> None:
    if first.shape != second.shape:
        raise ValueError(f"{first.size} values beside {second.size}: the two lists must be equally long")
