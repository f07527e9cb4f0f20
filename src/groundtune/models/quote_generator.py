"""Answer a question by quoting sentences from the passages, with citation markers. Never writes a word of its own."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from groundtune.languages.text import content_words
from groundtune.models.quote_signals import (
    Floats,
    QuotableUnit,
    distinct_content_words,
    lexical_overlap,
    quotable,
    relative_scores,
    signals,
)
from groundtune.protocols import Embedder
from groundtune.types import Generation, Hit, Prompt, Usage, Vectors

CACHE = 20_000
"""Size of each cache, vectors and split passages; the least recently used entries are dropped first."""
PROMISING = 60
"""Maximum sentences to embed; if there are more, those that share the most words with the question."""
SHORTLIST = 12
"""Sentences that go on to the word-level comparison, for which each word is embedded."""
SHORTLIST_WEIGHTS = (7.0, 8.0, 6.0)
"""Weights of cosine, relative score and share of the question's words when choosing the shortlist."""

RANK_WEIGHTS = (8.24, 7.33, 4.67, 5.64, 0.90)
"""Weight of each signal, in the order of `SIGNALS`."""
CONFIDENCE_WEIGHTS = (-4.92, 2.81, 2.05, 1.45)
"""Intercept, then the weights of `QuoteCandidates.certainty`."""
NEARLY = 0.7
"""Log-odds gap up to which a further sentence is quoted: the first is at most twice as likely (ln 2)."""
ALIKE = 0.6
"""Share of common words above which a further sentence adds nothing and is left out."""


@dataclass(frozen=True, slots=True)
class QuoteCandidates:
    """Candidate sentences for one question, best first."""

    units: tuple[QuotableUnit, ...]
    signals: Floats
    """Signals of each candidate: (n, len(SIGNALS))."""
    scores: Floats
    """Log-odds of each candidate relative to the others: (n,)."""

    @property
    def certainty(self) -> tuple[float, float, float]:
        """Cosine of the first sentence, probability of its passage, and best cosine."""
        chances = np.exp(self.scores - self.scores.max())
        passage = np.array([unit.passage == self.units[0].passage for unit in self.units])
        cosines = self.signals[:, 0]
        share = float(chances[passage].sum() / chances.sum())
        return float(cosines[0]), share, float(cosines.max())


