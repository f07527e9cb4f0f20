"""Question and passages to the sentences that answer, verbatim, each with its marker. Never writes a word of its own."""

import time
from collections import OrderedDict

import numpy as np

from groundtune.protocols import Embedder
from groundtune.text import content_words, sentences
from groundtune.types import Generation, Prompt, Usage, Vectors

CACHE = 20_000
PROMISING = 60


class QuoteGenerator:
    """`Generator` without a model: the sentences of the passages that fit the question best."""

    name = "quote"

    def __init__(self, embedder: Embedder, *, language: str = "english", max_sentences: int = 2) -> None:
        self._embedder = embedder
        self._language = language
        self._max_sentences = max_sentences
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()

    async def generate(self, prompt: Prompt) -> Generation:
        started = time.perf_counter()
        found = [
            (number, " ".join(hit.passage.text[a:b].split()), hit)
            for number, hit in enumerate(prompt.hits, start=1)
            for a, b in sentences(hit.passage.text, language=self._language)
        ]
        if not found:
            return Generation("", Usage(seconds=time.perf_counter() - started, usd=0.0), 0.0)
        wanted = set(content_words(prompt.question, language=self._language))
        covers = [
            len(wanted & set(content_words(text, language=self._language))) / max(1, len(wanted)) for _, text, _ in found
        ]
        order = sorted(range(len(found)), key=lambda i: -covers[i])[:PROMISING]
        question = (await self._embedder.embed_queries([prompt.question]))[0]
        vectors = await self._embed([found[i][1] for i in order])
        scores = [
            float(vector @ question) + 0.5 * covers[i] + found[i][2].score for i, vector in zip(order, vectors, strict=True)
        ]
        best = int(np.argmax(scores))
        number, text, _ = found[order[best]]
        confidence = float(1 / (1 + np.exp(-4 * (scores[best] - 1.2))))
        return Generation(f"{text} [{number}]", Usage(seconds=time.perf_counter() - started, usd=0.0), confidence)

    async def _embed(self, texts: list[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, await self._embedder.embed(new), strict=True))
        rows = np.stack([self._vectors[text] for text in texts])
        while len(self._vectors) > CACHE:
            self._vectors.popitem(last=False)
        return rows
