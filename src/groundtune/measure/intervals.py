"""Turn sums over independent units into 95 % intervals of their mean. Never decides what is a unit.

A unit is one value, or a cluster of values that are not independent: its sum and its size. Which of these is used
when, and why, is said at `groundtune.measure.statistics.bootstrap_mean` and `paired_difference`.
"""

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CELLS = 1_000_000
"""Largest number of draws held at once: 8 MB."""
FEW_COLUMNS = 8
TAIL = 0.025
NORMAL = NormalDist()
Z = NORMAL.inv_cdf(1 - TAIL)
FEW = 10
"""Under so many units their spread is hardly known itself."""
ROUGH = 30
"""Under so many a bootstrap is rough: the interval is no narrower than Student's."""
FEW_KINDS = 16
"""So many distinct units are counted by kind, which is quick; from 1,600 units on, one kind in a hundred units."""


def by_cluster(data: Floats, clusters: Sequence[Hashable] | None) -> tuple[Floats, Floats]:
    """Sum and number of the values of each independent unit: of each cluster, or of each value where there are none.

    Raises ValueError when there is not one label a value.
    """
    if clusters is None:
        return data, np.ones(data.size)
    if len(clusters) != data.size:
        raise ValueError(f"{data.size} values beside {len(clusters)} clusters: give one label a value")
    numbers: dict[Hashable, int] = {}
    alone = (("alone", place) if label is None else ("shared", label) for place, label in enumerate(clusters))
    at = np.array([numbers.setdefault(key, len(numbers)) for key in alone], dtype=np.intp)
    return np.bincount(at, weights=data).astype(np.float64), np.bincount(at).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Column:
    """Values whose mean is looked for, as sum and number of each independent unit."""

    sums: Floats
    sizes: Floats
    bounds: tuple[float, float]
    """The range in which a value can lie."""

    @property
    def mean(self) -> float:
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def is_level(self) -> bool:
        """Whether all units have one mean: a bootstrap would claim a width of zero."""
        rest = np.abs(self.sums - self.mean * self.sizes)
        return float(rest.max()) <= 1e-12 * max(1.0, float(np.abs(self.sums).max()))


def mean_limits(columns: Sequence[Column], *, resamples: int, seed: int) -> list[tuple[float, float]]:
    """95 % interval of the mean of each column, by any of the ways of `bootstrap_mean` but Wilson's.

    What one column comes to does not depend on the others; but those of as many units share their draws.
    """
    limits = {at: _limits(columns[at], means) for at, means in _resampled_means(columns, resamples, seed)}
    return [limits[at] for at in range(len(columns))]


def _limits(column: Column, means: Floats | None) -> tuple[float, float]:
    units, mean, bounds = column.sums.size, column.mean, column.bounds
    if means is not None and units >= ROUGH:
        return _bca(column, means)
    unseen = 1 - TAIL ** (1 / units)
    low, high = mean - unseen * (mean - bounds[0]), mean + unseen * (bounds[1] - mean)
    if column.is_level:
        return low, high
    if means is not None:
        low, high = _bca(column, means)
    reach = _student(units - 1) * spread_of_mean(column.sums, column.sizes)
    return max(bounds[0], min(low, mean - reach)), min(bounds[1], max(high, mean + reach))


def wilson(sums: Floats, sizes: Floats) -> tuple[float, float]:
    """The shares that a score test does not refuse (Wilson 1927), by Student's quantile; of 0 and 1, not all equal.

    Clusters count as the number of independent values that would leave as much open (Dean and Pagano 2015).
    """
    n, share, t = float(sizes.sum()), float(sums.sum() / sizes.sum()), _student(sums.size - 1)
    n /= max(1.0, spread_of_mean(sums, sizes) ** 2 * (n - 1) / (share * (1 - share)))
    middle = (share + t * t / (2 * n)) / (1 + t * t / n)
    reach = t * math.sqrt(share * (1 - share) / n + t * t / (4 * n * n)) / (1 + t * t / n)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def tango(apart: Floats, sums: Floats, sizes: Floats) -> tuple[float, float]:
    """The differences that a score test of paired shares does not refuse (Tango 1998); apart: -1, 0 or 1 a pair.

    Clusters count as the number of independent pairs that would leave as much open, with Student's quantile.
    """
    n, mean, unseen = apart.size, float(apart.mean()), 1 - TAIL ** (1 / sums.size)
    low, high = mean - unseen * (1 + mean), mean + unseen * (1 - mean)
    if apart.min() == apart.max() or sums.size == 1:
        return low, high
    wins, losses, pairs, reach = float((apart > 0).sum()), float((apart < 0).sum()), float(n), Z
    if sums.size < n:
        by_pair = float(apart.var()) / (n - 1)
        times = max(1.0, spread_of_mean(sums, sizes) ** 2 / by_pair)
        wins, losses, pairs, reach = wins / times, losses / times, n / times, _student(sums.size - 1)
    limits = []
    for bound, sign in ((-1.0, 1), (1.0, -1)):
        out, inside = bound, mean
        for _ in range(50):
            middle = (out + inside) / 2
            refused = sign * _tango_score(wins, losses, pairs, middle) > reach
            out, inside = (middle, inside) if refused else (out, middle)
        limits.append(inside)
    return (min(low, limits[0]), max(high, limits[1])) if sums.size < FEW else (limits[0], limits[1])


