"""The share of right answers among unlabelled ones."""

import numpy as np

from groundtune.stats.inputs import Floats
from groundtune.stats.unlabelled import Labelled, unlabelled_accuracy


def answers(rng: np.random.Generator, a: float, b: float, n: int) -> Labelled:
    """Draw answers that are right less often than their confidence says, and least of all about the second topic."""
    confidences, topic = rng.beta(a, b, n), rng.integers(0, 2, n)
    right = rng.uniform(size=n) < confidences ** (1 + topic)
    return Labelled(np.eye(4)[topic] + rng.normal(0, 0.05, (n, 4)), confidences, right.astype(float))


def only(answers: Labelled, chosen: Floats) -> Labelled:
    return Labelled(answers.vectors[chosen], answers.confidences[chosen], answers.right[chosen])


def test_harder_questions_are_noticed_by_confidence_and_topic() -> None:
    rng = np.random.default_rng(0)
    known, recent = answers(rng, 4, 1, 800), answers(rng, 2, 2, 800)
    for sample in (recent, only(recent, recent.vectors[:, 1] > 0.5)):
        estimate = unlabelled_accuracy(known, sample.vectors, sample.confidences).accuracy
        assert estimate is not None
        assert abs(estimate.mean - sample.right.mean()) < 0.05
        assert estimate.low <= sample.right.mean() <= estimate.high
        assert sample.right.mean() < known.right.mean() - 0.1
        assert estimate.n == len(sample.right)


def test_it_says_when_it_cannot_be_known() -> None:
    rng = np.random.default_rng(1)
    vectors, noise = rng.normal(size=(200, 3)), rng.uniform(size=200)
    coin = (rng.uniform(size=200) < 0.5).astype(float)
    useless = unlabelled_accuracy(Labelled(vectors, noise, coin), vectors, noise)
    assert useless.accuracy is None
    assert useless.unknown == "the confidence does not tell right answers from wrong ones measurably"
    few = Labelled(vectors, noise, np.array([1.0] * 195 + [0.0] * 5))
    assert unlabelled_accuracy(few, vectors, noise).unknown == (
        "of the compared answers 195 are right and 5 wrong; 10 each are needed"
    )
    assert unlabelled_accuracy(few, vectors[:3], noise[:3]).unknown == (
        "3 recent answers state a confidence; 10 are needed"
    )
