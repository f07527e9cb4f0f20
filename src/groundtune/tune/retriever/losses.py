"""Losses for training a retriever: they push the relevant passage ahead of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.errors import need
from groundtune.tune.retriever import models
from groundtune.tune.retriever.models import DOCUMENT, QUERY, Ranker
from groundtune.tune.retriever.training_data import RetrieverData, lexical_scores

TEMPERATURE = 0.05


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Token counts, special tokens included."""

    train: Sequence[int]
    validation: Sequence[int]
    passages: Sequence[int]


def in_batch_loss(
    ranker: Ranker, data: RetrieverData, tokens: TokenCounts, places: Sequence[int], *, negatives: int, weight: float
) -> Any:
    """Contrast each question's passage with all others in the batch except other relevant ones; each is encoded once.

    negatives: number of hard negatives per passage, sampled from those of its questions.

    The score is the fused one, so that the model learns what BM25 does not already cover (Gao 2021, arXiv 2004.13969).
    """
    torch = need("torch", extra="local")
    items = [data.items[place] for place in places]
    hard: dict[int, list[int]] = {}
    for question, place in items:
        hard.setdefault(place, []).extend(data.train.negatives[question])
    pool = list(dict.fromkeys([*hard, *(negative for wrong in hard.values() for negative in _drawn(wrong, negatives))]))
    column = {place: number for number, place in enumerate(pool)}
    questions = list(dict.fromkeys(question for question, _ in items))
    row = {question: number for number, question in enumerate(questions)}
    texts = [data.train.questions[question] for question in questions]
    question_vectors = models.vectors(
        ranker, texts, lengths=[tokens.train[question] for question in questions], names=QUERY
    )
    passages = [data.passages[place] for place in pool]
    passage_vectors = models.vectors(
        ranker, passages, lengths=[tokens.passages[place] for place in pool], names=DOCUMENT
    )
    masked = [[place in data.train.gold[question] and place != answer for place in pool] for question, answer in items]
    target = torch.tensor([column[place] for _, place in items], device=passage_vectors.device)
    with torch.autocast(ranker.encoder.device.partition(":")[0], enabled=False):
        bm25 = torch.from_numpy(lexical_scores(data.train.subset(questions), pool)).to(passage_vectors.device)
        scores = (weight * (question_vectors @ passage_vectors.T) + (1 - weight) * bm25) / TEMPERATURE
        scores = scores[[row[question] for question, _ in items]].masked_fill(
            torch.tensor(masked, device=scores.device), float("-inf")
        )
        return torch.nn.functional.cross_entropy(scores, target)


def listwise_loss(
    ranker: Ranker, data: RetrieverData, tokens: TokenCounts, places: Sequence[int], *, negatives: int
) -> Any:
    """Contrast each question's passage with its hard negatives and with one of another question in the batch."""
    torch = need("torch", extra="local")
    items = [data.items[place] for place in places]
    rows: list[list[int]] = []
    for number, (question, answer) in enumerate(items):
        other = items[number - 1][1]
        extra = [] if other in data.train.gold[question] else [other]
        rows.append([answer, *_drawn(data.train.negatives[question], negatives), *extra])
    pairs = [(question, place) for (question, _), row in zip(items, rows, strict=True) for place in row]
    scores = models.scores(
        ranker,
        [(data.train.questions[question], data.passages[place]) for question, place in pairs],
        lengths=[
            min(ranker.encoder.limit, tokens.train[question] + tokens.passages[place]) for question, place in pairs
        ],
    )
    losses = [-part.log_softmax(0)[0] for part in scores.split([len(row) for row in rows])]
    return torch.stack(losses).mean()


def _drawn(negatives: Sequence[int], number: int) -> list[int]:
    """Sample `number` negatives with torch's generator, whose state is in the checkpoint."""
    if len(negatives) <= number:
        return list(negatives)
    order = need("torch", extra="local").randperm(len(negatives))[:number]
    return [negatives[place] for place in order.tolist()]
