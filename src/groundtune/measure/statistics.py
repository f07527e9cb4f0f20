"""Compute confidence intervals, paired tests, AUROC and risk-coverage thresholds. Never imputes values."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groundtune.measure import intervals
from groundtune.measure.intervals import Floats, unit_sums
from groundtune.types import Interval

_FEWEST = 6
"""With fewer independent observations no two-sided sign test reaches p < 0.05."""
_Z = intervals.Z_975
_POWER = intervals.NORMAL.inv_cdf(0.8)


@dataclass(frozen=True, slots=True)
class Sample:
    """One list for `bootstrap_means`; the fields are the arguments of `bootstrap_mean`."""

    values: Sequence[float]
    bounds: tuple[float, float] = (0.0, 1.0)
    clusters: Sequence[Hashable] | None = None


@dataclass(frozen=True, slots=True)
class PairedSample:
    """Two paired lists for `paired_differences`; the fields are the arguments of `paired_difference`."""

    a: Sequence[float]
    b: Sequence[float]
    clusters: Sequence[Hashable] | None = None


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Coverage and risk of answering at or above one confidence threshold."""

    threshold: float
    coverage: float
    """Share of questions answered, 0 to 1."""
    risk: float
    """Share of answered questions that are wrong, 0 to 1."""
    n: int
    """Number of questions answered."""


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Paired comparison of two lists of scores on the same examples."""

    difference: float
    """Mean of the first minus mean of the second."""
    low: float
    """Lower limit of the 95% interval of the difference."""
    high: float
    p: float
    """Two-sided p-value of the hypothesis that the two are equal."""
    n: int
    detectable: float | None
    """Minimum detectable effect: smallest true difference found with 80% power at p < 0.05; None if there is none."""
    needed: int | None
    """Required sample size: examples to find the observed difference with 80% power; None when it is 0."""


def bootstrap_mean(
    values: Sequence[float],
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    resamples: int = 10_000,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> Interval:
    """Return the mean with its 95% interval; the same seed gives the same interval.

    `bounds` is the range of possible values: (0, 1) for scores, (-1, 1) for differences of scores.
    `clusters` has one label per value: values with the same label form a cluster, are not independent and are
    resampled together; a value labelled None stands alone. The interval then generalises to new clusters.

    Methods, chosen by coverage in simulation (benchmarks/verdict.py):
    - every value at a bound, such as 0 or 1: the Wilson score interval (Wilson 1927) with Student's t quantile; for
      clusters, with n divided by the design effect (Dean and Pagano 2015);
    - otherwise the bias-corrected and accelerated bootstrap (BCa; Efron 1987), its quantiles widened for small n as
      Hesterberg (2015) does for the percentile bootstrap; with fewer than 30 values or clusters at least as wide as
      Student's t interval;
    - fewer than 10 values or clusters: Student's t interval, at least as wide as the next;
    - all values or cluster means equal, a single value included: a bootstrap interval would have zero width, so the
      limits are those compatible with n equal observations. With 97.5% confidence on each side, at most
      1 - 0.025^(1/n) of the population differs, at worst by lying at the bound. For scores of 0 and 1 this is the
      exact interval of Clopper and Pearson (1934).

    Raises ValueError for an empty list, a NaN or infinite value, a value outside `bounds`, or unequal lengths.
    """
    return bootstrap_means([Sample(values, bounds, clusters)], resamples=resamples, seed=seed)[0]


def bootstrap_means(columns: Sequence[Sample], *, resamples: int = 10_000, seed: int = 0) -> list[Interval]:
    """Return `bootstrap_mean` of each list; they share their draws, so many take little longer than one.

    Raises ValueError as `bootstrap_mean` does.
    """
    prepared = [_column(values) for values in columns]
    to_bootstrap = [column for column, at_bounds in prepared if not at_bounds]
    limits = iter(intervals.mean_intervals(to_bootstrap, resamples=resamples, seed=seed))
    return [
        Interval(column.mean, *(_wilson(column) if at_bounds else next(limits)), n=int(column.sizes.sum()))
        for column, at_bounds in prepared
    ]


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedDifference:
    """Compare two lists of scores of the same examples: mean of a - b, 95% interval, p-value and power.

    - Interval: Tango's score interval (Tango 1998) for scores of 0 and 1, with counts divided by the design effect for
      clusters; otherwise the paired bootstrap, `bootstrap_mean` of the differences.
    - p-value: the exact McNemar test (McNemar 1947) for scores of 0 and 1 without clusters; otherwise a sign-flip
      permutation test (Fisher 1935) that flips each cluster as a whole: p = (1 + draws at least as extreme) /
      (1 + resamples).
    - `detectable` (minimum detectable effect) and `needed` (required sample size) are approximations; Connor (1987)
      for scores of 0 and 1.

    Raises ValueError for empty lists, a NaN or infinite score, or unequal lengths.
    """
    return paired_differences([PairedSample(a, b, clusters)], resamples=resamples, seed=seed)[0]


def paired_differences(
    pairs: Sequence[PairedSample], *, resamples: int = 10_000, seed: int = 0
) -> list[PairedDifference]:
    """Return `paired_difference` of each pair; they share their draws, so many take little longer than one.

    Raises ValueError as `paired_difference` does.
    """
    prepared = [_differences(pair) for pair in pairs]
    to_bootstrap = [differences.column for differences in prepared if not differences.binary]
    limits = iter(intervals.mean_intervals(to_bootstrap, resamples=resamples, seed=seed))
    return [
        _paired(differences, None if differences.binary else next(limits), resamples, seed) for differences in prepared
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values by Holm-Bonferroni (Holm 1979), which controls the family-wise error rate; same order.

    Raises ValueError when a p-value is not between 0 and 1.
    """
    data = _floats(p_values)
    if data.size and not (data.min() >= 0 and data.max() <= 1):
        raise ValueError("a p-value is not between 0 and 1")
    order = np.argsort(data, kind="stable")
    adjusted = np.empty(data.size)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(data[order] * np.arange(data.size, 0, -1)))
    return [float(p) for p in adjusted]