class QuoteGenerator:
    """`Generator` without a language model. Its confidence is the probability that the first sentence answers.

    usd: cost of one answer, None when unknown. The weights are fitted on articles of SQuAD 2.0 with
    benchmarks/quotes.py --fit; docs/quotes.md describes the experiments.
    """

    name = "quote"
    reads_messages = False
    """It reads the parts of a prompt, not the rendered messages."""
    quotes = True
    """Whatever it writes stands word for word in a passage."""

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
        """Return the quotes, one per line, and each item of a list on its own.

        The text is "" and the confidence 0 when there is no sentence to quote.
        """
        started = time.perf_counter()
        candidates = await self.candidates(prompt)
        if not candidates.units:
            return Generation("", self._usage(started), 0.0)
        lines = [f"{line} [{unit.passage + 1}]" for unit in self._chosen(candidates) for line in unit.text.split("\n")]
        return Generation("\n".join(lines), self._usage(started), confidence(candidates))

    def _usage(self, started: float) -> Usage:
        seconds = time.perf_counter() - started
        return Usage(seconds=seconds, usd=self._usd, machine_seconds=seconds)

    async def candidates(self, prompt: Prompt) -> QuoteCandidates:
        """Return the candidate sentences with signals and scores, best first."""
        units, shares = self._promising(prompt.question, prompt.hits)
        if not units:
            return QuoteCandidates((), np.zeros((0, len(RANK_WEIGHTS))), np.zeros(0))
        vectors = await self._embed([unit.embedded for unit in units])
        question = (await self._embedder.embed_queries([prompt.question]))[0]
        cosines = np.array([float(vectors[unit.embedded] @ question) for unit in units])
        relative = np.array([relative_scores(prompt.hits)[unit.passage] for unit in units])
        rough = np.column_stack([cosines, relative, shares]) @ np.array(SHORTLIST_WEIGHTS)
        short = np.sort(np.argsort(-rough, kind="stable")[:SHORTLIST])
        units = [units[i] for i in short]
        tokens = {word for unit in units for word in distinct_content_words(f"{unit.text} {unit.around}")} | set(
            distinct_content_words(prompt.question)
        )
        table = signals(
            prompt.question,
            units,
            cosines=cosines[short],
            relative=relative[short],
            vectors=await self._embed(sorted(word for word in tokens if not word[0].isdigit())),
        )
        scores = table @ np.array(RANK_WEIGHTS)
        order = np.argsort(-scores, kind="stable")
        return QuoteCandidates(tuple(units[i] for i in order), table[order], scores[order])

    def _promising(self, question: str, hits: Sequence[Hit]) -> tuple[list[QuotableUnit], Floats]:
        """Return sentences in order, with the share of the question's words in each sentence and its heading.

        Sentences that are questions are left out unless there is nothing else.
        """
        units: list[QuotableUnit] = []
        stems: list[frozenset[str]] = []
        for passage, hit in enumerate(hits):
            heading = hit.passage.heading
            previous = ""
            for text, sentence_stems in self._sentences(hit.passage.text, heading):
                units.append(QuotableUnit(passage, text, heading, previous))
                stems.append(sentence_stems)
                previous = text
        kept = [i for i, unit in enumerate(units) if not unit.text.endswith("?")] or list(range(len(units)))
        shares = lexical_overlap(content_words(question, language=self._language), stems)
        if len(kept) > PROMISING:
            kept = sorted(sorted(kept, key=lambda i: -shares[i])[:PROMISING])
        return [units[i] for i in kept], shares[kept]

    def _sentences(self, text: str, heading: str) -> list[tuple[str, frozenset[str]]]:
        """Return each sentence with its stems and those of its heading."""
        key = (text, heading)
        if key not in self._cut:
            heading_stems = content_words(heading, language=self._language)
            self._cut[key] = [
                (sentence, frozenset([*heading_stems, *content_words(sentence, language=self._language)]))
                for sentence in quotable(text, language=self._language)
            ]
        self._cut.move_to_end(key)
        result = self._cut[key]
        _bound(self._cut)
        return result

    async def _embed(self, texts: Sequence[str]) -> dict[str, Vectors]:
        vectors = {text: self._vectors[text] for text in texts if text in self._vectors}
        new = [text for text in dict.fromkeys(texts) if text not in vectors]
        for text in vectors:
            self._vectors.move_to_end(text)
        if new:
            new_vectors = dict(zip(new, await self._embedder.embed(new), strict=True))
            self._vectors.update(new_vectors)
            vectors.update(new_vectors)
            _bound(self._vectors)
        return vectors

    def _chosen(self, candidates: QuoteCandidates) -> list[QuotableUnit]:
        chosen: list[QuotableUnit] = []
        for unit, score in zip(candidates.units, candidates.scores, strict=True):
            if len(chosen) == self._max_sentences or candidates.scores[0] - score > NEARLY:
                break
            if not any(_alike(unit.text, other.text) for other in chosen):
                chosen.append(unit)
        return chosen


def confidence(candidates: QuoteCandidates) -> float:
    """Return the probability that the first sentence answers the question, from a logistic model."""
    constant, *weights = CONFIDENCE_WEIGHTS
    return float(1 / (1 + np.exp(-(constant + np.dot(weights, candidates.certainty)))))


def _alike(first: str, second: str) -> bool:
    """Return whether two sentences share most of their words, so that the second adds nothing."""
    first_words, second_words = set(distinct_content_words(first)), set(distinct_content_words(second))
    return len(first_words & second_words) >= ALIKE * max(1, min(len(first_words), len(second_words)))


def _bound(cache: OrderedDict[Any, Any]) -> None:
    while len(cache) > CACHE:
        cache.popitem(last=False)
