"""What is said of a router: it pays, its gain is not measurable, or it is measurably worse."""

from dataclasses import replace

import numpy as np
import pytest

from groundtune.decide.routing import ScoredQuestions, decide_routing
from groundtune.stats.significance import PairedDifference


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
