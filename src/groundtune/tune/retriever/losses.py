"""What a step of training a retriever makes smaller: how far the right passage is from standing before the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.errors import need
from groundtune.tune.retriever import models
from groundtune.tune.retriever.models import DOCUMENT, QUERY, Ranker
from groundtune.tune.retriever.rows import Data, lexical

TEMPERATURE = 0.05


@dataclass(frozen=True, slots=True)
class Tokens:
    """How long everything is, special tokens included."""

    train: Sequence[int]
    held: Sequence[int]
    passages: Sequence[int]


def in_batch(
    ranker: Ranker, data: Data, tokens: Tokens, places: Sequence[int], *, negatives: int, weight: float
) -> Any:
    """Each question's passage against all others of the batch; each passage once, other right ones left out.

    negatives: hard ones for each passage, drawn from those of its questions.

    The score is the fused one, so that what is learnt is what BM25 does not know already (Gao 2021, arXiv 2004.13969).
    """
    torch = need("torch", extra="local")
    items = [data.items[place] for place in places]
    hard: dict[int, list[int]] = {}
    for question, place in items:
        hard.setdefault(place, []).extend(data.train.negatives[question])
    pool = list(dict.fromkeys([*hard, *(one for wrong in hard.values() for one in _drawn(wrong, negatives))]))
    column = {place: number for number, place in enumerate(pool)}
    asked = list(dict.fromkeys(question for question, _ in items))
    row = {question: number for number, question in enumerate(asked)}
    texts = [data.train.questions[question] for question in asked]
    left = models.vectors(ranker, texts, lengths=[tokens.train[one] for one in asked], names=QUERY)
    passages = [data.passages[place] for place in pool]
    right = models.vectors(ranker, passages, lengths=[tokens.passages[one] for one in pool], names=DOCUMENT)
    also = [[place in data.train.gold[question] and place != own for place in pool] for question, own in items]
    target = torch.tensor([column[place] for _, place in items], device=right.device)
    with torch.autocast(ranker.encoder.device.partition(":")[0], enabled=False):
        found = torch.from_numpy(lexical(data.train.some(asked), pool)).to(right.device)
        scores = (weight * (left @ right.T) + (1 - weight) * found) / TEMPERATURE
        scores = scores[[row[question] for question, _ in items]].masked_fill(
            torch.tensor(also, device=scores.device), float("-inf")
        )
        return torch.nn.functional.cross_entropy(scores, target)


def of_its_own(ranker: Ranker, data: Data, tokens: Tokens, places: Sequence[int], *, negatives: int) -> Any:
    """Each question's passage against its hard negatives, and against that of another question of the batch."""
    torch = need("torch", extra="local")
    items = [data.items[place] for place in places]
    rows: list[list[int]] = []
    for number, (question, own) in enumerate(items):
        other = items[number - 1][1]
        strange = [] if other in data.train.gold[question] else [other]
        rows.append([own, *_drawn(data.train.negatives[question], negatives), *strange])
    pairs = [(question, place) for (question, _), row in zip(items, rows, strict=True) for place in row]
    found = models.scores(
        ranker,
        [(data.train.questions[question], data.passages[place]) for question, place in pairs],
        lengths=[min(ranker.encoder.limit, tokens.train[one] + tokens.passages[two]) for one, two in pairs],
    )
    losses = [-part.log_softmax(0)[0] for part in found.split([len(row) for row in rows])]
    return torch.stack(losses).mean()


def _drawn(negatives: Sequence[int], number: int) -> list[int]:
    """So many at random, by torch's generator, whose state is in the checkpoint."""
    if len(negatives) <= number:
        return list(negatives)
    order = need("torch", extra="local").randperm(len(negatives))[:number]
    return [negatives[place] for place in order.tolist()]
