"""Evaluate a retriever on examples with evidence: recall, nDCG, MRR and causes of misses. Never judges answers."""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar, get_args

from groundtune.common.conversations import HistoryUse, searched_text
from groundtune.common.text import format_count
from groundtune.dataset.reviewing import unreviewed_sentence
from groundtune.display import Block, Displayed, Fold, Line, Table
from groundtune.errors import UsageError
from groundtune.measure.domain_mismatch import DomainMismatch
from groundtune.measure.metrics import contains_most_of_quote, contains_quote
from groundtune.protocols import Retriever
from groundtune.stats.intervals import bootstrap_mean
from groundtune.stats.ranking_metrics import ndcg_at, recall_at, reciprocal_rank
from groundtune.types import EVERYONE, Document, Evidence, Example, Hit, Interval, Passage, Question, Scope, Stage

Cause = Literal["not ingested", "no access", "split across passages", "ranked too low"]
CAUSES: tuple[Cause, ...] = get_args(Cause)

FindDocument = Callable[[str], Awaitable[Document | None]]
"""Maps a source to its document; None when no document has that source."""
FindPassages = Callable[[str], Awaitable[Sequence[Passage]]]
"""Maps a document id to its passages."""

_WORDS_SHOWN = 12
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LocatedEvidence:
    """Location of one piece of evidence in the index."""

    evidence: Evidence
    relevant: frozenset[str]
    """Ids of the matching passages; empty when none in the index matches."""
    cause: Cause
    """Cause of a miss when none of them is retrieved."""
    whole: bool = False
    """Whether these passages hold the whole quote; otherwise each holds half of its words in one run, or more."""


@dataclass(frozen=True, slots=True)
class RankedPassage:
    """A passage ranked ahead of the evidence, or retrieved instead of it."""

    source: str
    heading: str
    words: str


@dataclass(frozen=True, slots=True)
class Miss:
    """A question whose worst-ranked piece of evidence was not at rank 1."""

    example: str
    question: str
    source: str
    quote: str
    rank: int | None
    """Rank, counted from 1; None when it was not among the k hits."""
    cause: Cause | None
    """Cause of the miss; None when the evidence was among the k hits."""
    instead: tuple[RankedPassage, ...]


@dataclass(frozen=True, slots=True)
class StageReport:
    """Results of one retrieval stage over all questions."""

    stage: Stage
    metrics: Mapping[str, Interval]
    """`recall@1`, `@5`, `@10`, `@k` up to k; `ndcg@10` (or @k); `mrr`; each a mean over questions, 0 to 1."""
    by_question: Mapping[str, float]
    """`ndcg@10` (or @k) of each question, by the id of its example."""
    worst: tuple[Miss, ...]
    """Misses, worst first: not retrieved, then by descending rank."""
    failures: int
    """Number of pieces of evidence that are not among the k hits."""
    pieces: int
    """Number of pieces of evidence."""
    causes: Mapping[Cause, float]
    """Share of the failures by cause, with every cause present; all 0 when nothing failed."""
    ranks: tuple[int | None, ...] = ()
    """Rank of each piece of evidence, in the order of the examples; None when it is not among the k hits."""


@dataclass(frozen=True, slots=True)
class RetrievalReport(Displayed):
    """Retrieval results by stage, on the same questions."""

    k: int
    questions: int
    skipped: int
    """Number of examples without evidence, on which retrieval cannot be measured."""
    stages: tuple[StageReport, ...]
    mismatch: DomainMismatch | None = None
    """Whether the embedder fits the documents; None where nobody looked."""
    unreviewed_sentence: str | None = None
    """That nobody looked at some of the questions, which a program drafted; None if that is not so."""

    def view(self) -> list[Block]:
        """Return the metrics of every stage, then the failures of the last one."""
        names = list(self.stages[0].metrics)
        last = self.stages[-1]
        rows = [[stage.stage, *(stage.metrics[name] for name in names)] for stage in self.stages]
        blocks: list[Block] = [Table(["stage", *names], rows)]
        if self.unreviewed_sentence:
            blocks.insert(0, Line(self.unreviewed_sentence, "strong"))
        if last.failures:
            causes = ", ".join(f"{cause} {share:.0%}" for cause, share in last.causes.items() if share)
            found = f"{last.failures:,} of {last.pieces:,} pieces of evidence ({causes})"
            blocks.append(Line(f"Missing from the top {self.k} passages: {found}"))
        worst = [[miss.question, miss.source, miss.quote, miss.rank or miss.cause] for miss in last.worst]
        if self.mismatch:
            blocks += self.mismatch.view()
        if worst:
            title = f"{format_count(len(worst), 'worst question')}: stages[-1].worst"
            blocks.append(Fold(title, [Table(["question", "source", "quote", "rank or cause"], worst)]))
        return blocks


