"""Run an approach, whoever made it, so that every answer has an id, a time and the name of its approach."""

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace

from groundtune.common.answers import complete_answer, request_answer
from groundtune.common.event_loop import closing
from groundtune.protocols import Approach, StreamingApproach
from groundtune.types import Answer, AnswerEvent, CitationChecked, Done, Question, Retrieved, TextDelta


def answer_events(answer: Answer) -> Iterator[AnswerEvent]:
    """Yield a whole answer as the events of a stream."""
    yield Retrieved(answer.hits)
    if answer.text:
        yield TextDelta(answer.text)
    for citation in answer.citations:
        yield CitationChecked(citation)
    yield Done(answer)


async def stream_answer(approach: Approach, question: Question) -> AsyncIterator[AnswerEvent]:
    """Yield the answer of an approach as events; one that cannot stream is answered first.

    Events that were yielded before an error stay valid. Closing the iterator ends the work.
    """
    if not isinstance(approach, StreamingApproach):
        for event in answer_events(await request_answer(approach, question)):
            yield event
        return
    start = time.perf_counter()
    async with closing(approach.stream(question)) as events:
        async for event in events:
            if isinstance(event, Done):
                seconds = time.perf_counter() - start
                event = replace(event, answer=complete_answer(event.answer, approach.name, seconds=seconds))
            yield event


async def require_admission(approach: Approach, groups: Sequence[str]) -> None:
    """Raise AccessError when a user of these groups may not ask the approach, MissingError when it cannot run."""
    if admit := getattr(approach, "admit", None):
        await admit(groups)
