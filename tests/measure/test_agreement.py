"""Cohen's kappa: checked against scikit-learn, its interval against its own coverage."""

import math
import random
import warnings

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from groundtune.measure.agreement import cohen_kappa


@pytest.mark.parametrize("seed", range(30))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    rng = random.Random(seed)
    labels = ["right", "wrong", "unsure", "x"][: rng.randint(2, 4)]
    a = rng.choices(labels, k=rng.choice([8, 50, 400]))
    b = [one if rng.random() < 0.7 else rng.choice(labels) for one in a]
    found = cohen_kappa(a, b)
    assert found.kappa is not None
    assert found.kappa.mean == pytest.approx(cohen_kappa_score(a, b))
    assert found.kappa.low <= found.kappa.mean <= found.kappa.high
    assert found.confusion == tuple(map(tuple, confusion_matrix(a, b, labels=list(found.labels)).tolist()))
    assert found.agreement.mean == pytest.approx(sum(x == y for x, y in zip(a, b, strict=True)) / len(a))
    assert found.n == found.kappa.n == found.agreement.n == len(a)
    assert found == cohen_kappa(a, b)


def test_a_known_value() -> None:
    """Cohen's own kind of table: 20 and 15 agreed, 5 and 10 not; (0.7 - 0.5) / (1 - 0.5)."""
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = cohen_kappa(a, b)
    assert found.kappa is not None
    assert found.kappa.mean == pytest.approx(0.4)
    assert (found.labels, found.confusion) == (("no", "yes"), ((15, 10), (5, 20)))


def test_booleans_and_numbers_are_labels() -> None:
    assert cohen_kappa([True, False, True], [True, False, False]).labels == ("False", "True")


def test_one_class_on_both_sides_has_no_kappa() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert math.isnan(cohen_kappa_score(["right"] * 5, ["right"] * 5))
    found = cohen_kappa(["right"] * 5, ["right"] * 5)
    assert found.kappa is None
    assert "undefined" in found.note
    assert found.agreement.mean == 1.0


def test_one_class_on_one_side_is_said() -> None:
    a, b = ["right"] * 6, ["right"] * 4 + ["wrong"] * 2
    found = cohen_kappa(a, b)
    assert found.kappa is not None
    assert found.kappa.mean == cohen_kappa_score(a, b) == 0
    assert found.note == "side a gave one label throughout: kappa is 0 whatever the other gave"
    assert "side b" in cohen_kappa(b, a).note


def test_full_agreement_does_not_claim_an_interval_of_no_width() -> None:
    wide = cohen_kappa(["a", "b"] * 2, ["a", "b"] * 2).kappa
    tight = cohen_kappa(["a", "b"] * 200, ["a", "b"] * 200).kappa
    assert wide is not None
    assert tight is not None
    assert wide.mean == wide.high == tight.high == 1.0
    assert wide.low == pytest.approx((0.025 ** (1 / 4) - 0.5) / 0.5)
    assert 0.98 < tight.low < 0.985
    rare = cohen_kappa(["a"] * 99 + ["b"], ["a"] * 99 + ["b"]).kappa
    assert rare is not None
    assert rare.low >= -1.0


def test_lists_that_do_not_match_are_refused() -> None:
    for a, b in (([], []), (["x"], ["x", "y"])):
        with pytest.raises(ValueError, match="equally long"):
            cohen_kappa(a, b)


def test_the_interval_holds_the_true_kappa_about_as_often_as_it_says() -> None:
    """200 draws of 100 pairs with a true kappa of 0.6: 19 in 20 within three standard errors (0.046), and no better."""
    rng = np.random.default_rng(7)
    table = np.array([0.45, 0.10, 0.10, 0.35])
    chance = 0.55 * 0.55 + 0.45 * 0.45
    true = (0.8 - chance) / (1 - chance)
    held = 0
    for _ in range(200):
        drawn = rng.choice(4, size=100, p=table)
        kappa = cohen_kappa((drawn // 2).tolist(), (drawn % 2).tolist(), resamples=1000).kappa
        assert kappa is not None
        held += kappa.low <= true <= kappa.high
    assert 0.90 <= held / 200 <= 0.995
