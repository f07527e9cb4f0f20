"""Turn questions with passages into training and evaluation data for a retriever, as numbers. Loads no model."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from groundtune.common.text import format_count
from groundtune.tune.job import Job, TrainingRow, TuneError

Floats = NDArray[np.float32]

MAX_NEGATIVE_SHARE = 0.95
"""A hard negative that scores more than this share of the relevant passage's score may be relevant too, and is left
out.

Source: Moreira 2024, NV-Retriever, arXiv 2407.15831 (TopK-PercPos).
"""


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions with the indices of their passages in the pool."""

    questions: tuple[str, ...]
    gold: tuple[frozenset[int], ...]
    """All passages that answer the question, from every row that asks it."""
    negatives: tuple[tuple[int, ...], ...]
    retrieved: tuple[tuple[int, ...], ...]
    """Passages that the project's retriever returns, best first; empty when it was not run."""
    lexical: tuple[Mapping[int, float], ...]
    """BM25 scores, 0 to 1, by passage index; `floor` for all others."""
    floor: tuple[float, ...]
    groups: tuple[tuple[str, ...], ...]
    """Groups of the user."""

    def __len__(self) -> int:
        return len(self.questions)

    def subset(self, chosen: Sequence[int]) -> "Questions":
        """Return these questions only."""
        return Questions(*(tuple(getattr(self, column.name)[number] for number in chosen) for column in fields(self)))


@dataclass(frozen=True, slots=True)
class RetrieverData:
    """The rows of both splits."""

    passages: tuple[str, ...]
    """The pool: every passage of every row, without duplicate texts."""
    train: Questions
    validation: Questions
    """Validation questions for which the project's retriever was run."""
    items: tuple[tuple[int, int], ...]
    """Pairs of a training question and one of its passages; batches are drawn from these."""

    def by_passage(self, most: int) -> list[list[int]]:
        """Group the items by passage, at most `most` each: a passage costs far more than the questions about it."""
        by_place: dict[int, list[int]] = defaultdict(list)
        for number, (_, place) in enumerate(self.items):
            by_place[place].append(number)
        return [items[start : start + most] for items in by_place.values() for start in range(0, len(items), most)]

    @property
    def trained(self) -> list[int]:
        """Indices of the passages that are trained on."""
        used = (place for row in (*self.train.gold, *self.train.negatives) for place in row)
        return sorted(set(used))


@dataclass(slots=True)
class _TrainingQuestion:
    """The merged rows of one question and user."""

    gold: dict[int, None] = field(default_factory=dict)
    negatives: dict[int, None] = field(default_factory=dict)
    retrieved: dict[int, None] = field(default_factory=dict)
    lexical: dict[str, float] = field(default_factory=dict)
    """Scores by passage id: a later row may supply the passage's text."""
    floor: float = 0.0


def read_rows(job: Job) -> RetrieverData:
    """Read the rows. Raises TuneError when no row has a passage that answers."""
    places: dict[str, int] = {}
    ids: dict[str, int] = {}
    train = _collected(job.rows("train"), places, ids)
    validation = _collected(job.rows("validation"), places, ids)
    train_questions = _asked(train, ids)
    items = tuple((number, place) for number, gold in enumerate(train_questions.gold) for place in sorted(gold))
    if len(places) < 2 or not items:
        raise TuneError(
            f"nothing to rank: {format_count(len(train_questions), 'question')} with evidence, "
            f"{format_count(len(places), 'passage')}",
            hint="give the examples evidence that is in the index; groundtune evaluate shows which evidence is found",
        )
    return RetrieverData(
        tuple(places),
        train_questions,
        _asked({key: question for key, question in validation.items() if question.retrieved}, ids),
        items,
    )


Collected = dict[tuple[str, tuple[str, ...]], _TrainingQuestion]


def _collected(rows: Sequence[TrainingRow], places: dict[str, int], ids: dict[str, int]) -> Collected:
    """Merge rows by question and user; add new passages to `places` and `ids`."""
    merged: Collected = defaultdict(_TrainingQuestion)
    for row in rows:
        if not row.positives:
            continue
        ranking = row.ranking
        question = merged[row.input, ranking.groups if ranking else ()]
        question.gold.update((places.setdefault(text, len(places)), None) for text in row.positives)
        question.negatives.update((places.setdefault(text, len(places)), None) for text in row.negatives)
        if ranking is None:
            continue
        ids.update((key, places.setdefault(text, len(places))) for key, text in ranking.texts.items())
        question.retrieved.update((ids[key], None) for key in ranking.found)
        question.lexical.update(ranking.lexical)
        question.floor = ranking.floor
    return merged


def _asked(merged: Collected, ids: Mapping[str, int]) -> Questions:
    lexical = []
    for question in merged.values():
        shares: dict[int, float] = {}
        for key, share in question.lexical.items():
            if key in ids:  # of several passages with the same text, the best score counts
                shares[ids[key]] = max(share, shares.get(ids[key], 0.0))
        lexical.append(shares)
    questions = merged.values()
    return Questions(
        questions=tuple(text for text, _ in merged),
        gold=tuple(frozenset(question.gold) for question in questions),
        negatives=tuple(
            tuple(place for place in question.negatives if place not in question.gold) for question in questions
        ),
        retrieved=tuple(tuple(question.retrieved) for question in questions),
        lexical=tuple(lexical),
        floor=tuple(question.floor for question in questions),
        groups=tuple(groups for _, groups in merged),
    )


def drop_false_negatives(questions: Questions, scores: Floats) -> Questions:
    """Drop hard negatives that score nearly as high as the relevant passage. scores: (questions, pool)."""
    remaining = []
    for number, negatives in enumerate(questions.negatives):
        question_scores = scores[number]
        limit = MAX_NEGATIVE_SHARE * max(float(question_scores[place]) for place in questions.gold[number])
        remaining.append(tuple(place for place in negatives if float(question_scores[place]) <= limit))
    return replace(questions, negatives=tuple(remaining))


def lexical_scores(questions: Questions, places: Sequence[int]) -> Floats:
    """Return the BM25 scores, 0 to 1, (questions, places)."""
    column = {place: number for number, place in enumerate(places)}
    matrix = np.tile(np.asarray(questions.floor, dtype=np.float32)[:, None], (1, len(places)))
    for number, shares in enumerate(questions.lexical):
        for place, share in shares.items():
            if place in column:
                matrix[number, column[place]] = share
    return matrix


def visible_passages(questions: Questions, size: int) -> NDArray[np.bool_]:
    """Return which passages of the pool each user may find, (questions, size).

    These are the passages that any user with the same groups found, and the relevant ones.
    """
    allowed_by_groups: dict[tuple[str, ...], NDArray[np.bool_]] = {}
    for groups, retrieved, gold in zip(questions.groups, questions.retrieved, questions.gold, strict=True):
        allowed = allowed_by_groups.setdefault(groups, np.zeros(size, dtype=bool))
        allowed[[*retrieved, *gold]] = True
    return (
        np.stack([allowed_by_groups[groups] for groups in questions.groups])
        if len(questions)
        else np.zeros((0, size), dtype=bool)
    )
