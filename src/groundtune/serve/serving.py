"""Ask the project for one request: within its turn, its time, and as long as its client stays. Formats nothing."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated

from fastapi import Depends, Request

from groundtune.build.models import usd_of_tokens, usd_of_vectors
from groundtune.common.time_limit import time_limit
from groundtune.errors import GroundtuneError
from groundtune.project import Project
from groundtune.records.audit_log import AuditLog
from groundtune.records.spending import Spending
from groundtune.review.queue import ReviewQueue
from groundtune.serve.admission import Admission
from groundtune.serve.auditing import Auditor
from groundtune.serve.charging import charged, cost_of
from groundtune.serve.client import unless_client_leaves
from groundtune.serve.day_budget import DayBudget, as_stand_in
from groundtune.serve.doors.callers import Caller
from groundtune.serve.holding import parts_of, when_released
from groundtune.serve.live_project import LiveProject
from groundtune.serve.observing import Ended, Following, Observer, Operation, followed
from groundtune.serve.shadowing import Shadowed, Shadowing, shadow_approach
from groundtune.serve.splitting import Draw, Splitting
from groundtune.serve.watching.logs import log_ended
from groundtune.serve.watching.metrics import Metrics
from groundtune.serve.watching.tracing import Tracing
from groundtune.types import (
    Answer,
    AnswerEvent,
    Done,
    Generation,
    Hit,
    Message,
    Retrieved,
    Sampling,
    TextDelta,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as a client asks it."""

    text: str
    approach: str | None = None
    """None: the project's choice."""
    history: tuple[Message, ...] = ()
    filters: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    sampling: Sampling | None = None


