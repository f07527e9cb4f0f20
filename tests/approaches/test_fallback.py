"""Fallback: who stands in for whom, within what time, and what the answer says of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from groundtune.approaches.answering import answer_events
from groundtune.approaches.fallback import UNSAMPLED, Fallback, Link
from groundtune.common.circuit_breaker import FAILURES, CircuitBreaker
from groundtune.errors import AccessError, BusyError, GroundtuneError, MissingError, ProviderError, UsageError
from groundtune.types import Answer, AnswerEvent, Done, Question, Reset, Retrieved, Sampling, TextDelta, Usage

ANSWER = Answer("Thirty days.", "answered", usage=Usage(10, 0, 2, 0.5, 0.01))
QUOTE = Answer("A refund is paid within 30 days.", "answered", usage=Usage(0, 0, 0, 0.1, 0.0))
NO_SERVER = ProviderError("no server answers at http://10.0.0.7", kind="no_server")
QUESTION = Question("When?")


class Scripted:
    """An approach that answers or fails after a while; a stream fails after its first word."""

    def __init__(self, name: str, outcome: Answer | Exception, *, seconds: float = 0.0) -> None:
        self.name = name
        self._outcome = outcome
        self._seconds = seconds
        self.asked = 0

    async def answer(self, question: Question) -> Answer:
        self.asked += 1
        await asyncio.sleep(self._seconds)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    async def stream(self, question: Question) -> AsyncIterator[AnswerEvent]:
        if isinstance(self._outcome, Exception):
            yield Retrieved(())
            yield TextDelta("Thir")
        for event in answer_events(await self.answer(question)):
            yield event


def chain(*approaches: Scripted, max_seconds: float = 30.0) -> Fallback:
    links = [Link(approach.name, approach, CircuitBreaker()) for approach in approaches]
    return Fallback(links, max_seconds=max_seconds)


async def both(approach: Fallback) -> tuple[Answer, list[AnswerEvent]]:
    answer = await approach.answer(QUESTION)
    events = [event async for event in approach.stream(QUESTION)]
    last = events[-1]
    assert isinstance(last, Done)
    assert last.answer.degradation == answer.degradation
    since = max((at for at, event in enumerate(events) if isinstance(event, Reset)), default=-1)
    assert "".join(event.text for event in events[since + 1 :] if isinstance(event, TextDelta)) == answer.text
    assert isinstance(events[0], Retrieved)
    assert sum(isinstance(event, Retrieved) for event in events) == 1
    return answer, events


async def test_an_answer_is_left_alone() -> None:
    answer, events = await both(chain(Scripted("rag", ANSWER), Scripted("quotes", QUOTE)))
    assert (answer.degradation, answer.approach, answer.route) == (None, "rag", ("rag",))
    assert not any(isinstance(event, Reset) for event in events)


async def test_an_abstention_is_an_answer() -> None:
    abstained = replace(ANSWER, text="Not in your documents.", status="abstained")
    answer, _ = await both(chain(Scripted("rag", abstained), Scripted("quotes", QUOTE)))
    assert (answer.status, answer.degradation) == ("abstained", None)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NO_SERVER, "rag failed (no_server); quotes answered instead"),
        (ProviderError("odd", kind="unreadable"), "rag failed (unreadable); quotes answered instead"),
        (AccessError("secret"), "rag may not be asked by this user; quotes answered instead"),
        (BusyError("busy"), "rag failed; quotes answered instead"),
        (OSError("disk"), "rag failed (server); quotes answered instead"),
    ],
    ids=["server", "unreadable", "access", "busy", "disk"],
)
async def test_the_next_one_answers_and_the_answer_says_so(error: Exception, said: str) -> None:
    answer, events = await both(chain(Scripted("rag", error), Scripted("quotes", QUOTE)))
    assert (answer.text, answer.approach, answer.route) == (QUOTE.text, "quotes", ("rag", "quotes"))
    assert answer.degradation == said
    assert "10.0.0.7" not in (answer.degradation or "")
    assert any(isinstance(event, Reset) for event in events)


async def test_what_cannot_run_is_passed_over() -> None:
    links = [
        Link("tuned", None, CircuitBreaker(), "needs a trained model; run groundtune tune intents"),
        Link("quotes", Scripted("quotes", QUOTE), CircuitBreaker()),
    ]
    answer, _ = await both(Fallback(links, max_seconds=5))
    assert answer.degradation == "tuned cannot run; quotes answered instead"
    with pytest.raises(MissingError, match="needs a trained model"):
        await Fallback(links[:1], max_seconds=5).answer(QUESTION)


async def test_when_all_fail_the_first_error_is_raised() -> None:
    approach = chain(Scripted("rag", NO_SERVER), Scripted("quotes", BusyError("busy")))
    with pytest.raises(ProviderError, match="no server"):
        await approach.answer(QUESTION)
    with pytest.raises(ProviderError, match="no server"):
        _ = [event async for event in approach.stream(QUESTION)]


async def test_a_wrong_call_is_an_error_at_once() -> None:
    quotes = Scripted("quotes", QUOTE)
    with pytest.raises(UsageError):
        await chain(Scripted("rag", UsageError("wrong")), quotes).answer(QUESTION)
    assert quotes.asked == 0


@pytest.mark.parametrize("links", [1, 2, 5])
async def test_the_time_is_shared_and_kept(links: int) -> None:
    approach = chain(*(Scripted(f"slow{at}", ANSWER, seconds=60) for at in range(links)), max_seconds=0.4)
    start = time.perf_counter()
    with pytest.raises(ProviderError, match="slow0 gave no answer") as caught:
        await approach.answer(QUESTION)
    with pytest.raises(ProviderError, match="slow0 gave no answer"):
        _ = [event async for event in approach.stream(QUESTION)]
    assert caught.value.kind == "timeout"
    assert 0.7 < time.perf_counter() - start < 3


async def test_a_slow_one_leaves_time_for_the_next() -> None:
    answer, _ = await both(chain(Scripted("rag", ANSWER, seconds=60), Scripted("quotes", QUOTE), max_seconds=0.4))
    assert answer.degradation == "rag failed (timeout); quotes answered instead"
    assert answer.usage.seconds == pytest.approx(0.3, abs=0.15), "the user waited for both"


async def test_an_endpoint_that_keeps_failing_is_left_alone() -> None:
    rag, quotes = Scripted("rag", NO_SERVER), Scripted("quotes", QUOTE)
    approach = chain(rag, quotes)
    for _ in range(FAILURES + 3):
        answer = await approach.answer(QUESTION)
    assert rag.asked == FAILURES
    assert answer.degradation == "rag has failed repeatedly; quotes answered instead"


@pytest.mark.parametrize(
    "error", [AccessError("no"), ProviderError("odd", kind="bad_request")], ids=["access", "request"]
)
async def test_what_is_about_one_question_leaves_the_endpoint_open(error: GroundtuneError) -> None:
    rag = Scripted("rag", error)
    approach = chain(rag, Scripted("quotes", QUOTE))
    for _ in range(FAILURES + 3):
        await approach.answer(QUESTION)
    assert rag.asked == FAILURES + 3


@pytest.mark.parametrize(
    ("error", "usd"),
    [
        (NO_SERVER, 0.0),
        (ProviderError("half", kind="bad_response", usage=Usage(5, 0, 5, 0.2, 0.02)), 0.02),
        (ProviderError("late", kind="timeout"), None),
    ],
    ids=["free", "known", "unknown"],
)
async def test_failed_calls_are_paid_for(error: Exception, usd: float | None) -> None:
    answer = await chain(Scripted("rag", error), Scripted("quotes", QUOTE)).answer(QUESTION)
    assert answer.usage.usd == usd


async def test_leaving_a_stream_says_nothing_about_the_endpoint() -> None:
    rag = Scripted("rag", NO_SERVER)
    approach = chain(rag, Scripted("quotes", QUOTE))
    for _ in range(FAILURES + 3):
        events = approach.stream(QUESTION)
        await anext(events)
        await events.aclose()  # type: ignore[attr-defined]
    await approach.answer(QUESTION)
    assert rag.asked == 1


class WithoutPassages(Scripted):
    """An approach that streams text alone, and fails."""

    async def stream(self, question: Question) -> AsyncIterator[AnswerEvent]:
        yield TextDelta("Thir")
        raise NO_SERVER


async def test_the_text_of_a_link_without_passages_is_taken_back() -> None:
    approach = chain(WithoutPassages("custom", NO_SERVER), Scripted("rag", ANSWER))
    events = [type(event) async for event in approach.stream(QUESTION)]
    assert events[:3] == [TextDelta, Reset, Retrieved]
    assert events[-1] is Done


async def test_a_sampling_that_the_stand_in_ignores_is_told() -> None:
    approach = chain(Scripted("rag", NO_SERVER), Scripted("quote", QUOTE))
    asked = replace(QUESTION, sampling=Sampling(temperature=0.7))
    assert (await approach.answer(asked)).warnings == (UNSAMPLED,)
    assert (await approach.answer(QUESTION)).warnings == ()


async def test_what_runs_here_is_asked_however_often_it_was_too_slow() -> None:
    quotes = Scripted("quotes", QUOTE, seconds=0.2)
    links = [Link("rag", None, CircuitBreaker()), Link("quotes", quotes, CircuitBreaker(), asks_endpoint=False)]
    for _ in range(FAILURES + 1):
        with pytest.raises(GroundtuneError):
            await Fallback(links, max_seconds=0.01).answer(QUESTION)
    answer = await Fallback(links, max_seconds=30).answer(QUESTION)
    assert answer.text == QUOTE.text
    assert quotes.asked == FAILURES + 2
