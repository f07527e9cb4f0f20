"""The share of right answers among unlabelled ones."""

import numpy as np

from groundtune.stats.unlabelled import unlabelled_accuracy


def answers(rng: np.random.Generator, a: float, b: float, n: int) -> tuple[list[float], list[float]]:
    """Draw confidences, and whether each answer is right: more often than not where the confidence says so."""
    confidences = rng.beta(a, b, n)
    return list(confidences), list((rng.uniform(size=n) < confidences**2).astype(float))  # overconfident


def test_harder_questions_are_noticed_by_their_confidence() -> None:
    rng = np.random.default_rng(0)
    known, right = answers(rng, 4, 1, 600)
    recent, unseen = answers(rng, 2, 2, 400)
    estimate = unlabelled_accuracy(known, right, recent).accuracy
    assert estimate is not None
    assert np.mean(right) > 0.6
    assert abs(estimate.mean - np.mean(unseen)) < 0.05
    assert estimate.low <= np.mean(unseen) <= estimate.high
    assert estimate.n == 400


def test_it_says_when_it_cannot_be_known() -> None:
    rng = np.random.default_rng(1)
    noise = list(rng.uniform(size=200))
    coin = list((rng.uniform(size=200) < 0.5).astype(float))
    useless = unlabelled_accuracy(noise, coin, noise)
    assert useless.accuracy is None
    assert useless.unknown == "the confidence does not tell right answers from wrong ones measurably"
    assert unlabelled_accuracy(noise, [1.0] * 195 + [0.0] * 5, noise).unknown == (
        "of the compared answers 195 right and 5 wrong; 10 each are needed"
    )
    assert unlabelled_accuracy(noise, coin, noise[:3]).unknown == (
        "only 3 recent answers state a confidence; 10 are needed"
    )
