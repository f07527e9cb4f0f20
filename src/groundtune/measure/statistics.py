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
class Values:
    """One of several lists for `bootstrap_means`; the fields are the arguments of `bootstrap_mean`."""

    values: Sequence[float]
    bounds: tuple[float, float] = (0.0, 1.0)
    clusters: Sequence[Hashable] | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two of several lists for `paired_differences`; the fields are the arguments of `paired_difference`."""

    a: Sequence[float]
    b: Sequence[float]
    clusters: Sequence[Hashable] | None = None


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
    return bootstrap_means([Values(values, bounds, clusters)], resamples=resamples, seed=seed)[0]


def bootstrap_means(columns: Sequence[Values], *, resamples: int = 10_000, seed: int = 0) -> list[Interval]:
    """`bootstrap_mean` of each; many together take little longer than one, since they share their draws.

    Raises ValueError as that does.
    """
    found = [_column(one) for one in columns]
    limits = iter(intervals.mean_limits([one for one, extreme in found if not extreme], resamples=resamples, seed=seed))
    return [
        Interval(one.mean, *(_wilson(one) if extreme else next(limits)), n=int(one.sizes.sum()))
        for one, extreme in found
    ]


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
    return paired_differences([Pair(a, b, clusters)], resamples=resamples, seed=seed)[0]


def paired_differences(pairs: Sequence[Pair], *, resamples: int = 10_000, seed: int = 0) -> list[Paired]:
    """`paired_difference` of each; many together take little longer than one, since they share their draws.

    Raises ValueError as that does.
    """
    found = [_apart(pair) for pair in pairs]
    limits = iter(
        intervals.mean_limits([one.column for one in found if not one.binary], resamples=resamples, seed=seed)
    )
    return [_paired(one, None if one.binary else next(limits), resamples, seed) for one in found]


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


def _column(one: Values) -> tuple[intervals.Column, bool]:
    """The column, and whether its values are all at a bound, though not all at the same."""
    data, (low, high) = _floats(one.values), one.bounds
    if data.size == 0:
        raise ValueError("no values, so no mean")
    if data.min() < low or data.max() > high:
        raise ValueError(f"a value is outside {low} to {high}: give bounds=")
    sums, sizes = by_cluster(data, one.clusters)
    extreme = sums.size > 1 and data.min() < data.max() and bool(np.isin(data, one.bounds).all())
    return intervals.Column(sums, sizes, one.bounds), extreme


def _wilson(one: intervals.Column) -> tuple[float, float]:
    low, high = one.bounds
    below, above = intervals.wilson((one.sums - low * one.sizes) / (high - low), one.sizes)
    return low + (high - low) * below, low + (high - low) * above


@dataclass(frozen=True, slots=True)
class _Apart:
    """One list minus the other."""

    values: Floats
    column: intervals.Column
    mean: float
    """0 where it is nothing but rounding."""
    binary: bool
    """Whether all scores are 0 or 1."""


def _apart(pair: Pair) -> _Apart:
    first, second = _floats(pair.a), _floats(pair.b)
    _same_length(first, second)
    if first.size == 0:
        raise ValueError("no scores, so no difference")
    both = np.concatenate((first, second))
    scale = max(1.0, float(both.max())) - min(0.0, float(both.min()))
    values = first - second
    mean = float(values.mean()) if abs(values.mean()) > 1e-12 * scale else 0.0
    column = intervals.Column(*by_cluster(values, pair.clusters), bounds=(-scale, scale))
    return _Apart(values, column, mean, bool(np.isin(both, (0, 1)).all()))


def _paired(one: _Apart, limits: tuple[float, float] | None, resamples: int, seed: int) -> Paired:
    """limits: None for scores of 0 and 1, which have an interval of their own."""
    sums, sizes, mean, n = one.column.sums, one.column.sizes, one.mean, int(one.values.size)
    low, high = limits or intervals.tango(one.values, sums, sizes)
    if one.binary and sums.size == n:
        wins, losses = int((one.values > 0).sum()), int((one.values < 0).sum())
        p, share = _mcnemar(wins, losses), (wins + losses) / n
        needed = _discordant_needed(abs(mean), share) if mean and n > 1 else None
        detectable = _discordant_detectable(n, share)
    else:
        p = _sign_flips(sums, resamples, np.random.default_rng((seed, 1)))
        needed, detectable = _power(sums, sizes, mean, one.column.bounds[1])
    total = None if needed is None else math.ceil(max(needed, _FEWEST * n / sums.size))
    return Paired(mean, low, high, p, n, detectable, total)


def _mcnemar(wins: int, losses: int) -> float:
    discordant = wins + losses
    term = total = 1
    for place in range(min(wins, losses)):
        term = term * (discordant - place) // (place + 1)
        total += term
    return min(1.0, 2 * total / (1 << discordant))


def _sign_flips(sums: Floats, resamples: int, rng: np.random.Generator) -> float:
    observed, parts = abs(float(sums.sum())), np.abs(sums[sums != 0])
    if parts.size == 0:
        return 1.0
    sizes, counts = np.unique(np.round(parts, 12), return_counts=True)
    if sizes.size * 32 <= parts.size:  # drawing how many of each size turn around is quicker
        chunk = max(1, intervals.CELLS // sizes.size)
        draws = (rng.binomial(counts, 0.5, (size, sizes.size)) for size in intervals.chunks(resamples, chunk))
        ups = np.concatenate([draw @ sizes for draw in draws])
    else:
        ups = _sums_of_coins(parts, resamples, rng)
    reach = float(parts.sum())
    hits = int((np.abs(2 * ups - reach) >= observed - 1e-9 * reach).sum())
    return (1 + hits) / (1 + resamples)


def _sums_of_coins(parts: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Sums of those parts that fair coins pick. A byte is eight coins: what it picks is looked up, not added."""
    octets = -(-parts.size // 8)
    eights = np.zeros(octets * 8)
    eights[: parts.size] = parts
    bits = np.unpackbits(np.arange(256, dtype=np.uint8).reshape(256, 1), axis=1)
    table = (eights.reshape(octets, 8) @ bits.T).ravel()
    starts, found = 256 * np.arange(octets), []
    for size in intervals.chunks(resamples, max(1, intervals.CELLS // octets)):
        tossed = np.frombuffer(rng.bytes(size * octets), dtype=np.uint8).reshape(size, octets)
        found.append(table[starts + tossed].sum(axis=1))
    return np.concatenate(found)


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
