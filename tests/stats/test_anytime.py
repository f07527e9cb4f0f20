"""Anytime-valid intervals and tests: their guarantee under repeated looks, their power, and their edges."""

import numpy as np
import pytest

from groundtune.stats.anytime import (
    anytime_differences,
    anytime_group_difference,
    anytime_group_p,
    anytime_means,
)
from groundtune.stats.intervals import Sample, bootstrap_mean
from groundtune.stats.significance import PairedSample, exact_mcnemar, paired_difference

LOOKS = (10, 20, 40, 80, 150, 300)


def test_equal_approaches_are_told_apart_in_at_most_5_percent_of_paths() -> None:
    rng, runs = np.random.default_rng(1), 120
    often, fixed = 0, 0
    for _ in range(runs):
        a, b = (rng.random((2, LOOKS[-1])) < 0.7).astype(float)
        often += any(anytime_differences([PairedSample(a[:n], b[:n])])[0].p < 0.05 for n in LOOKS)
        fixed += any(exact_mcnemar(int((a[:n] > b[:n]).sum()), int((a[:n] < b[:n]).sum())) < 0.05 for n in LOOKS)
    assert often <= 0.05 * runs
    assert fixed > 0.05 * runs, "a test for a fixed n is wrong too often if it is looked at repeatedly"


@pytest.mark.parametrize("rate", [0.5, 0.95])
def test_the_interval_of_a_mean_holds_on_the_whole_path(rate: float) -> None:
    rng, runs = np.random.default_rng(2), 100
    missed = 0
    for _ in range(runs):
        values = (rng.random(LOOKS[-1]) < rate).astype(float)
        intervals = anytime_means([Sample(values[:n].tolist()) for n in LOOKS])
        missed += not all(interval.low <= rate <= interval.high for interval in intervals)
    assert missed <= 0.05 * runs


def test_groups_count_as_units() -> None:
    rng = np.random.default_rng(3)
    labels = [place // 10 for place in range(400)]
    wrong = {True: 0, False: 0}
    for _ in range(60):
        of_group = np.repeat(rng.random((2, 40)) < 0.5, 10, axis=1).astype(float)
        for grouped in wrong:
            pair = PairedSample(*of_group, clusters=labels if grouped else None)
            wrong[grouped] += anytime_differences([pair], largest=10 if grouped else 1)[0].p < 0.05
    assert wrong[True] <= 3
    assert wrong[False] > 20


def test_a_15_point_difference_is_found_with_few_examples() -> None:
    rng = np.random.default_rng(4)
    a, b = (rng.random(1000) < 0.85).astype(float), (rng.random(1000) < 0.7).astype(float)
    pair = anytime_differences([PairedSample(a, b)])[0]
    fixed = paired_difference(a.tolist(), b.tolist())
    assert pair.difference == fixed.difference
    assert pair.low < fixed.low < fixed.high < pair.high
    assert pair.p < 1e-6
    assert fixed.needed is not None
    assert pair.needed is not None
    assert fixed.needed < pair.needed < 3 * fixed.needed


def test_p_is_below_5_percent_exactly_when_the_interval_excludes_zero() -> None:
    rng = np.random.default_rng(5)
    for n in range(30, 300, 10):
        a, b = rng.beta(4, 2, n), rng.beta(3, 2, n)
        (pair,) = anytime_differences([PairedSample(a, b)])
        assert (pair.p < 0.05) == (pair.low > 0 or pair.high < 0)


def test_the_order_does_not_matter_and_sides_are_mirrored() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.random(50), rng.random(50)
    (pair,), (back,), (mirrored,) = (
        anytime_differences([PairedSample(*columns)]) for columns in ((a, b), (a[::-1], b[::-1]), (b, a))
    )
    assert (back.low, back.high, back.p) == pytest.approx((pair.low, pair.high, pair.p))
    assert (-mirrored.high, -mirrored.low, mirrored.p) == pytest.approx((pair.low, pair.high, pair.p))


@pytest.mark.parametrize("values", [[1.0], [0.0], [1.0] * 500, [0.0, 1.0], [0.4] * 20, [1.0] * 30 + [0.0]])
def test_intervals_contain_the_mean_and_stay_within_bounds(values: list[float]) -> None:
    (interval,) = anytime_means([Sample(values)])
    assert 0 <= interval.low <= interval.mean <= interval.high <= 1
    if len(values) > 2:
        fixed = bootstrap_mean(values)
        assert interval.low <= fixed.low + 1e-9
        assert interval.high >= fixed.high - 1e-9
    with pytest.raises(ValueError, match="no values"):
        anytime_means([Sample([])])


@pytest.mark.parametrize(("rate", "share"), [(0.6, 0.5), (0.9, 0.2)])
def test_equal_groups_are_told_apart_in_at_most_5_percent_of_paths(rate: float, share: float) -> None:
    rng, runs, wrong = np.random.default_rng(7), 200, 0
    for _ in range(runs):
        values, in_a = (rng.random(LOOKS[-1]) < rate).astype(float), rng.random(LOOKS[-1]) < share
        looks = ((values[:n][in_a[:n]], values[:n][~in_a[:n]]) for n in LOOKS)
        wrong += any(anytime_group_p(a.tolist(), b.tolist()) < 0.05 for a, b in looks if a.size and b.size)
    assert wrong <= 0.05 * runs


def test_the_interval_of_a_difference_between_groups_holds_and_finds_20_points() -> None:
    rng = np.random.default_rng(8)
    missed, found, needed = 0, [], []
    for _ in range(40):
        a, b = ((rng.random(n) < rate).astype(float).tolist() for n, rate in ((400, 0.8), (400, 0.6)))
        group = anytime_group_difference(a, b)
        missed += not group.low <= 0.2 <= group.high
        found.append(group.p < 0.05)
        needed.append(group.needed or 0)
        assert group.p == anytime_group_p(a, b)
        assert (group.p < 0.05) == (group.low > 0 or group.high < 0)
    assert missed <= 2
    assert np.mean(found) > 0.9
    assert 200 < np.median(needed) < 800


def test_groups_are_mirrored_and_their_limits_stay_within_bounds() -> None:
    for a, b in (([1.0], [0.0]), ([1.0] * 40, [1.0] * 3), ([0.0] * 9, [1.0] * 200), ([1.0, 0.0], [0.5])):
        there, back = anytime_group_difference(a, b), anytime_group_difference(b, a)
        assert -1 <= there.low <= there.difference <= there.high <= 1
        assert (-back.high, -back.low, back.p) == pytest.approx((there.low, there.high, there.p), abs=1e-5)
        assert there.n == len(a) + len(b)
    assert anytime_group_difference([1.0, 0.0], [1.0, 0.0]).needed is None
    with pytest.raises(ValueError, match="no values"):
        anytime_group_difference([], [1.0])
