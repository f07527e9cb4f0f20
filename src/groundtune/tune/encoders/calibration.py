"""Calibrate logits on held-out rows: probabilities, a rejection threshold, and how good both are. Pure numpy.

Temperature scaling: Guo 2017, arXiv 1706.04599. In-scope score: the energy, Liu 2020, arXiv 2010.03759. Its
probability: Platt 1999, with his softened targets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundtune.common.text import format_count
from groundtune.stats.logits import energy, logistic, softmax
from groundtune.stats.platt import fit_platt

Floats = NDArray[np.float64]
BINS = 15
"""Number of bins of the expected calibration error."""
REFUSED = 0.01
"""Share of the correctly classified rows that the threshold rejects when no out-of-scope row shows where to put it."""
FEWEST, FEWEST_INSIDE = 5, 30
"""Minimum number of out-of-scope and of in-scope rows for fitting a threshold to them. Measured on CLINC150, 200 draws:
fitted on 10 rows in scope and 5 outside, it rejected 8% of the other in-scope rows (21% in one draw of twenty); on 30
and 5, 4% (8%).
"""
FEWEST_ALONE = 100
"""Minimum number of correctly classified in-scope rows for setting a threshold without out-of-scope rows: a new row
falls below the lowest of n with probability 1 / (n + 1), and REFUSED is 1 / 100.
"""
MANY_REFUSED = 0.05
"""Share of rejected in-scope rows above which a note says so."""
FEW_REFUSED = 0.5
"""Minimum share of rejected out-of-scope rows; a note reports a lower one."""
COOLEST, HOTTEST = 0.05, 20.0
"""Range of the temperature search."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """The rule for out-of-scope inputs: those whose energy is below the threshold."""

    threshold: float
    slope: float | None = None
    """P(in scope) = 1 / (1 + exp(-(slope · energy + intercept))); None when no out-of-scope row was available."""
    intercept: float | None = None


def fit_temperature(logits: Floats, gold: NDArray[np.int64]) -> float:
    """Return the temperature that minimises the loss of the scaled logits, by golden-section search on its logarithm.

    1 when there are no rows.
    """
    if not len(gold):
        return 1.0
    low, high, ratio = float(np.log(COOLEST)), float(np.log(HOTTEST)), (5**0.5 - 1) / 2
    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if negative_log_likelihood(logits / np.exp(left), gold) < negative_log_likelihood(logits / np.exp(right), gold):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def negative_log_likelihood(logits: Floats, gold: NDArray[np.int64]) -> float:
    """Return the mean negative log-likelihood of the correct label."""
    return float((energy(logits) - logits[np.arange(len(gold)), gold]).mean())


def ece(probabilities: Floats, right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error, 0 to 1: the gap between confidence and accuracy in bins of equal width."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = [
        abs(probabilities[inside].sum() - right[inside].sum())
        for bin_number in range(BINS)
        if (inside := bins == bin_number).any()
    ]
    return float(sum(gaps) / max(1, len(right)))


def cross_validated_ece(logits: Floats, gold: NDArray[np.int64]) -> float:
    """Return `ece`, with each half of the rows scaled by the temperature fitted on the other half."""
    confidence = np.empty(len(gold))
    for fitted, judged in two_folds(len(gold)):
        confidence[judged] = softmax(logits[judged] / fit_temperature(logits[fitted], gold[fitted])).max(axis=1)
    return ece(confidence, logits.argmax(axis=1) == gold)


def two_folds(rows: int) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield the rows to fit on and the rows to judge, as masks: each half is judged by the other one."""
    for half in (0, 1):
        judged = np.arange(rows) % 2 == half
        yield ~judged, judged


def macro_f1(predicted: Sequence[int], gold: Sequence[int]) -> float:
    """Return the mean F1 over the labels that occur in `gold`."""
    predicted_labels, gold_labels = np.asarray(predicted), np.asarray(gold)
    scores = [
        2
        * np.sum((predicted_labels == label) & (gold_labels == label))
        / (np.sum(predicted_labels == label) + np.sum(gold_labels == label))
        for label in np.unique(gold_labels)
    ]
    return float(np.mean(scores)) if scores else 0.0


def fit_rejection(inside: Floats, right: NDArray[np.bool_], outside: Floats) -> Rejection | None:
    """Fit the rejection threshold.

    inside, outside: energies of validation rows with and without a label. right: whether each label was predicted
    correctly.

    The threshold maximises the number of correct replies, where rejecting an out-of-scope row counts as correct. With
    fewer than FEWEST rows outside, it rejects REFUSED of the correctly classified rows; None when there are too few
    rows for either.
    """
    if len(outside) < FEWEST:
        correct = inside[right]
        return Rejection(float(np.quantile(correct, REFUSED))) if len(correct) >= FEWEST_ALONE else None
    if len(inside) < FEWEST_INSIDE:
        return None
    slope, intercept = fit_platt(inside, outside)
    return Rejection(_best_threshold(inside, right, outside), slope, intercept)


def rejection_notes(inside: Floats, right: NDArray[np.bool_], outside: Floats) -> list[str]:
    """Return caveats about the threshold that `fit_rejection` fits to the same rows."""
    rows = f"{format_count(len(inside), 'validation row')} with a label and {len(outside):,} without one"
    if (fitted := fit_rejection(inside, right, outside)) is None:
        needed = f"needs {FEWEST_INSIDE} with a label and {FEWEST} without, or {FEWEST_ALONE} correctly classified ones"
        return [f"out-of-scope inputs are not detected: {rows}, too few to fit a threshold ({needed})"]
    notes = []
    if fitted.slope is None:
        notes.append(
            f"the out-of-scope threshold was set to reject {REFUSED:.0%} of in-scope inputs, because there are "
            f"{rows}; it can be fitted with at least {FEWEST} without a label"
        )
    if (refused := float((inside < fitted.threshold).mean())) > MANY_REFUSED:
        notes.append(f"the threshold rejects {refused:.0%} of the {len(inside):,} validation rows with a label")
    if len(outside) >= FEWEST and (refused := float((outside < fitted.threshold).mean())) < FEW_REFUSED:
        notes.append(
            f"the threshold catches only {refused:.0%} of the {len(outside):,} out-of-scope validation rows; "
            "a higher one would reject more correct labels than it gains"
        )
    return notes


def in_scope_probability(energies: Floats, fitted: Rejection | None) -> Floats | None:
    """Return the probability that each row is in scope; None when no out-of-scope row was available to fit it."""
    if fitted is None or fitted.slope is None or fitted.intercept is None:
        return None
    return logistic(fitted.slope * energies + fitted.intercept)


def _best_threshold(inside: Floats, right: NDArray[np.bool_], outside: Floats) -> float:
    """Return the best midpoint between two neighbouring energies; of equally good ones, the one that rejects least."""
    values = np.concatenate([inside, outside])
    gains = np.concatenate([-right.astype(float), np.ones(len(outside))])
    order = np.argsort(values, kind="stable")
    values, refused = values[order], np.concatenate([[0.0], np.cumsum(gains[order])])
    edges = np.concatenate([[values[0] - 1e-6], (values[:-1] + values[1:]) / 2, [values[-1] + 1e-6]])
    return float(edges[int(refused.argmax())])
