"""The rules and the statistics together, on matrices with a known truth. At length: benchmarks/verdict.py."""

import itertools

import numpy as np
import pytest

from groundtune.decide.verdict import Requirements, decide
from groundtune.measure.statistics import bootstrap_mean, holm, paired_difference
from groundtune.types import Difference, Standing, Verdict


@pytest.mark.parametrize("approaches", [2, 5])
def test_equals_seldom_have_a_winner(approaches: int) -> None:
    rng = np.random.default_rng(0)
    names = "abcde"[:approaches]
    claims = told = 0
    for _ in range(200):
        scores = dict(zip(names, (rng.random((approaches, 120)) < 0.8).astype(float).tolist(), strict=True))
        found = _of_matrix(scores)
        claims += found.choice is not None
        told += len(found.leaders) < approaches
    assert claims <= 20
    assert told <= 20


def test_a_large_difference_is_found() -> None:
    rng = np.random.default_rng(1)
    right = 0
    for _ in range(100):
        found = _of_matrix({"a": rng.binomial(1, 0.9, 200).tolist(), "b": rng.binomial(1, 0.7, 200).tolist()})
        assert found.choice != "b"
        right += found.choice == "a"
    assert right >= 90


def _of_matrix(scores: dict[str, list[float]]) -> Verdict:
    means = {name: bootstrap_mean(values) for name, values in scores.items()}
    standings = [
        Standing(name, one.n, one.mean, one.low, one.high, one.n, 0, 0, None, 1.0, 2.0, None)
        for name, one in means.items()
    ]
    pairs = [(a, b, paired_difference(scores[a], scores[b])) for a, b in itertools.combinations(scores, 2)]
    adjusted = holm([found.p for *_, found in pairs])
    differences = [
        Difference(a, b, found.difference, found.low, found.high, found.p, p, found.n, found.detectable, found.needed)
        for (a, b, found), p in zip(pairs, adjusted, strict=True)
    ]
    return decide(standings, differences, Requirements(), primary="correct", examples=len(next(iter(scores.values()))))
