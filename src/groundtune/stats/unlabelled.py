"""Estimate how many answers are right where nobody has labelled them, from a confidence measured on labelled ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from groundtune.stats.inputs import Floats, as_floats, require_same_length
from groundtune.types import Interval

FEWEST = 10
"""Right answers, and wrong ones, that must be known."""
RESAMPLES = 1_000


@dataclass(frozen=True, slots=True)
class UnlabelledAccuracy:
    """The share of right answers among unlabelled ones; exactly one of the two is None."""

    accuracy: Interval | None
    unknown: str | None = None
    """Why it cannot be known."""


def unlabelled_accuracy(
    confidences: Sequence[float], correct: Sequence[float], recent: Sequence[float], *, seed: int = 0
) -> UnlabelledAccuracy:
    """Estimate the share of right answers among recent ones by their confidences.

    The labelled answers say how often an answer of each confidence is right (isotonic regression, Barlow 1972); the
    mean over the recent confidences is the estimate (Guillory 2021; NannyML calls it CBPE). The interval resamples
    both. It sees that questions have become harder, as far as the confidence does; it cannot see that the right
    answer to the same question has changed.
    """
    known, right, new = as_floats(confidences), as_floats(correct), as_floats(recent)
    require_same_length(known, right)
    if new.size < FEWEST:
        return UnlabelledAccuracy(None, f"only {new.size:,} recent answers state a confidence; {FEWEST} are needed")
    if min(right.sum(), (1 - right).sum()) < FEWEST:
        counts = f"{int(right.sum()):,} right and {int((1 - right).sum()):,} wrong"
        return UnlabelledAccuracy(None, f"of the compared answers {counts}; {FEWEST} each are needed")
    rng = np.random.default_rng(seed)
    draws = []
    separations = []
    for _ in range(RESAMPLES):
        chosen, drawn = rng.integers(0, known.size, known.size), rng.integers(0, new.size, new.size)
        draws.append(_estimate(known[chosen], right[chosen], new[drawn]))
        separations.append(_separation(known[chosen], right[chosen]))
    if np.quantile(separations, 0.025) <= 0.5:
        return UnlabelledAccuracy(None, "the confidence does not tell right answers from wrong ones measurably")
    low, high = np.quantile(draws, (0.025, 0.975))
    mean = _estimate(known, right, new)
    return UnlabelledAccuracy(Interval(mean, min(float(low), mean), max(float(high), mean), new.size))


def _estimate(known: Floats, right: Floats, new: Floats) -> float:
    knots, heights = _isotonic(known, right)
    return float(np.interp(new, knots, heights).mean())


def _isotonic(values: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """Return the knots of the rising curve that fits the targets best, by pooling adjacent violators."""
    from scipy.optimize import isotonic_regression

    knots, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    means = np.bincount(places, weights=targets) / counts
    return knots, isotonic_regression(means, weights=counts).x


def _separation(values: Floats, right: Floats) -> float:
    """Return how often a right answer has a higher confidence than a wrong one; 0.5 without any of either."""
    wrong = np.sort(values[right < 0.5])
    good = values[right >= 0.5]
    if not (wrong.size and good.size):
        return 0.5
    above = np.searchsorted(wrong, good, "left") + np.searchsorted(wrong, good, "right")
    return float(above.mean()) / (2 * wrong.size)
