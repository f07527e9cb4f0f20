"""Two samples: values, shares and vectors."""

import numpy as np
import pytest
from scipy.stats import ks_1samp

from groundtune.stats.two_samples import far_apart, shift_of_shares, shift_of_values, shift_of_vectors


def test_a_shift_of_values_is_found_with_its_size() -> None:
    rng = np.random.default_rng(0)
    shift = shift_of_values(rng.normal(1, 1, 80), rng.normal(0, 1, 120))
    assert shift.p < 0.001
    assert shift.low < 1 < shift.high
    assert shift.difference == pytest.approx(1, abs=0.3)
    assert shift_of_values([0.5] * 20, [0.5] * 30).p == 1


def test_its_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    shifts = [shift_of_values(rng.exponential(1, 40) + 0.3, rng.exponential(1, 60)) for _ in range(150)]
    assert 0.9 <= np.mean([shift.low <= 0.3 <= shift.high for shift in shifts]) <= 0.98


def test_many_values_give_nearly_the_interval_of_all_pairs() -> None:
    rng = np.random.default_rng(2)
    few, many = rng.normal(0, 1, 900), rng.normal(0, 1, 4_000)
    thinned, whole = shift_of_values(many, few), shift_of_values(np.sort(many)[::5], few)
    assert thinned.difference == pytest.approx(whole.difference, abs=0.01)
    assert thinned.high - thinned.low < whole.high - whole.low


def test_a_shift_of_shares_is_that_of_fisher_and_newcombe() -> None:
    shift = shift_of_shares(56, 70, 48, 80)  # the example of Newcombe (1998): 0.2 [0.0524, 0.3339]
    assert (shift.difference, shift.low, shift.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=0.003)
    assert shift.p == pytest.approx(0.0092, abs=0.005)
    none = shift_of_shares(0, 20, 0, 30)
    assert (none.difference, none.p) == (0, 1)
    assert none.low < 0 < none.high
    with pytest.raises(ValueError, match="share of nothing"):
        shift_of_shares(0, 0, 1, 2)


def test_vectors_of_another_topic_are_told_apart_and_those_of_the_same_are_not() -> None:
    rng = np.random.default_rng(3)
    middle = rng.normal(0, 1, 32)
    same = shift_of_vectors(rng.normal(0, 1, (60, 32)), rng.normal(0, 1, (80, 32)), draws=499)
    other = shift_of_vectors(rng.normal(0, 1, (60, 32)) + middle, rng.normal(0, 1, (80, 32)), draws=499)
    assert same.p > 0.05
    assert other.p == 1 / 500
    assert same.separation.low < 0.55 < 0.9 < other.separation.low
    assert other.leaning.shape == (60,)
    with pytest.raises(ValueError, match="10 vectors of each"):
        shift_of_vectors(np.zeros((9, 2)), np.zeros((20, 2)))


def test_p_values_are_uniform_where_nothing_has_changed() -> None:
    rng = np.random.default_rng(4)
    p_values = [
        shift_of_vectors(rng.normal(0, 1, (20, 4)), rng.normal(0, 1, (25, 4)), draws=99, seed=number).p
        for number in range(120)
    ]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.09
    assert ks_1samp(p_values, lambda p: p).pvalue > 0.01


def test_far_apart_takes_each_group_before_any_twice() -> None:
    groups = np.repeat(np.eye(3), 5, axis=0) + np.arange(15)[:, None] / 1_000
    chosen = far_apart(groups, np.arange(15.0), 4)
    assert chosen[0] == 14
    assert sorted(place // 5 for place in chosen[:3]) == [0, 1, 2]
    assert len(set(far_apart(groups, np.zeros(15), 40))) == 15
    assert far_apart(np.empty((0, 3)), np.empty(0), 3) == []
