"""Questions with passages to what a retriever is trained and measured on, as numbers. Loads no model."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from groundtune.text import content_words
from groundtune.tune.job import Job, Row, TuneError

Floats = NDArray[np.float32]

ALIKE = 0.95
"""Share of the score of its own passage above which a hard negative may well be right too; it is left out.

Source: Moreira 2024, NV-Retriever, arXiv 2407.15831 (TopK-PercPos).
"""
RRF_K = 60
"""Source: Cormack 2009."""
BM25_K1, BM25_B = 1.2, 0.75


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions with the places of their passages in the pool."""

    questions: tuple[str, ...]
    gold: tuple[frozenset[int], ...]
    """All that answer the question, from every row that asks it."""
    negatives: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.questions)


@dataclass(frozen=True, slots=True)
class Data:
    """What the rows of both splits come to."""

    passages: tuple[str, ...]
    """The pool: every passage of every row, each once."""
    train: Asked
    held: Asked
    """The validation split."""
    items: tuple[tuple[int, int], ...]
    """Question of the train split and one of its passages: what a step takes a batch of."""


def read(job: Job) -> Data:
    """Raises TuneError when no row has a passage that answers."""
    places: dict[str, int] = {}
    train = _asked(job.rows("train"), places)
    held = _asked(job.rows("validation"), places)
    items = tuple((number, place) for number, gold in enumerate(train.gold) for place in sorted(gold))
    if len(places) < 2 or not items:
        raise TuneError(
            f"nothing to rank: {len(train)} questions with evidence, {len(places)} passages",
            hint="give examples evidence that stands in the index; groundtune evaluate says which is found",
        )
    return Data(tuple(places), train, held, items)


def _asked(rows: Sequence[Row], places: dict[str, int]) -> Asked:
    """Rows of one question count together; `places` grows by the passages that are new."""
    gold: dict[str, set[int]] = defaultdict(set)
    negatives: dict[str, dict[int, None]] = defaultdict(dict)
    for row in rows:
        if not row.positives:
            continue
        gold[row.input].update(places.setdefault(text, len(places)) for text in row.positives)
        negatives[row.input].update((places.setdefault(text, len(places)), None) for text in row.negatives)
    return Asked(
        questions=tuple(gold),
        gold=tuple(map(frozenset, gold.values())),
        negatives=tuple(tuple(one for one in negatives[text] if one not in gold[text]) for text in gold),
    )


def without_alike(asked: Asked, scores: Floats) -> Asked:
    """Without the hard negatives that the base finds nearly as good as the right passage. scores: (questions, pool)."""
    kept = []
    for number, negatives in enumerate(asked.negatives):
        own = scores[number]
        limit = ALIKE * max(float(own[place]) for place in asked.gold[number])
        kept.append(tuple(place for place in negatives if float(own[place]) <= limit))
    return replace(asked, negatives=tuple(kept))


def candidates(asked: Asked, passages: Sequence[str], dense: Floats, *, k: int) -> list[list[int]]:
    """The best k of the pool for each question by BM25 and `dense` together (reciprocal ranks), best first."""
    lexical = bm25(asked.questions, passages)
    found = []
    for number in range(len(asked)):
        ranks = np.zeros(len(passages))
        for scores in (lexical[number], dense[number]):
            order = np.argsort(-scores, kind="stable")
            shares = np.zeros(len(passages))
            shares[order] = 1.0 / (RRF_K + 1 + np.arange(len(passages)))
            ranks += np.where(scores > 0, shares, 0.0)
        found.append(np.argsort(-ranks, kind="stable")[:k].tolist())
    return found


def bm25(questions: Sequence[str], passages: Sequence[str]) -> Floats:
    """(questions, passages). Source: Robertson 2009."""
    terms: dict[str, dict[int, int]] = defaultdict(dict)
    lengths = np.zeros(len(passages))
    for place, text in enumerate(passages):
        words = content_words(text)
        lengths[place] = len(words)
        for word in words:
            terms[word][place] = terms[word].get(place, 0) + 1
    norm = BM25_K1 * (1 - BM25_B + BM25_B * lengths / max(1.0, float(lengths.mean())))
    scores = np.zeros((len(questions), len(passages)), dtype=np.float32)
    for number, question in enumerate(questions):
        for word in set(content_words(question)):
            if found := terms.get(word):
                scores[number] += _term(found, norm, len(passages))
    return scores


def _term(found: Mapping[int, int], norm: NDArray[np.float64], n: int) -> Floats:
    where = np.fromiter(found, dtype=np.int64)
    counts = np.fromiter(found.values(), dtype=np.float64)
    weight = np.log1p((n - len(found) + 0.5) / (len(found) + 0.5))
    scores = np.zeros(n, dtype=np.float32)
    scores[where] = weight * counts * (BM25_K1 + 1) / (counts + norm[where])
    return scores
