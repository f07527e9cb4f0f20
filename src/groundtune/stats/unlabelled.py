"""Estimate how many answers are right where nobody has labelled them, from answers that somebody has."""

import math
from dataclasses import dataclass

import numpy as np

from groundtune.stats.inputs import Floats
from groundtune.stats.intervals import Z_975
from groundtune.stats.logits import logistic
from groundtune.stats.two_samples import area_under_curve
from groundtune.types import Interval

FEWEST = 10
"""Right answers, and wrong ones, that must be known."""
DIRECTIONS = 50
"""Principal directions of the questions that the model sees."""
PENALTY = 0.3
"""Of the squared weights of these directions."""
STEPS = 30
CERTAIN = 1e-4
"""Confidences nearer to 0 or 1 count as this near."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Answers whose questions have a vector and that state a confidence."""

    vectors: Floats
    """Of the questions, shape (n, d)."""
    confidences: Floats
    right: Floats
    """1 for a right answer, 0 for a wrong one."""


@dataclass(frozen=True, slots=True)
class UnlabelledAccuracy:
    """The share of right answers among unlabelled ones; exactly one of the two is None."""

    accuracy: Interval | None
    unknown: str | None = None
    """Why it cannot be known."""


def unlabelled_accuracy(labelled: Labelled, vectors: Floats, confidences: Floats) -> UnlabelledAccuracy:
    """Estimate the share of right answers among recent ones, whose vectors and confidences these are.

    A ridge logistic regression learns from the labelled answers how often one is right, by its confidence and by what
    its question is about; the mean of what it says of the recent ones is the estimate. The interval (delta method)
    holds what is due to chance. It cannot hold what nobody could see: that the right answer to a question is another
    one now, or that a confidence means something else for questions that are written differently.
    """
    right = int(labelled.right.sum())
    wrong = labelled.right.size - right
    if len(confidences) < FEWEST:
        return UnlabelledAccuracy(None, f"{len(confidences):,} recent answers state a confidence; {FEWEST} are needed")
    if min(right, wrong) < FEWEST:
        message = f"of the compared answers {right:,} are right and {wrong:,} wrong; {FEWEST} each are needed"
        return UnlabelledAccuracy(None, message)
    is_right = labelled.right > 0.5
    if area_under_curve(labelled.confidences[is_right], labelled.confidences[~is_right]).low <= 0.5:
        return UnlabelledAccuracy(None, "the confidence does not tell right answers from wrong ones measurably")
    known, new = _columns(labelled, vectors, confidences)
    penalties = np.array([0.0, 0.0, *[PENALTY] * (known.shape[1] - 2)])
    weights, precision = _fitted(known, labelled.right, penalties)
    probability = logistic(new @ weights)
    mean = float(probability.mean())
    slope = (new * (probability * (1 - probability))[:, None]).mean(axis=0)
    variance = float(slope @ np.linalg.solve(precision, slope)) + mean * (1 - mean) / len(new)
    reach = Z_975 * math.sqrt(variance)
    return UnlabelledAccuracy(Interval(mean, max(0.0, mean - reach), min(1.0, mean + reach), len(new)))


def _columns(labelled: Labelled, vectors: Floats, confidences: Floats) -> tuple[Floats, Floats]:
    """Return what the model sees of labelled and recent answers: 1, the logit of the confidence, the directions."""
    together = np.concatenate([labelled.vectors, vectors]) - labelled.vectors.mean(axis=0)
    directions = np.linalg.svd(together, full_matrices=False)[2][:DIRECTIONS]
    stated = np.clip(np.concatenate([labelled.confidences, confidences]), CERTAIN, 1 - CERTAIN)
    columns = np.column_stack([np.ones(len(together)), np.log(stated / (1 - stated)), together @ directions.T])
    return columns[: len(labelled.right)], columns[len(labelled.right) :]


def _fitted(columns: Floats, right: Floats, penalties: Floats) -> tuple[Floats, Floats]:
    """Return the weights, and the inverse of their covariance. Newton's method."""
    weights = np.zeros(columns.shape[1])
    precision = np.eye(columns.shape[1])
    for _ in range(STEPS):
        probability = logistic(columns @ weights)
        gradient = columns.T @ (right - probability) - penalties * weights
        spread = (columns * (probability * (1 - probability))[:, None]).T @ columns
        precision = spread + np.diag(penalties + 1e-6)
        step = np.clip(np.linalg.solve(precision, gradient), -5, 5)
        weights = weights + step
        if np.abs(step).max() < 1e-6:
            break
    return weights, precision
