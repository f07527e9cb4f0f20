"""What is said of a router: how much it could gain, whether it pays, and who gets which questions."""

from dataclasses import replace

import numpy as np
import pytest

from groundtune.decide.routing import ScoredQuestions, decide_routing, routing_room
from groundtune.decide.wording import Scale
from groundtune.measure.best_of_each import BestOfEach
from groundtune.stats.significance import PairedDifference

SHARE = Scale("correct", True, 1.0)


@pytest.mark.parametrize(
    ("best", "scale", "sentence"),
    [
        (
            BestOfEach(0.71, "rag", 0.65, 120),
            SHARE,
            "Asking the best approach for each question would reach 71%, 6.0 points above rag alone (n = 120); "
            "groundtune route finds out whether a router pays.",
        ),
        (
            BestOfEach(0.71, "rag", 0.65, 20),
            SHARE,
            "Asking the best approach for each question would reach 71%, 6.0 points above rag alone (n = 20); "
            "a router needs 50 examples.",
        ),
        (
            BestOfEach(0.71, "rag", 0.70, 120),
            SHARE,
            "No router: even the best approach for each question would reach 71%, 1.0 points above rag alone "
            "(n = 120).",
        ),
        (
            BestOfEach(4.02, "rag", 4.0, 120),
            Scale("stars", False, 4.0),
            "No router: even the best approach for each question would reach 4.02, 0.02 above rag alone (n = 120).",
        ),
    ],
)
def test_what_a_router_could_gain(best: BestOfEach, scale: Scale, sentence: str) -> None:
    assert routing_room(best, scale) == sentence


def test_the_classes_of_guides_are_shown() -> None:
    rng = np.random.default_rng(0)
    long = rng.random(200) < 0.5
    scores = np.stack([~long, long, np.zeros(200)], axis=1).astype(np.float64)
    lengths = np.where(long, 200, 20) + rng.integers(0, 5, 200)
    questions = ScoredQuestions(
        approaches=("tuned", "rag", "combined"),
        signals=np.column_stack([rng.normal(size=(200, 4)), np.log1p(lengths)]),
        embedded=4,
        scores=scores,
        costs=None,
        groups=[str(at) for at in range(200)],
    )
    found = decide_routing(questions, run="r", primary="correct")
    shown = " ".join(str(found).split())
    assert "tuned standard" in shown
    assert "rag complex" in shown
    assert "combined otherwise 0%" in shown
    assert found.lengths["tuned"] == pytest.approx(22, abs=1)
    assert found.lengths["rag"] == pytest.approx(202, abs=1)
    assert found.lengths["combined"] is None


@pytest.mark.parametrize(
    ("gain", "low", "high", "p", "said"),
    [
        (0.02, -0.01, 0.05, 0.2, "No router: its gain is not measurable, +2.0 points"),
        (-0.01, -0.04, 0.02, 0.5, "No router: its gain is not measurable, −1.0 points"),
        (-0.06, -0.09, -0.03, 0.001, "No router: it is measurably worse, −6.0 points"),
    ],
)
def test_a_router_that_does_not_pay_is_worse_only_where_that_is_measured(
    gain: float, low: float, high: float, p: float, said: str
) -> None:
    random = np.random.default_rng(0)
    questions = ScoredQuestions(
        ("a", "b"), random.normal(size=(60, 3)), 0, np.ones((60, 2)), None, [str(at) for at in range(60)]
    )
    routing = decide_routing(questions, run="r", primary="correct")
    found = replace(routing, gain=PairedDifference(gain, low, high, p, 60, None, None))
    assert found.sentence.startswith(said)
