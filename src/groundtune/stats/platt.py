"""Fit a logistic curve to the scores of two classes."""

import numpy as np

from groundtune.stats.inputs import Floats
from groundtune.stats.logits import logistic


def fit_platt(positive: Floats, negative: Floats) -> tuple[float, float]:
    """Return slope and intercept of the curve logistic(slope * score + intercept) of the positive class.

    Platt 1999, whose targets of slightly less than 1 and more than 0 keep few scores from giving certainty; fitted by
    Newton's method on standardised scores.
    """
    values = np.concatenate([positive, negative])
    middle, width = float(values.mean()), float(values.std()) or 1.0
    high, low = (len(positive) + 1) / (len(positive) + 2), 1 / (len(negative) + 2)
    targets = np.concatenate([np.full(len(positive), high), np.full(len(negative), low)])
    columns = np.stack([(values - middle) / width, np.ones(len(values))], axis=1)
    coefficients = np.zeros(2)
    for _ in range(50):
        probability = logistic(columns @ coefficients)
        gradient = columns.T @ (targets - probability) - 1e-3 * coefficients
        hessian = (columns * (probability * (1 - probability))[:, None]).T @ columns + 1e-3 * np.eye(2)
        coefficients = coefficients + np.clip(np.linalg.solve(hessian, gradient), -2, 2)
    return float(coefficients[0] / width), float(coefficients[1] - coefficients[0] * middle / width)
