import numpy as np
import pytest

from groundtune.stats.logits import logistic
from groundtune.stats.platt import fit_platt


def test_the_curve_crosses_one_half_between_the_classes() -> None:
    slope, intercept = fit_platt(np.array([2.0, 3.0, 4.0]), np.array([-2.0, -1.0, 0.0]))
    assert -intercept / slope == pytest.approx(1.0, abs=1e-3)
    assert logistic([5.0])[0] > 0.5 > logistic([-1.0])[0]


def test_drawn_scores_give_back_their_curve() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=20_000)
    positive = rng.random(scores.size) < logistic(1.5 * scores - 0.5)
    slope, intercept = fit_platt(scores[positive], scores[~positive])
    assert (slope, intercept) == (pytest.approx(1.5, abs=0.06), pytest.approx(-0.5, abs=0.04))


def test_equal_scores_say_nothing() -> None:
    slope, _ = fit_platt(np.ones(5), np.ones(5))
    assert slope == pytest.approx(0.0, abs=1e-9)
