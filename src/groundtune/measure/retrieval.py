"""Turn a retriever and examples with evidence into recall, nDCG, MRR and what fails why. Never judges answers."""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar, get_args

from groundtune.errors import UsageError
from groundtune.measure.metrics import covers, holds
from groundtune.measure.statistics import bootstrap_mean
from groundtune.protocols import Retriever
from groundtune.types import EVERYONE, Document, Evidence, Example, Hit, Interval, Passage, Question, Scope, Stage

Cause = Literal["not ingested", "no access", "split across passages", "ranked too low"]
CAUSES: tuple[Cause, ...] = get_args(Cause)

Lookup = Callable[[str], Awaitable[Document | None]]
"""Source to document; None when no document has that source."""
PassagesOf = Callable[[str], Awaitable[Sequence[Passage]]]
"""Document id to its passages."""

_WORDS_SHOWN = 12
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gold:
    """Where one piece of evidence stands in the index."""

    evidence: Evidence
    relevant: frozenset[str]
    """Ids of the passages that match it; empty when nothing in the index does."""
    cause: Cause
    """What to blame when none of them is found."""


@dataclass(frozen=True, slots=True)
class Found:
    """What stood before the evidence, or in its place."""

    source: str
    heading: str
    words: str


@dataclass(frozen=True, slots=True)
class Miss:
    """A question of which the worst-ranked evidence was not at the top."""

    example: str
    question: str
    source: str
    quote: str
    rank: int | None
    """Counted from 1; None when it was not among the k hits."""
    cause: Cause | None
    """None when it was among them."""
    instead: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class StageReport:
    """How one stage of retrieval did over all questions."""

    stage: Stage
    metrics: Mapping[str, Interval]
    """`recall@1`, `@5`, `@10`, `@k` up to k; `ndcg@10` (or @k); `mrr`; each over questions, 0 to 1."""
    worst: tuple[Miss, ...]
    """Worst first: not found, then the lowest ranks."""
    failures: int
    """Pieces of evidence that are not among the k hits."""
    pieces: int
    """Pieces of evidence that were asked for."""
    causes: Mapping[Cause, float]
    """Share of the failures by cause; every cause is there, and all are 0 when nothing failed."""


@dataclass(frozen=True, slots=True)
class RetrievalReport:
    """Retrieval on its own, stage by stage, on the same questions."""

    k: int
    questions: int
    skipped: int
    """Examples without evidence, which retrieval cannot be measured on."""
    stages: tuple[StageReport, ...]


def recall_at(ranked: Sequence[str], relevant: Sequence[Collection[str]], k: int) -> float:
    """Share of the evidence found in the first k: relevant[i] has the ids of the passages that match evidence i.

    Raises ValueError when there is no evidence.
    """
    _some(relevant)
    return sum(not set(ranked[:k]).isdisjoint(ids) for ids in relevant) / len(relevant)


def reciprocal_rank(ranked: Sequence[str], relevant: Sequence[Collection[str]]) -> float:
    """1 / rank of the first passage that matches any evidence, 0 when none does; `mrr` is its mean.

    Raises ValueError when there is no evidence.
    """
    _some(relevant)
    any_of = set[str]().union(*relevant)
    return next((1 / rank for rank, one in enumerate(ranked, start=1) if one in any_of), 0.0)


def ndcg_at(ranked: Sequence[str], relevant: Sequence[Collection[str]], k: int = 10) -> float:
    """Normalised discounted cumulative gain over the first k, binary: a rank gains the evidence new at it.

    Each piece of evidence counts once, at the first rank that matches it. Overlapping passages, or the two
    halves of a split quote, match the same evidence: were each of them a relevant passage of its own, the
    ideal would ask for both, and finding the evidence at rank 1 would not be perfect. Where each evidence has
    one passage of its own this is the usual binary nDCG. Evidence that no passage matches stays in the
    ideal, so what was never ingested lowers the figure. Source: Järvelin and Kekäläinen 2002.

    Raises ValueError when there is no evidence.
    """
    _some(relevant)
    got = _discounted(_gains(ranked[:k], relevant))
    return min(1.0, got / _discounted(_ideal(relevant)[:k]))


def _some(relevant: Sequence[Collection[str]]) -> None:
    if not relevant:
        raise ValueError("no evidence, so nothing to find")


def _gains(ranked: Iterable[str], relevant: Sequence[Collection[str]]) -> list[int]:
    left = set(range(len(relevant)))
    gains = []
    for one in ranked:
        new = {at for at in left if one in relevant[at]}
        gains.append(len(new))
        left -= new
    return gains


def _ideal(relevant: Sequence[Collection[str]]) -> list[int]:
    """Gains of the best order: the passage with most new evidence next, unmatched evidence as ranks of its own."""
    left = [set(ids) for ids in relevant if ids]
    gains = []
    while left:
        best, gain = Counter(one for ids in left for one in sorted(ids)).most_common(1)[0]
        gains.append(gain)
        left = [ids for ids in left if best not in ids]
    return gains + [1] * (len(relevant) - sum(gains))


