"""Ask the approach that is most likely to be right, by what earlier answers have shown. Asks one per question."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from groundtune.approaches.answering import stream_answer
from groundtune.approaches.question_signals import QuestionSignals
from groundtune.common.answers import combined_answer, request_answer
from groundtune.common.event_loop import closing
from groundtune.errors import AccessError
from groundtune.protocols import Approach
from groundtune.stats.inputs import Floats
from groundtune.stats.routing import RouterModel
from groundtune.types import Answer, AnswerEvent, Done, Question


@dataclass(frozen=True, slots=True)
class Policy:
    """How a router chooses."""

    model: RouterModel
    costs: Floats
    """(approaches,): mean cost of an answer in US dollars; 0 where costs do not count."""
    weight: float
    """How much quality a dollar is worth; 0: quality alone counts."""


class Routed:
    """`StreamingApproach` that asks one of several approaches, or the next best where the user may not ask that one.

    policy: its approaches are in the order of `parts`.
    """

    def __init__(self, name: str, parts: Sequence[Approach], *, signals: QuestionSignals, policy: Policy) -> None:
        self.name = name
        self._parts = tuple(parts)
        self._signals = signals
        self._policy = policy

    @property
    def parts(self) -> tuple[Approach, ...]:
        """The approaches that it chooses from."""
        return self._parts

    def with_parts(self, approaches: Mapping[str, Approach]) -> "Routed":
        """Return the same router over other approaches of the same names, as far as they are given."""
        parts = [approaches.get(part.name, part) for part in self._parts]
        return Routed(self.name, parts, signals=self._signals, policy=self._policy)

    async def prepare(self, question: Question) -> None:
        """Do the one-time setup of all approaches, and measure a question."""
        await self._signals.measure([question])
        for part in self._parts:
            if prepare := getattr(part, "prepare", None):
                await prepare(question)

    async def answer(self, question: Question) -> Answer:
        """Answer the question. Raises what the approach that is asked raises."""
        ranked, note, seconds = await self._ranked(question)
        for part in ranked[:-1]:
            try:
                return self._whole(await request_answer(part, question), note, seconds)
            except AccessError:
                continue
        return self._whole(await request_answer(ranked[-1], question), note, seconds)

    async def stream(self, question: Question) -> AsyncIterator[AnswerEvent]:
        """Stream the answer; raises as `answer` does."""
        ranked, note, seconds = await self._ranked(question)
        for part in ranked:
            begun = False
            try:
                async with closing(stream_answer(part, question)) as events:
                    async for event in events:
                        begun = True
                        yield Done(self._whole(event.answer, note, seconds)) if isinstance(event, Done) else event
                return
            except AccessError:
                if begun or part is ranked[-1]:
                    raise

    async def _ranked(self, question: Question) -> tuple[list[Approach], str, float]:
        """Return the approaches, the best first, what is expected of each, and the seconds that this took."""
        start = time.perf_counter()
        policy = self._policy
        success = policy.model.success(await self._signals.measure([question]))[0]
        order = np.lexsort((policy.costs, -np.round(success - policy.weight * policy.costs, 9)))
        ranked = [self._parts[at] for at in order]
        expected = ", ".join(f"{self._parts[at].name} {success[at]:.0%}" for at in order)
        return ranked, f"expected to be right: {expected}", time.perf_counter() - start

    def _whole(self, answer: Answer, note: str, seconds: float) -> Answer:
        whole = combined_answer(self.name, [answer])
        usage = whole.usage
        return replace(
            whole,
            usage=replace(usage, seconds=None if usage.seconds is None else usage.seconds + seconds),
            steps={"route": seconds, **whole.steps},
            trace=replace(whole.trace, notes=(note, *whole.trace.notes)),
        )
