"""Check rules and statistics together on matrices with a known truth. The full study is benchmarks/verdict.py."""

import itertools

import numpy as np
import pytest

from groundtune.decide.rules import Requirements, case_of
from groundtune.decide.verdict import decide
from groundtune.stats.intervals import bootstrap_mean
from groundtune.stats.significance import holm, paired_difference
from groundtune.types import ApproachSummary, Difference, Verdict


@pytest.mark.parametrize("approaches", [2, 5])
def test_equals_seldom_have_a_winner(approaches: int) -> None:
    rng = np.random.default_rng(0)
    names = "abcde"[:approaches]
    winners = separated = 0
    for _ in range(200):
        scores = dict(zip(names, (rng.random((approaches, 120)) < 0.8).astype(float).tolist(), strict=True))
        result = _verdict_on(scores)
        winners += result.choice is not None
        separated += len(result.leaders) < approaches
    assert winners <= 20
    assert separated <= 20


def test_a_large_difference_is_found() -> None:
    rng = np.random.default_rng(1)
    right = 0
    for _ in range(100):
        result = _verdict_on({"a": rng.binomial(1, 0.9, 200).tolist(), "b": rng.binomial(1, 0.7, 200).tolist()})
        assert result.choice != "b"
        right += result.choice == "a"
    assert right >= 90


def _verdict_on(scores: dict[str, list[float]]) -> Verdict:
    means = {name: bootstrap_mean(values) for name, values in scores.items()}
    summaries = [
        ApproachSummary(name, mean.n, mean.mean, mean.low, mean.high, mean.n, 0, 0, None, 1.0, 2.0, None)
        for name, mean in means.items()
    ]
    pairs = [(a, b, paired_difference(scores[a], scores[b])) for a, b in itertools.combinations(scores, 2)]
    adjusted = holm([paired.p for *_, paired in pairs])
    differences = [
        Difference(
            a, b, paired.difference, paired.low, paired.high, paired.p, p, paired.n, paired.detectable, paired.needed
        )
        for (a, b, paired), p in zip(pairs, adjusted, strict=True)
    ]
    examples = len(next(iter(scores.values())))
    return decide(case_of(summaries, differences, Requirements(), primary="correct", examples=examples))