def _discounted(gains: Iterable[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def locate(
    evidence: Evidence, document: Document | None, passages: Sequence[Passage], *, groups: Sequence[str] = ()
) -> Gold:
    """Which passages of its document match a piece of evidence, and what to blame when they are not found.

    A passage matches when it is of the evidence's source and holds the whole quote; when no passage of the
    document does, those match that cover at least half of its words in one run. `groups`: who asks.
    """
    if document is None:
        return Gold(evidence, frozenset(), "not ingested")
    whole = frozenset(one.id for one in passages if holds(one.text, evidence.quote))
    relevant = whole or frozenset(one.id for one in passages if covers(one.text, evidence.quote))
    if not whole and not holds(document.text, evidence.quote):
        cause: Cause = "not ingested"
    elif set(document.groups).isdisjoint({*groups, EVERYONE}):
        cause = "no access"
    else:
        cause = "ranked too low" if whole else "split across passages"
    return Gold(evidence, relevant, cause)


async def evaluate_stages(
    retriever: Retriever,
    examples: Sequence[Example],
    *,
    stages: Sequence[Stage],
    lookup: Lookup,
    passages_of: PassagesOf,
    k: int = 10,
    worst: int = 10,
    concurrency: int = 8,
) -> RetrievalReport:
    """Ask every question with evidence at every stage, as its asker, and look where the evidence ranks.

    Questions whose evidence is not in the index are counted as not found. What the retriever raises goes
    through. Raises UsageError when no example has evidence.
    """
    asked = [example for example in examples if example.evidence]
    if not asked:
        raise UsageError("no example has evidence", hint='add "evidence": [{"source": …, "quote": …}]')
    golds = await _locate_all(asked, lookup, passages_of, concurrency)

    async def search(stage: Stage, example: Example) -> list[Hit]:
        question = Question(example.input, scope=Scope(groups=example.groups))
        return (await retriever.search(question, k=k, stage=stage))[:k]

    reports = []
    for stage in stages:
        hits = await _map(partial(search, stage), asked, concurrency)
        reports.append(_stage_report(stage, asked, golds, hits, k, worst))
    return RetrievalReport(k, len(asked), len(examples) - len(asked), tuple(reports))


async def _locate_all(
    asked: Sequence[Example], lookup: Lookup, passages_of: PassagesOf, concurrency: int
) -> list[list[Gold]]:
    """The gold of each example; every document and its passages are read once."""
    sources = list(dict.fromkeys(one.source for example in asked for one in example.evidence))
    documents = dict(zip(sources, await _map(lookup, sources, concurrency), strict=True))
    ids = list(dict.fromkeys(one.id for one in documents.values() if one))
    by_id = dict(zip(ids, await _map(passages_of, ids, concurrency), strict=True))

    def gold(evidence: Evidence, groups: Sequence[str]) -> Gold:
        document = documents[evidence.source]
        return locate(evidence, document, by_id[document.id] if document else (), groups=groups)

    return [[gold(one, example.groups) for one in example.evidence] for example in asked]


def _stage_report(
    stage: Stage,
    asked: Sequence[Example],
    golds: Sequence[Sequence[Gold]],
    hits: Sequence[Sequence[Hit]],
    k: int,
    worst: int,
) -> StageReport:
    depths = sorted({depth for depth in (1, 5, 10, k) if depth <= k})
    values: dict[str, list[float]] = {}
    misses: list[Miss] = []
    failed: Counter[Cause] = Counter()
    for example, pieces, found in zip(asked, golds, hits, strict=True):
        ranked = [hit.passage.id for hit in found]
        relevant = [gold.relevant for gold in pieces]
        for depth in depths:
            values.setdefault(f"recall@{depth}", []).append(recall_at(ranked, relevant, depth))
        values.setdefault(f"ndcg@{min(10, k)}", []).append(ndcg_at(ranked, relevant, min(10, k)))
        values.setdefault("mrr", []).append(reciprocal_rank(ranked, relevant))
        ranks = [_rank(ranked, gold) for gold in pieces]
        failed.update(gold.cause for gold, rank in zip(pieces, ranks, strict=True) if rank is None)
        at = max(range(len(pieces)), key=lambda at: ranks[at] or math.inf)
        if ranks[at] != 1:
            misses.append(_miss(example, pieces[at], ranks[at], found))
    misses.sort(key=lambda miss: -(miss.rank or math.inf))
    failures = failed.total()
    return StageReport(
        stage=stage,
        metrics={name: bootstrap_mean(column) for name, column in values.items()},
        worst=tuple(misses[:worst]),
        failures=failures,
        pieces=sum(map(len, golds)),
        causes={cause: failed[cause] / failures if failures else 0.0 for cause in CAUSES},
    )


def _rank(ranked: Sequence[str], gold: Gold) -> int | None:
    return next((rank for rank, one in enumerate(ranked, start=1) if one in gold.relevant), None)


def _miss(example: Example, gold: Gold, rank: int | None, hits: Sequence[Hit]) -> Miss:
    before = hits if rank is None else hits[: rank - 1]
    return Miss(
        example=example.id,
        question=example.input,
        source=gold.evidence.source,
        quote=gold.evidence.quote,
        rank=rank,
        cause=gold.cause if rank is None else None,
        instead=tuple(
            Found(hit.passage.source, hit.passage.heading, _first_words(hit.passage.text)) for hit in before[:3]
        ),
    )


def _first_words(text: str) -> str:
    shown = text.split()
    return " ".join(shown[:_WORDS_SHOWN]) + (" …" if len(shown) > _WORDS_SHOWN else "")


async def _map(function: Callable[[S], Awaitable[T]], items: Sequence[S], limit: int) -> list[T]:
    """Results in order, at most `limit` at a time; the first exception ends the rest and is raised."""
    gate = asyncio.Semaphore(limit)

    async def guarded(item: S) -> T:
        async with gate:
            return await function(item)

    tasks = [asyncio.ensure_future(guarded(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
