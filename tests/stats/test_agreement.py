"""Cohen's kappa: agreement with scikit-learn, and coverage of the interval."""

import math
import random
import warnings

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from groundtune.stats.agreement import cohen_kappa, fleiss_kappa


@pytest.mark.parametrize("seed", range(30))
def test_kappa_agrees_with_scikit_learn(seed: int) -> None:
    rng = random.Random(seed)
    labels = ["right", "wrong", "unsure", "x"][: rng.randint(2, 4)]
    a = rng.choices(labels, k=rng.choice([8, 50, 400]))
    b = [label if rng.random() < 0.7 else rng.choice(labels) for label in a]
    result = cohen_kappa(a, b)
    assert result.kappa is not None
    assert result.kappa.mean == pytest.approx(cohen_kappa_score(a, b))
    assert result.kappa.low <= result.kappa.mean <= result.kappa.high
    assert result.confusion == tuple(map(tuple, confusion_matrix(a, b, labels=list(result.labels)).tolist()))
    assert result.agreement.mean == pytest.approx(sum(x == y for x, y in zip(a, b, strict=True)) / len(a))
    assert result.n == result.kappa.n == result.agreement.n == len(a)
    assert result == cohen_kappa(a, b)


def test_a_known_value() -> None:
    """Cohen's own kind of table: 20 and 15 agreed, 5 and 10 not; (0.7 - 0.5) / (1 - 0.5)."""
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    result = cohen_kappa(a, b)
    assert result.kappa is not None
    assert result.kappa.mean == pytest.approx(0.4)
    assert (result.labels, result.confusion) == (("no", "yes"), ((15, 10), (5, 20)))


def test_booleans_and_numbers_are_labels() -> None:
    assert cohen_kappa([True, False, True], [True, False, False]).labels == ("False", "True")


def test_one_class_on_both_sides_has_no_kappa() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert math.isnan(cohen_kappa_score(["right"] * 5, ["right"] * 5))
    result = cohen_kappa(["right"] * 5, ["right"] * 5)
    assert result.kappa is None
    assert "undefined" in result.note
    assert result.agreement.mean == 1.0


def test_a_constant_side_is_noted() -> None:
    a, b = ["right"] * 6, ["right"] * 4 + ["wrong"] * 2
    result = cohen_kappa(a, b)
    assert result.kappa is not None
    assert result.kappa.mean == cohen_kappa_score(a, b) == 0
    assert result.note == "all labels on side a are the same, so kappa is always 0"
    assert "side b" in cohen_kappa(b, a).note


def test_full_agreement_has_an_interval_of_nonzero_width() -> None:
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
        with pytest.raises(ValueError, match="equal length"):
            cohen_kappa(a, b)


def test_the_interval_has_about_its_nominal_coverage() -> None:
    """200 samples of 100 pairs with a true kappa of 0.6: 95% coverage within three standard errors (0.046)."""
    rng = np.random.default_rng(7)
    table = np.array([0.45, 0.10, 0.10, 0.35])
    chance = 0.55 * 0.55 + 0.45 * 0.45
    true = (0.8 - chance) / (1 - chance)
    covered = 0
    for _ in range(200):
        drawn = rng.choice(4, size=100, p=table)
        kappa = cohen_kappa((drawn // 2).tolist(), (drawn % 2).tolist(), resamples=1000).kappa
        assert kappa is not None
        covered += kappa.low <= true <= kappa.high
    assert 0.90 <= covered / 200 <= 0.995


FLEISS = (
    (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1), (7, 7, 0, 0, 0),
    (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
)  # fmt: skip
"""The example that explains Fleiss' kappa on Wikipedia: 14 raters, 10 items, 5 labels."""


def test_many_raters_agree_as_a_known_example_says() -> None:
    votes = [[label for label, count in enumerate(item) for _ in range(count)] for item in FLEISS]
    kappa, note = fleiss_kappa(votes)
    assert kappa is not None
    assert kappa.mean == pytest.approx(0.210, abs=0.0005)
    assert kappa.low < 0.1 < kappa.mean < kappa.high
    assert (kappa.n, note) == (10, "")


def test_items_may_have_other_numbers_of_votes() -> None:
    votes = [["a"] * 3, ["b"] * 2, ["a", "a", "b"], ["b"] * 4] * 20
    kappa, _ = fleiss_kappa(votes)
    assert kappa is not None
    same, share = (3 + 1 / 3) / 4, 5 / 12
    chance = share**2 + (1 - share) ** 2
    assert kappa.mean == pytest.approx((same - chance) / (1 - chance))
    assert kappa.low < kappa.mean < kappa.high


def test_raters_who_always_agree_may_do_so_by_chance() -> None:
    few, many = (fleiss_kappa([["a"] * 3, ["b"] * 3] * times)[0] for times in (2, 50))
    assert few is not None
    assert many is not None
    assert few.mean == few.high == many.mean == many.high == 1
    assert few.low < 0.5 < 0.9 < many.low
    assert fleiss_kappa([["a", "a"]] * 5)[0] is None
    with pytest.raises(ValueError, match="two or more votes"):
        fleiss_kappa([["a", "b"], ["a"]])
