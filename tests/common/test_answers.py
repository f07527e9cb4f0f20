"""An answer of any approach has an id, a time and a name, and what the approach set is kept."""

from datetime import UTC, datetime

import pytest

from groundtune.common.answers import complete_answer
from groundtune.types import Answer, Usage


def test_a_bare_answer_is_completed() -> None:
    bare = Answer(text="42", status="answered")
    answer, other = complete_answer(bare, "mine", seconds=0.5), complete_answer(bare, "mine")
    assert (answer.approach, answer.route, answer.usage.seconds) == ("mine", ("mine",), 0.5)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(answer.time)).total_seconds()) < 10
    assert answer.time.endswith("+00:00")
    assert answer.id
    assert answer.id != other.id
    assert other.usage.seconds is None


def test_what_is_set_is_kept() -> None:
    full = Answer("42", "answered", approach="rag", route=("router", "rag"), usage=Usage(seconds=1.0), id="a", time="t")
    assert complete_answer(full, "mine", seconds=2.0) == full


@pytest.mark.parametrize(
    ("usd", "cached", "paid"), [(0.01, False, True), (None, False, True), (0.0, False, False), (0.01, True, False)]
)
def test_nothing_is_paid_for_what_is_free_or_cached(usd: float | None, cached: bool, paid: bool) -> None:
    answer = Answer("42", "answered", usage=Usage(usd=usd), cached=cached)
    assert complete_answer(answer, "mine").paid is paid