def auroc(scores: Sequence[float], positives: Sequence[bool]) -> float | None:
    """Return the area under the ROC curve; None when one class is absent.

    This is the probability that a positive scores above a negative, ties counted half (Mann and Whitney 1947).
    Raises ValueError on unequal lengths or a NaN score.
    """
    data, is_positive = _floats(scores, finite=False), np.asarray(positives, dtype=bool)
    _same_length(data, is_positive)
    n_positive = int(is_positive.sum())
    n_negative = int(is_positive.size) - n_positive
    if not n_positive or not n_negative:
        return None
    _, inverse, counts = np.unique(data, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    wins = float(ranks[is_positive].sum()) - n_positive * (n_positive + 1) / 2
    return wins / (n_positive * n_negative)


def risk_coverage(confidences: Sequence[float], correct: Sequence[float]) -> list[OperatingPoint]:
    """Return the risk-coverage curve (El-Yaniv and Wiener 2010): one point per distinct confidence, strictest first.

    A question is answered when its confidence >= threshold. correct: 1 or True for a correct answer; fractions count
    as partly wrong. Empty lists give an empty curve. Raises ValueError on unequal lengths, NaN or infinity.
    """
    data, correctness = _floats(confidences), _floats(correct)
    _same_length(data, correctness)
    if data.size == 0:
        return []
    order = np.argsort(-data, kind="stable")
    data, wrong = data[order], np.cumsum(1 - correctness[order])
    last = np.append(np.flatnonzero(np.diff(data)), data.size - 1)
    return [
        OperatingPoint(float(data[i]), float((i + 1) / data.size), float(wrong[i] / (i + 1)), int(i) + 1) for i in last
    ]


def choose_threshold(
    points: Sequence[OperatingPoint], *, max_risk: float | None = None, min_coverage: float | None = None
) -> OperatingPoint | None:
    """Choose an operating point; None when no point meets the constraint.

    `max_risk` picks the highest coverage within that risk; `min_coverage` picks the lowest risk at that coverage or
    more, breaking ties by higher coverage. Choose on the validation split and report on the test split: the risk is
    optimistic on the data it was chosen on.

    Raises ValueError unless exactly one of the two is given.
    """
    if (max_risk is None) == (min_coverage is None):
        raise ValueError("give either max_risk or min_coverage")
    if max_risk is not None:
        eligible = [point for point in points if point.risk <= max_risk]
        return max(eligible, key=lambda point: point.coverage, default=None)
    eligible = [point for point in points if min_coverage is not None and point.coverage >= min_coverage]
    return min(eligible, key=lambda point: (point.risk, -point.coverage), default=None)


def _column(values: Sample) -> tuple[intervals.UnitSums, bool]:
    """Return the column, and whether every value is at a bound and both bounds occur."""
    data, (low, high) = _floats(values.values), values.bounds
    if data.size == 0:
        raise ValueError("cannot compute the mean of no values")
    if data.min() < low or data.max() > high:
        raise ValueError(f"a value is outside {low} to {high}: set bounds")
    sums, sizes = unit_sums(data, values.clusters)
    at_bounds = sums.size > 1 and data.min() < data.max() and bool(np.isin(data, values.bounds).all())
    return intervals.UnitSums(sums, sizes, values.bounds), at_bounds


def _wilson(column: intervals.UnitSums) -> tuple[float, float]:
    low, high = column.bounds
    below, above = intervals.wilson_interval((column.sums - low * column.sizes) / (high - low), column.sizes)
    return low + (high - low) * below, low + (high - low) * above


@dataclass(frozen=True, slots=True)
class _Differences:
    """Paired differences of two lists."""

    values: Floats
    column: intervals.UnitSums
    mean: float
    """Mean difference; exactly 0 when it is only rounding error."""
    binary: bool
    """Whether all scores are 0 or 1."""


def _differences(pair: PairedSample) -> _Differences:
    first, second = _floats(pair.a), _floats(pair.b)
    _same_length(first, second)
    if first.size == 0:
        raise ValueError("cannot compare lists without scores")
    both = np.concatenate((first, second))
    scale = max(1.0, float(both.max())) - min(0.0, float(both.min()))
    values = first - second
    mean = float(values.mean()) if abs(values.mean()) > 1e-12 * scale else 0.0
    column = intervals.UnitSums(*unit_sums(values, pair.clusters), bounds=(-scale, scale))
    return _Differences(values, column, mean, bool(np.isin(both, (0, 1)).all()))


def _paired(
    differences: _Differences, limits: tuple[float, float] | None, resamples: int, seed: int
) -> PairedDifference:
    """limits: bootstrap interval; None for scores of 0 and 1, which use Tango's score interval."""
    values, column, mean = differences.values, differences.column, differences.mean
    sums, sizes, n = column.sums, column.sizes, int(values.size)
    low, high = limits or intervals.tango_interval(values, sums, sizes)
    if differences.binary and sums.size == n:
        wins, losses = int((values > 0).sum()), int((values < 0).sum())
        p, share = _mcnemar(wins, losses), (wins + losses) / n
        needed = _discordant_needed(abs(mean), share) if mean and n > 1 else None
        detectable = _discordant_detectable(n, share)
    else:
        p = _sign_flips(sums, resamples, np.random.default_rng((seed, 1)))
        needed, detectable = _power(sums, sizes, mean, column.bounds[1])
    total = None if needed is None else math.ceil(max(needed, _FEWEST * n / sums.size))
    return PairedDifference(mean, low, high, p, n, detectable, total)


def _mcnemar(wins: int, losses: int) -> float:
    """Two-sided p-value of the exact McNemar test."""
    discordant = wins + losses
    term = total = 1
    for place in range(min(wins, losses)):
        term = term * (discordant - place) // (place + 1)
        total += term
    return min(1.0, 2 * total / (1 << discordant))


def _sign_flips(sums: Floats, resamples: int, rng: np.random.Generator) -> float:
    """Two-sided p-value of the sign-flip permutation test over units."""
    observed, parts = abs(float(sums.sum())), np.abs(sums[sums != 0])
    if parts.size == 0:
        return 1.0
    sizes, counts = np.unique(np.round(parts, 12), return_counts=True)
    if sizes.size * 32 <= parts.size:  # drawing how many of each size flip is faster
        chunk = max(1, intervals.MAX_CELLS // sizes.size)
        draws = (rng.binomial(counts, 0.5, (size, sizes.size)) for size in intervals.chunk_sizes(resamples, chunk))
        positive_sums = np.concatenate([draw @ sizes for draw in draws])
    else:
        positive_sums = _random_subset_sums(parts, resamples, rng)
    total = float(parts.sum())
    extreme = int((np.abs(2 * positive_sums - total) >= observed - 1e-9 * total).sum())
    return (1 + extreme) / (1 + resamples)


def _random_subset_sums(parts: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Sum random subsets of the parts, each part drawn with probability 1/2.

    A random byte draws eight parts, whose sum is looked up in a table.
    """
    byte_count = -(-parts.size // 8)
    padded = np.zeros(byte_count * 8)
    padded[: parts.size] = parts
    bits = np.unpackbits(np.arange(256, dtype=np.uint8).reshape(256, 1), axis=1)
    table = (padded.reshape(byte_count, 8) @ bits.T).ravel()
    starts, subset_sums = 256 * np.arange(byte_count), []
    for size in intervals.chunk_sizes(resamples, max(1, intervals.MAX_CELLS // byte_count)):
        random_bytes = np.frombuffer(rng.bytes(size * byte_count), dtype=np.uint8).reshape(size, byte_count)
        subset_sums.append(table[starts + random_bytes].sum(axis=1))
    return np.concatenate(subset_sums)


def _discordant_needed(difference: float, share: float) -> float:
    """Required number of binary pairs of which `share` are discordant (Connor 1987).

    The last term corrects for the exact test; it was fitted by enumeration.
    """
    root = _Z * math.sqrt(share) + _POWER * math.sqrt(max(0.0, share - difference**2))
    return (root / difference) ** 2 + 1 / difference


def _discordant_detectable(n: int, share: float) -> float | None:
    """Minimum detectable effect of n binary pairs of which `share` are discordant; None when n is too small.

    A difference above `share` requires more discordant pairs than observed, all in one direction.
    """
    if n < _FEWEST or _discordant_needed(1.0, 1.0) > n:
        return None
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        enough = _discordant_needed(middle, max(share, middle)) <= n
        low, high = (low, middle) if enough else (middle, high)
    return high


def _power(sums: Floats, sizes: Floats, mean: float, scale: float) -> tuple[float | None, float | None]:
    """Return the required sample size for `mean` and the minimum detectable effect, from the spread between units."""
    units = sums.size
    spread = intervals.standard_error(sums, sizes) * math.sqrt(units) if units > 1 else 0.0
    if spread == 0.0:  # no variation: only the detectable share of differing units is known
        share = _discordant_detectable(units, 0.0)
        return (0.0 if mean and units > 1 else None), (None if share is None else share * scale)
    extra = _Z**2 / 2  # because the spread is estimated (Guenther 1981)
    needed = (((_Z + _POWER) * spread / mean) ** 2 + extra) * sizes.sum() / units if mean else None
    detectable = (_Z + _POWER) * spread / math.sqrt(units - extra) if units >= _FEWEST else None
    return needed, detectable if detectable is not None and detectable <= scale else None


def _floats(values: ArrayLike, *, finite: bool = True) -> Floats:
    data = np.asarray(values, dtype=np.float64)
    if np.isnan(data).any() or (finite and np.isinf(data).any()):
        raise ValueError("a value is NaN or infinite; leave out unknown values")
    return data


def _same_length(first: NDArray[np.generic], second: NDArray[np.generic]) -> None:
    if first.shape != second.shape:
        raise ValueError(f"{first.size} and {second.size} values: the two lists must have equal length")
