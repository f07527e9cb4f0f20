"""Compute 95% intervals of means: Wilson, Tango, Student's t, and the bias-corrected and accelerated bootstrap.

A unit is one independent value, or a cluster of dependent values given as their sum and their number. Which method is
used when, and why, is described at `bootstrap_mean` and at `groundtune.stats.significance.paired_difference`.
"""

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from groundtune.stats.inputs import Floats, as_floats
from groundtune.types import Interval

MAX_CELLS = 1_000_000
"""Maximum number of draws in memory at once: 8 MB."""
MAX_INDEXED_COLUMNS = 8
TAIL_PROBABILITY = 0.025
NORMAL = NormalDist()
Z_975 = NORMAL.inv_cdf(1 - TAIL_PROBABILITY)
MIN_BOOTSTRAP_UNITS = 10
"""Below this many units the estimated spread is unreliable, so the bootstrap is not used."""
MIN_PURE_BOOTSTRAP_UNITS = 30
"""Below this many units the bootstrap is rough, so the interval is at least as wide as Student's t interval."""
MAX_DISTINCT_UNITS = 16
"""With at most this many distinct units (or 1% of all units, if that is more), counts are resampled instead of units.

This is faster.
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One list for `bootstrap_means`; the fields are the arguments of `bootstrap_mean`."""

    values: Sequence[float]
    bounds: tuple[float, float] = (0.0, 1.0)
    clusters: Sequence[Hashable] | None = None


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
    - fewer than 10 values or clusters: Student's t interval, but at least as wide as the interval of the next case;
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
    prepared = [unit_column(values) for values in columns]
    to_bootstrap = [column for column, at_bounds in prepared if not at_bounds]
    limits = iter(mean_intervals(to_bootstrap, resamples=resamples, seed=seed))
    return [
        Interval(column.mean, *(_wilson(column) if at_bounds else next(limits)), n=int(column.sizes.sum()))
        for column, at_bounds in prepared
    ]


def unit_sums(data: Floats, clusters: Sequence[Hashable] | None) -> tuple[Floats, Floats]:
    """Return the sum and the number of values of each unit: each cluster, or each value when `clusters` is None.

    A label of None makes its value a unit. Raises ValueError when there is not one label per value.
    """
    if clusters is None:
        return data, np.ones(data.size)
    if len(clusters) != data.size:
        raise ValueError(f"{data.size} values but {len(clusters)} cluster labels: give one label per value")
    numbers: dict[Hashable, int] = {}
    keys = (("alone", index) if label is None else ("shared", label) for index, label in enumerate(clusters))
    units = np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)
    return np.bincount(units, weights=data).astype(np.float64), np.bincount(units).astype(np.float64)


@dataclass(frozen=True, slots=True)
class UnitSums:
    """A list of values reduced to the sum and size of each independent unit."""

    sums: Floats
    sizes: Floats
    bounds: tuple[float, float]
    """Range of possible values."""

    @property
    def mean(self) -> float:
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def is_constant(self) -> bool:
        """Whether all units have the same mean, so that a bootstrap interval would have zero width."""
        residuals = np.abs(self.sums - self.mean * self.sizes)
        return float(residuals.max()) <= 1e-12 * max(1.0, float(np.abs(self.sums).max()))


def unit_column(values: Sample) -> tuple[UnitSums, bool]:
    """Return the column, and whether every value is at a bound and both bounds occur.

    Raises ValueError as `bootstrap_mean` does.
    """
    data, (low, high) = as_floats(values.values), values.bounds
    if data.size == 0:
        raise ValueError("cannot compute the mean of no values")
    if data.min() < low or data.max() > high:
        raise ValueError(f"a value is outside {low} to {high}: set bounds")
    sums, sizes = unit_sums(data, values.clusters)
    at_bounds = sums.size > 1 and data.min() < data.max() and bool(np.isin(data, values.bounds).all())
    return UnitSums(sums, sizes, values.bounds), at_bounds


def _wilson(column: UnitSums) -> tuple[float, float]:
    low, high = column.bounds
    below, above = wilson_interval((column.sums - low * column.sizes) / (high - low), column.sizes)
    return low + (high - low) * below, low + (high - low) * above


def mean_intervals(columns: Sequence[UnitSums], *, resamples: int, seed: int) -> list[tuple[float, float]]:
    """Return the 95% interval of the mean of each column, by the methods of `bootstrap_mean` except Wilson's.

    Columns with the same number of units share their draws; the interval of a column does not depend on the others.
    """
    limits = {index: _limits(columns[index], means) for index, means in _resampled_means(columns, resamples, seed)}
    return [limits[index] for index in range(len(columns))]


