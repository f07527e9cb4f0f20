"""The router's model: what it learns, what it leaves alone, and the areas under its curve."""

import numpy as np
import pytest

from groundtune.stats.inputs import Floats
from groundtune.stats.routing import (
    WEIGHTS,
    Indices,
    best_choice,
    candidates,
    curve_areas,
    fit_router,
    mix_frontier,
    out_of_fold,
)

DIMENSION = 12


def matrix(n: int, *, planted: bool, seed: int) -> tuple[Floats, Floats, Indices]:
    """Return signals and scores of two approaches that are equally good; planted: each on half of the topics."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, 6, size=n)
    vectors = rng.normal(size=(6, DIMENSION))[topic] + 0.3 * rng.normal(size=(n, DIMENSION))
    signals = np.concatenate([vectors, rng.normal(size=(n, 2))], axis=1)
    first = np.where(topic < 3, 0.95, 0.4) if planted else np.full(n, 0.7)
    second = np.where(topic < 3, 0.4, 0.95) if planted else np.full(n, 0.7)
    scores = (rng.random((n, 2)) < np.stack([first, second], axis=1)).astype(np.float64)
    return signals, scores, np.arange(n)


def gain(signals: Floats, scores: Floats, groups: Indices) -> float:
    found = out_of_fold(signals, scores, None, groups, weights=[0.0], embedded=DIMENSION)
    return float(scores[np.arange(len(scores)), found.choices[0]].mean() - scores.mean(axis=0).max())


def test_what_is_planted_is_found_and_calibrated() -> None:
    signals, scores, groups = matrix(600, planted=True, seed=1)
    assert gain(signals, scores, groups) > 0.2
    found = out_of_fold(signals, scores, None, groups, weights=[0.0], embedded=DIMENSION)
    assert found.success.mean(axis=0) == pytest.approx(scores.mean(axis=0), abs=0.03)
    likely = found.success[:, 0] > 0.7
    assert scores[likely, 0].mean() == pytest.approx(found.success[likely, 0].mean(), abs=0.06)


def test_where_there_is_nothing_to_learn_one_approach_is_asked() -> None:
    gains = [gain(*matrix(200, planted=False, seed=seed)) for seed in range(8)]
    assert max(gains) < 0.03


def test_a_missing_signal_counts_as_the_usual_one() -> None:
    signals, scores, groups = matrix(300, planted=True, seed=2)
    signals[::3, -1] = np.nan
    model = fit_router(signals, scores, groups, embedded=DIMENSION)
    assert np.isfinite(model.success(signals)).all()
    usual = np.where(np.isnan(signals), model.center, signals)
    assert model.success(signals) == pytest.approx(model.success(usual))


def test_questions_of_one_group_are_in_one_fold() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(40), 10)
    vectors = rng.normal(size=(40, DIMENSION))[groups]
    better = rng.integers(0, 2, size=40)[groups]  # a property of the group, which no other group tells
    scores = np.stack([1.0 - better, better], axis=1)
    signals = np.concatenate([vectors, np.zeros((400, 1))], axis=1)
    assert gain(signals, scores, groups) < 0.15
    assert gain(signals, scores, np.arange(400)) > 0.25


def test_few_or_equal_questions_are_no_error() -> None:
    signals, scores = np.zeros((12, DIMENSION + 1)), np.ones((12, 3))
    found = out_of_fold(signals, scores, None, np.arange(12), weights=[0.0], embedded=DIMENSION)
    assert set(found.choices[0].tolist()) == {0}
    assert (
        out_of_fold(signals, scores, None, np.zeros(12, dtype=np.intp), weights=[0.0], embedded=DIMENSION) is not None
    )


def test_candidates_are_the_best_those_that_add_most_and_the_cheapest() -> None:
    scores = np.array([[1, 1, 0, 0, 0.0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [1, 0, 0, 0, 0]])
    assert candidates(scores, None, most=2) == [0, 2]
    assert candidates(scores, np.tile([5.0, 5, 5, 5, 1], (4, 1)), most=2) == [0, 2, 4]


def test_a_dollar_is_worth_what_the_weight_says() -> None:
    success, costs = np.array([[0.6, 0.8], [0.7, 0.71], [0.5, 0.5]]), np.array([0.0, 0.1])
    assert best_choice(success, costs, 0.0).tolist() == [1, 1, 0]
    assert best_choice(success, costs, 1.0).tolist() == [1, 0, 0]
    assert best_choice(success, costs, 10.0).tolist() == [0, 0, 0]


def test_the_frontier_of_mixes_has_falling_gains() -> None:
    costs, scores = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.5, 0.55, 0.9, 0.8])
    at, reached = mix_frontier(costs, scores)
    assert (at.tolist(), reached.tolist()) == ([0.0, 2.0], [0.5, 0.9])


@pytest.mark.parametrize("planted", [True, False])
def test_areas_say_whether_routing_helps(planted: bool) -> None:
    signals, scores, groups = matrix(800, planted=planted, seed=5)
    scores[:, 0] = np.maximum(scores[:, 0], scores[:, 1] * (groups % 3 == 0))
    costs = np.tile([1.0, 0.0], (800, 1))
    found = out_of_fold(signals, scores, costs, groups, weights=[0.0, *WEIGHTS], embedded=DIMENSION)
    areas = curve_areas(found.choices[1:], scores, costs, groups, resamples=200)
    middle, low, high = areas.over_mix
    assert low <= middle <= high
    assert middle == pytest.approx(areas.router - areas.mix)
    assert (low > 0) is planted
    assert areas.mix >= areas.single