def locate(
    evidence: Evidence, document: Document | None, passages: Sequence[Passage], *, groups: Sequence[str] = ()
) -> LocatedEvidence:
    """Find the passages of a document that match a piece of evidence, and the cause if they are not retrieved.

    A passage matches when it, or the larger piece that a prompt gets in its place, contains the whole quote; if no
    passage of the document does, those match that contain at least half of its words in one run. `groups`: access
    groups of the user.
    """
    if document is None:
        return LocatedEvidence(evidence, frozenset(), "not ingested")
    texts = {passage.id: _shown_text(passage, document) for passage in passages}
    complete = _matching(texts, evidence.quote, contains_quote)
    relevant = complete or _matching(texts, evidence.quote, contains_most_of_quote)
    if not complete and not contains_quote(document.text, evidence.quote):
        cause: Cause = "not ingested"
    elif set(document.groups).isdisjoint({*groups, EVERYONE}):
        cause = "no access"
    else:
        cause = "ranked too low" if complete else "split across passages"
    return LocatedEvidence(evidence, relevant, cause, bool(complete))


def _matching(texts: Mapping[str, str], quote: str, contains: Callable[[str, str], bool]) -> frozenset[str]:
    """Return the ids of the texts with the quote. Many passages may share a larger piece, which is read once."""
    matching = {text for text in set(texts.values()) if contains(text, quote)}
    return frozenset(passage for passage, text in texts.items() if text in matching)


def _shown_text(passage: Passage, document: Document) -> str:
    if passage.wider_start is None:
        return passage.text
    return document.text[passage.wider_start : passage.wider_end]


async def evaluate_stages(
    retriever: Retriever,
    examples: Sequence[Example],
    *,
    stages: Sequence[Stage],
    find_document: FindDocument,
    passages_of: FindPassages,
    k: int = 10,
    worst: int = 10,
    concurrency: int = 8,
    history: HistoryUse = "join",
) -> RetrievalReport:
    """Search every question with evidence at every stage, with the access groups of its user, and rank the evidence.

    Questions whose evidence is not in the index count as misses. history: what is searched for when an example has
    one; nothing is rewritten here, but joined instead. Exceptions of the retriever propagate. Raises UsageError when no
    example has evidence.
    """
    with_evidence = [example for example in examples if example.evidence]
    if not with_evidence:
        raise UsageError("no example has evidence", hint='add "evidence": [{"source": …, "quote": …}]')
    golds = await locate_all(with_evidence, find_document, passages_of, concurrency)

    async def search(stage: Stage, example: Example) -> list[Hit]:
        question = Question(searched_text(example, history), scope=Scope(groups=example.groups))
        return (await retriever.search(question, k=k, stage=stage))[:k]

    reports = []
    for stage in stages:
        hits = await _map(partial(search, stage), with_evidence, concurrency)
        reports.append(await asyncio.to_thread(_stage_report, stage, with_evidence, golds, hits, k, worst))
    skipped = len(examples) - len(with_evidence)
    return RetrievalReport(
        k, len(with_evidence), skipped, tuple(reports), unreviewed_sentence=unreviewed_sentence(with_evidence)
    )


