"""Test whether two approaches differ: exact McNemar, sign-flip permutation, and Holm's adjustment for many pairs."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from groundtune.stats.inputs import Floats, as_floats, require_same_length
from groundtune.stats.intervals import MAX_CELLS, UnitSums, chunk_sizes, mean_intervals, tango_interval, unit_sums
from groundtune.stats.power import FEWEST, detectable_difference, power_of_mean, required_pairs


@dataclass(frozen=True, slots=True)
class PairedSample:
    """Two paired lists for `paired_differences`; the fields are the arguments of `paired_difference`."""

    a: Sequence[float]
    b: Sequence[float]
    clusters: Sequence[Hashable] | None = None


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Paired comparison of two lists of scores on the same examples."""

    difference: float
    """Mean of the first minus mean of the second."""
    low: float
    """Lower limit of the 95% interval of the difference."""
    high: float
    p: float
    """Two-sided p-value for the null hypothesis that the two are equal."""
    n: int
    detectable: float | None
    """Minimum detectable effect: smallest true difference found with 80% power at p < 0.05; None if there is none."""
    needed: int | None
    """Required sample size: examples to find the observed difference with 80% power; None when it is 0."""


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
    prepared = [unit_differences(pair) for pair in pairs]
    to_bootstrap = [differences.column for differences in prepared if not differences.binary]
    limits = iter(mean_intervals(to_bootstrap, resamples=resamples, seed=seed))
    return [
        _paired(differences, None if differences.binary else next(limits), resamples, seed) for differences in prepared
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values by Holm-Bonferroni (Holm 1979), which controls the family-wise error rate; same order.

    Raises ValueError when a p-value is not between 0 and 1.
    """
    data = as_floats(p_values)
    if data.size and not (data.min() >= 0 and data.max() <= 1):
        raise ValueError("a p-value is not between 0 and 1")
    order = np.argsort(data, kind="stable")
    adjusted = np.empty(data.size)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(data[order] * np.arange(data.size, 0, -1)))
    return [float(p) for p in adjusted]


def exact_mcnemar(wins: int, losses: int) -> float:
    """Return the two-sided p-value of the exact McNemar test (McNemar 1947) on the discordant pairs."""
    from scipy.special import bdtr  # importing it takes 0.2 s, and asking tests nothing

    return min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5))) if wins + losses else 1.0


@dataclass(frozen=True, slots=True)
class UnitDifferences:
    """Paired differences of two lists."""

    values: Floats
    column: UnitSums
    mean: float
    """Mean difference; exactly 0 when it is only rounding error."""
    binary: bool
    """Whether all scores are 0 or 1."""


def unit_differences(pair: PairedSample) -> UnitDifferences:
    first, second = as_floats(pair.a), as_floats(pair.b)
    require_same_length(first, second)
    if first.size == 0:
        raise ValueError("cannot compare lists without scores")
    both = np.concatenate((first, second))
    scale = max(1.0, float(both.max())) - min(0.0, float(both.min()))
    values = first - second
    mean = float(values.mean()) if abs(values.mean()) > 1e-12 * scale else 0.0
    column = UnitSums(*unit_sums(values, pair.clusters), bounds=(-scale, scale))
    return UnitDifferences(values, column, mean, bool(np.isin(both, (0, 1)).all()))


def _paired(
    differences: UnitDifferences, limits: tuple[float, float] | None, resamples: int, seed: int
) -> PairedDifference:
    """limits: bootstrap interval; None for scores of 0 and 1, which use Tango's score interval."""
    values, column, mean = differences.values, differences.column, differences.mean
    sums, sizes, n = column.sums, column.sizes, int(values.size)
    low, high = limits or tango_interval(values, sums, sizes)
    if differences.binary and sums.size == n:
        wins, losses = int((values > 0).sum()), int((values < 0).sum())
        p, share = exact_mcnemar(wins, losses), (wins + losses) / n
        needed = required_pairs(abs(mean), share) if mean and n > 1 else None
        detectable = detectable_difference(n, share)
    else:
        p = _sign_flips(sums, resamples, np.random.default_rng((seed, 1)))
        needed, detectable = power_of_mean(sums, sizes, mean, column.bounds[1])
    total = None if needed is None else math.ceil(max(needed, FEWEST * n / sums.size))
    return PairedDifference(mean, low, high, p, n, detectable, total)


def _sign_flips(sums: Floats, resamples: int, rng: np.random.Generator) -> float:
    """Two-sided p-value of the sign-flip permutation test over units."""
    observed, parts = abs(float(sums.sum())), np.abs(sums[sums != 0])
    if parts.size == 0:
        return 1.0
    sizes, counts = np.unique(np.round(parts, 12), return_counts=True)
    if sizes.size * 32 <= parts.size:  # drawing how many of each size flip is faster
        chunk = max(1, MAX_CELLS // sizes.size)
        draws = (rng.binomial(counts, 0.5, (size, sizes.size)) for size in chunk_sizes(resamples, chunk))
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
    for size in chunk_sizes(resamples, max(1, MAX_CELLS // byte_count)):
        random_bytes = np.frombuffer(rng.bytes(size * byte_count), dtype=np.uint8).reshape(size, byte_count)
        subset_sums.append(table[starts + random_bytes].sum(axis=1))
    return np.concatenate(subset_sums)
