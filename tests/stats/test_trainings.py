"""The spread between trainings enters intervals, p-values and power."""

import pytest

from groundtune.stats.intervals import bootstrap_mean
from groundtune.stats.significance import paired_difference
from groundtune.stats.trainings import training_reach, widened_difference, widened_interval
from groundtune.types import Interval


def test_one_training_says_nothing_about_others() -> None:
    assert training_reach([]) == training_reach([0.8]) == 0.0
    interval = bootstrap_mean([1, 0, 1, 1, 0, 1])
    assert widened_interval(interval, 0.0, bounds=(0, 1)) == interval
    pair = paired_difference([1, 1, 0], [0, 1, 0])
    assert widened_difference(pair, 0.0, bounds=(-1, 1)) == pair


def test_the_reach_is_students_interval_of_the_means() -> None:
    assert training_reach([0.7, 0.8, 0.9]) == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)
    assert training_reach([0.8, 0.8, 0.8]) == 0.0


def test_an_interval_grows_by_the_root_of_the_sum_of_squares_within_its_bounds() -> None:
    widened = widened_interval(Interval(0.8, 0.76, 0.83, n=100), 0.03, bounds=(0, 1))
    assert (widened.low, widened.high) == pytest.approx((0.75, 0.8 + 0.0009**0.5 * 2**0.5))
    assert widened_interval(Interval(0.8, 0.5, 0.95, n=9), 0.9, bounds=(0, 1)).high == 1.0


def test_a_difference_becomes_less_certain_in_proportion() -> None:
    a, b = [1.0] * 60 + [0.5] * 40, [1.0] * 40 + [0.5] * 60
    pair = paired_difference(a, b)
    same = widened_difference(pair, pair.difference - pair.low, bounds=(-1, 1))
    assert same.difference - same.low == pytest.approx(2**0.5 * (pair.difference - pair.low))
    assert pair.p < same.p < 0.05
    assert same.needed is not None
    assert pair.needed is not None
    assert same.needed == pytest.approx(2 * pair.needed, abs=2)
    mirrored = widened_difference(paired_difference(b, a), pair.difference - pair.low, bounds=(-1, 1))
    assert mirrored.p == pytest.approx(same.p, rel=0.2)
    assert widened_difference(pair, 5.0, bounds=(-1, 1)).p > 0.5


def test_equal_approaches_stay_equal() -> None:
    pair = widened_difference(paired_difference([1, 0, 1], [1, 0, 1]), 0.2, bounds=(-1, 1))
    assert (pair.difference, pair.p) == (0, 1)
