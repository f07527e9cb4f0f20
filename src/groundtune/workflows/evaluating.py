"""Evaluate retrieval by stage, try other parsers and fit the fusion weight. Never writes the project's index."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from groundtune import build
from groundtune.build.open_index import OpenIndex
from groundtune.common.text import format_count
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted
from groundtune.config.project_file import ParserRule
from groundtune.dataset.reviewing import unreviewed_sentence
from groundtune.display import Block, Displayed, Fold, Line, Table
from groundtune.errors import UsageError
from groundtune.ingest.access_rules import applies
from groundtune.ingest.parsers import find_parser
from groundtune.measure.domain_mismatch import DomainMismatch, domain_mismatch
from groundtune.measure.retrieval_quality import RetrievalReport, StageReport, evaluate_stages
from groundtune.protocols import Retriever
from groundtune.retrieve.fusion import DEFAULT_DENSE_WEIGHT
from groundtune.stats.intervals import bootstrap_mean
from groundtune.types import Example, Interval, Stage
from groundtune.workflows.ingesting import ingest
from groundtune.workspace import Workspace

WEIGHTS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
SAMPLE = 2_000
"""Passages in which words that the embedder does not know are counted."""
SAMPLE_ROWS = 20
"""Documents of one file among them."""
TOO_FEW = 20
"""Minimum number of questions with evidence for fitting a weight."""


@dataclass(frozen=True, slots=True)
class WeightFit(Displayed):
    """The fitted weight, with its results on held-out questions."""

    dense_weight: float
    train_n: int
    train_ndcg: float
    test: Interval
    """nDCG@10 with the fitted weight on the test split."""
    test_default: Interval
    """The same with the default weight."""
    unreviewed_sentence: str | None = None
    """That nobody looked at some of the questions, which a program drafted; None if that is not so."""

    def view(self) -> list[Block]:
        """Return the weight, and what it gains on the test split."""
        return [
            Line(f"Fusion weight {self.dense_weight:g} fitted on {self.train_n:,} train questions", "strong"),
            *([Line(self.unreviewed_sentence, "strong")] if self.unreviewed_sentence else []),
            Table(["nDCG@10 on the test split", ""], [["fitted", self.test], ["default", self.test_default]]),
        ]


@dataclass(frozen=True, slots=True)
class ParserTrial(Displayed):
    """Retrieval over documents that another parser read, beside the project's own way of reading them."""

    parser: str
    read: int
    """Files that it read."""
    failed: Mapping[str, str]
    """Why it could not read a file, by source; the project's own index may well have it."""
    own: StageReport
    trial: StageReport
    """The same questions after this parser read the files: those whose evidence is in these files."""
    difference: Interval
    """nDCG with this parser minus nDCG without it, question by question."""
    unreviewed_sentence: str | None = None
    """That nobody looked at some of the questions, which a program drafted; None if that is not so."""

    @property
    def sentence(self) -> str:
        """Whether it pays, and how sure that is."""
        change = f"{self.difference.mean:+.3f} [{self.difference.low:+.3f}, {self.difference.high:+.3f}]"
        known = f"nDCG {change}, n = {self.difference.n}"
        if self.difference.low > 0:
            return f"{self.parser} finds measurably more than the present parsers ({known})."
        if self.difference.high < 0:
            return f"{self.parser} finds measurably less than the present parsers ({known})."
        return f"No measurable difference between {self.parser} and the present parsers ({known})."

    def view(self) -> list[Block]:
        """Return the metrics of both, the verdict, and what could not be read."""
        rows = [
            [name, *report.metrics.values(), round(report.causes["not ingested"] * report.failures)]
            for name, report in (("present parsers", self.own), (self.parser, self.trial))
        ]
        blocks: list[Block] = [
            Table(["", *self.own.metrics, "evidence not in the text"], rows),
            Line(self.sentence, "strong"),
            *([Line(self.unreviewed_sentence, "strong")] if self.unreviewed_sentence else []),
        ]
        failed = [[source, reason] for source, reason in self.failed.items()]
        if failed:
            title = f"{self.parser} could not read {format_count(len(failed), 'file')}"
            blocks.append(Fold(title, [Table(["file", "reason"], failed)]))
        return blocks