class Serving:
    """What all requests share: the project, and the limits on what is done at once."""

    def __init__(
        self,
        live: LiveProject,
        admission: Admission,
        auditor: Auditor,
        spending: Spending,
        shadows: Shadowing,
        *,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.live = live
        self.spending = spending
        self._shadows = shadows
        self._splitting = Splitting()
        self._budget = DayBudget(spending)
        self._admission = admission
        self._auditor = auditor
        self._observers = observers

    async def close(self) -> None:
        """Wait until every answer is recorded, and close the project."""
        await self._shadows.close()
        await self._auditor.finish()
        await self.live.close()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Project]:
        """Use the project when it is the request's turn. Raises RequestRefusedError when too many wait, TimeoutError.

        The time limit holds for the wait and the work together.
        """
        async with asyncio.timeout(self.seconds):
            with time_limit(self.seconds):
                async with self._slot() as project:
                    yield project

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[Project]:
        async with self._admission.slot(), self.live.lease() as project:
            yield project

    def followed(
        self, caller: Caller, model: str | None = None, *, operation: Operation = "chat"
    ) -> AbstractContextManager[Following]:
        """Follow a request to a model through a block, so that observers learn how it ended."""
        return followed(operation, model, caller, self._observers)

    async def answer(self, asked: Asked, caller: Caller) -> Answer:
        """Return the whole answer. Raises TimeoutError, and what `Project.aask` raises."""
        with self.followed(caller, asked.approach) as following:
            answer = following.answer = await self._whole(asked, caller)
        self._shadow(asked, caller, answer)
        return answer

    async def _whole(self, asked: Asked, caller: Caller) -> Answer:
        end = self._end
        async with self.turn() as project, charged(self.spending, caller.key or "") as cost:
            draw = await self._draw(project, caller, asked)
            approach = draw.drawn if draw else asked.approach
            stand_in = await self._budget.stand_in(project.config, approach)
            answer = await project.aask(
                asked.text,
                approach=stand_in or approach,
                groups=caller.groups,
                filters=asked.filters,
                history=asked.history,
                sampling=None if stand_in else asked.sampling,
            )
            answer = as_stand_in(answer) if stand_in else answer
            answer = replace(answer, split=draw.drawn) if draw else answer
            cost.usd = cost_of(answer)
            held = await self._record(project, caller, asked, answer, draw)
        return await when_released(self.live, answer, end) if held else answer

    async def _record(self, project: Project, caller: Caller, asked: Asked, answer: Answer, draw: Draw | None) -> bool:
        """Record an answer; return whether it waits for a person before it is sent."""
        shadow = shadow_approach(project.config, asked.approach, answer)
        marks = {**({"shadow": shadow} if shadow else {}), **({"split": asdict(draw)} if draw else {})}
        parts = project, caller, asked.approach, asked.text, answer
        return await self._auditor.answered(*parts, history=asked.history, filters=asked.filters, marks=marks)

    async def _draw(self, project: Project, caller: Caller, asked: Asked) -> Draw | None:
        """Draw who of two approaches answers a question to the project's choice."""
        if asked.approach is not None or project.config.serve.split is None:
            return None
        return await self._splitting.draw(project, caller, asked.text, asked.history, asked.sampling)

    def _shadow(self, asked: Asked, caller: Caller, answer: Answer) -> None:
        """Have a second approach asked too, if the answer was drawn for that."""
        if approach := shadow_approach(self.live.project.config, asked.approach, answer):
            parts = answer.id, approach, asked.text, caller, asked.history, asked.filters, asked.sampling
            self._shadows.follow(Shadowed(*parts))

    @asynccontextmanager
    async def vector_turn(self, caller: Caller, texts: Sequence[str]) -> AsyncIterator[Project]:
        """Use the project as in `turn`, to embed these texts; what a paid embedder takes for them is charged."""
        async with self.turn() as project:
            if usd_of_vectors(project.config) == 0.0:
                yield project
                return
            await self._budget.require(project.config)
            async with charged(self.spending, caller.key or "") as cost:
                yield project
                cost.usd = await asyncio.to_thread(_usd_of_vectors, project, texts)

    async def complete(self, messages: Sequence[Message], sampling: Sampling, caller: Caller) -> Generation:
        """Return what the project's model writes to these messages. Raises what `Project.acomplete` raises."""
        async with self.turn() as project, charged(self.spending, caller.key or "") as cost:
            await self._budget.require(project.config)
            generation = await project.acomplete(messages, sampling=sampling)
            cost.usd = generation.usage.usd
            return generation

    async def begun(self, request: Request, asked: Asked, caller: Caller) -> AsyncGenerator[AnswerEvent, None]:
        """Return the events of an answer once its first text is there.

        What fails before that is raised here, so that the client gets the status of the failure instead of a stream
        that breaks. Raises ClientLeftError, TimeoutError, and what `Project.astream` raises.
        """
        events = self._events(asked, caller)
        try:
            first = await unless_client_leaves(request, _up_to_text(events))
        except BaseException:
            await events.aclose()
            raise
        return _continued(first, events)

    async def _events(self, asked: Asked, caller: Caller) -> AsyncGenerator[AnswerEvent, None]:
        with self.followed(caller, asked.approach) as following:
            async with aclosing(self._recorded(asked, caller)) as events:
                async for event in events:
                    following.note(event)
                    yield event
        if following.answer:
            self._shadow(asked, caller, following.answer)

    async def _recorded(self, asked: Asked, caller: Caller) -> AsyncGenerator[AnswerEvent, None]:
        """Yield the events of an answer; it is recorded before the last one, or when it breaks off."""
        sent, hits = "", tuple[Hit, ...]()
        try:
            async with aclosing(self._timed(asked, caller)) as events:
                async for event in events:
                    match event:
                        case Retrieved():
                            hits = event.hits
                        case TextDelta():
                            sent += event.text
                        case Done():  # the answer is recorded by now; what was taken back without one was still shown
                            sent = ""
                    yield event
        except BaseException as error:
            if sent:
                why = error.message if isinstance(error, GroundtuneError) else type(error).__name__
                self._auditor.broken_off(caller, asked.approach, asked.text, sent, hits, why)
            raise

    async def _timed(self, asked: Asked, caller: Caller) -> AsyncGenerator[AnswerEvent, None]:
        """Yield the events within the time limit, which holds for each wait: a timeout belongs to one task alone."""
        end = self._end
        holds = bool(self.live.project.config.review.hold)
        held: Answer | None = None
        async with AsyncExitStack() as stack:
            async with asyncio.timeout_at(end):
                project = await stack.enter_async_context(self._slot())
            draw = await self._draw(project, caller, asked)
            approach = draw.drawn if draw else asked.approach
            stand_in = await self._budget.stand_in(project.config, approach)
            stream = project.astream(
                asked.text,
                approach=stand_in or approach,
                groups=caller.groups,
                filters=asked.filters,
                history=asked.history,
                sampling=None if stand_in else asked.sampling,
            )
            async with aclosing(stream), charged(self.spending, caller.key or "") as cost:
                while True:
                    try:
                        left = end - asyncio.get_running_loop().time()
                        with time_limit(left):
                            event = await asyncio.wait_for(anext(stream), left)
                    except StopAsyncIteration:
                        break
                    if isinstance(event, Done):
                        answer = as_stand_in(event.answer) if stand_in else event.answer
                        answer = replace(answer, split=draw.drawn) if draw else answer
                        event = Done(answer)
                        cost.usd = cost_of(answer)
                        if await self._record(project, caller, asked, answer, draw):
                            held = answer
                            break
                        if holds:  # its text was not sent yet
                            for each in parts_of(answer):
                                yield each
                    if isinstance(event, Done | Retrieved) or not holds:
                        yield event
        if held is not None:
            answer = await when_released(self.live, held, end)
            for each in parts_of(answer):
                yield each
            yield Done(answer)

    @property
    def _end(self) -> float:
        """When a request that begins now must have ended, by the clock of the loop."""
        return asyncio.get_running_loop().time() + self.seconds

    @property
    def seconds(self) -> float:
        """The most that a request may take."""
        return self.live.project.config.serve.seconds


