"""Question and passages to the sentences that answer, verbatim and cited. Writes no word of its own, needs no model."""

import time

from groundtune.protocols import Embedder
from groundtune.text import content_words, sentences
from groundtune.types import Generation, Prompt, Usage


class QuoteGenerator:
    """Placeholder ranking: cosine and word coverage."""

    name = "quote"

    def __init__(self, embedder: Embedder, *, language: str = "english", max_sentences: int = 2) -> None:
        self._embedder = embedder
        self._language = language
        self._max = max_sentences

    async def generate(self, prompt: Prompt) -> Generation:
        started = time.perf_counter()
        found = [
            (number, hit.passage.text[a:b])
            for number, hit in enumerate(prompt.hits[:6], start=1)
            for a, b in sentences(hit.passage.text, language=self._language)
        ]
        if not found:
            return Generation("", confidence=0.0)
        question = (await self._embedder.embed_queries([prompt.question]))[0]
        vectors = await self._embedder.embed([text for _, text in found])
        wanted = set(content_words(prompt.question, language=self._language))
        scored = []
        for (number, text), vector in zip(found, vectors, strict=True):
            covered = len(wanted & set(content_words(text, language=self._language))) / (len(wanted) or 1)
            scored.append((0.6 * float(vector @ question) + 0.4 * covered, number, text))
        score, number, text = max(scored)
        confidence = min(1.0, max(0.0, score))
        usage = Usage(seconds=time.perf_counter() - started, usd=0.0)
        return Generation(f"{text} [{number}]", usage, confidence)
