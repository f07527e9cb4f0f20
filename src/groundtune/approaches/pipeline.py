"""Answer a question with the configured parts: a generator, with or without evidence and shots."""

import asyncio
import contextlib
import time
from dataclasses import replace

from groundtune.approaches import prompts
from groundtune.approaches.citations import check_citations
from groundtune.approaches.output_formats import AnswerFormat, OutputFormat
from groundtune.protocols import ContextProvider, Generator, ShotChooser
from groundtune.types import Answer, Generation, Hit, Prompt, Question, Shot, Usage

NOT_IN_DOCUMENTS = "Not in your documents."
ABSTENTION_PASSAGES = 3
"""Passages shown with an abstention."""


NO_GENERATION = Generation("", Usage(0, 0, 0, 0.0, 0.0), confidence=0.0)


class Pipeline:
    """`Approach`: gather evidence, choose shots, generate, parse the reply, check citations, abstain when unsupported.

    Two instances that differ in one part are an ablation of that part.

    form: the task. question_at: position of the question relative to the passages. threshold: confidence below which it
    abstains, when the generator reports one. strict: sentences without support are dropped, and an answer with nothing
    left is an abstention. turn: held while evidence and shots are gathered, so that concurrent questions do not slow
    each other's measured time.
    """

    def __init__(
        self,
        name: str,
        generator: Generator,
        *,
        form: OutputFormat | None = None,
        evidence: ContextProvider | None = None,
        shots: ShotChooser | None = None,
        question_at: prompts.QuestionAt = "last",
        threshold: float = 0.0,
        strict: bool = False,
        turn: asyncio.Semaphore | None = None,
    ) -> None:
        self.name = name
        self._generator = generator
        self._form: OutputFormat = form or AnswerFormat()
        self._evidence = evidence
        self._shots = shots
        self._question_at = question_at
        self._threshold = threshold
        self._strict = strict
        self._turn = turn or contextlib.nullcontext()

    async def prepare(self, question: Question) -> None:
        """Do the one-time work that the first question would wait for, before anything is timed; calls no model."""
        if self._evidence:
            await self._evidence.gather(question)
        if self._shots:
            await self._shots.choose(question)

    async def answer(self, question: Question) -> Answer:
        """Answer the question. `usage.seconds` excludes local waiting: for loading, slots and rate limits.

        Raises ProviderError when a remote model fails.
        """
        async with self._turn:
            started = time.perf_counter()
            hits = await self._evidence.gather(question) if self._evidence else []
            shots = await self._shots.choose(question) if self._shots else []
            gathered = time.perf_counter()
        if self._evidence and not hits and self._form.cites:
            generation = NO_GENERATION
        else:
            generation = await self._generator.generate(self._prompt(question, hits, shots))
        generated = time.perf_counter()
        answer = self._read(generation, hits)
        done = time.perf_counter()
        model_seconds = generation.usage.seconds  # without waiting for a slot, a rate limit, a budget or the cache
        if model_seconds is None:
            model_seconds = 0.0 if generation.cached else generated - gathered
        return replace(
            answer,
            approach=self.name,
            route=(self.name,),
            usage=replace(generation.usage, seconds=gathered - started + model_seconds + done - generated),
            steps={"retrieve": gathered - started, "generate": model_seconds, "cite": done - generated},
            paid=not generation.cached,
        )

    def _prompt(self, question: Question, hits: list[Hit], shots: list[Shot]) -> Prompt:
        messages = prompts.messages(
            rules=self._form.rules(grounded=bool(hits)),
            kind=self._form.input_name,
            text=question.text,
            history=question.history,
            hits=hits,
            shots=[(shot.example.input, self._form.gold_reply(shot.example.output)) for shot in shots],
            question_at=self._question_at,
        )
        return Prompt(question.text, messages, tuple(hits), tuple(shots), self._form.schema)

    def _read(self, generation: Generation, hits: list[Hit]) -> Answer:
        confidence = generation.confidence
        reading = self._form.parse(generation.text)
        if reading.abstained or (confidence is not None and confidence < self._threshold):
            return self._abstention(hits, confidence)
        answer = Answer(reading.text, "answered", reading.output, hits=tuple(hits), confidence=confidence)
        if not (hits and self._form.cites):
            return answer
        text, citations = check_citations(reading.text, hits, strict=self._strict)
        return replace(answer, text=text, citations=citations) if text else self._abstention(hits, confidence)

    def _abstention(self, hits: list[Hit], confidence: float | None) -> Answer:
        text = NOT_IN_DOCUMENTS if self._evidence and self._form.cites else self._form.abstention
        return Answer(text, "abstained", hits=tuple(hits[:ABSTENTION_PASSAGES]), confidence=confidence)
