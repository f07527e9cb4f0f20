"""Claim: fused retrieval with its defaults is never worse than the better of BM25 and dense search alone.

    python benchmarks/retrieval.py PATH [PATH ...] [--questions N] [--candidates 100] [--store lance|postgres]

PATH is a SQuAD file (v1.1 or v2.0: its passages are the documents, its answerable questions the queries) or a BEIR,
CLAPNQ or SMART folder. Documents are ingested as a user would, as rows of JSON Lines files; a document ranks where its
best passage ranks. The fitted weight is fitted on one half of the articles and reported on the other, and vice versa,
so each question is scored with a weight that never saw its article. Reciprocal rank fusion (Cormack 2009, k = 60) of
the same two lists is reported for comparison. Intervals are 95%, by bootstrap over questions.
"""

import argparse
import asyncio
import json
import math
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import corpora
from common import STORES, machine, open_index, project_folder, table, verdict
from corpora import Corpus, Query
from groundtune.build.open_index import OpenIndex
from groundtune.project import Project
from groundtune.retrieve.fusion import DEFAULT_DENSE_WEIGHT, fuse
from groundtune.stats.intervals import bootstrap_mean
from groundtune.types import Candidate, Interval, Scope, Vectors
from groundtune.workflows.evaluating import WEIGHTS

SEED = 11
ROWS_PER_FILE = 2_000
CONCURRENCY = 4
RRF_K = 60
METRICS = ("nDCG@10", "recall@10", "recall@100", "MRR")
TARGETS = {"SQuAD dev-v2.0": {"fused": 0.90, "fitted": 0.91}}
"""Target nDCG@10 over all answerable questions."""

