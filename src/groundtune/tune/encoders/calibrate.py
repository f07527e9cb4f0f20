"""Logits of held-out rows to what may be said of them: probabilities, a threshold, how good both are. Pure numpy.

Temperature: Guo 2017, arXiv 1706.04599. Score for being in scope: the energy, Liu 2020, arXiv 2010.03759. Its
probability: Platt 1999, with his softened targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BINS = 15
"""Of the expected calibration error."""
REFUSED = 0.01
"""Share of the rows that were sorted right which the threshold refuses, where no row out of scope says where it is."""
FEWEST, FEWEST_INSIDE = 5, 30
"""Rows out of scope and in scope, below which no threshold is fitted to them. Of 10 rows in scope and 5 outside of
CLINC150, drawn 200 times, it refused 8 % of the others in scope (one time in twenty 21 %); of 30 and 5, 4 % (8 %)."""
FEWEST_ALONE = 100
"""Rows in scope that were sorted right, below which they alone give no threshold: the lowest of n is undercut by one
new row in n + 1, and REFUSED is one in 100."""
MANY_REFUSED = 0.05
"""Share of the rows in scope from which it is said how many a threshold refuses."""
FEW_REFUSED = 0.5
"""Share of the rows out of scope below which it is said how many a threshold refuses."""
COOLEST, HOTTEST = 0.05, 20.0
"""Temperatures that are tried."""


@dataclass(frozen=True, slots=True)
class Scope:
    """When an input is out of scope: its energy is below the threshold."""

    threshold: float
    slope: float | None = None
    """P(in scope) = 1 / (1 + exp(-(slope · energy + intercept))); None where no row out of scope was there."""
    intercept: float | None = None


def softmax(logits: Floats) -> Floats:
    """Rows that sum to 1."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares


def energy(logits: Floats) -> Floats:
    """log Σ exp of each row: high where some label fits, whichever it is."""
    highest = logits.max(axis=1)
    found: Floats = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    return found


def temperature(logits: Floats, gold: NDArray[np.int64]) -> float:
    """What the logits are divided by so that probabilities come true: least loss, by golden section on its logarithm.

    1 where there is no row.
    """
    if not len(gold):
        return 1.0
    low, high, ratio = float(np.log(COOLEST)), float(np.log(HOTTEST)), (5**0.5 - 1) / 2
    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(logits / np.exp(left), gold) < loss(logits / np.exp(right), gold):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def loss(logits: Floats, gold: NDArray[np.int64]) -> float:
    """Mean negative logarithm of the probability of the right label."""
    return float((energy(logits) - logits[np.arange(len(gold)), gold]).mean())


def ece(probabilities: Floats, right: NDArray[np.bool_]) -> float:
    """Expected calibration error: how far confidence is from accuracy, in bins of equal width. 0 to 1."""
    places = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = [
        abs(probabilities[inside].sum() - right[inside].sum()) for one in range(BINS) if (inside := places == one).any()
    ]
    return float(sum(gaps) / max(1, len(right)))


def crossed_ece(logits: Floats, gold: NDArray[np.int64]) -> float:
    """`ece` of rows whose temperature the other half was asked for."""
    confidence = np.empty(len(gold))
    for half in (0, 1):
        here = np.arange(len(gold)) % 2 == half
        confidence[here] = softmax(logits[here] / temperature(logits[~here], gold[~here])).max(axis=1)
    return ece(confidence, logits.argmax(axis=1) == gold)


def macro_f1(found: Sequence[int], gold: Sequence[int]) -> float:
    """Mean F1 of the labels that `gold` has."""
    given, wanted = np.asarray(found), np.asarray(gold)
    scores = [
        2 * np.sum((given == one) & (wanted == one)) / (np.sum(given == one) + np.sum(wanted == one))
        for one in np.unique(wanted)
    ]
    return float(np.mean(scores)) if scores else 0.0


def auroc(inside: Floats, outside: Floats) -> float:
    """Chance that a row in scope has a higher score than one out of scope; a tie counts half."""
    order = np.sort(outside)
    below = np.searchsorted(order, inside, side="left") + np.searchsorted(order, inside, side="right")
    return float(below.mean() / (2 * len(outside)))


