"""Turn lists of numbers into intervals, ranking quality and thresholds. Never reads files, never guesses a value."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groundtune.types import Interval

Floats = NDArray[np.float64]

_CELLS = 1_000_000
"""Largest number of draws held at once: 8 MB."""
_TAIL = 0.025


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


def bootstrap_mean(
    values: Sequence[float],
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Mean with its 95 % interval by the percentile bootstrap (Efron 1979); the same seed, the same interval.

    `bounds` is the range in which a value can lie: (0, 1) for scores, (-1, 1) for differences of scores.
    Where all values are equal, one value included, a bootstrap would claim an interval of width zero. There
    the interval is what n equal observations leave open: with 97.5 % confidence on each side, at most
    1 - 0.025^(1/n) of the population differs, and lies at worst at the bound. For scores of 0 and 1 that is
    the exact interval of Clopper and Pearson (1934); one observation leaves almost the whole range open.

    Raises ValueError when there are no values, or one is not a number or outside `bounds`.
    """
    data = _floats(values)
    low, high = bounds
    if data.size == 0:
        raise ValueError("no values, so no mean")
    if data.min() < low or data.max() > high:
        raise ValueError(f"a value is outside {low} to {high}: give bounds=")
    mean, n = float(data.mean()), int(data.size)
    if data.min() == data.max():
        value, unseen = float(data[0]), 1 - _TAIL ** (1 / n)
        return Interval(value, value - unseen * (value - low), value + unseen * (high - value), n)
    means = _resampled_means(data, resamples, np.random.default_rng(seed))
    below, above = np.quantile(means, (_TAIL, 1 - _TAIL))
    return Interval(mean, float(below), float(above), n)


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


def _resampled_means(data: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Means of `resamples` draws with replacement, in chunks of bounded memory."""
    n = data.size
    distinct, counts = np.unique(data, return_counts=True)
    if distinct.size * 8 <= n:  # drawing how often each value occurs is the same draw, and far cheaper
        chunk = max(1, _CELLS // distinct.size)
        draws = (
            rng.multinomial(n, counts / n, size=min(chunk, resamples - start)) @ distinct / n
            for start in range(0, resamples, chunk)
        )
        return np.concatenate(list(draws))
    chunk = max(1, _CELLS // n)
    return np.concatenate(
        [
            data[rng.integers(0, n, size=(min(chunk, resamples - start), n))].mean(axis=1)
            for start in range(0, resamples, chunk)
        ]
    )


def _floats(values: ArrayLike, *, finite: bool = True) -> Floats:
    data = np.asarray(values, dtype=np.float64)
    if np.isnan(data).any() or (finite and np.isinf(data).any()):
        raise ValueError("a value is not a number; leave out what is unknown")
    return data


def _same_length(first: NDArray[np.generic], second: NDArray[np.generic]) -> None:
    if first.shape != second.shape:
        raise ValueError(f"{first.size} values beside {second.size}: the two lists must be equally long")
