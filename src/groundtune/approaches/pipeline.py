"""Answer a question with the configured parts: a generator, with or without context and shots."""

import asyncio
import contextlib
import copy
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from groundtune.approaches import prompts
from groundtune.approaches.context import SearchingContext
from groundtune.approaches.output_formats import AnswerFormat, OutputFormat, StreamedFormat, prompt_messages
from groundtune.approaches.reply_links import REMOVED, WARNING, ReplyLinks
from groundtune.approaches.search_query import SearchQuery
from groundtune.approaches.streaming import ReplyStream, is_surely_answer
from groundtune.approaches.wordings import Wording
from groundtune.citations.checking import check_citations, sentence_evidence
from groundtune.common.answers import complete_answer, total_usage
from groundtune.common.event_loop import closing
from groundtune.common.text import one_line
from groundtune.errors import ProviderError
from groundtune.protocols import ContextProvider, Generator, ShotChooser, StreamingGenerator, SupportChecker
from groundtune.types import (
    Answer,
    AnswerEvent,
    Citation,
    Generation,
    Hit,
    Prompt,
    Question,
    Retrieved,
    Shot,
    Trace,
    Usage,
)

NOT_IN_DOCUMENTS = "Not in your documents."
ABSTAINED_AFTER = "after the answer, the model said that the documents do not hold it"
"""Warning of an answer that passages support."""
WITHOUT_DOCUMENTS = "this approach has no documents to cite, so nothing in its answer was checked"
"""Warning of an answer to which no passage was given."""
_MARKER = re.compile(r"\[\d+\]")
"""What makes a written text one with citations; in other brackets a number is part of what it says."""
T = TypeVar("T")
ABSTENTION_PASSAGES = 3
"""Passages shown with an abstention."""


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What was gathered for a question before its model is called."""

    hits: list[Hit]
    prompt: Prompt | None
    """None when no model has to be asked."""
    seconds: float
    """Time of the local work."""
    query: SearchQuery
    """What was searched for; an empty text when nothing was."""
    query_seconds: float
    """Time that a model took to write the query."""


NO_QUERY = SearchQuery("")
NO_GENERATION = Generation("", Usage(0, 0, 0, 0.0, 0.0, 0, 0.0), confidence=0.0)


class Pipeline:
    """Gather context, choose shots, generate, parse the reply, check citations, abstain when unsupported.

    Two instances that differ in one part are an ablation of that part. A `StreamingApproach`.

    output_format: the rules and replies of the task. constrained: the generator is to hold the reply to the schema of
    the task while it writes. question_at: position of the question relative to the passages.
    threshold: confidence below which it abstains; None: the generator is not asked for one. strict: sentences without
    support are dropped, and an answer with nothing left is an abstention. language: of the project. checker: decides
    about sentences that are not in their passage word for word. local_slots: a semaphore held while context and shots
    are gathered, so that concurrent questions do not inflate each other's measured latency.
    """

    def __init__(
        self,
        name: str,
        generator: Generator,
        *,
        output_format: OutputFormat | None = None,
        context: ContextProvider | None = None,
        shots: ShotChooser | None = None,
        constrained: bool = False,
        question_at: prompts.QuestionAt = "last",
        threshold: float | None = None,
        strict: bool = False,
        language: str = "english",
        checker: SupportChecker | None = None,
        local_slots: asyncio.Semaphore | None = None,
    ) -> None:
        self.name = name
        self._generator = generator
        self._output_format: OutputFormat = output_format or AnswerFormat()
        self._context = context
        self._shots = shots
        self._constrained = constrained
        self._question_at = question_at
        self._threshold = threshold
        self._strict = strict
        self._language = language
        self._checker = checker
        self._local_slots = local_slots or contextlib.nullcontext()

    @property
    def threshold(self) -> float | None:
        """Confidence below which it abstains; None when it has no threshold."""
        return self._threshold

    @property
    def states_confidence(self) -> bool:
        """Whether its answers may carry a confidence."""
        return getattr(self._generator, "has_confidence", True)

    @property
    def samples(self) -> bool:
        """Whether it honours the sampling of a question."""
        return bool(getattr(self._generator, "samples", False))

    def with_threshold(self, threshold: float | None) -> "Pipeline":
        """Return the same approach with another threshold."""
        other = copy.copy(self)
        other._threshold = threshold
        return other

    @property
    def wording(self) -> Wording:
        """How its model is told the task."""
        return self._output_format.wording

    def with_wording(self, wording: Wording) -> "Pipeline":
        """Return the same approach with another wording."""
        other = copy.copy(self)
        other._output_format = self._output_format.worded(wording)
        return other

    async def prepare(self, question: Question) -> None:
        """Do one-time setup before timing starts, so that the first question is not slowed by it; calls no model."""
        if self._context:
            await self._context.gather(replace(question, history=()))  # with a history, a model may be asked
        if self._shots:
            await self._shots.choose(question)

    async def answer(self, question: Question) -> Answer:
        """Answer the question. `usage.seconds` excludes local waiting: for loading, slots and rate limits.

        Raises ProviderError when a remote model fails, or when nobody can tell what its reply says (`unreadable`).
        """
        gathered = await self._gather(question)
        start = time.perf_counter()
        generation = await self._generator.generate(gathered.prompt) if gathered.prompt else NO_GENERATION
        waited = time.perf_counter() - start
        return await self._unless_blocking(lambda: self._finish(gathered, generation, waited))

    async def stream(self, question: Question) -> AsyncIterator[AnswerEvent]:
        """Yield the same answer as events; see `ReplyStream` for what is released before the end.

        Below a threshold that the generator may miss, everything is held until its confidence is known. Raises as
        `answer` does; what was yielded before stays valid. Closing the iterator closes the call of the model.
        """
        gathered = await self._gather(question)
        yield Retrieved(tuple(gathered.hits))
        reply = ReplyStream(
            self._output_format, gathered.hits, strict=self._strict, language=self._language, checker=self._checker
        )
        links = self._links(gathered)
        start = time.perf_counter()
        if gathered.prompt is None:
            generation = NO_GENERATION
        elif isinstance(self._generator, StreamingGenerator) and not self._may_be_unsure:
            generation = Generation("")
            async with closing(self._generator.stream(gathered.prompt)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Generation):
                        generation = piece
                        continue
                    for event in await self._unless_blocking(partial(_events, reply, links.add(piece))):
                        yield event
        else:
            generation = await self._generator.generate(gathered.prompt)
        waited = time.perf_counter() - start
        answer = await self._unless_blocking(lambda: self._finish(gathered, generation, waited))
        for event in reply.finish(answer):
            yield event

    async def _unless_blocking(self, work: Callable[[], T]) -> T:
        """Do work that checks citations: here, or in a thread when a checker may run a model of its own."""
        return await asyncio.to_thread(work) if self._checker else work()

    @property
    def _may_be_unsure(self) -> bool:
        """Whether an answer may turn out to be below the threshold."""
        return bool(self._threshold) and self.states_confidence

    async def _gather(self, question: Question) -> "_Gathered":
        """Do the local work before the model is called; without passages to cite, there is nothing to ask it."""
        start = time.perf_counter()
        query, to_search = NO_QUERY, question
        if isinstance(self._context, SearchingContext):
            query = await self._context.search_query(question)
            to_search = replace(question, text=query.text, history=())
        query_seconds = _model_seconds(query.generation, time.perf_counter() - start)
        async with self._local_slots:
            start = time.perf_counter()
            hits = await self._context.gather(to_search) if self._context else []
            shots = await self._shots.choose(question) if self._shots else []
            seconds = time.perf_counter() - start
        nothing_to_cite = self._context is not None and not hits and self._output_format.cites
        prompt = None if nothing_to_cite else self._prompt(question, to_search.text, hits, shots)
        return _Gathered(hits, prompt, seconds, query, query_seconds)

    def _finish(self, gathered: "_Gathered", generation: Generation, waited_seconds: float) -> Answer:
        """Turn the generation into the answer, with its trace. waited_seconds: how long the generation took here."""
        start = time.perf_counter()
        query = gathered.query
        generations = [generation, *([query.generation] if query.generation else [])]
        usage = total_usage([each.usage for each in generations])
        reply = generation
        if isinstance(self._output_format, StreamedFormat) and not getattr(self._generator, "quotes", False):
            reply = replace(generation, text=self._links(gathered).guarded(generation.text))
        answer = self._read(reply, gathered.hits, usage)
        cite_seconds = time.perf_counter() - start
        model_seconds = _model_seconds(generation, waited_seconds)
        seconds = gathered.seconds + gathered.query_seconds + model_seconds + cite_seconds
        machine_seconds = usage.machine_seconds
        if machine_seconds is not None:
            machine_seconds += gathered.seconds + cite_seconds
        answer = replace(
            answer,
            usage=replace(usage, seconds=seconds, machine_seconds=machine_seconds),
            steps={
                **({"rewrite": gathered.query_seconds} if query.generation else {}),
                "retrieve": gathered.seconds,
                "generate": model_seconds,
                "cite": cite_seconds,
            },
            cached=all(each.cached for each in generations),
            trace=Trace(
                gathered.prompt,
                query.text or None,
                self._generator.name if gathered.prompt else None,
                (query.note,) if query.note else (),
                generation.text if gathered.prompt else None,
            ),
            reasoning=generation.reasoning,
            cut=generation.cut,
            warnings=(*answer.warnings, *generation.warnings, *([WARNING] if REMOVED in answer.text else [])),
        )
        return complete_answer(answer, self.name)

    def _links(self, gathered: "_Gathered") -> ReplyLinks:
        """Return what watches over the addresses of a text; of a label, an object or a quote nothing is taken out."""
        prompt = gathered.prompt
        texts = [turn.content for turn in prompt.messages] + [prompt.question] if prompt else []
        passages = [hit.passage.text for hit in gathered.hits]
        return ReplyLinks([*texts, *passages], grounded=bool(passages))

    def _prompt(self, question: Question, searched: str, hits: list[Hit], shots: list[Shot]) -> Prompt:
        schema = self._output_format.schema if self._constrained else None
        confidence = self._threshold is not None
        if not getattr(self._generator, "reads_messages", True):
            return Prompt(searched, (), tuple(hits), tuple(shots), schema, confidence, question.sampling)
        messages = prompt_messages(
            self._output_format,
            question.text,
            history=question.history,
            hits=hits,
            shots=[shot.example for shot in shots],
            question_at=self._question_at,
        )
        return Prompt(searched, messages, tuple(hits), tuple(shots), schema, confidence, question.sampling)

    def _read(self, generation: Generation, hits: list[Hit], usage: Usage) -> Answer:
        """Read the reply. Raises ProviderError with the usage when it cannot be read; it was paid for all the same."""
        confidence = generation.confidence
        reading = self._output_format.parse(generation.text, whole=generation.cut is None)
        if reading.unreadable:
            message = f"the reply of {self._generator.name} cannot be read: {reading.unreadable}"
            raise ProviderError(
                f"{message}: {one_line(generation.text)!r}",
                kind="unreadable",
                hint="a larger model keeps to the form of the reply more often",
                usage=usage,
                cut=generation.cut,
            )
        if reading.explanation and (answer := self._answer_before_abstention(reading.explanation, hits, confidence)):
            return answer
        if reading.abstained or self._below_threshold(confidence):
            return self._abstention(hits, confidence)
        answer = Answer(reading.text, "answered", reading.output, hits=tuple(hits), confidence=confidence)
        if not self._output_format.cites and not (hits and isinstance(self._output_format, StreamedFormat)):
            return answer
        if not hits:
            return replace(answer, warnings=(WITHOUT_DOCUMENTS,))
        if not self._output_format.cites and not _MARKER.search(reading.text):
            return replace(answer, citations=sentence_evidence(reading.text, hits, language=self._language))
        text, citations = self._checked(reading.text, hits)
        return replace(answer, text=text, citations=citations) if text else self._abstention(hits, confidence)

    def _checked(self, text: str, hits: list[Hit]) -> tuple[str, tuple[Citation, ...]]:
        return check_citations(text, hits, strict=self._strict, language=self._language, checker=self._checker)

    def _answer_before_abstention(self, explanation: str, hits: list[Hit], confidence: float | None) -> Answer | None:
        """Return what a reply said before it abstained, if passages support enough of it to be an answer."""
        if not (hits and self._output_format.cites) or self._below_threshold(confidence):
            return None
        text, citations = self._checked(explanation, hits)
        if not is_surely_answer(citations):
            return None
        return Answer(
            text, "answered", citations=citations, hits=tuple(hits), confidence=confidence, warnings=(ABSTAINED_AFTER,)
        )

    def _below_threshold(self, confidence: float | None) -> bool:
        return confidence is not None and self._threshold is not None and confidence < self._threshold

    def _abstention(self, hits: list[Hit], confidence: float | None) -> Answer:
        text = NOT_IN_DOCUMENTS if self._context and self._output_format.cites else self._output_format.abstention
        return Answer(text, "abstained", hits=tuple(hits[:ABSTENTION_PASSAGES]), confidence=confidence)


def _events(reply: ReplyStream, piece: str) -> list[AnswerEvent]:
    return list(reply.add(piece))


def _model_seconds(generation: Generation | None, waited_seconds: float) -> float:
    """Return how long a generation took, without waiting for a slot, a rate limit, a budget or the cache."""
    if generation is None:
        return 0.0
    if generation.usage.seconds is not None:
        return generation.usage.seconds
    return 0.0 if generation.cached else waited_seconds
