"""Question to answer with the parts that are present: a generator, and evidence or none. Most approaches are this."""

import re
import time
from dataclasses import replace

from groundtune.approaches import cite, prompts
from groundtune.protocols import Gatherer, Generator
from groundtune.types import Answer, Generation, Hit, Question

NOT_IN_DOCUMENTS = "Not in your documents."
NOT_KNOWN = "The model does not know."
NEAREST = 3
"""Passages that are shown with an abstention."""
_REFUSAL = re.compile(rf"^\W*{prompts.NOT_FOUND}\W*$", re.IGNORECASE)


class Composed:
    """`Approach`: gather evidence, generate, check every citation, abstain when it does not carry.

    threshold: confidence below which it abstains, where the generator states one. strict: sentences without support
    are dropped, and an answer of which nothing is left is an abstention.
    """

    def __init__(
        self,
        name: str,
        generator: Generator,
        *,
        evidence: Gatherer | None = None,
        threshold: float = 0.0,
        strict: bool = False,
    ) -> None:
        self.name = name
        self._generator = generator
        self._evidence = evidence
        self._threshold = threshold
        self._strict = strict

    async def answer(self, question: Question) -> Answer:
        """Raises ProviderError when a remote model fails."""
        started = time.perf_counter()
        hits = await self._evidence.gather(question) if self._evidence else []
        gathered = time.perf_counter()
        if self._evidence and not hits:
            generation = Generation("", confidence=0.0)
        else:
            generation = await self._generator.generate(prompts.render(question, hits))
        generated = time.perf_counter()
        answer = self._checked(generation, hits)
        done = time.perf_counter()
        return replace(
            answer,
            approach=self.name,
            route=(self.name,),
            usage=replace(generation.usage, seconds=done - started),
            steps={"retrieve": gathered - started, "generate": generated - gathered, "cite": done - generated},
        )

    def _checked(self, generation: Generation, hits: list[Hit]) -> Answer:
        confidence = generation.confidence
        unsure = confidence is not None and confidence < self._threshold
        if unsure or not generation.text.strip() or _REFUSAL.match(generation.text):
            return self._abstention(hits, confidence)
        if not hits:
            return Answer(generation.text.strip(), "answered", confidence=confidence)
        text, citations = cite.check(generation.text, hits, strict=self._strict)
        if not text:
            return self._abstention(hits, confidence)
        return Answer(text, "answered", citations=citations, hits=tuple(hits), confidence=confidence)

    def _abstention(self, hits: list[Hit], confidence: float | None) -> Answer:
        text = NOT_IN_DOCUMENTS if self._evidence else NOT_KNOWN
        return Answer(text, "abstained", hits=tuple(hits[:NEAREST]), confidence=confidence)