def scope(inside: Floats, right: NDArray[np.bool_], outside: Floats) -> Scope | None:
    """inside, outside: energies of validation rows with and without a label. right: whether the label was found.

    The threshold with the most right replies, `out of scope` counted as one where it is right. With fewer than FEWEST
    rows outside, one that refuses REFUSED of those that were right; None where there are too few rows for either.
    """
    if len(outside) < FEWEST:
        known = inside[right]
        return Scope(float(np.quantile(known, REFUSED))) if len(known) >= FEWEST_ALONE else None
    if len(inside) < FEWEST_INSIDE:
        return None
    slope, intercept = _platt(inside, outside)
    return Scope(_best_threshold(inside, right, outside), slope, intercept)


def scope_notes(inside: Floats, right: NDArray[np.bool_], outside: Floats) -> list[str]:
    """What a person should know of the threshold that `scope` makes of the same rows."""
    rows = f"{len(inside):,} validation rows with a label and {len(outside):,} without one"
    if (found := scope(inside, right, outside)) is None:
        enough = f"{FEWEST_INSIDE} and {FEWEST} would do, or {FEWEST_ALONE} with a label that are sorted right"
        return [f"no input is refused as out of scope: {rows} are too few for a threshold ({enough})"]
    notes = []
    if found.slope is None:
        notes.append(
            f"the threshold is a guess that refuses {REFUSED:.0%} of what fits: {rows}; "
            f"{FEWEST} without one would say where it lies"
        )
    if (refused := float((inside < found.threshold).mean())) > MANY_REFUSED:
        notes.append(f"the threshold refuses {refused:.0%} of the {len(inside):,} validation rows with a label")
    if len(outside) >= FEWEST and (refused := float((outside < found.threshold).mean())) < FEW_REFUSED:
        notes.append(
            f"the threshold refuses {refused:.0%} of the {len(outside):,} validation rows without a label: "
            "a higher one would have lost more right labels than it found rows out of scope"
        )
    return notes


def in_scope(energies: Floats, found: Scope | None) -> Floats | None:
    """Probability of each; None where no row out of scope was there to learn it from."""
    if found is None or found.slope is None or found.intercept is None:
        return None
    chance: Floats = 1 / (1 + np.exp(-np.clip(found.slope * energies + found.intercept, -50, 50)))
    return chance


def _best_threshold(inside: Floats, right: NDArray[np.bool_], outside: Floats) -> float:
    """In the middle between two neighbours; of several equally good ones, the one that refuses least."""
    values = np.concatenate([inside, outside])
    gains = np.concatenate([-right.astype(float), np.ones(len(outside))])
    order = np.argsort(values, kind="stable")
    values, refused = values[order], np.concatenate([[0.0], np.cumsum(gains[order])])
    edges = np.concatenate([[values[0] - 1e-6], (values[:-1] + values[1:]) / 2, [values[-1] + 1e-6]])
    return float(edges[int(refused.argmax())])


def _platt(inside: Floats, outside: Floats) -> tuple[float, float]:
    """Slope and intercept of the logistic curve, by Newton's method on standardised energies."""
    values = np.concatenate([inside, outside])
    middle, width = float(values.mean()), float(values.std()) or 1.0
    high, low = (len(inside) + 1) / (len(inside) + 2), 1 / (len(outside) + 2)
    targets = np.concatenate([np.full(len(inside), high), np.full(len(outside), low)])
    columns = np.stack([(values - middle) / width, np.ones(len(values))], axis=1)
    found = np.zeros(2)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(columns @ found, -50, 50)))
        gradient = columns.T @ (targets - chance) - 1e-3 * found
        curve = (columns * (chance * (1 - chance))[:, None]).T @ columns + 1e-3 * np.eye(2)
        found = found + np.clip(np.linalg.solve(curve, gradient), -2, 2)
    return float(found[0] / width), float(found[1] - found[0] * middle / width)
