"""Means and differences computed together: the same results as one at a time, from shared draws."""

from typing import Any

import numpy as np
import pytest

from groundtune.stats import intervals
from groundtune.stats.intervals import Floats, Sample, bootstrap_mean, bootstrap_means
from groundtune.stats.significance import PairedSample, _random_subset_sums, paired_difference, paired_differences


def some_columns() -> list[list[float]]:
    """Return columns of several lengths: all distinct, few distinct, binary, all equal, a handful."""
    rng = np.random.default_rng(9)
    fractions = [rng.beta(2, 5, size=n) for n in (*[400] * 9, 300, 20, 4)]
    return [*(values.tolist() for values in fractions), fractions[0].round(1).tolist(), [0.0, 1.0] * 200, [0.5] * 400]


def test_joint_means_equal_separate_ones() -> None:
    columns = some_columns()
    labels = [[place // 3 for place in range(len(column))] for column in columns]
    lists = [Sample(column) for column in columns] + [
        Sample(*fields) for fields in zip(columns, [(0.0, 1.0)] * len(columns), labels, strict=True)
    ]
    for values, together in zip(lists, bootstrap_means(lists), strict=True):
        alone = bootstrap_mean(values.values, clusters=values.clusters)
        assert (together.mean, together.n) == (alone.mean, alone.n)
        assert (together.low, together.high) == (pytest.approx(alone.low), pytest.approx(alone.high))
    assert bootstrap_means([]) == []


@pytest.mark.slow
def test_joint_differences_equal_separate_ones() -> None:
    columns = [column for column in some_columns() if len(column) == 400]
    pairs = [PairedSample(first, second) for first in columns for second in columns]
    for pair, together in zip(pairs, paired_differences(pairs), strict=True):
        alone = paired_difference(pair.a, pair.b)
        assert (together.low, together.high) == (pytest.approx(alone.low), pytest.approx(alone.high))
        assert (together.p, together.needed, together.difference) == (alone.p, alone.needed, alone.difference)


def test_columns_of_equal_length_share_their_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: a dozen scores of thousands of examples took minutes when each resampled separately."""
    shapes: list[tuple[int, ...]] = []
    by_unit = intervals._means_by_unit

    def recorded(sums: Floats, *rest: Any) -> Floats:
        shapes.append(sums.shape)
        return by_unit(sums, *rest)

    monkeypatch.setattr(intervals, "_means_by_unit", recorded)
    rng = np.random.default_rng(10)
    bootstrap_means([Sample(rng.random(n).tolist()) for n in (90, 80) * 6], resamples=200)
    assert sorted(shapes) == [(80, 6), (90, 6)]


@pytest.mark.parametrize("n", [1, 7, 8, 1003])
def test_random_subset_sums(n: int) -> None:
    parts = 2.0 ** -np.arange(n) if n < 9 else np.ones(n)
    sums = _random_subset_sums(parts, 4000, np.random.default_rng(11))
    if n < 9:  # every subset has a distinct sum, and all occur
        assert len(np.unique(sums)) == 2**n
    assert sums.mean() == pytest.approx(parts.sum() / 2, rel=0.02)
    assert sums.std() == pytest.approx(np.sqrt((parts**2).sum()) / 2, rel=0.05)