def make_serving(project: Project, metrics: Metrics, tracing: Tracing) -> Serving:
    """Return what the requests of a project share, with the limits of its settings."""
    settings = project.config.serve
    live = LiveProject(project)
    queue = ReviewQueue(project.workspace, project.config.review)
    auditor = Auditor(AuditLog(project.workspace), queue, settings)
    admission = Admission(running=settings.running, waiting=settings.waiting, on_change=metrics.load)

    def measure(ended: Ended) -> None:
        metrics.ended(ended, choice=live.project.config.name)
        metrics.circuits(live.project.session.circuits)
        tracing.ended(ended, live.project.config)
        log_ended(ended)

    spending = Spending(project.workspace)
    shadows = Shadowing(live, admission, auditor, spending, on_outcome=metrics.shadow)
    return Serving(live, admission, auditor, spending, shadows, observers=[measure])


def _usd_of_vectors(project: Project, texts: Sequence[str]) -> float | None:
    """Return what the vectors of texts cost; None when that is unknown. The tokens of a paid embedder are estimated."""
    return usd_of_tokens(project.config, sum(project.session.get_embedder().count_tokens(texts)))


async def _up_to_text(events: AsyncGenerator[AnswerEvent, None]) -> list[AnswerEvent]:
    first: list[AnswerEvent] = []
    async for event in events:
        first.append(event)
        if isinstance(event, TextDelta | Done):
            break
    return first


async def _continued(
    first: list[AnswerEvent], rest: AsyncGenerator[AnswerEvent, None]
) -> AsyncGenerator[AnswerEvent, None]:
    async with aclosing(rest):
        for event in first:
            yield event
        async for event in rest:
            yield event


def serving_of(request: Request) -> Serving:
    """Return what the requests of an app share."""
    serving = request.app.state.serving
    assert isinstance(serving, Serving)
    return serving


By = Annotated[Serving, Depends(serving_of)]
"""Parameter of an endpoint: what all requests share."""
