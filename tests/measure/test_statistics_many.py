"""Many means and differences at once: the same numbers as one at a time, from draws that they share."""

from typing import Any

import numpy as np
import pytest

from groundtune.measure import intervals
from groundtune.measure.intervals import Floats
from groundtune.measure.statistics import (
    Pair,
    Values,
    _sums_of_coins,
    bootstrap_mean,
    bootstrap_means,
    paired_difference,
    paired_differences,
)


def some_columns() -> list[list[float]]:
    """Of two lengths; all distinct, few distinct, 0 and 1, all equal, a handful."""
    rng = np.random.default_rng(9)
    fractions = [rng.beta(2, 5, size=n) for n in (*[400] * 9, 300, 20, 4)]
    return [*(one.tolist() for one in fractions), fractions[0].round(1).tolist(), [0.0, 1.0] * 200, [0.5] * 400]


def test_many_means_are_those_of_one_at_a_time() -> None:
    columns = some_columns()
    labels = [[place // 3 for place in range(len(column))] for column in columns]
    given = [Values(one) for one in columns] + [
        Values(*two) for two in zip(columns, [(0.0, 1.0)] * len(columns), labels, strict=True)
    ]
    for one, together in zip(given, bootstrap_means(given), strict=True):
        alone = bootstrap_mean(one.values, clusters=one.clusters)
        assert (together.mean, together.n) == (alone.mean, alone.n)
        assert (together.low, together.high) == (pytest.approx(alone.low), pytest.approx(alone.high))
    assert bootstrap_means([]) == []


def test_many_differences_are_those_of_one_at_a_time() -> None:
    columns = [column for column in some_columns() if len(column) == 400]
    pairs = [Pair(first, second) for first in columns for second in columns]
    for pair, together in zip(pairs, paired_differences(pairs), strict=True):
        alone = paired_difference(pair.a, pair.b)
        assert (together.low, together.high) == (pytest.approx(alone.low), pytest.approx(alone.high))
        assert (together.p, together.needed, together.difference) == (alone.p, alone.needed, alone.difference)


def test_draws_are_made_once_for_columns_of_as_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen scores of thousands of examples took minutes when each drew its own."""
    made: list[tuple[int, ...]] = []
    by_unit = intervals._means_by_unit

    def counted(sums: Floats, *rest: Any) -> Floats:
        made.append(sums.shape)
        return by_unit(sums, *rest)

    monkeypatch.setattr(intervals, "_means_by_unit", counted)
    rng = np.random.default_rng(10)
    bootstrap_means([Values(rng.random(n).tolist()) for n in (90, 80) * 6], resamples=200)
    assert sorted(made) == [(80, 6), (90, 6)]


@pytest.mark.parametrize("n", [1, 7, 8, 1003])
def test_tossed_sums_are_sums_of_the_parts(n: int) -> None:
    parts = 2.0 ** -np.arange(n) if n < 9 else np.ones(n)
    sums = _sums_of_coins(parts, 4000, np.random.default_rng(11))
    if n < 9:  # every choice has a sum of its own, and all come
        assert len(np.unique(sums)) == 2**n
    assert sums.mean() == pytest.approx(parts.sum() / 2, rel=0.02)
    assert sums.std() == pytest.approx(np.sqrt((parts**2).sum()) / 2, rel=0.05)
