"""Refuse questions of users who may not read what a model was trained on."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from groundtune.approaches.answering import stream_answer
from groundtune.common.event_loop import closing
from groundtune.errors import AccessError
from groundtune.protocols import Approach, HasThreshold
from groundtune.types import Answer, AnswerEvent, Question


class GroupGate:
    """`StreamingApproach` that asks another one, for users who may read everything it was trained on.

    readers: returns, for each restricted text, the groups that may read it; a user needs one group of each. Called for
    each question, since documents change; it may raise.
    """

    def __init__(self, approach: Approach, readers: Callable[[], Awaitable[Sequence[frozenset[str]]]]) -> None:
        self.name = approach.name
        self._approach = approach
        self._readers = readers

    @property
    def threshold(self) -> float | None:
        """Confidence below which the approach abstains; None when it has no threshold."""
        return getattr(self._approach, "threshold", None)

    @property
    def states_confidence(self) -> bool:
        """Whether the answers of the approach may carry a confidence that a threshold can use."""
        return isinstance(self._approach, HasThreshold) and self._approach.states_confidence

    @property
    def samples(self) -> bool:
        """Whether the approach honours the sampling of a question."""
        return bool(getattr(self._approach, "samples", False))

    def with_threshold(self, threshold: float | None) -> "GroupGate":
        """Return the same gate before the approach with another threshold."""
        approach = self._approach
        return GroupGate(
            approach.with_threshold(threshold) if isinstance(approach, HasThreshold) else approach, self._readers
        )

    async def prepare(self, question: Question) -> None:
        """Do the one-time setup of the approach, if it has any."""
        if prepare := getattr(self._approach, "prepare", None):
            await prepare(question)

    async def answer(self, question: Question) -> Answer:
        """Answer the question. Raises AccessError when the user may not read what the model was trained on."""
        await self.admit(question.scope.groups)
        return await self._approach.answer(question)

    async def stream(self, question: Question) -> AsyncIterator[AnswerEvent]:
        """Stream the answer; raises as `answer` does, before the first event."""
        await self.admit(question.scope.groups)
        async with closing(stream_answer(self._approach, question)) as events:
            async for event in events:
                yield event

    async def admit(self, groups: Sequence[str]) -> None:
        """Raise AccessError when a user with these groups may not read what the model was trained on."""
        if any(readers.isdisjoint(groups) for readers in await self._readers()):
            raise AccessError(
                f"{self.name} was trained on documents that this user may not read",
                hint="ask another approach, or name the groups of the user",
            )
