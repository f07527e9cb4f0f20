"""Questions with passages to what a retriever is trained and measured on, as numbers. Loads no model."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from groundtune.tune.job import Job, Row, TuneError

Floats = NDArray[np.float32]

ALIKE = 0.95
"""Share of the score of its own passage above which a hard negative may well be right too; it is left out.

Source: Moreira 2024, NV-Retriever, arXiv 2407.15831 (TopK-PercPos).
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions with the places of their passages in the pool."""

    questions: tuple[str, ...]
    gold: tuple[frozenset[int], ...]
    """All that answer the question, from every row that asks it."""
    negatives: tuple[tuple[int, ...], ...]
    found: tuple[tuple[int, ...], ...]
    """What our own retriever finds, best first; empty where it was not asked."""
    lexical: tuple[Mapping[int, float], ...]
    """What BM25 says of passages, 0 to 1, by place; `floor` of all others."""
    floor: tuple[float, ...]
    groups: tuple[tuple[str, ...], ...]
    """Of the asker."""

    def __len__(self) -> int:
        return len(self.questions)

    def some(self, chosen: Sequence[int]) -> "Asked":
        """Of these questions alone."""
        return Asked(*(tuple(getattr(self, column.name)[one] for one in chosen) for column in fields(self)))


@dataclass(frozen=True, slots=True)
class Data:
    """What the rows of both splits come to."""

    passages: tuple[str, ...]
    """The pool: every passage of every row, each text once."""
    train: Asked
    held: Asked
    """Of the validation split, those that our own retriever was asked."""
    items: tuple[tuple[int, int], ...]
    """Question of the train split and one of its passages: what a step takes a batch of."""

    def by_passage(self, most: int) -> list[list[int]]:
        """Items of one passage together, so many at most: a passage costs far more than the questions about it."""
        own: dict[int, list[int]] = defaultdict(list)
        for number, (_, place) in enumerate(self.items):
            own[place].append(number)
        return [items[start : start + most] for items in own.values() for start in range(0, len(items), most)]

    @property
    def trained(self) -> list[int]:
        """Places of the passages that are trained on."""
        own = (one for row in (*self.train.gold, *self.train.negatives) for one in row)
        return sorted(set(own))


@dataclass(slots=True)
class _Question:
    """Rows of one question and asker, put together."""

    gold: dict[int, None] = field(default_factory=dict)
    negatives: dict[int, None] = field(default_factory=dict)
    found: dict[int, None] = field(default_factory=dict)
    lexical: dict[str, float] = field(default_factory=dict)
    """By id: a passage may get its text from a later row."""
    floor: float = 0.0


def read(job: Job) -> Data:
    """Raises TuneError when no row has a passage that answers."""
    places: dict[str, int] = {}
    ids: dict[str, int] = {}
    train = _collected(job.rows("train"), places, ids)
    held = _collected(job.rows("validation"), places, ids)
    asked = _asked(train, ids)
    items = tuple((number, place) for number, gold in enumerate(asked.gold) for place in sorted(gold))
    if len(places) < 2 or not items:
        raise TuneError(
            f"nothing to rank: {len(asked)} questions with evidence, {len(places)} passages",
            hint="give examples evidence that stands in the index; groundtune evaluate says which is found",
        )
    return Data(tuple(places), asked, _asked({key: one for key, one in held.items() if one.found}, ids), items)


Collected = dict[tuple[str, tuple[str, ...]], _Question]


def _collected(rows: Sequence[Row], places: dict[str, int], ids: dict[str, int]) -> Collected:
    """By question and asker; `places` and `ids` grow by the passages that are new."""
    made: Collected = defaultdict(_Question)
    for row in rows:
        if not row.positives:
            continue
        given = row.ranking
        one = made[row.input, given.groups if given else ()]
        one.gold.update((places.setdefault(text, len(places)), None) for text in row.positives)
        one.negatives.update((places.setdefault(text, len(places)), None) for text in row.negatives)
        if given is None:
            continue
        ids.update((key, places.setdefault(text, len(places))) for key, text in given.texts.items())
        one.found.update((ids[key], None) for key in given.found)
        one.lexical.update(given.lexical)
        one.floor = given.floor
    return made


def _asked(made: Collected, ids: Mapping[str, int]) -> Asked:
    lexical = []
    for one in made.values():
        shares: dict[int, float] = {}
        for key, share in one.lexical.items():
            if key in ids:  # of several passages with one text the best
                shares[ids[key]] = max(share, shares.get(ids[key], 0.0))
        lexical.append(shares)
    own = made.values()
    return Asked(
        questions=tuple(text for text, _ in made),
        gold=tuple(frozenset(one.gold) for one in own),
        negatives=tuple(tuple(place for place in one.negatives if place not in one.gold) for one in own),
        found=tuple(tuple(one.found) for one in own),
        lexical=tuple(lexical),
        floor=tuple(one.floor for one in own),
        groups=tuple(groups for _, groups in made),
    )


def without_alike(asked: Asked, scores: Floats) -> Asked:
    """Without the hard negatives that the base finds nearly as good as the right passage. scores: (questions, pool)."""
    kept = []
    for number, negatives in enumerate(asked.negatives):
        own = scores[number]
        limit = ALIKE * max(float(own[place]) for place in asked.gold[number])
        kept.append(tuple(place for place in negatives if float(own[place]) <= limit))
    return replace(asked, negatives=tuple(kept))


def lexical(asked: Asked, places: Sequence[int]) -> Floats:
    """What BM25 says, (questions, places)."""
    column = {place: number for number, place in enumerate(places)}
    found = np.tile(np.asarray(asked.floor, dtype=np.float32)[:, None], (1, len(places)))
    for number, shares in enumerate(asked.lexical):
        for place, share in shares.items():
            if place in column:
                found[number, column[place]] = share
    return found


def visible(asked: Asked, size: int) -> NDArray[np.bool_]:
    """Whether a passage of the pool may be found by the asker, (questions, size): those that one with the same groups
    found, and its own right ones."""
    open_to: dict[tuple[str, ...], NDArray[np.bool_]] = {}
    for groups, found, gold in zip(asked.groups, asked.found, asked.gold, strict=True):
        own = open_to.setdefault(groups, np.zeros(size, dtype=bool))
        own[[*found, *gold]] = True
    return np.stack([open_to[groups] for groups in asked.groups]) if len(asked) else np.zeros((0, size), dtype=bool)
