"""Question and passages to the sentences that answer, verbatim, with their markers. Never writes a word of its own."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from groundtune.models.quote_signals import Floats, Unit, bag, lexical, quotable, signals, standing
from groundtune.protocols import Embedder
from groundtune.text import content_words
from groundtune.types import Generation, Hit, Prompt, Usage, Vectors

CACHE = 20_000
"""Vectors, and passages cut into sentences, that are kept; the least recently used go first."""
PROMISING = 60
"""Sentences that are embedded; of more, those that share the most words with the question."""
SHORTLIST = 12
"""Sentences whose words are embedded too, each by itself."""
SHORTLIST_WEIGHTS = (7.0, 8.0, 6.0)
"""Of cosine, standing and share of the question's words, to make that list."""

RANK_WEIGHTS = (8.24, 7.33, 4.67, 5.64, 0.90)
"""By signal, in the order of `SIGNALS`."""
CONFIDENCE_WEIGHTS = (-4.92, 2.81, 2.05, 1.45)
"""Constant, then by `Look.certainty`."""
NEARLY = 0.7
"""A further sentence is quoted when the first is less than twice as likely (ln 2), and it says something else."""
ALIKE = 0.6


@dataclass(frozen=True, slots=True)
class Look:
    """What was considered for one question, best first."""

    units: tuple[Unit, ...]
    signals: Floats
    """(n, len(SIGNALS))"""
    scores: Floats
    """Log-odds against each other, (n,)."""

    @property
    def certainty(self) -> tuple[float, float, float]:
        """Cosine of the first sentence; probability of its passage; best cosine."""
        chances = np.exp(self.scores - self.scores.max())
        passage = np.array([unit.passage == self.units[0].passage for unit in self.units])
        cosines = self.signals[:, 0]
        share = float(chances[passage].sum() / chances.sum())
        return float(cosines[0]), share, float(cosines.max())


class QuoteGenerator:
    """`Generator` without a language model. Its confidence is the probability that the first sentence answers.

    usd: what one answer costs, None where nobody knows. Weights are fitted on articles of SQuAD 2.0 by
    benchmarks/quotes.py --fit; what was tried is in docs/quotes.md.
    """

    name = "quote"

    def __init__(
        self, embedder: Embedder, *, language: str = "english", max_sentences: int = 2, usd: float | None = 0.0
    ) -> None:
        self._embedder = embedder
        self._language = language
        self._max_sentences = max_sentences
        self._usd = usd
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()
        self._cut: OrderedDict[tuple[str, str], list[tuple[str, frozenset[str]]]] = OrderedDict()

    async def generate(self, prompt: Prompt) -> Generation:
        """Text "" with confidence 0 when there is no sentence to quote."""
        started = time.perf_counter()
        look = await self.look(prompt)
        if not look.units:
            return Generation("", Usage(seconds=time.perf_counter() - started, usd=self._usd), 0.0)
        lines = [f"{unit.text} [{unit.passage + 1}]" for unit in self._chosen(look)]
        return Generation(
            "\n".join(lines), Usage(seconds=time.perf_counter() - started, usd=self._usd), confidence(look)
        )

    async def look(self, prompt: Prompt) -> Look:
        """The sentences that were considered, with signals and scores, best first."""
        units, shares = self._promising(prompt.question, prompt.hits)
        if not units:
            return Look((), np.zeros((0, len(RANK_WEIGHTS))), np.zeros(0))
        vectors = await self._embed([unit.embedded for unit in units])
        question = (await self._embedder.embed_queries([prompt.question]))[0]
        cosines = np.array([float(vectors[unit.embedded] @ question) for unit in units])
        standings = np.array([standing(prompt.hits)[unit.passage] for unit in units])
        rough = np.column_stack([cosines, standings, shares]) @ np.array(SHORTLIST_WEIGHTS)
        short = np.sort(np.argsort(-rough, kind="stable")[:SHORTLIST])
        units = [units[i] for i in short]
        tokens = {word for unit in units for word in bag(f"{unit.text} {unit.around}")} | set(bag(prompt.question))
        table = signals(
            prompt.question,
            units,
            cosines=cosines[short],
            standings=standings[short],
            vectors=await self._embed(sorted(word for word in tokens if not word[0].isdigit())),
        )
        scores = table @ np.array(RANK_WEIGHTS)
        order = np.argsort(-scores, kind="stable")
        return Look(tuple(units[i] for i in order), table[order], scores[order])

    def _promising(self, question: str, hits: Sequence[Hit]) -> tuple[list[Unit], Floats]:
        """Sentences in order, with the share of the question's words that each has, its heading counted in.

        A question never answers a question, unless there is nothing else.
        """
        units: list[Unit] = []
        stems: list[frozenset[str]] = []
        for passage, hit in enumerate(hits):
            heading = hit.passage.heading
            before = ""
            for text, own in self._sentences(hit.passage.text, heading):
                units.append(Unit(passage, text, heading, before))
                stems.append(own)
                before = text
        keep = [i for i, unit in enumerate(units) if not unit.text.endswith("?")] or list(range(len(units)))
        shares = lexical(content_words(question, language=self._language), stems)
        if len(keep) > PROMISING:
            keep = sorted(sorted(keep, key=lambda i: -shares[i])[:PROMISING])
        return [units[i] for i in keep], shares[keep]

    def _sentences(self, text: str, heading: str) -> list[tuple[str, frozenset[str]]]:
        """Each sentence with its stems and those of the heading."""
        key = (text, heading)
        if key not in self._cut:
            head = content_words(heading, language=self._language)
            self._cut[key] = [
                (one, frozenset([*head, *content_words(one, language=self._language)]))
                for one in quotable(text, language=self._language)
            ]
        self._cut.move_to_end(key)
        found = self._cut[key]
        _bound(self._cut)
        return found

    async def _embed(self, texts: Sequence[str]) -> dict[str, Vectors]:
        found = {text: self._vectors[text] for text in texts if text in self._vectors}
        new = [text for text in dict.fromkeys(texts) if text not in found]
        for text in found:
            self._vectors.move_to_end(text)
        if new:
            made = dict(zip(new, await self._embedder.embed(new), strict=True))
            self._vectors.update(made)
            found.update(made)
            _bound(self._vectors)
        return found

    def _chosen(self, look: Look) -> list[Unit]:
        chosen: list[Unit] = []
        for unit, score in zip(look.units, look.scores, strict=True):
            if len(chosen) == self._max_sentences or look.scores[0] - score > NEARLY:
                break
            if not any(_alike(unit.text, other.text) for other in chosen):
                chosen.append(unit)
        return chosen


def confidence(look: Look) -> float:
    """Probability that the first sentence answers the question, by a logistic model."""
    constant, *weights = CONFIDENCE_WEIGHTS
    return float(1 / (1 + np.exp(-(constant + np.dot(weights, look.certainty)))))


def _alike(one: str, other: str) -> bool:
    """Whether two sentences share most of their words: the second adds nothing."""
    first, second = set(bag(one)), set(bag(other))
    return len(first & second) >= ALIKE * max(1, min(len(first), len(second)))


def _bound(cache: OrderedDict[Any, Any]) -> None:
    while len(cache) > CACHE:
        cache.popitem(last=False)
