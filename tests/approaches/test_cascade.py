"""A cascade: who is asked, who is believed, and what it takes altogether."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from groundtune.approaches.answering import answer_events
from groundtune.approaches.cascade import Cascade
from groundtune.errors import AccessError, GroundtuneError, ProviderError
from groundtune.types import Answer, AnswerEvent, Citation, Done, Hit, Passage, Question, Reset, TextDelta, Usage

HITS = (Hit(Passage("d-0", "d", "d.md", 0, 0, 3, "One"), 0.9),)
SURE = Answer("Sure.", "answered", confidence=0.9, usage=Usage(10, 0, 2, 1.0, 0.01), steps={"generate": 1.0})
UNSURE = replace(SURE, text="Perhaps.", confidence=0.2)
ABSTAINED = replace(SURE, text="Not in your documents.", status="abstained")
UNSUPPORTED = replace(SURE, text="Two [1].", hits=HITS, citations=(Citation(1, "Two [1].", "missing"),))
SUPPORTED = replace(SURE, text="One [1].", hits=HITS, citations=(Citation(1, "One [1].", "exact"),))
UNCHECKED = replace(SURE, text="Uno [1].", hits=HITS, citations=(Citation(1, "Uno [1].", "unchecked"),))
FREE = replace(ABSTAINED, usage=Usage(0, 0, 0, 0.5, 0.0), paid=False)


class Scripted:
    """An approach that gives one answer or error, in pieces."""

    def __init__(self, name: str, outcome: Answer | GroundtuneError) -> None:
        self.name = name
        self._outcome = outcome
        self.asked = 0

    async def answer(self, question: Question) -> Answer:
        self.asked += 1
        if isinstance(self._outcome, GroundtuneError):
            raise self._outcome
        return self._outcome

    async def stream(self, question: Question) -> AsyncIterator[AnswerEvent]:
        for event in answer_events(await self.answer(question)):
            yield event


def cascade(*outcomes: Answer | GroundtuneError, min_confidence: float | None = 0.5) -> tuple[Cascade, list[Scripted]]:
    links = [Scripted(f"link{at}", outcome) for at, outcome in enumerate(outcomes)]
    return Cascade("cascade", links, cites=True, min_confidence=min_confidence), links


@pytest.mark.parametrize(
    ("first", "asked"),
    [
        (SURE, 1),
        (SUPPORTED, 1),
        (UNCHECKED, 1),
        (replace(SURE, confidence=None), 1),
        (UNSURE, 2),
        (ABSTAINED, 2),
        (UNSUPPORTED, 2),
        (AccessError("no"), 2),
    ],
    ids=["sure", "supported", "unchecked", "unknown", "unsure", "abstained", "unsupported", "refused"],
)
async def test_the_next_one_is_asked_only_where_the_first_is_not_good_enough(
    first: Answer | GroundtuneError, asked: int
) -> None:
    approach, links = cascade(first, SUPPORTED)
    answer = await approach.answer(Question("?"))
    assert [link.asked for link in links] == [1, asked - 1]
    assert answer.approach == "cascade"
    assert len(answer.trace.notes) == asked - 1
    streamed = [event async for event in approach.stream(Question("?"))]
    last = streamed[-1]
    assert isinstance(last, Done)
    assert replace(last.answer, id="", time="") == replace(answer, id="", time="")
    assert "".join(event.text for event in streamed if isinstance(event, TextDelta)) == answer.text
    assert not any(isinstance(event, Reset) for event in streamed)


async def test_the_last_one_is_believed() -> None:
    approach, _ = cascade(UNSURE, UNSUPPORTED, ABSTAINED)
    answer = await approach.answer(Question("?"))
    assert (answer.status, answer.route) == ("abstained", ("cascade", "link0", "link1", "link2"))


async def test_without_a_limit_confidence_decides_nothing() -> None:
    approach, links = cascade(UNSURE, SURE, min_confidence=None)
    assert (await approach.answer(Question("?"))).text == UNSURE.text
    assert links[1].asked == 0


async def test_costs_and_seconds_add_up() -> None:
    approach, _ = cascade(FREE, ABSTAINED, SURE)
    answer = await approach.answer(Question("?"))
    assert answer.usage == Usage(20, 0, 4, 2.5, 0.02)
    assert answer.steps == {"generate": 3.0}
    assert answer.paid


async def test_an_unknown_price_makes_the_sum_unknown() -> None:
    approach, _ = cascade(replace(ABSTAINED, usage=Usage(seconds=1.0)), SURE)
    assert (await approach.answer(Question("?"))).usage.usd is None


async def test_a_failure_is_not_hidden_and_names_what_was_spent() -> None:
    failed = ProviderError("no server", kind="no_server", usage=Usage(5, 0, 0, 0.0, 0.03))
    approach, links = cascade(failed, SURE)
    with pytest.raises(ProviderError, match="no server"):
        await approach.answer(Question("?"))
    assert links[1].asked == 0
    approach, _ = cascade(ABSTAINED, failed)
    with pytest.raises(ProviderError) as caught:
        await approach.answer(Question("?"))
    assert caught.value.usage is not None
    assert caught.value.usage.usd == pytest.approx(0.04)