async def locate_all(
    examples: Sequence[Example], find_document: FindDocument, passages_of: FindPassages, concurrency: int = 8
) -> list[list[LocatedEvidence]]:
    """Locate the evidence of each example; every document and its passages are read once."""
    sources = list(dict.fromkeys(evidence.source for example in examples for evidence in example.evidence))
    documents = dict(zip(sources, await _map(find_document, sources, concurrency), strict=True))
    ids = list(dict.fromkeys(document.id for document in documents.values() if document))
    by_id = dict(zip(ids, await _map(passages_of, ids, concurrency), strict=True))

    def gold(evidence: Evidence, groups: Sequence[str]) -> LocatedEvidence:
        document = documents[evidence.source]
        return locate(evidence, document, by_id[document.id] if document else (), groups=groups)

    def golds() -> list[list[LocatedEvidence]]:
        return [[gold(evidence, example.groups) for evidence in example.evidence] for example in examples]

    return await asyncio.to_thread(golds)


def _stage_report(
    stage: Stage,
    examples: Sequence[Example],
    golds: Sequence[Sequence[LocatedEvidence]],
    hits: Sequence[Sequence[Hit]],
    k: int,
    worst: int,
) -> StageReport:
    depths = sorted({depth for depth in (1, 5, 10, k) if depth <= k})
    values: dict[str, list[float]] = {}
    misses: list[Miss] = []
    failed: Counter[Cause] = Counter()
    all_ranks: list[int | None] = []
    for example, pieces, example_hits in zip(examples, golds, hits, strict=True):
        ranked = [hit.passage.id for hit in example_hits]
        relevant = [gold.relevant for gold in pieces]
        for depth in depths:
            values.setdefault(f"recall@{depth}", []).append(recall_at(ranked, relevant, depth))
        values.setdefault(f"ndcg@{min(10, k)}", []).append(ndcg_at(ranked, relevant, min(10, k)))
        values.setdefault("mrr", []).append(reciprocal_rank(ranked, relevant))
        ranks = [_rank(ranked, gold) for gold in pieces]
        all_ranks += ranks
        failed.update(gold.cause for gold, rank in zip(pieces, ranks, strict=True) if rank is None)
        lowest = max(range(len(pieces)), key=lambda index: ranks[index] or math.inf)
        if ranks[lowest] != 1:
            misses.append(_miss(example, pieces[lowest], ranks[lowest], example_hits))
    misses.sort(key=lambda miss: -(miss.rank or math.inf))
    failures = failed.total()
    return StageReport(
        stage=stage,
        metrics={name: bootstrap_mean(column) for name, column in values.items()},
        by_question=dict(zip((example.id for example in examples), values[f"ndcg@{min(10, k)}"], strict=True)),
        worst=tuple(misses[:worst]),
        failures=failures,
        pieces=sum(map(len, golds)),
        causes={cause: failed[cause] / failures if failures else 0.0 for cause in CAUSES},
        ranks=tuple(all_ranks),
    )


def _rank(ranked: Sequence[str], gold: LocatedEvidence) -> int | None:
    return next((rank for rank, passage_id in enumerate(ranked, start=1) if passage_id in gold.relevant), None)


def _miss(example: Example, gold: LocatedEvidence, rank: int | None, hits: Sequence[Hit]) -> Miss:
    before = hits if rank is None else hits[: rank - 1]
    return Miss(
        example=example.id,
        question=example.input,
        source=gold.evidence.source,
        quote=gold.evidence.quote,
        rank=rank,
        cause=gold.cause if rank is None else None,
        instead=tuple(
            RankedPassage(hit.passage.source, hit.passage.heading, _first_words(hit.passage.text)) for hit in before[:3]
        ),
    )


def _first_words(text: str) -> str:
    words = text.split()
    return " ".join(words[:_WORDS_SHOWN]) + (" …" if len(words) > _WORDS_SHOWN else "")


async def _map(function: Callable[[S], Awaitable[T]], items: Sequence[S], limit: int) -> list[T]:
    """Return the results in order, running at most `limit` at a time; the first exception cancels the rest."""
    semaphore = asyncio.Semaphore(limit)

    async def limited(item: S) -> T:
        async with semaphore:
            return await function(item)

    tasks = [asyncio.ensure_future(limited(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
