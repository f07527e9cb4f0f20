"""Temperature, calibration error, thresholds and AUROC, against known answers or scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from groundtune.stats.logits import softmax
from groundtune.stats.ranking_metrics import auroc
from groundtune.tune.encoders import calibration


def draw_logits(n: int = 4000, *, heat: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, `heat` times too large, with labels drawn from the true probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 5)) * 2
    gold = np.array([rng.choice(5, p=row) for row in softmax(logits)])
    return logits * heat, gold


@pytest.mark.parametrize("heat", [0.3, 1.0, 4.0])
def test_the_temperature_undoes_the_scaling(heat: float) -> None:
    logits, gold = draw_logits(heat=heat)
    assert calibration.fit_temperature(logits, gold) == pytest.approx(heat, rel=0.1)
    assert calibration.cross_validated_ece(logits, gold) < 0.04


def test_without_rows_the_temperature_is_1() -> None:
    assert calibration.fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=np.int64)) == 1.0


def test_calibration_error_by_hand() -> None:
    assert calibration.ece(np.array([1.0, 1.0]), np.array([True, True])) == 0
    assert calibration.ece(np.array([0.9, 0.9, 0.2, 0.2]), np.array([True, False, False, False])) == pytest.approx(0.3)


def test_auroc_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    inside, outside = rng.integers(0, 10, 300).astype(float), rng.integers(-3, 7, 50).astype(float)
    gold = np.r_[np.ones(300), np.zeros(50)]
    assert auroc([*inside, *outside], gold == 1) == pytest.approx(roc_auc_score(gold, np.r_[inside, outside]))


def test_macro_f1_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    predicted, gold = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    assert calibration.macro_f1(predicted, gold) == pytest.approx(f1_score(gold, predicted, average="macro"))
    assert calibration.macro_f1([1, 1], [0, 0]) == 0


def test_the_threshold_gets_most_rows_right() -> None:
    inside, outside = np.array([5.0, 6.0, 7.0, 8.0, 1.0] * 6), np.array([0.0, 1.5, 2.0, 3.0, 5.5] * 6)
    right = np.array([True, True, True, True, False] * 6)
    fitted = calibration.fit_rejection(inside, right, outside)
    assert fitted is not None
    assert 3 < fitted.threshold < 5
    chance = calibration.in_scope_probability(np.array([0.0, 4.0, 9.0]), fitted)
    assert chance is not None
    assert chance[0] < 0.3 < chance[1] < chance[2]


def test_the_probability_of_being_in_scope_comes_true() -> None:
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(4, 1, 3000), rng.normal(2, 1, 1000)
    fitted = calibration.fit_rejection(inside, np.ones(3000, dtype=bool), outside)
    chance = calibration.in_scope_probability(np.r_[inside, outside], fitted)
    assert chance is not None
    assert calibration.ece(chance, np.r_[np.ones(3000, dtype=bool), np.zeros(1000, dtype=bool)]) < 0.02
    assert fitted is not None
    assert fitted.threshold == pytest.approx(3 - np.log(3) / 2, abs=0.25)  # where both densities, weighted, are equal


def test_without_rows_outside_few_right_ones_are_refused() -> None:
    inside = np.arange(1000.0)
    fitted = calibration.fit_rejection(inside, inside >= 100, np.zeros(0))
    assert fitted is not None
    assert (fitted.slope, fitted.intercept) == (None, None)
    assert fitted.threshold == pytest.approx(109, abs=1)
    assert calibration.in_scope_probability(inside, fitted) is None
    assert calibration.fit_rejection(np.zeros(0), np.zeros(0, dtype=bool), np.zeros(0)) is None
    assert calibration.fit_rejection(np.ones(3), np.zeros(3, dtype=bool), np.zeros(2)) is None
    notes = calibration.rejection_notes(inside, inside >= 100, np.zeros(0))
    assert "was set to reject 1% of in-scope inputs" in notes[0]


@pytest.mark.parametrize(("inside", "outside"), [(29, 100), (99, 4), (0, 10), (0, 0)])
def test_too_few_rows_give_no_threshold(inside: int, outside: int) -> None:
    energies, strange = np.linspace(4, 6, inside), np.linspace(1, 3, outside)
    assert calibration.fit_rejection(energies, np.ones(inside, dtype=bool), strange) is None
    notes = calibration.rejection_notes(energies, np.ones(inside, dtype=bool), strange)
    assert len(notes) == 1
    assert f"{inside} validation rows with a label and {outside} without one" in notes[0]


def test_a_threshold_that_refuses_nothing_is_noted() -> None:
    energies, strange = np.linspace(0, 10, 100), np.linspace(1, 11, 6)
    assert [note.partition(";")[0] for note in calibration.rejection_notes(energies, energies >= 0, strange)] == [
        "the threshold catches only 0% of the 6 out-of-scope validation rows"
    ]


def test_a_threshold_that_refuses_many_rows_is_noted() -> None:
    energies, strange = np.linspace(0, 10, 100), np.linspace(0, 1.5, 50)
    assert calibration.rejection_notes(energies, energies > 1.5, strange) == [
        "the threshold rejects 15% of the 100 validation rows with a label"
    ]
    assert calibration.rejection_notes(energies, energies > 1.5, strange - 100) == []
