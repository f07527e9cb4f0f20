"""Turn sums over independent units into 95 % intervals of their mean. Never decides what is a unit.

A unit is one value, or a cluster of values that are not independent: its sum and its size. Which of these is used
when, and why, is said at `groundtune.measure.statistics.bootstrap_mean` and `paired_difference`.
"""

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CELLS = 1_000_000
"""Largest number of draws held at once: 8 MB."""
TAIL = 0.025
NORMAL = NormalDist()
Z = NORMAL.inv_cdf(1 - TAIL)
FEW = 10
"""Under so many units their spread is hardly known itself."""
ROUGH = 30
"""Under so many a bootstrap is rough: the interval is no narrower than Student's."""


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


def mean_limits(
    sums: Floats, sizes: Floats, *, bounds: tuple[float, float], resamples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """95 % interval of the mean of independent units, by any of the ways of `bootstrap_mean` but Wilson's."""
    units, mean = sums.size, float(sums.sum() / sizes.sum())
    rest = sums - mean * sizes
    unseen = 1 - TAIL ** (1 / units)
    low, high = mean - unseen * (mean - bounds[0]), mean + unseen * (bounds[1] - mean)
    if float(np.abs(rest).max()) <= 1e-12 * max(1.0, float(np.abs(sums).max())):
        return low, high
    if units >= ROUGH:
        return _bca(sums, sizes, mean, _resampled_means(sums, sizes, resamples, rng))
    reach = _student(units - 1) * spread_of_mean(sums, sizes)
    if units >= FEW:
        low, high = _bca(sums, sizes, mean, _resampled_means(sums, sizes, resamples, rng))
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


def _bca(sums: Floats, sizes: Floats, mean: float, means: Floats) -> tuple[float, float]:
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


def _resampled_means(sums: Floats, sizes: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Means of `resamples` draws of units with replacement, in chunks of bounded memory."""
    units = sums.size
    if float(sizes.min()) == float(sizes.max()) == 1:  # far quicker than to look for distinct pairs
        kinds, counts = np.unique(sums, return_counts=True)
        values, weights = kinds, np.ones(kinds.size)
    else:
        pairs, counts = np.unique(np.stack((sums, sizes), axis=1), axis=0, return_counts=True)
        values, weights = pairs[:, 0], pairs[:, 1]
    if values.size * 4 <= units:  # drawing how often each kind occurs is the same draw, and far cheaper
        chunk = max(1, CELLS // values.size)
        draws = (rng.multinomial(units, counts / units, size=size) for size in chunks(resamples, chunk))
        return np.concatenate([(draw @ values) / (draw @ weights) for draw in draws])
    chunk = max(1, CELLS // units)
    places = (rng.integers(0, units, size=(size, units)) for size in chunks(resamples, chunk))
    return np.concatenate([sums[place].sum(axis=1) / sizes[place].sum(axis=1) for place in places])


def chunks(total: int, chunk: int) -> list[int]:
    return [min(chunk, total - start) for start in range(0, total, chunk)]