Scores = dict[str, list[tuple[float, ...]]]
"""Maps a ranking method to the METRICS of each question."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH")
    parser.add_argument("--questions", type=int, default=None, help="a random sample of N")
    parser.add_argument("--candidates", type=int, default=100, help="passages that each stage passes to the fusion")
    parser.add_argument("--store", choices=STORES, default="lance", help="postgres: the database at DATABASE_URL")
    options = parser.parse_args()
    print(f"{machine()}, store {options.store}")
    for path in options.paths:
        corpus = corpora.read(path)
        _report(corpus, sample=options.questions, candidates=options.candidates, store=options.store)


def _report(corpus: Corpus, *, sample: int | None, candidates: int, store: str) -> None:
    queries = list(corpus.questions)
    if sample is not None and sample < len(queries):
        queries = random.Random(SEED).sample(queries, sample)
    started = time.perf_counter()
    with project_folder(store=store) as folder:
        _write(folder / "docs", corpus)
        with Project.open(folder) as project:
            passages = project.ingest().passages
            scores = asyncio.run(_scores(project, queries, candidates))
    fitted = _fit(scores, queries)

    print(f"\n{corpus.name}: {len(corpus.documents)} documents, {passages} passages, {len(queries)} questions")
    default = _method(DEFAULT_DENSE_WEIGHT)
    named = {
        "bm25": scores["bm25"],
        "dense": scores["dense"],
        "fused": scores[default],
        "fitted": fitted.scores,
        "rrf": scores["rrf"],
    }
    rows: list[Sequence[str]] = [("stage", *METRICS)]
    for name, values in named.items():
        rows.append((name, *(_shown(bootstrap_mean(column)) for column in zip(*values, strict=True))))
    table(rows)
    print(f"fused: weight {DEFAULT_DENSE_WEIGHT}; fitted: weights {fitted.weights[0]} and {fitted.weights[1]}")
    by_weight = ", ".join(f"{weight:g}: {_ndcg(scores[_method(weight)]):.4f}" for weight in WEIGHTS)
    print(f"nDCG@10 by dense weight: {by_weight}")

    single = max(("bm25", "dense"), key=lambda stage: _ndcg(named[stage]))
    for name in ("fused", "fitted"):
        gains = [ours[0] - theirs[0] for ours, theirs in zip(named[name], named[single], strict=True)]
        gain = bootstrap_mean(gains, bounds=(-1, 1))
        worse = "WORSE than" if gain.mean < 0 else "not worse than"
        print(f"{name} is {worse} the best single stage ({single}): nDCG@10 {gain.mean:+.4f} {_range(gain)}")
    for name, target in TARGETS.get(corpus.name, {}).items():
        print(f"target: {name} nDCG@10 at least {target}: {verdict(_ndcg(named[name]), target, at_least=True)}")
    print(f"({time.perf_counter() - started:.0f} s)", flush=True)


def _write(docs: Path, corpus: Corpus) -> None:
    """Write the documents as JSON Lines, with titles if the collection has them."""
    items = list(corpus.documents.items())
    for start in range(0, len(items), ROWS_PER_FILE):
        with (docs / f"{start:08}.jsonl").open("w", encoding="utf-8") as file:
            for name, document in items[start : start + ROWS_PER_FILE]:
                row = {"id": name, "text": document.text} | ({"title": document.title} if document.title else {})
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


async def _scores(project: Project, queries: Sequence[Query], candidates: int) -> Scores:
    opened = await open_index(project)
    vectors = await opened.embedder.embed_queries([question.text for question in queries])
    gate = asyncio.Semaphore(CONCURRENCY)

    async def score(question: Query, vector: Vectors) -> dict[str, tuple[float, ...]]:
        async with gate:
            ranked = await _rankings(opened, question.text, vector, candidates)
        return {method: _metrics(documents, question.gains) for method, documents in ranked.items()}

    per_query = await asyncio.gather(*(score(*pair) for pair in zip(queries, vectors, strict=True)))
    await opened.close()
    return {method: [scores[method] for scores in per_query] for method in per_query[0]}


async def _rankings(opened: OpenIndex, text: str, vector: Vectors, candidates: int) -> dict[str, list[str]]:
    """Rank documents, best first, by each method, from the two lists that the retriever fuses."""
    lexical = await opened.store.lexical(text, k=candidates, scope=Scope())
    dense = await opened.store.dense(vector, k=candidates, scope=Scope())
    ids = [candidate.id for candidate in (*lexical, *dense)]
    sources = {name: passage.source for name, passage in (await opened.store.read(ids, scope=Scope())).items()}
    rankings = {
        "bm25": _documents(sources[candidate.id] for candidate in lexical),
        "dense": _documents(sources[candidate.id] for candidate in dense),
        "rrf": _documents(sources[passage] for passage in _reciprocal(lexical, dense)),
    }
    for weight in WEIGHTS:
        fused = fuse(
            lexical,
            dense,
            vector,
            dense_weight=weight,
            complete=len(lexical) < candidates,
        )
        rankings[_method(weight)] = _documents(sources[hit.candidate.id] for hit in fused)
    return rankings


def _reciprocal(lexical: Sequence[Candidate], dense: Sequence[Candidate]) -> list[str]:
    scores: dict[str, float] = {}
    for candidates in (lexical, dense):
        for rank, candidate in enumerate(candidates, start=1):
            scores[candidate.id] = scores.get(candidate.id, 0.0) + 1 / (RRF_K + rank)
    return sorted(scores, key=lambda passage: (-scores[passage], passage))


def _documents(sources: Iterable[str]) -> list[str]:
    """Map sources of passages (`path#ID`), best first, to unique document ids."""
    return list(dict.fromkeys(source.rpartition("#")[2] for source in sources))


def _metrics(ranked: Sequence[str], gains: Mapping[str, int]) -> tuple[float, ...]:
    """Return the METRICS of one ranking; graded nDCG with linear gains, as in trec_eval."""
    got = [gains.get(document, 0) for document in ranked]
    ideal = sorted(gains.values(), reverse=True)
    recalls = [sum(gain > 0 for gain in got[:k]) / len(gains) for k in (10, 100)]
    first = next((1 / rank for rank, gain in enumerate(got, start=1) if gain), 0.0)
    return (_discounted(got) / _discounted(ideal), *recalls, first)


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains[:10], start=1))


@dataclass(frozen=True, slots=True)
class _Fitted:
    weights: tuple[float, float]
    scores: list[tuple[float, ...]]


def _fit(scores: Scores, queries: Sequence[Query]) -> _Fitted:
    """Fit in two folds by article: the weight of each half is applied to the other."""
    parts = sorted({question.part for question in queries})
    random.Random(SEED).shuffle(parts)
    first = set(parts[: len(parts) // 2])
    inside = np.array([question.part in first for question in queries])
    weights = (_best(scores, inside), _best(scores, ~inside))
    chosen = [scores[_method(weights[1] if here else weights[0])][at] for at, here in enumerate(inside)]
    return _Fitted(weights, chosen)


def _best(scores: Scores, mask: NDArray[np.bool_]) -> float:
    means = {weight: np.array([metrics[0] for metrics in scores[_method(weight)]])[mask].mean() for weight in WEIGHTS}
    return max(WEIGHTS, key=lambda weight: (means[weight], -abs(weight - DEFAULT_DENSE_WEIGHT)))


def _method(weight: float) -> str:
    return f"weight {weight:g}"


def _ndcg(values: Sequence[tuple[float, ...]]) -> float:
    return sum(metrics[0] for metrics in values) / len(values)


def _shown(interval: Interval) -> str:
    return f"{interval.mean:.3f} {_range(interval, digits=3)}"


def _range(interval: Interval, digits: int = 4) -> str:
    return f"[{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


if __name__ == "__main__":
    main()