def _limits(column: UnitSums, means: Floats | None) -> tuple[float, float]:
    units, mean, bounds = column.sums.size, column.mean, column.bounds
    if means is not None and units >= MIN_PURE_BOOTSTRAP_UNITS:
        return _bca(column, means)
    unseen = 1 - TAIL_PROBABILITY ** (1 / units)
    low, high = mean - unseen * (mean - bounds[0]), mean + unseen * (bounds[1] - mean)
    if column.is_constant:
        return low, high
    if means is not None:
        low, high = _bca(column, means)
    reach = student_quantile(units - 1) * standard_error(column.sums, column.sizes)
    return max(bounds[0], min(low, mean - reach)), min(bounds[1], max(high, mean + reach))


def wilson_interval(sums: Floats, sizes: Floats) -> tuple[float, float]:
    """Wilson score interval (Wilson 1927) with Student's t quantile; values are 0 or 1, not all equal.

    For clusters, n is divided by the design effect (Dean and Pagano 2015).
    """
    n, share, t = float(sizes.sum()), float(sums.sum() / sizes.sum()), student_quantile(sums.size - 1)
    n /= max(1.0, standard_error(sums, sizes) ** 2 * (n - 1) / (share * (1 - share)))
    middle = (share + t * t / (2 * n)) / (1 + t * t / n)
    reach = t * math.sqrt(share * (1 - share) / n + t * t / (4 * n * n)) / (1 + t * t / n)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def tango_interval(apart: Floats, sums: Floats, sizes: Floats) -> tuple[float, float]:
    """Tango's score interval for a paired difference of proportions (Tango 1998).

    apart: the difference of each pair, -1, 0 or 1. For clusters, counts are divided by the design effect and Student's
    t quantile replaces the normal one.
    """
    n, mean, unseen = apart.size, float(apart.mean()), 1 - TAIL_PROBABILITY ** (1 / sums.size)
    low, high = mean - unseen * (1 + mean), mean + unseen * (1 - mean)
    if apart.min() == apart.max() or sums.size == 1:
        return low, high
    wins, losses, pairs, reach = float((apart > 0).sum()), float((apart < 0).sum()), float(n), Z_975
    if sums.size < n:
        independent_variance = float(apart.var()) / (n - 1)
        design_effect = max(1.0, standard_error(sums, sizes) ** 2 / independent_variance)
        wins, losses, pairs = wins / design_effect, losses / design_effect, n / design_effect
        reach = student_quantile(sums.size - 1)
    limits = []
    for bound, sign in ((-1.0, 1), (1.0, -1)):
        outside, inside = bound, mean
        for _ in range(50):
            middle = (outside + inside) / 2
            rejected = sign * _tango_score(wins, losses, pairs, middle) > reach
            outside, inside = (middle, inside) if rejected else (outside, middle)
        limits.append(inside)
    return (min(low, limits[0]), max(high, limits[1])) if sums.size < MIN_BOOTSTRAP_UNITS else (limits[0], limits[1])


def _tango_score(wins: float, losses: float, n: float, difference: float) -> float:
    b = (2 * n - wins + losses) * difference - wins - losses
    c = -losses * difference * (1 - difference)
    share = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    return (wins - losses - n * difference) / math.sqrt(max(variance, 1e-12))


def standard_error(sums: Floats, sizes: Floats) -> float:
    """Standard error of the ratio estimate sum / size over two or more units (Cochran 1977)."""
    residuals = sums - sums.sum() / sizes.sum() * sizes
    return float(np.sqrt(sums.size / (sums.size - 1) * (residuals**2).sum()) / sizes.sum())


def student_quantile(degrees: int) -> float:
    """Return the 97.5% quantile of Student's t distribution."""
    from scipy.special import stdtrit  # importing it takes 0.2 s, and asking computes no interval

    return float(stdtrit(degrees, 1 - TAIL_PROBABILITY))


def _bca(column: UnitSums, means: Floats) -> tuple[float, float]:
    """Bias-corrected and accelerated (BCa) interval from the resampled means."""
    sums, sizes, mean = column.sums, column.sizes, column.mean
    reach = math.sqrt(sums.size / (sums.size - 1)) * student_quantile(sums.size - 1)
    below = (float((means < mean - 1e-12).mean()) + float((means <= mean + 1e-12).mean())) / 2
    bias = NORMAL.inv_cdf(min(max(below, 1e-3), 1 - 1e-3))
    jackknife = (sums.sum() - sums) / (sizes.sum() - sizes)
    deviations = jackknife.mean() - jackknife
    acceleration = float((deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5))
    levels = [_bca_level(bias, acceleration, side * reach) for side in (-1, 1)]
    low, high = np.quantile(means, levels)
    return min(float(low), mean), max(float(high), mean)


