"""Trade coverage against risk, and choose the confidence at which to answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from groundtune.stats.inputs import as_floats, require_same_length


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Coverage and risk of answering at or above one confidence threshold."""

    threshold: float
    coverage: float
    """Share of questions answered, 0 to 1."""
    risk: float
    """Share of answered questions that are wrong, 0 to 1."""
    n: int
    """Number of questions answered."""


def risk_coverage(confidences: Sequence[float], correct: Sequence[float]) -> list[OperatingPoint]:
    """Return the risk-coverage curve (El-Yaniv and Wiener 2010): one point per distinct confidence, strictest first.

    A question is answered when its confidence >= threshold. correct: 1 or True for a correct answer; fractions count
    as partly wrong. Empty lists give an empty curve. Raises ValueError on unequal lengths, NaN or infinity.
    """
    data, correctness = as_floats(confidences), as_floats(correct)
    require_same_length(data, correctness)
    if data.size == 0:
        return []
    order = np.argsort(-data, kind="stable")
    data, wrong = data[order], np.cumsum(1 - correctness[order])
    last = np.append(np.flatnonzero(np.diff(data)), data.size - 1)
    return [
        OperatingPoint(float(data[i]), float((i + 1) / data.size), float(wrong[i] / (i + 1)), int(i) + 1) for i in last
    ]


def choose_threshold(
    points: Sequence[OperatingPoint], *, max_risk: float | None = None, min_coverage: float | None = None
) -> OperatingPoint | None:
    """Choose an operating point; None when no point meets the constraint.

    `max_risk` picks the highest coverage within that risk; `min_coverage` picks the lowest risk at that coverage or
    more, breaking ties by higher coverage. Choose on the validation split and report on the test split: the risk is
    optimistic on the data it was chosen on.

    Raises ValueError unless exactly one of the two is given.
    """
    if (max_risk is None) == (min_coverage is None):
        raise ValueError("give either max_risk or min_coverage")
    if max_risk is not None:
        eligible = [point for point in points if point.risk <= max_risk]
        return max(eligible, key=lambda point: point.coverage, default=None)
    eligible = [point for point in points if min_coverage is not None and point.coverage >= min_coverage]
    return min(eligible, key=lambda point: (point.risk, -point.coverage), default=None)
