"""Intervals and tests that hold at every moment of a growing sample, so that it may be stopped once they decide.

A fixed-n interval holds for a number of examples that was set beforehand. Whoever looks again and again, and stops when
the interval pleases, finds differences that are none. The limits here hold at all numbers at once: with 95% confidence
the truth is inside at every moment (a confidence sequence).

The method is betting (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting", grid
Kelly). Somebody claims that the mean of values from 0 to 1 is at most m. A sceptic stakes a share of his money on each
unit and gets it back times value / m. If the claim is true, no share makes the money grow in expectation, and neither
does money that was divided over a grid of shares. So it ever reaches 1 / alpha, at whatever moment one looks, with
probability alpha at most (Ville 1939). The lower limit is the smallest m with which the sceptic has not got that far;
for the upper limit he bets the other way. The order of the units does not enter, so the figures follow from the matrix
alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from groundtune.stats.inputs import Floats
from groundtune.stats.intervals import TAIL_PROBABILITY, Z_975, Sample, UnitSums, distinct_units, unit_column
from groundtune.stats.power import POWER, power_of_mean
from groundtune.stats.significance import PairedDifference, PairedSample, unit_differences
from groundtune.types import Interval

SHARES = (np.arange(64) + 0.5) / 64
"""Shares of the money that are staked; the money is divided evenly over them."""
GOAL = -math.log(TAIL_PROBABILITY)
"""Logarithm of the money that refutes a claim, for a money of 1 at the beginning."""
MAX_STEPS = 100
PRECISION = 1e-9
BISECTIONS = 20


def anytime_means(columns: Sequence[Sample], *, largest: int = 1) -> list[Interval]:
    """Return the mean of each list with a 95% interval that holds at every moment of a growing sample.

    largest: size of the largest cluster of all that may be sampled, known before the first is.
    Raises ValueError as `bootstrap_mean` does.
    """
    units = [unit_column(column)[0] for column in columns]
    return [
        Interval(unit.mean, *_limits(_sides(unit, largest), unit.bounds), n=int(unit.sizes.sum())) for unit in units
    ]


def anytime_differences(pairs: Sequence[PairedSample], *, largest: int = 1) -> list[PairedDifference]:
    """Compare pairs of lists of scores: mean of a - b, with an interval and a p-value that hold at every moment.

    If the means are equal, p is ever below 0.05 with probability 0.05 at most. It is so exactly when the interval
    excludes 0. `detectable` and `needed` are approximations. largest: as in `anytime_means`. Raises ValueError as
    `paired_difference` does.
    """
    return [_compared(unit_differences(pair).column, largest) for pair in pairs]


def anytime_p(units: UnitSums, *, largest: int = 1) -> float:
    """Return the p-value of `anytime_differences` alone, in a fraction of its time. units: of differences."""
    return _p(_sides(units, largest))


@dataclass(frozen=True, slots=True)
class GroupDifference:
    """Comparison of two lists of scores that have no questions in common."""

    difference: float
    """Mean of the first minus mean of the second."""
    low: float
    high: float
    p: float
    n: int
    """Scores in both lists together."""
    needed: int | None
    """About how many scores, in the same proportion, find the observed difference with 80% power; None when it is 0."""


def anytime_group_difference(a: Sequence[float], b: Sequence[float]) -> GroupDifference:
    """Compare two lists of independent scores from 0 to 1: mean of a - b, as `anytime_differences` does for pairs.

    Two sceptics bet, one that the mean of `a` is higher than claimed, one that the mean of `b` is lower. If the claims
    are true, the product of their money does not grow in expectation either, in whatever order the scores come. A
    difference is refuted when the product is large enough for every two means that are so far apart. `needed` is an
    approximation. Raises ValueError as `bootstrap_mean` does.
    """
    first, second = unit_column(Sample(a))[0], unit_column(Sample(b))[0]
    sides = _sides(first, 1), _sides(second, 1)
    difference = first.mean - second.mean
    low, high = _lowest_difference(*sides, difference), -_lowest_difference(sides[1], sides[0], -difference)
    n = first.sums.size + second.sums.size
    return GroupDifference(difference, low, high, _group_p(*sides), n, _needed(first, second))


def anytime_group_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the p-value of `anytime_group_difference` alone, in a fraction of its time."""
    return _group_p(*(_sides(unit_column(Sample(values))[0], 1) for values in (a, b)))


def _group_p(a: tuple["_Bets", "_Bets"], b: tuple["_Bets", "_Bets"]) -> float:
    return min(1.0, math.exp(math.log(2) - max(_least_money(a, b, 0.0), _least_money(b, a, 0.0))))


def _least_money(a: tuple["_Bets", "_Bets"], b: tuple["_Bets", "_Bets"], apart: float) -> float:
    """Return the logarithm of the money that a - b is more than `apart` makes with the claims that leave it least.

    The money is convex in the mean that is claimed of b, so the least is where its slope changes sign.
    """
    (above, _), (_, below) = a, b
    low, high = max(0.0, -apart), min(1.0, 1.0 - apart)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        rising = above.money(_inside(middle + apart))[1] > below.money(_inside(1 - middle))[1]
        low, high = (low, middle) if rising else (middle, high)
    return above.money(_inside((low + high) / 2 + apart))[0] + below.money(_inside(1 - (low + high) / 2))[0]


