"""Fit how a score grows with the number of training examples, and forecast it for somewhat more. Pure.

Two laws of two parameters each: the error falls as a power of the number (Hestness et al. 2017, arXiv 1712.00409), or
the score grows with its logarithm. No law fits all curves (Viering and Loog 2022, "The shape of learning curves"), and
a few points cannot choose between the two, so a forecast spans both. It reaches to twice the examples at most.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np

from groundtune.stats.inputs import Floats
from groundtune.stats.intervals import Z_975, bootstrap_mean, unit_sums
from groundtune.types import Forecast, Interval

FEWEST_SIZES = 3
FEWEST_SCORES = 30
FURTHEST = 2.0
"""Largest multiple of the examples at hand that is forecast."""
RESAMPLES = 2_000


def forecast(
    sizes: Sequence[int],
    columns: Sequence[Sequence[float]],
    numbers: Sequence[int],
    *,
    clusters: Sequence[Hashable] | None = None,
    reach: float = 0.0,
    seed: int = 0,
) -> list[Forecast] | str:
    """Forecast the mean score with other numbers of training examples, or say why it cannot be said.

    sizes: training examples, rising. columns: for each size, the scores (0 to 1) of the same test examples. numbers: to
    forecast, up to FURTHEST times the last size. reach: how far the mean of one size may lie from that over all
    trainings. The 95% intervals come from resampling the test examples; the reach, and how far the points lie from the
    law, widen them (stats/trainings.py), more so the further the number lies outside. Raises ValueError for numbers
    beyond that, and lists of unequal lengths.
    """
    if len(sizes) < FEWEST_SIZES:
        return f"it was measured with {len(sizes)} numbers of examples; {FEWEST_SIZES} are needed"
    if len(columns[0]) < FEWEST_SCORES:
        return f"only {len(columns[0])} test examples have a score with each number; {FEWEST_SCORES} are needed"
    if max(numbers) > FURTHEST * sizes[-1]:
        raise ValueError(f"cannot forecast beyond {FURTHEST:g} times {sizes[-1]} examples")
    growth = bootstrap_mean(
        [last - first for first, last in zip(columns[0], columns[-1], strict=True)], bounds=(-1, 1), clusters=clusters
    )
    if growth.high < 0:
        return "the score fell with more examples, which no law of growth explains"
    means = _resampled_means(columns, clusters, seed)
    measured = means[0]
    at, x = np.log(np.asarray(numbers, dtype=np.float64)), np.log(np.asarray(sizes, dtype=np.float64))
    scores = [law(x, means, at, len(columns[0])) for law in (_power_law, _logarithmic)]
    fitted = [law(x, measured[None], x, len(columns[0]))[0] for law in (_power_law, _logarithmic)]
    apart = max(float(np.sqrt(((line - measured) ** 2).sum() / (len(sizes) - 2))) for line in fitted)
    leverage = np.sqrt(1 / len(sizes) + (at - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    wider = math.hypot(reach, Z_975 * apart) * leverage
    return [
        Forecast(
            number,
            _spanned([score[:, place] for score in scores], float(wider[place]), (0.0, 1.0), len(columns[0])),
            _spanned(
                [score[:, place] - means[:, -1] for score in scores], float(wider[place]), (-1.0, 1.0), len(columns[0])
            ),
        )
        for place, number in enumerate(numbers)
    ]


def _resampled_means(columns: Sequence[Sequence[float]], clusters: Sequence[Hashable] | None, seed: int) -> Floats:
    """Return the means of the columns, (1 + RESAMPLES, columns): first as measured, then of resampled units."""
    units = [unit_sums(np.asarray(column, dtype=np.float64), clusters) for column in columns]
    sums, sizes = np.stack([sums for sums, _ in units], axis=1), units[0][1]
    n = len(sizes)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float64)
    counts = np.concatenate((np.ones((1, n)), counts))
    means: Floats = counts @ sums / (counts @ sizes)[:, None]
    return means


def _power_law(x: Floats, means: Floats, at: Floats, n: int) -> Floats:
    """Fit log(1 - score) to the logarithm of the number; a score of 1 counts as half an error in n."""
    scores: Floats = np.clip(1 - np.exp(_line(x, np.log(np.maximum(1 - means, 0.5 / n)), at)), 0, 1)
    return scores


def _logarithmic(x: Floats, means: Floats, at: Floats, n: int) -> Floats:
    scores: Floats = np.clip(_line(x, means, at), 0, 1)
    return scores


def _line(x: Floats, y: Floats, at: Floats) -> Floats:
    """Least squares line through each row of y, read at `at`; shape (rows, at)."""
    centred = x - x.mean()
    slopes = y @ centred / (centred @ centred)
    line: Floats = y.mean(axis=1)[:, None] + slopes[:, None] * (at - x.mean())
    return line


def _spanned(draws: Sequence[Floats], wider: float, bounds: tuple[float, float], n: int) -> Interval:
    """Return the interval that spans those of all laws; the first draw of each is the measured one."""
    mean = float(np.mean([column[0] for column in draws]))
    low = min(float(np.quantile(column[1:], 0.025)) for column in draws)
    high = max(float(np.quantile(column[1:], 0.975)) for column in draws)
    low, high = min(low, mean), max(high, mean)
    return Interval(
        mean,
        max(bounds[0], mean - math.hypot(mean - low, wider)),
        min(bounds[1], mean + math.hypot(high - mean, wider)),
        n,
    )
