"""The combination of two approaches: who is asked, who is believed, what is told, and what it takes."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from groundtune.approaches.answering import stream_answer
from groundtune.approaches.combined import Combined
from groundtune.approaches.group_gate import GroupGate
from groundtune.approaches.pipeline import WITHOUT_DOCUMENTS
from groundtune.citations.checking import check_citations
from groundtune.errors import AccessError, GroundtuneError, ProviderError
from groundtune.types import Answer, Done, Hit, Passage, Question, Retrieved, Scope, Task, TextDelta, Usage

PASSAGE = "A refund is paid within 30 days of delivery. Carriage is not refunded."
HITS = (Hit(Passage("d-0", "d", "d.md", 0, 0, len(PASSAGE), PASSAGE), 0.9),)
TEXT, CITATIONS = check_citations("A refund is paid within 30 days of delivery [1].", HITS)
FACTS = Answer(
    TEXT, "answered", citations=CITATIONS, hits=HITS, confidence=0.8, usage=Usage(100, 0, 20, 2.0, 0.02),
    steps={"retrieve": 0.5, "generate": 1.5},
)  # fmt: skip
FORM = Answer(
    "Refunds take 14 days, dear customer.", "answered", usage=Usage(10, 0, 20, 1.0, 0.01), steps={"generate": 1.0},
    warnings=(WITHOUT_DOCUMENTS,),
)  # fmt: skip
ABSTAINED = replace(FACTS, text="Not in your documents.", status="abstained", citations=())


class Scripted:
    """An approach that gives one answer or error after a while."""

    def __init__(self, name: str, outcome: Answer | GroundtuneError, *, seconds: float = 0.0) -> None:
        self.name = name
        self._outcome = outcome
        self._seconds = seconds
        self.state = "idle"

    async def answer(self, question: Question) -> Answer:
        self.state = "asked"
        try:
            await asyncio.sleep(self._seconds)
        except asyncio.CancelledError:
            self.state = "cancelled"
            raise
        if isinstance(self._outcome, GroundtuneError):
            raise self._outcome
        return self._outcome


def combined(facts: Any, form: Any, *, task: Task = "answer") -> Combined:
    return Combined("combined", Scripted("rag", facts), Scripted("tuned", form), task=task)


QUESTION = Question("When is a refund paid?")


async def test_facts_come_from_the_one_and_form_from_the_other() -> None:
    answer = await combined(FACTS, FORM).answer(QUESTION)
    assert (answer.text, answer.status, answer.approach) == (TEXT, "answered", "combined")
    assert answer.route == ("combined", "tuned", "rag")
    assert [(citation.marker, citation.support) for citation in answer.citations] == [(1, "exact")]
    assert answer.warnings == (
        "tuned and rag disagree, and what rag cites stands: 'Refunds take 14 days, dear customer.', but "
        "'A refund is paid within 30 days of delivery.'",
    )
    assert answer.trace.notes == ("tuned: Refunds take 14 days, dear customer.",)


async def test_costs_add_up_and_seconds_are_those_of_the_slower() -> None:
    answer = await combined(FACTS, FORM).answer(QUESTION)
    assert answer.usage == Usage(110, 0, 40, 2.0, 0.03)
    assert answer.steps == {"retrieve": 0.5, "generate": 1.5}
    unknown = await combined(FACTS, replace(FORM, usage=Usage(seconds=1.0))).answer(QUESTION)
    assert unknown.usage.usd is None


async def test_both_are_asked_at_once() -> None:
    parts = Scripted("rag", FACTS, seconds=0.05), Scripted("tuned", FORM, seconds=0.05)
    pending = asyncio.ensure_future(Combined("combined", *parts, task="answer").answer(QUESTION))
    await asyncio.sleep(0.01)
    assert [part.state for part in parts] == ["asked", "asked"]
    pending.cancel()
    await asyncio.wait([pending])
    assert [part.state for part in parts] == ["cancelled", "cancelled"]


@pytest.mark.parametrize(
    ("facts", "form", "text", "status"),
    [
        (ABSTAINED, FORM, "Not in your documents.", "abstained"),
        (FACTS, replace(FORM, text="", status="abstained"), TEXT, "answered"),
        (FACTS, replace(FORM, text="We love dogs."), TEXT, "answered"),
    ],
    ids=["the facts abstain", "the form abstains", "nothing of the form is supported"],
)
async def test_the_facts_decide_what_is_known(facts: Answer, form: Answer, text: str, status: str) -> None:
    answer = await combined(facts, form).answer(QUESTION)
    assert (answer.text, answer.status) == (text, status)
    assert answer.usage.usd == pytest.approx(0.03)


async def test_a_stream_gives_the_same() -> None:
    approach = combined(FACTS, FORM)
    events = [event async for event in stream_answer(approach, QUESTION)]
    assert isinstance(events[0], Retrieved)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == TEXT
    assert isinstance(events[-1], Done)
    assert events[-1].answer.warnings == (await approach.answer(QUESTION)).warnings


async def test_objects() -> None:
    facts = replace(FACTS, output={"days": 30}, text='{"days": 30}', citations=())
    form = replace(FORM, output={"days": 14}, text='{"days": 14}', warnings=())
    answer = await combined(facts, form, task="extract").answer(QUESTION)
    assert answer.output == {"days": 30}
    assert "'days: 14', but '30'" in answer.warnings[0]
    no_object = await combined(facts, replace(form, output="30 days"), task="extract").answer(QUESTION)
    assert no_object.output == {"days": 30}


async def test_a_letter_has_evidence_and_no_markers() -> None:
    letter = "Dear Ms Adler,\n\nA refund is paid within 30 days of delivery.\n\nRegards"
    form = replace(FORM, text="Dear Ms Adler,\n\nno worries! A refund is paid within 30 days of delivery.\n\nWarmly")
    facts = replace(FACTS, text=letter, citations=tuple(replace(each, marker=None) for each in CITATIONS))
    answer = await combined(facts, form, task="write").answer(QUESTION)
    assert answer.text == form.text
    assert [(citation.marker, citation.source) for citation in answer.citations] == [(None, "d.md")]


FAILED = ProviderError("no server", kind="no_server", usage=Usage(5, 0, 0, 0.0, 0.03))


async def test_a_failure_ends_the_other_and_names_what_both_took() -> None:
    facts, form = Scripted("rag", FAILED), Scripted("tuned", FORM, seconds=10)
    with pytest.raises(ProviderError, match="no server") as caught:
        await Combined("combined", facts, form, task="answer").answer(QUESTION)
    assert form.state == "cancelled"
    assert caught.value.usage is not None
    assert caught.value.usage.usd is None
    with pytest.raises(ProviderError) as caught:
        await combined(FACTS, FAILED).answer(QUESTION)
    assert caught.value.usage is not None


@pytest.mark.parametrize("groups", [(), ("staff",)])
async def test_who_may_not_ask_the_tuned_one_may_not_ask_the_combination(groups: tuple[str, ...]) -> None:
    async def readers() -> list[frozenset[str]]:
        return [frozenset({"staff"})]

    gated = GroupGate(Scripted("tuned", FORM), readers)
    approach = Combined("combined", Scripted("rag", FACTS, seconds=0.01), gated, task="answer")
    question = replace(QUESTION, scope=Scope(groups=frozenset(groups)))
    if groups:
        assert (await approach.answer(question)).text == TEXT
    else:
        with pytest.raises(AccessError, match="tuned was trained on documents"):
            await approach.answer(question)
