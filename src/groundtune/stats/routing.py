"""Learn from scored answers which of several approaches to ask, and measure that out of fold. Pure functions of arrays.

A signal is a number that is known before an approach is asked: a coordinate of the question's embedding, its length, a
retrieval score. NaN: this question has none. Signals are float64, (questions, signals), with those of the embedding
first; scores (questions, approaches), each from 0 to 1; costs (questions, approaches), in US dollars.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from groundtune.stats.inputs import Floats
from groundtune.stats.intervals import unit_sums
from groundtune.stats.logits import logistic

Indices = NDArray[np.intp]

FOLDS = 5
"""Also the fewest groups of questions that a router can be measured on."""
MAX_AXES = 16
"""Principal components of the embeddings that are used at most."""
ROWS_PER_AXIS = 20
RIDGES = (3.0, 30.0, 300.0)
"""Strengths of shrinkage that are tried. Besides these, a constant is: an approach may be as good everywhere."""
MAX_CANDIDATES = 4
NEWTON_STEPS = 12
WEIGHTS = np.concatenate([np.logspace(0.5, -3, 40), [0.0]])
"""Weights of a curve, for costs in units of the distance between the cheapest and the dearest approach."""


@dataclass(frozen=True, slots=True)
class RouterModel:
    """Logistic models of success, one for each approach, over the same few axes."""

    center: Floats
    """(signals,): the mean of each signal, which also stands for one that is missing."""
    axes: Floats
    """(signals, axes)."""
    weights: Floats
    """(approaches, axes + 1), the intercept last."""

    def success(self, signals: Floats) -> Floats:
        """Return the probability that each approach succeeds, (questions, approaches)."""
        return logistic(_with_ones(_columns(signals, self.center, self.axes)) @ self.weights.T)


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """What routers chose for questions that they were not fitted on."""

    choices: Indices
    """(weights, questions): the approach for each weight of the costs."""
    success: Floats
    """(questions, approaches): the predicted success; NaN for approaches that were no candidates."""


def fit_router(signals: Floats, scores: Floats, groups: Indices, *, embedded: int, seed: int = 0) -> RouterModel:
    """Fit a model. embedded: number of signals of the embedding. groups: numbers of questions that belong together."""
    center, axes = _axes(signals, embedded)
    columns = _columns(signals, center, axes)
    folds = _folds(groups, seed)
    weights = [_fit_calibrated(columns, target, folds) for target in scores.T]
    return RouterModel(center, axes, np.stack(weights))


def candidates(values: Floats, costs: Floats | None, *, most: int = MAX_CANDIDATES) -> list[int]:
    """Return the approaches that a router may choose from: the best, and those that add most where it fails.

    values: scores, less the weighted costs. Of approaches with costs the cheapest is always among them.
    """
    chosen = [int(values.mean(axis=0).argmax())]
    while len(chosen) < min(most, values.shape[1]):
        reached = np.maximum(values, values[:, chosen].max(axis=1, keepdims=True)).mean(axis=0)
        chosen.append(int(np.where(np.isin(np.arange(len(reached)), chosen), -np.inf, reached).argmax()))
    cheapest = [] if costs is None else [int(costs.mean(axis=0).argmin())]
    return sorted({*chosen, *cheapest})


def out_of_fold(
    signals: Floats,
    scores: Floats,
    costs: Floats | None,
    groups: Indices,
    *,
    weights: Sequence[float],
    embedded: int,
    seed: int = 0,
) -> OutOfFold:
    """Choose for each question by a router that was fitted on the other folds, candidates and costs included.

    weights: how much quality a dollar is worth; the first decides about the candidates.
    """
    choices = np.zeros((len(weights), len(scores)), dtype=np.intp)
    success = np.full(scores.shape, np.nan)
    folds = _folds(groups, seed)
    for fold in range(FOLDS):
        here, rest = folds == fold, folds != fold
        if not here.any() or not rest.any():
            continue
        known = None if costs is None else costs[rest]
        values = scores[rest] if known is None else scores[rest] - weights[0] * known
        chosen = candidates(values, known)
        model = fit_router(signals[rest], scores[rest][:, chosen], groups[rest], embedded=embedded, seed=seed + 1)
        predicted = model.success(signals[here])
        success[np.ix_(here, np.array(chosen))] = predicted
        mean_costs = np.zeros(len(chosen)) if known is None else known[:, chosen].mean(axis=0)
        for at, weight in enumerate(weights):
            choices[at, here] = np.array(chosen)[best_choice(predicted, mean_costs, weight)]
    return OutOfFold(choices, success)


def best_choice(success: Floats, costs: Floats, weight: float) -> Indices:
    """Return the approach with the highest success less weighted cost, of equal ones the cheaper."""
    order = np.argsort(costs, kind="stable")
    values = np.round(success - weight * costs, 9)
    return cast(Indices, order[values[:, order].argmax(axis=1)])


@dataclass(frozen=True, slots=True)
class CurveAreas:
    """Mean quality over all budgets from the cheapest to the dearest approach, with 95% bootstrap intervals."""

    router: float
    mix: float
    """Of a random mix of two approaches at the same cost."""
    single: float
    """Of the best single approach within the budget."""
    over_mix: tuple[float, float, float]
    """Difference with the lower and the upper end of its interval."""
    over_single: tuple[float, float, float]


def curve_points(choices: Indices, scores: Floats, costs: Floats) -> tuple[Floats, Floats]:
    """Return what routers with several weights cost and reach for each question, each (questions, weights)."""
    rows = np.arange(len(scores))
    return (
        np.stack([costs[rows, choice] for choice in choices], axis=1),
        np.stack([scores[rows, choice] for choice in choices], axis=1),
    )


def curve_areas(
    choices: Indices, scores: Floats, costs: Floats, groups: Indices, *, resamples: int = 1000, seed: int = 0
) -> CurveAreas:
    """Return the areas under the curves of routers, of random mixes and of single approaches. choices: out of fold."""
    paid, reached = curve_points(choices, scores, costs)
    columns = np.concatenate([paid, reached, costs, scores], axis=1)
    sums = np.stack([unit_sums(column, groups.tolist())[0] for column in columns.T], axis=1)
    sizes = unit_sums(np.ones(len(scores)), groups.tolist())[0]
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=resamples)
    means = np.concatenate([[sums.sum(axis=0) / sizes.sum()], (counts @ sums) / (counts @ sizes)[:, None]])
    weights = len(choices)
    areas = np.array([_areas(row, weights) for row in means])
    differences = areas[:, :1] - areas[:, 1:]
    low, high = np.quantile(differences[1:], [0.025, 0.975], axis=0)
    over = [(float(differences[0, at]), float(low[at]), float(high[at])) for at in (0, 1)]
    router, mix, single = (float(area) for area in areas[0])
    return CurveAreas(router, mix, single, over[0], over[1])


def _areas(means: Floats, weights: int) -> tuple[float, float, float]:
    """Return the areas of routers, mixes and singles. means: costs and scores of the routers, then of the singles."""
    paid, reached, rest = means[:weights], means[weights : 2 * weights], means[2 * weights :]
    costs, scores = np.split(rest, 2)
    low, high = float(costs.min()), float(costs.max())
    budgets = np.linspace(low, high, 201)
    single = np.array([scores[costs <= budget + 1e-12 * high].max() for budget in budgets])
    mix = np.interp(budgets, *mix_frontier(costs, scores))
    order = np.argsort(paid, kind="stable")
    router = np.interp(budgets, paid[order], reached[order])
    return float(router.mean()), float(mix.mean()), float(single.mean())


def mix_frontier(costs: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """Return the corners of the best mixes of approaches: rising in cost, with falling gains."""
    points: list[tuple[float, float]] = []
    for cost, score in sorted(
        zip(costs.tolist(), scores.tolist(), strict=True), key=lambda point: (point[0], -point[1])
    ):
        if points and score <= points[-1][1]:
            continue
        while len(points) > 1 and _turns_up(points[-2], points[-1], (cost, score)):
            points.pop()
        points.append((cost, score))
    xs, ys = zip(*points, strict=True)
    return np.array(xs), np.array(ys)


def _turns_up(first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]) -> bool:
    return (middle[1] - first[1]) * (last[0] - first[0]) <= (last[1] - first[1]) * (middle[0] - first[0])


def _axes(signals: Floats, embedded: int) -> tuple[Floats, Floats]:
    """Return the center of the signals and the axes: the main directions of the embeddings, and every other signal."""
    known = np.isfinite(signals)
    center = np.where(known, signals, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    centered = np.where(known, signals - center, 0.0)
    count = min(MAX_AXES, embedded, len(signals) // ROWS_PER_AXIS)
    axes = np.zeros((signals.shape[1], count + signals.shape[1] - embedded))
    if count:
        _, directions = np.linalg.eigh(centered[:, :embedded].T @ centered[:, :embedded])
        axes[:embedded, :count] = directions[:, ::-1][:, :count]
    axes[embedded:, count:] = np.eye(signals.shape[1] - embedded)
    spread = (centered @ axes).std(axis=0)
    return center, axes / np.where(spread > 1e-9, spread, np.inf)


def _columns(signals: Floats, center: Floats, axes: Floats) -> Floats:
    return cast(Floats, np.where(np.isfinite(signals), signals - center, 0.0) @ axes)


def _with_ones(columns: Floats) -> Floats:
    return np.concatenate([columns, np.ones((len(columns), 1))], axis=1)


def _folds(groups: Indices, seed: int) -> Indices:
    """Return the fold of each question; a group is in one fold."""
    _, members = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(int(members.max()) + 1)
    folds: Indices = (order % FOLDS)[members]
    return folds


def _fit_calibrated(columns: Floats, target: Floats, folds: Indices) -> Floats:
    """Return the weights of one approach: shrunk as cross-validation says, then calibrated on its predictions."""
    logits = {ridge: np.zeros(len(target)) for ridge in RIDGES}
    constant = np.full(len(target), float(target.mean()))
    for fold in range(FOLDS):
        here, rest = folds == fold, folds != fold
        if here.any() and rest.any():
            constant[here] = target[rest].mean()
            for ridge in RIDGES:
                logits[ridge][here] = _with_ones(columns[here]) @ _fit(columns[rest], target[rest], ridge)
    losses = {ridge: _log_loss(logistic(logits[ridge]), target) for ridge in RIDGES}
    best = min(RIDGES, key=lambda ridge: losses[ridge])
    slope, shift = _fit(logits[best][:, None], target, 1e-3)
    if losses[best] >= _log_loss(constant, target) or slope <= 0:
        return np.concatenate([np.zeros(columns.shape[1]), _fit(columns[:, :0], target, 1.0)])
    weights: Floats = _fit(columns, target, best) * slope
    weights[-1] += shift
    return weights


def _fit(columns: Floats, target: Floats, ridge: float) -> Floats:
    """Return weights and intercept of a logistic regression by Newton's method; the intercept is hardly shrunk."""
    rows = _with_ones(columns)
    penalty = np.full(rows.shape[1], ridge)
    penalty[-1] = 1e-2
    weights = np.zeros(rows.shape[1])
    for _ in range(NEWTON_STEPS):
        probability = logistic(rows @ weights)
        gradient = rows.T @ (target - probability) - penalty * weights
        hessian = (rows * (probability * (1 - probability))[:, None]).T @ rows + np.diag(penalty)
        step = np.clip(np.linalg.solve(hessian, gradient), -2, 2)
        weights = weights + step
        if float(np.abs(step).max()) < 1e-6:
            break
    return weights


def _log_loss(probability: Floats, target: Floats) -> float:
    inside = np.clip(probability, 1e-6, 1 - 1e-6)
    return float(-(target * np.log(inside) + (1 - target) * np.log(1 - inside)).mean())
