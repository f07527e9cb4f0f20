"""Ask the cheap approach first, and the next one only where its answer is not good enough. Bounded by its links."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from groundtune.approaches.answering import answer_events, stream_answer
from groundtune.common.answers import combined_answer, request_answer, total_usage
from groundtune.common.event_loop import closing
from groundtune.common.support import is_cited
from groundtune.errors import AccessError, ProviderError
from groundtune.protocols import Approach
from groundtune.types import Answer, AnswerEvent, Done, Question, Usage


@dataclass(slots=True)
class _Passed:
    """The links that were asked before the one that answers."""

    answers: list[Answer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Why each was passed over."""


class Cascade:
    """`StreamingApproach` that asks its links in order, and returns the first answer that is good enough.

    An answer is passed over if it is an abstention, if its confidence is below `min_confidence`, or if the passages
    that it cites do not support it; a link that the user may not ask is passed over as well. The last link is believed
    in any case. Tokens, seconds and cost are those of all links that were asked.

    cites: whether answers cite passages; otherwise citations decide nothing.
    """

    def __init__(
        self, name: str, links: Sequence[Approach], *, cites: bool, min_confidence: float | None = None
    ) -> None:
        self.name = name
        self._links = tuple(links)
        self._cites = cites
        self._min_confidence = min_confidence

    @property
    def parts(self) -> tuple[Approach, ...]:
        """The links, in the order in which they are asked."""
        return self._links

    def with_parts(self, approaches: Mapping[str, Approach]) -> "Cascade":
        """Return the same cascade with other links of the same names, as far as they are given."""
        links = [approaches.get(link.name, link) for link in self._links]
        return Cascade(self.name, links, cites=self._cites, min_confidence=self._min_confidence)

    @property
    def samples(self) -> bool:
        """Whether every approach that it may ask honours the sampling of a question."""
        return all(getattr(approach, "samples", False) for approach in self.parts)

    async def prepare(self, question: Question) -> None:
        """Do the one-time setup of the links."""
        for link in self._links:
            if prepare := getattr(link, "prepare", None):
                await prepare(question)

    async def answer(self, question: Question) -> Answer:
        """Answer the question. Raises what the link that is asked raises; later links are then not asked."""
        passed = _Passed()
        *earlier, last = self._links
        for link in earlier:
            if answer := await self._good_answer(link, question, passed):
                return answer
        return self._whole(await _ask(last, question, passed), passed)

    async def stream(self, question: Question) -> AsyncIterator[AnswerEvent]:
        """Stream the answer: that of the last link while it is written, that of any other once it is known."""
        passed = _Passed()
        *earlier, last = self._links
        for link in earlier:
            if answer := await self._good_answer(link, question, passed):
                for event in answer_events(answer):
                    yield event
                return
        try:
            async with closing(stream_answer(last, question)) as events:
                async for event in events:
                    if isinstance(event, Done):
                        event = Done(self._whole(event.answer, passed))
                    yield event
        except ProviderError as error:
            _add_usage(error, passed)
            raise

    async def _good_answer(self, link: Approach, question: Question, passed: _Passed) -> Answer | None:
        """Return the whole answer if this link's is good enough; otherwise note why not."""
        try:
            answer = await _ask(link, question, passed)
        except AccessError:
            passed.notes.append(f"{link.name}: this user may not ask it")
            return None
        if reason := self._doubt(answer):
            passed.answers.append(answer)
            passed.notes.append(f"{link.name}: {reason}")
            return None
        return self._whole(answer, passed)

    def _doubt(self, answer: Answer) -> str | None:
        """Return why an answer is not good enough, or None."""
        if answer.status == "abstained":
            return "abstained"
        limit, confidence = self._min_confidence, answer.confidence
        if limit is not None and confidence is not None and confidence < limit:
            return f"confidence {confidence:.2f} is below {limit:g}"
        if self._cites and answer.hits and is_cited(answer.citations) is False:
            return "its passages do not support the answer"
        return None

    def _whole(self, answer: Answer, passed: _Passed) -> Answer:
        """Return the answer with what it took altogether, and which links were asked."""
        whole = combined_answer(self.name, [*passed.answers, answer])
        return replace(whole, trace=replace(whole.trace, notes=(*passed.notes, *whole.trace.notes)))


async def _ask(link: Approach, question: Question, passed: _Passed) -> Answer:
    try:
        return await request_answer(link, question)
    except ProviderError as error:
        _add_usage(error, passed)
        raise


def _add_usage(error: ProviderError, passed: _Passed) -> None:
    """Add what the links before took to what the failed call took."""
    if passed.answers:
        error.usage = total_usage([*(answer.usage for answer in passed.answers), error.usage or Usage()])
