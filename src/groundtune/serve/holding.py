"""Wait for the person who has to look at an answer before it is sent, and say what its client gets."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from groundtune.serve.live_project import LiveProject
from groundtune.types import Answer, AnswerEvent, CitationChecked, TextDelta
from groundtune.workflows.reviewing_answers import ReviewOutcome

WAITING_SECONDS = 1.0
"""Time between two looks at whether a person has decided."""
WAITS = "This answer waits until a person has looked at it."
NOT_RELEASED = "A person has looked at this answer and did not release it."


async def when_released(live: LiveProject, answer: Answer, end: float) -> Answer:
    """Return what a person made of an answer, or that it still waits when the time is over.

    end: by the clock of the loop; `[review] hold_seconds` may end before. The request keeps no turn meanwhile.
    """
    loop = asyncio.get_running_loop()
    end = min(end, loop.time() + live.project.config.review.hold_seconds)
    while True:
        async with live.lease() as project:
            outcome = await project.areview_outcome(answer.id)
        if outcome.state != "pending":
            return _released(answer, outcome)
        if loop.time() + WAITING_SECONDS > end:
            return _without_content(replace(answer, text=WAITS, held=True))
        await asyncio.sleep(WAITING_SECONDS)


def parts_of(answer: Answer) -> Iterator[AnswerEvent]:
    """Yield the text and the citations of an answer that is there already."""
    yield TextDelta(answer.text)
    for citation in answer.citations:
        yield CitationChecked(citation)


def _released(answer: Answer, outcome: ReviewOutcome) -> Answer:
    """Return an answer as a person released it, or that he did not."""
    if outcome.state == "accepted":
        return answer
    if outcome.text is None:
        return _without_content(replace(answer, text=NOT_RELEASED))
    return replace(answer, text=outcome.text, status="answered", output=outcome.output, citations=(), warnings=())


def _without_content(answer: Answer) -> Answer:
    return replace(
        answer, status="abstained", output=None, citations=(), hits=(), confidence=None, warnings=(), cut=None
    )
