"""Question to answer with the parts that are present: a generator, evidence or none, shots or none."""

import asyncio
import contextlib
import time
from dataclasses import replace

from groundtune.approaches import cite, prompts
from groundtune.approaches.forms import AnswerForm, Form
from groundtune.protocols import Gatherer, Generator, ShotChooser
from groundtune.types import Answer, Generation, Hit, Prompt, Question, Shot, Usage

NOT_IN_DOCUMENTS = "Not in your documents."
NEAREST = 3
"""Passages that are shown with an abstention."""


NOTHING_ASKED = Generation("", Usage(0, 0, 0, 0.0, 0.0), confidence=0.0)


class Composed:
    """`Approach`: gather evidence, choose shots, generate, read the reply, check every citation, abstain when it
    does not carry. Two of them that differ in one part are an ablation of that part.

    form: what the task asks for. question_at: where the question stands beside the passages. threshold: confidence
    below which it abstains, where the generator states one. strict: sentences without support are dropped, and an
    answer of which nothing is left is an abstention. turn: taken while evidence and shots are gathered, so that
    questions asked at the same time do not slow each other's clock.
    """

    def __init__(
        self,
        name: str,
        generator: Generator,
        *,
        form: Form | None = None,
        evidence: Gatherer | None = None,
        shots: ShotChooser | None = None,
        question_at: prompts.QuestionAt = "last",
        threshold: float = 0.0,
        strict: bool = False,
        turn: asyncio.Semaphore | None = None,
    ) -> None:
        self.name = name
        self._generator = generator
        self._form: Form = form or AnswerForm()
        self._evidence = evidence
        self._shots = shots
        self._question_at = question_at
        self._threshold = threshold
        self._strict = strict
        self._turn = turn or contextlib.nullcontext()

    async def prepare(self, question: Question) -> None:
        """Does once, before anything is timed, what only the first question would wait for; asks no model."""
        if self._evidence:
            await self._evidence.gather(question)
        if self._shots:
            await self._shots.choose(question)

    async def answer(self, question: Question) -> Answer:
        """`usage.seconds` is without what this machine holds a call back for: loading, slots, rate limits.

        Raises ProviderError when a remote model fails.
        """
        async with self._turn:
            started = time.perf_counter()
            hits = await self._evidence.gather(question) if self._evidence else []
            shots = await self._shots.choose(question) if self._shots else []
            gathered = time.perf_counter()
        if self._evidence and not hits and self._form.cites:
            generation = NOTHING_ASKED
        else:
            generation = await self._generator.generate(self._prompt(question, hits, shots))
        generated = time.perf_counter()
        answer = self._read(generation, hits)
        done = time.perf_counter()
        took = generation.usage.seconds  # of the model, not of waiting for a slot, a rate limit, money or the cache
        if took is None:
            took = 0.0 if generation.cached else generated - gathered
        return replace(
            answer,
            approach=self.name,
            route=(self.name,),
            usage=replace(generation.usage, seconds=gathered - started + took + done - generated),
            steps={"retrieve": gathered - started, "generate": took, "cite": done - generated},
            paid=not generation.cached,
        )

    def _prompt(self, question: Question, hits: list[Hit], shots: list[Shot]) -> Prompt:
        messages = prompts.messages(
            rules=self._form.rules(grounded=bool(hits)),
            kind=self._form.kind,
            text=question.text,
            history=question.history,
            hits=hits,
            shots=[(shot.example.input, self._form.reply(shot.example.output)) for shot in shots],
            question_at=self._question_at,
        )
        return Prompt(question.text, messages, tuple(hits), tuple(shots), self._form.schema)

    def _read(self, generation: Generation, hits: list[Hit]) -> Answer:
        confidence = generation.confidence
        reading = self._form.read(generation.text)
        if reading.abstained or (confidence is not None and confidence < self._threshold):
            return self._abstention(hits, confidence)
        answer = Answer(reading.text, "answered", reading.output, hits=tuple(hits), confidence=confidence)
        if not (hits and self._form.cites):
            return answer
        text, citations = cite.check(reading.text, hits, strict=self._strict)
        return replace(answer, text=text, citations=citations) if text else self._abstention(hits, confidence)

    def _abstention(self, hits: list[Hit], confidence: float | None) -> Answer:
        text = NOT_IN_DOCUMENTS if self._evidence and self._form.cites else self._form.abstention
        return Answer(text, "abstained", hits=tuple(hits[:NEAREST]), confidence=confidence)
