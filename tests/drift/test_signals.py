"""Signals of served answers, and what they advise."""

from dataclasses import replace

import numpy as np
import pytest

from groundtune.drift.advice import advise
from groundtune.drift.canary import CanaryAnswer, check_canary
from groundtune.drift.served import Served, from_record
from groundtune.drift.signals import DriftSignal, adjusted, distinct, question_signal, value_signals
from groundtune.types import Interval


def served(number: int, **values: object) -> Served:
    return replace(Served(f"{number:032x}", "2026-01-01", f"question {number}", "answered", "rag"), **values)  # type: ignore[arg-type]


def by_name(signals: list[DriftSignal]) -> dict[str, DriftSignal]:
    return {signal.name: signal for signal in signals}


def test_each_signal_is_compared_by_its_own_kind() -> None:
    now = [served(n, seconds=2.0 + n / 100, status="abstained" if n % 2 else "answered") for n in range(40)]
    before = [served(n, seconds=1.0 + n / 100, usd=0.01) for n in range(50)]
    found = by_name(adjusted(value_signals(now, before, "earlier traffic")))
    assert found["seconds"].measurable
    assert found["seconds"].rises
    assert found["seconds"].effect is not None
    assert found["seconds"].effect.mean == pytest.approx(1, abs=0.1)
    assert (found["abstained"].now, found["abstained"].before) == (0.5, 0.0)
    assert found["abstained"].measurable
    assert found["cost"].untested == "0 values now and 50 before; 10 each are needed"
    assert found["another stood in"].untested == "the same in every case"
    assert found["rated down"].p_adjusted is None


def test_a_question_that_is_repeated_counts_once() -> None:
    rows = [served(1), served(2, question="Question  1"), served(3, question=None), served(4, question=None)]
    assert [row.id[-1] for row in distinct(rows)] == ["2", "3", "4"]


def test_a_record_of_an_older_version_lacks_values() -> None:
    row = from_record({"id": "a", "time": "t", "status": "broken off"}, {}, ())
    assert (row.question, row.seconds, row.unsupported, row.best_score) == (None, None, None, None)
    assert row.degraded is False


def test_too_few_questions_are_not_compared() -> None:
    signal, leaning = question_signal(np.zeros((9, 3)), np.zeros((20, 3)), "comparison")
    assert signal.untested is not None
    assert leaning is None


def changed(name: str, mean: float) -> DriftSignal:
    unit = "separation" if name == "questions" else "score"
    effect = Interval(mean, mean - 0.01, mean + 0.01, 100)
    return DriftSignal(name, unit, "earlier traffic", 50, 50, 0.5, 0.6, effect, 0.001, 0.01)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("signals", "trained", "kinds"),
    [
        ([], False, []),
        ([changed("questions", 0.8)], True, ["label"]),
        ([changed("retrieval score", -0.2)], False, ["re-index"]),
        ([changed("retrieval score", -0.2), changed("questions", 0.8)], False, ["label", "look"]),
        ([changed("confidence", -0.2)], True, ["retrain"]),
        ([changed("canary", -0.2)], False, ["compare"]),
        ([changed("seconds", 1.5)], False, ["look"]),
        ([changed("confidence", 0.2)], True, ["look"]),
        ([replace(changed("confidence", -0.2), p_adjusted=0.2)], True, []),
    ],
)
def test_what_to_do_follows_from_what_has_changed(signals: list[DriftSignal], trained: bool, kinds: list[str]) -> None:
    assert [action.kind for action in advise(signals, trained=trained, to_label=40)] == kinds


def test_the_canary_fails_when_its_scores_are_measurably_lower() -> None:
    kept = [CanaryAnswer(f"e{number}", "answered", "yes", 1.0) for number in range(12)]
    when = {"time": "2026-02-01", "approach": "rag", "frozen": "2026-01-01", "new_index": False}
    same = check_canary(kept, {answer.example: answer for answer in kept}, **when)  # type: ignore[arg-type]
    assert same.passed
    assert same.signal().untested == "no answer has changed"
    wrong = {answer.example: replace(answer, digest="no", score=0.0) for answer in kept[:8]}
    worse = check_canary(kept, {answer.example: answer for answer in kept} | wrong, **when)  # type: ignore[arg-type]
    assert not worse.passed
    assert worse.changed == worse.worse == tuple(wrong)
    assert worse.signal().p == pytest.approx(2 / 2**8)
    failed = {"e0": CanaryAnswer("e0", "error")}
    broken = check_canary(kept, {answer.example: answer for answer in kept} | failed, **when)  # type: ignore[arg-type]
    assert (broken.failed, broken.n, broken.passed) == (1, 11, False)
