"""Evaluate retrieval by stage, sweep its settings and fit the fusion weight. Never writes the project's index."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundtune import build
from groundtune.build.open_index import OpenIndex
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted
from groundtune.display import Block, Displayed, Line, Table
from groundtune.errors import UsageError
from groundtune.measure.retrieval_quality import RetrievalReport, evaluate_stages
from groundtune.protocols import Embedder, Retriever
from groundtune.retrieve.fusion import DEFAULT_DENSE_WEIGHT
from groundtune.types import Example, Interval, Stage
from groundtune.workflows.ingesting import ingest
from groundtune.workspace import Workspace

WEIGHTS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
PASSAGE_SIZES = (110, 160, 220)
DEPTHS = (1, 5, 10, 20)
TOO_FEW = 20
"""Minimum number of questions with evidence for fitting a weight."""


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One setting and its results."""

    max_tokens: int
    dense_weight: float
    recall: dict[int, Interval]
    """Recall by k."""
    ndcg: Interval


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

    def view(self) -> list[Block]:
        """Return the weight, and what it gains on the test split."""
        return [
            Line(f"Fusion weight {self.dense_weight:g} fitted on {self.train_n:,} train questions", "strong"),
            Table(["nDCG@10 on the test split", ""], [["fitted", self.test], ["default", self.test_default]]),
        ]


async def evaluate(opened: OpenIndex, examples: Sequence[Example], *, k: int, worst: int = 10) -> RetrievalReport:
    """Evaluate every stage on the questions with evidence. Raises UsageError when there are none."""
    return await _measure(opened, examples, stages=opened.retriever.stages, k=k, worst=worst)


async def sweep(
    workspace: Workspace,
    config: Config,
    embedder: Embedder,
    examples: Sequence[Example],
    *,
    scratch: Path,
    progress: Callable[[str], None] = lambda _: None,
) -> list[SweepRow]:
    """Evaluate passage sizes x fusion weights, building one index per size in `scratch`; best nDCG@10 first."""
    rows = []
    for size in PASSAGE_SIZES:
        progress(f"passages of at most {size} tokens")
        passages = config.passages.model_copy(
            update={"max_tokens": size, "min_tokens": min(config.passages.min_tokens, size)}
        )
        trial = config.model_copy(update={"passages": passages})
        storage = build.local_index(workspace, scratch / str(size))
        await ingest(workspace, trial, embedder, storage=storage)
        opened = await OpenIndex.open(storage, config=trial, embedder=embedder, fitted=Fitted())
        try:
            for weight in WEIGHTS:
                rows.append(await _sweep_row(opened, trial, examples, size, weight))
        finally:
            await opened.close()
    return sorted(rows, key=lambda row: -row.ndcg.mean)


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


async def _sweep_row(
    opened: OpenIndex, config: Config, examples: Sequence[Example], size: int, weight: float
) -> SweepRow:
    report = await _measure(
        opened, examples, stages=("fused",), k=max(DEPTHS), retriever=_weighted(opened, config, weight)
    )
    metrics = report.stages[0].metrics
    return SweepRow(size, weight, {k: metrics[f"recall@{k}"] for k in DEPTHS}, metrics["ndcg@10"])


async def _fused(opened: OpenIndex, config: Config, examples: Sequence[Example], weight: float) -> Interval:
    retriever = _weighted(opened, config, weight)
    report = await _measure(opened, examples, stages=("fused",), k=10, retriever=retriever)
    return report.stages[0].metrics["ndcg@10"]


def _weighted(opened: OpenIndex, config: Config, weight: float) -> Retriever:
    retrieval = config.retrieval.model_copy(update={"dense_weight": weight, "reranker": None})
    return build.retriever(config.model_copy(update={"retrieval": retrieval}), opened.store, opened.embedder, Fitted())