def _lowest_difference(a: tuple["_Bets", "_Bets"], b: tuple["_Bets", "_Bets"], difference: float) -> float:
    """Return the lower limit of a - b."""
    low, high = -1.0, difference
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _least_money(a, b, middle) > GOAL else (low, middle)
    return low


def _inside(claim: float) -> float:
    return min(1.0, max(PRECISION, claim))


def _needed(a: UnitSums, b: UnitSums) -> int | None:
    """Return about how many scores are needed; shares of 0 and 1 count as if half a score more had been otherwise."""
    sizes = [units.sums.size for units in (a, b)]
    means = [(float(units.sums.sum()) + 0.5) / (units.sums.size + 1) for units in (a, b)]
    if (difference := means[0] - means[1]) == 0:
        return None
    n, variances = sum(sizes), [mean * (1 - mean) for mean in means]
    spread = sum(variance * n / size for variance, size in zip(variances, sizes, strict=True))
    lag = sum(_lag(size * variance) for variance, size in zip(variances, sizes, strict=True))
    return math.ceil(spread * ((math.sqrt(2 * (GOAL + lag)) + POWER) / difference) ** 2)


def _p(sides: tuple["_Bets", "_Bets"]) -> float:
    return min(1.0, math.exp(math.log(2) - max(side.money(0.5)[0] for side in sides)))


def _compared(units: UnitSums, largest: int) -> PairedDifference:
    mean = units.mean if abs(units.mean) > 1e-12 * units.bounds[1] else 0.0
    sides = _sides(units, largest)
    low, high = _limits(sides, units.bounds)
    needed, detectable = power_of_mean(units.sums, units.sizes, mean, units.bounds[1])
    factor = _price_of_looking(units)
    return PairedDifference(
        mean,
        low,
        high,
        p=_p(sides),
        n=int(units.sizes.sum()),
        detectable=None if detectable is None else detectable * math.sqrt(factor),
        needed=None if needed is None else math.ceil(needed * factor),
    )


@dataclass(frozen=True, slots=True)
class _Bets:
    """Bets that the mean of values from 0 to 1 is higher than claimed: kinds of units in rows, shares in columns."""

    kept: Floats
    """Money that is not staked."""
    back: Floats
    """Money that comes back for a claim of 1."""
    counts: Floats
    """Units of each kind."""
    mean: float
    units: int

    def money(self, claim: float) -> tuple[float, float]:
        """Return the logarithm of the money if the mean is claimed to be at most this, and its slope in the claim."""
        factors = self.kept + self.back / claim
        logs = self.counts @ np.log(factors)
        slopes = self.counts @ (self.back / factors)
        most = float(logs.max())
        weights = np.exp(logs - most)
        total = float(weights.sum())
        return most + math.log(total / weights.size), -float(weights @ slopes) / total / claim**2

    def lower_limit(self) -> float:
        """Solve for the claim at which the money reaches the goal.

        The logarithm of the money falls with the claim and is convex in it, so Newton's steps approach from below.
        """
        if self.mean <= 0:
            return 0.0
        claim = self.mean * (1 - min(0.9, 2 / math.sqrt(self.units)))
        for _ in range(MAX_STEPS):
            money, slope = self.money(claim)
            step = (GOAL - money) / slope
            claim = claim + step if claim + step > 0 else claim / 2
            if abs(step) < PRECISION:
                break
        return min(claim, self.mean)


def _sides(units: UnitSums, largest: int) -> tuple[_Bets, _Bets]:
    """Return the bets on a higher mean, and those on a lower one: on what each value lacks to the upper bound.

    The stake on a unit is in proportion to its size, and never more than there is.
    """
    low, high = units.bounds
    kinds, counts = distinct_units(units)
    sizes, sums = kinds[:, 1:], (kinds[:, :1] - low * kinds[:, 1:]) / (high - low)
    kept, mean, n = 1 - sizes / largest * SHARES, (units.mean - low) / (high - low), units.sums.size
    amounts = counts.astype(np.float64)
    above = _Bets(kept, sums / largest * SHARES, amounts, mean, n)
    return above, _Bets(kept, (sizes - sums) / largest * SHARES, amounts, 1 - mean, n)


def _limits(sides: tuple[_Bets, _Bets], bounds: tuple[float, float]) -> tuple[float, float]:
    (low, high), (above, below) = bounds, sides
    return low + (high - low) * above.lower_limit(), high - (high - low) * below.lower_limit()


def _price_of_looking(units: UnitSums) -> float:
    """Return about how many times as many examples a difference needs as with a number of them set beforehand.

    The money lags behind the best share by a factor that grows with the root of n times the variance (Cover 1991).
    """
    lag = _lag(float(((units.sums - units.mean * units.sizes) ** 2).sum()))
    return ((math.sqrt(2 * (GOAL + lag)) + POWER) / (Z_975 + POWER)) ** 2


def _lag(squares: float) -> float:
    """Return how far the logarithm of the money lags behind the best share. squares: n times the variance."""
    return 0.5 * math.log(1 + squares / (2 * math.pi))
