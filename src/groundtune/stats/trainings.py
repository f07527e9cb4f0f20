"""Let the spread between trainings with different seeds enter the interval of a mean.

The mean of a few trainings on a few examples varies with both. An interval over examples alone holds for the trainings
that were measured. To hold for a new training as well, each of its limits is moved away from the mean by the root of
the sum of two squares: its own distance, and the reach of the trainings, which is Student's t interval of their means.
So confidence limits of independent parts are combined (Zou and Donner 2008, "Construction of confidence limits about
effect measures"). The means of the trainings also vary because each fails on other examples, which is counted twice:
the interval is rather too wide. Why seeds matter: Bouthillier et al. 2021, "Accounting for variance in machine learning
benchmarks".
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import stdev

from groundtune.stats.intervals import NORMAL, student_quantile
from groundtune.stats.significance import PairedDifference
from groundtune.types import Interval


def training_reach(means: Sequence[float]) -> float:
    """Return half the width of the 95% interval of the mean over seeds; 0 for fewer than two trainings.

    means: mean score of each training.
    """
    if len(means) < 2:
        return 0.0
    return student_quantile(len(means) - 1) * stdev(means) / math.sqrt(len(means))


def widened_interval(interval: Interval, reach: float, *, bounds: tuple[float, float]) -> Interval:
    """Return an interval over examples, widened by the reach of the trainings."""
    if not reach:
        return interval
    low, high = _widened(interval.mean, interval.low, interval.high, reach, bounds)
    return replace(interval, low=low, high=high)


def widened_difference(pair: PairedDifference, reach: float, *, bounds: tuple[float, float]) -> PairedDifference:
    """Return a comparison that holds for new trainings too. reach: of both approaches together.

    The test statistic shrinks by the factor by which the distance of the limit that is nearer to zero grows; with it
    the power.
    """
    if not reach:
        return pair
    low, high = _widened(pair.difference, pair.low, pair.high, reach, bounds)
    before = pair.difference - pair.low if pair.difference >= 0 else pair.high - pair.difference
    factor = math.hypot(before, reach) / before if before else math.inf
    p = 2 * NORMAL.cdf(NORMAL.inv_cdf(max(pair.p, 1e-300) / 2) / factor)
    return replace(
        pair,
        low=low,
        high=high,
        p=min(1.0, p),
        detectable=None if pair.detectable is None else pair.detectable * factor,
        needed=None if pair.needed is None or math.isinf(factor) else math.ceil(pair.needed * factor**2),
    )


def _widened(mean: float, low: float, high: float, reach: float, bounds: tuple[float, float]) -> tuple[float, float]:
    return max(bounds[0], mean - math.hypot(mean - low, reach)), min(bounds[1], mean + math.hypot(high - mean, reach))