async def try_parser(
    workspace: Workspace,
    config: Config,
    opened: OpenIndex,
    examples: Sequence[Example],
    *,
    parser: str,
    patterns: Sequence[str],
    scratch: Path,
) -> ParserTrial:
    """Read the documents that match again with another parser, into an index in `scratch`, and compare what is found.

    Raises MissingError for an unknown parser, UsageError when no example has evidence in such a document.
    """
    find_parser(parser)

    def matches(source: str) -> bool:
        return any(applies(source, pattern) for pattern in patterns)

    affected = [
        replace(example, evidence=pieces)
        for example in examples
        if (pieces := tuple(piece for piece in example.evidence if matches(piece.source)))
    ]
    if not affected:
        hint = "choose other files, or add examples whose evidence is in these"
        raise UsageError(f"no example has evidence in a document that matches {', '.join(patterns)}", hint=hint)
    rules = (*config.documents.parsers, ParserRule(include=tuple(patterns), parser=parser))
    documents = config.documents.model_copy(update={"parsers": rules})
    changed = config.model_copy(update={"documents": documents})
    storage = build.local_index(workspace, scratch)
    ledger = await ingest(workspace, changed, opened.embedder, storage=storage)
    trial = await OpenIndex.open(storage, config=changed, embedder=opened.embedder, fitted=Fitted())
    try:
        own, other = [
            (await _measure(index, affected, stages=("fused",), k=10, retriever=_usual(index, config))).stages[0]
            for index in (opened, trial)
        ]
    finally:
        await trial.close()
    files = [file.row for file in ledger.files if matches(file.row.source)]
    return ParserTrial(
        parser=parser,
        read=sum(row.status == "indexed" for row in files),
        failed={row.source: row.reason or row.status for row in files if row.status != "indexed"},
        own=own,
        trial=other,
        difference=bootstrap_mean(
            [other.by_question[example] - value for example, value in own.by_question.items()], bounds=(-1.0, 1.0)
        ),
        unreviewed_sentence=unreviewed_sentence(affected),
    )


def _usual(opened: OpenIndex, config: Config) -> Retriever:
    """Return a retriever with the default weight, so that a weight fitted on one of two indexes decides nothing."""
    return _weighted(opened, config, DEFAULT_DENSE_WEIGHT)


async def evaluate(opened: OpenIndex, examples: Sequence[Example], *, k: int, worst: int = 10) -> RetrievalReport:
    """Evaluate every stage on the questions with evidence, and say whether the embedder fits the documents.

    Raises UsageError when there are none.
    """
    report = await _measure(opened, examples, stages=opened.retriever.stages, k=k, worst=worst)
    return replace(report, mismatch=await _mismatch(opened, examples, report))


async def _mismatch(opened: OpenIndex, examples: Sequence[Example], report: RetrievalReport) -> DomainMismatch:
    found = {stage.stage: [rank is not None for rank in stage.ranks] for stage in report.stages}
    texts = [f"{example.input}\n{piece.quote}" for example in examples for piece in example.evidence]
    estimated = getattr(opened.embedder, "estimates_tokens", False)
    return await asyncio.to_thread(
        domain_mismatch,
        found["bm25"],
        found["dense"],
        texts,
        await _sample(opened),
        None if estimated else opened.embedder.count_tokens,
    )


async def _sample(opened: OpenIndex) -> list[str]:
    """Return the texts of some passages, from documents chosen by chance."""
    files = list(await opened.catalog.files())
    texts: list[str] = []
    for file in random.Random(0).sample(files, len(files)):
        for document in list(await opened.catalog.document_states(file))[:SAMPLE_ROWS]:
            texts += [passage.text for passage in await opened.passages(document)]
        if len(texts) >= SAMPLE:
            break
    return texts[:SAMPLE]


async def fit_weight(opened: OpenIndex, config: Config, examples: Sequence[Example]) -> WeightFit:
    """Return the weight with the best nDCG@10 on the train split. Raises UsageError if there are too few questions."""
    with_evidence = [example for example in examples if example.evidence]
    train = [example for example in with_evidence if example.split == "train"]
    test = [example for example in with_evidence if example.split == "test"]
    if len(train) < TOO_FEW or not test:
        raise UsageError(
            f"fitting needs at least {TOO_FEW} train questions and 1 test question with evidence; "
            f"there are {len(train)} and {len(test)}",
            hint="add evidence to more examples",
        )
    scores = {weight: (await _fused(opened, config, train, weight)).mean for weight in WEIGHTS}
    best = max(WEIGHTS, key=lambda weight: (scores[weight], -abs(weight - DEFAULT_DENSE_WEIGHT)))
    return WeightFit(
        dense_weight=best,
        train_n=len(train),
        train_ndcg=scores[best],
        test=await _fused(opened, config, test, best),
        test_default=await _fused(opened, config, test, DEFAULT_DENSE_WEIGHT),
        unreviewed_sentence=unreviewed_sentence([*train, *test]),
    )


async def _measure(
    opened: OpenIndex,
    examples: Sequence[Example],
    *,
    stages: Sequence[Stage],
    k: int,
    worst: int = 0,
    retriever: Retriever | None = None,
) -> RetrievalReport:
    return await evaluate_stages(
        retriever or opened.retriever,
        examples,
        stages=stages,
        find_document=opened.document_by_source,
        passages_of=opened.passages,
        k=k,
        worst=worst,
        history=opened.history,
    )


async def _fused(opened: OpenIndex, config: Config, examples: Sequence[Example], weight: float) -> Interval:
    retriever = _weighted(opened, config, weight)
    report = await _measure(opened, examples, stages=("fused",), k=10, retriever=retriever)
    return report.stages[0].metrics["ndcg@10"]


def _weighted(opened: OpenIndex, config: Config, weight: float) -> Retriever:
    retrieval = config.retrieval.model_copy(update={"dense_weight": weight, "reranker": None})
    return build.retriever(config.model_copy(update={"retrieval": retrieval}), opened.store, opened.embedder, Fitted())
