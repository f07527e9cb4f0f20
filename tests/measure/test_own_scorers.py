"""Scorers of packages and of the caller, beside those of the task."""

from pathlib import Path

import pytest

from groundtune.errors import UsageError
from groundtune.measure.metrics import score_answer
from groundtune.measure.own_scorers import with_scorers
from groundtune.measure.runner import fill_matrix
from groundtune.measure.scoring import ScorerError
from groundtune.types import Answer, Example, Question

EXAMPLE = Example("q", "How long?", "30 days")
ANSWER = Answer("30 days", "answered")


class Reply:
    name = "reply"

    async def answer(self, question: Question) -> Answer:
        return ANSWER


def test_further_scores_are_added() -> None:
    score = with_scorers(
        score_answer, {"short": lambda answer, example: len(answer.text) < 10, "none": lambda *_: None}
    )
    assert score(ANSWER, EXAMPLE) == {**score_answer(ANSWER, EXAMPLE), "short": 1.0}


@pytest.mark.parametrize(
    ("value", "message"),
    [(1.5, "returned 1.5, which is not between 0 and 1"), (None, "failed: ZeroDivisionError: division by zero")],
)
async def test_a_scorer_that_fails_keeps_the_other_scores(tmp_path: Path, value: float | None, message: str) -> None:
    def broken(answer: Answer, example: Example) -> float:
        return value if value is not None else 1 / 0

    score = with_scorers(score_answer, {"broken": broken, "fine": lambda *_: 0.5})
    with pytest.raises(ScorerError, match=message) as caught:
        score(ANSWER, EXAMPLE)
    assert caught.value.scores == {**score_answer(ANSWER, EXAMPLE), "fine": 0.5}
    (row,) = await fill_matrix([Reply()], [EXAMPLE], folder=tmp_path, score=score)
    assert row.error is not None
    assert (row.status, row.error.kind, row.error.message) == ("error", "scoring", f"the scorer 'broken' {message}")
    assert (row.scores["correct"], row.scores["fine"]) == (1.0, 0.5)


def test_the_name_of_a_score_of_the_task_is_refused() -> None:
    with pytest.raises(UsageError, match="has the name of a score of the task"):
        with_scorers(score_answer, {"correct": lambda *_: 1.0})(ANSWER, EXAMPLE)