def _bca_level(bias: float, acceleration: float, z: float) -> float:
    """Level of the bootstrap quantile that BCa uses in place of the normal level at z."""
    denominator = 1 - acceleration * (bias + z)
    return NORMAL.cdf(bias + (bias + z) / denominator) if denominator > 0 else float(z > 0)


def _resampled_means(columns: Sequence[UnitSums], resamples: int, seed: int) -> Iterator[tuple[int, Floats | None]]:
    """Yield the index of each column with its `resamples` bootstrap means, in bounded memory.

    The means are None when a bootstrap says nothing: few units, or all with the same mean. With few distinct units, the
    counts of each distinct unit are resampled; otherwise units are, once for all columns with as many units.
    """
    by_units: dict[int, list[int]] = {}
    for index, column in enumerate(columns):
        units = column.sums.size
        if units < MIN_BOOTSTRAP_UNITS or column.is_constant:
            yield index, None
            continue
        kinds, counts = distinct_units(column)
        if len(kinds) * 4 <= units and len(kinds) <= max(MAX_DISTINCT_UNITS, units // 100):
            yield index, _means_by_kind(kinds, counts, resamples, np.random.default_rng(seed))
        else:
            by_units.setdefault(units, []).append(index)
    for units, indices in by_units.items():
        batch_size = max(1, 4 * MAX_CELLS // max(units, resamples))
        for batch in (indices[start : start + batch_size] for start in range(0, len(indices), batch_size)):
            sums = np.stack([columns[index].sums for index in batch], axis=1)
            sizes = np.stack([columns[index].sizes for index in batch], axis=1)
            yield from zip(batch, _means_by_unit(sums, sizes, resamples, np.random.default_rng(seed)).T, strict=True)


def distinct_units(column: UnitSums) -> tuple[Floats, NDArray[np.intp]]:
    """Return the distinct pairs of sum and size, shape (kinds, 2), and the number of units of each."""
    if float(column.sizes.min()) == float(column.sizes.max()) == 1:  # much faster than finding distinct pairs
        values, counts = np.unique(column.sums, return_counts=True)
        return np.stack((values, np.ones(values.size)), axis=1), counts
    return np.unique(np.stack((column.sums, column.sizes), axis=1), axis=0, return_counts=True)


def _means_by_kind(kinds: Floats, counts: NDArray[np.intp], resamples: int, rng: np.random.Generator) -> Floats:
    units, chunk = int(counts.sum()), max(1, MAX_CELLS // len(kinds))
    draws = (rng.multinomial(units, counts / units, size=size) for size in chunk_sizes(resamples, chunk))
    return np.concatenate([(draw @ kinds[:, 0]) / (draw @ kinds[:, 1]) for draw in draws])


def _means_by_unit(sums: Floats, sizes: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Return the bootstrap means, shape (resamples, columns), from (units, columns)."""
    if (sizes == 1).all():
        return _resampled_sums(sums, resamples, rng) / len(sums)
    totals = _resampled_sums(np.concatenate((sums, sizes), axis=1), resamples, rng)
    return totals[:, : sums.shape[1]] / totals[:, sums.shape[1] :]


def _resampled_sums(columns: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Sum resampled units: by index for a few columns, by a matrix product of counts for many."""
    units, totals = len(columns), []
    if columns.shape[1] <= MAX_INDEXED_COLUMNS:
        transposed = np.ascontiguousarray(columns.T)
        for size in chunk_sizes(resamples, max(1, MAX_CELLS // 10 // units)):  # small enough for the CPU cache
            indices = rng.integers(0, units, size=(size, units))
            totals.append(np.stack([column[indices].sum(axis=1) for column in transposed], axis=1))
        return np.concatenate(totals)
    chunk = max(1, MAX_CELLS // units)
    counts = np.empty((min(chunk, resamples), units))
    for size in chunk_sizes(resamples, chunk):
        for row in range(size):
            counts[row] = np.bincount(rng.integers(0, units, size=units), minlength=units)
        totals.append(counts[:size] @ columns)
    return np.concatenate(totals)


def chunk_sizes(total: int, chunk: int) -> list[int]:
    return [min(chunk, total - start) for start in range(0, total, chunk)]