def _tango_score(wins: float, losses: float, n: float, difference: float) -> float:
    b = (2 * n - wins + losses) * difference - wins - losses
    c = -losses * difference * (1 - difference)
    share = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    return (wins - losses - n * difference) / math.sqrt(max(variance, 1e-12))


def spread_of_mean(sums: Floats, sizes: Floats) -> float:
    """Standard error of the mean of two or more independent units, sum divided by number (Cochran 1977)."""
    rest = sums - sums.sum() / sizes.sum() * sizes
    return float(np.sqrt(sums.size / (sums.size - 1) * (rest**2).sum()) / sizes.sum())


def _student(freedom: int) -> float:
    """97.5 % quantile of Student's t, to 0.2 %. Source: Abramowitz and Stegun 1964, 26.7.5."""
    if freedom <= 2:
        return 12.7062 if freedom < 2 else 4.3027
    z = Z
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, start=1))


def _bca(column: Column, means: Floats) -> tuple[float, float]:
    sums, sizes, mean = column.sums, column.sizes, column.mean
    reach = math.sqrt(sums.size / (sums.size - 1)) * _student(sums.size - 1)
    below = (float((means < mean - 1e-12).mean()) + float((means <= mean + 1e-12).mean())) / 2
    bias = NORMAL.inv_cdf(min(max(below, 1e-3), 1 - 1e-3))
    without = (sums.sum() - sums) / (sizes.sum() - sizes)
    apart = without.mean() - without
    skew = float((apart**3).sum() / (6 * (apart**2).sum() ** 1.5))
    shares = [_shifted(bias, skew, side * reach) for side in (-1, 1)]
    low, high = np.quantile(means, shares)
    return min(float(low), mean), max(float(high), mean)


def _shifted(bias: float, skew: float, z: float) -> float:
    """The share of resampled means that BCa takes in the place of the normal share at z."""
    left = 1 - skew * (bias + z)
    return NORMAL.cdf(bias + (bias + z) / left) if left > 0 else float(z > 0)


def _resampled_means(columns: Sequence[Column], resamples: int, seed: int) -> Iterator[tuple[int, Floats | None]]:
    """Place of each column, and its means of `resamples` draws of units with replacement, in bounded memory.

    None for a column of which a bootstrap would say nothing: of few units, or all of one mean. Where distinct units are
    few, how often each of them comes is drawn; else how often each unit does, once for all columns of as many units.
    """
    together: dict[int, list[int]] = {}
    for place, column in enumerate(columns):
        units = column.sums.size
        if units < FEW or column.is_level:
            yield place, None
            continue
        kinds, counts = _kinds(column)
        if len(kinds) * 4 <= units and len(kinds) <= max(FEW_KINDS, units // 100):
            yield place, _means_by_kind(kinds, counts, resamples, np.random.default_rng(seed))
        else:
            together.setdefault(units, []).append(place)
    for units, places in together.items():
        at_once = max(1, 4 * CELLS // max(units, resamples))
        for batch in (places[start : start + at_once] for start in range(0, len(places), at_once)):
            sums = np.stack([columns[place].sums for place in batch], axis=1)
            sizes = np.stack([columns[place].sizes for place in batch], axis=1)
            yield from zip(batch, _means_by_unit(sums, sizes, resamples, np.random.default_rng(seed)).T, strict=True)


def _kinds(column: Column) -> tuple[Floats, NDArray[np.intp]]:
    """Distinct pairs of sum and size, shape (kinds, 2), and how many units are of each."""
    if float(column.sizes.min()) == float(column.sizes.max()) == 1:  # far quicker than to look for distinct pairs
        values, counts = np.unique(column.sums, return_counts=True)
        return np.stack((values, np.ones(values.size)), axis=1), counts
    return np.unique(np.stack((column.sums, column.sizes), axis=1), axis=0, return_counts=True)


def _means_by_kind(kinds: Floats, counts: NDArray[np.intp], resamples: int, rng: np.random.Generator) -> Floats:
    units, chunk = int(counts.sum()), max(1, CELLS // len(kinds))
    draws = (rng.multinomial(units, counts / units, size=size) for size in chunks(resamples, chunk))
    return np.concatenate([(draw @ kinds[:, 0]) / (draw @ kinds[:, 1]) for draw in draws])


def _means_by_unit(sums: Floats, sizes: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Shape (resamples, columns) from (units, columns)."""
    if (sizes == 1).all():
        return _resampled_sums(sums, resamples, rng) / len(sums)
    totals = _resampled_sums(np.concatenate((sums, sizes), axis=1), resamples, rng)
    return totals[:, : sums.shape[1]] / totals[:, sums.shape[1] :]


def _resampled_sums(columns: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Few columns are read where the draws fall; of many, each row of counts multiplies all of them at once."""
    units, found = len(columns), []
    if columns.shape[1] <= FEW_COLUMNS:
        each = np.ascontiguousarray(columns.T)
        for size in chunks(resamples, max(1, CELLS // 10 // units)):  # what stays in the processor's cache is quicker
            places = rng.integers(0, units, size=(size, units))
            found.append(np.stack([column[places].sum(axis=1) for column in each], axis=1))
        return np.concatenate(found)
    chunk = max(1, CELLS // units)
    counts = np.empty((min(chunk, resamples), units))
    for size in chunks(resamples, chunk):
        for row in range(size):
            counts[row] = np.bincount(rng.integers(0, units, size=units), minlength=units)
        found.append(counts[:size] @ columns)
    return np.concatenate(found)


def chunks(total: int, chunk: int) -> list[int]:
    return [min(chunk, total - start) for start in range(0, total, chunk)]
