"""Claim: a retriever tuned on some articles ranks better on others, or its gate says that it does not.

    python benchmarks/tune_retriever.py PATH [--train 30 3000] [--validation 500] [--test 1200] [--part embedder]

PATH is a SQuAD file. Each of its articles goes into exactly one of train, validation and test; all of them are indexed.
The rows are those of `groundtune tune`: positives contain the sentence with the answer; hard negatives and the
candidates that the gate ranks come from the project's own retriever. Each training runs in the worker process, as for a
user.

The report shows the gate's result on the validation questions and nDCG@10 on questions about the test articles, before
and after, whether the gate adopts the model or not: of the dense stage, and of the fused ranking with the default
weight and with the weights fitted on the validation questions. Intervals are 95%, by bootstrap over passages.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import corpora
from common import machine, project_folder, table
from corpora import Corpus, Query
from groundtune.build.open_index import OpenIndex
from groundtune.build.training_kinds.retrieved_rows import ranking_settings, retrieval_rows
from groundtune.languages.text import sentences
from groundtune.project import Project
from groundtune.retrieve.fusion import DEFAULT_DENSE_WEIGHT, fuse
from groundtune.retrieve.retriever import DEFAULT_CANDIDATES
from groundtune.stats.intervals import bootstrap_mean
from groundtune.tune.job import Job, TrainingRow, TrainingStep, write_job
from groundtune.tune.launcher import launch_training
from groundtune.tune.retriever.adoption_gate import WEIGHTS
from groundtune.types import Artifact, Evidence, Example, Question, Scope
from retrieval import ROWS_PER_FILE, _documents, _metrics, _write

SEED = 7
RERANKED = 20
"""Number of candidates that a reranker scores."""
SETTINGS = {"seed": 0, "max_tokens": None, "allow_truncation": 0, "max_minutes": None, "device": None}


@dataclass(frozen=True, slots=True)
class Resources:
    """The part of the resources that `retrieval_rows` uses."""

    index: OpenIndex


@dataclass(slots=True)
class Parts:
    """Questions by split; each article is in one split only."""

    corpus: Corpus
    quotes: Mapping[str, str]
    split: dict[str, list[Query]] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, metavar="PATH")
    parser.add_argument("--train", type=int, nargs="+", default=[30, 3000], help="questions, for each training")
    parser.add_argument("--validation", type=int, default=500)
    parser.add_argument("--test", type=int, default=1200)
    parser.add_argument("--articles", type=int, nargs=3, default=[22, 6, 7], help="train, validation, test")
    parser.add_argument("--part", choices=("embedder", "reranker"), default="embedder")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=None)
    parser.add_argument("--hard-negatives", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    parts = deal(options.path, options.articles)
    print(f"{parts.corpus.name}, seed {SEED}: {len(parts.corpus.documents)} documents of the chosen articles")
    with tempfile.TemporaryDirectory(prefix="groundtune-tuned-") as name, project_folder() as folder:
        _write(folder / "docs", parts.corpus)
        with Project.open(folder) as project:
            print(f"{project.ingest().passages} passages indexed", flush=True)
            rows = asyncio.run(_rows(project, parts, options))
            test = parts.split["test"][: options.test]
            base = asyncio.run(_ndcgs(project, test))
            for number in options.train:
                details = ranking_settings(project.config, Resources(asyncio.run(_open(project))))  # type: ignore[arg-type]
                details["rerank_candidates"] = RERANKED
                artifact, seconds = asyncio.run(_trained(Path(name), rows, number, options, details))
                _report(artifact, seconds, number)
                model = Path(name) / artifact.id / "model"
                if options.part == "embedder":
                    _embedder(parts.corpus, model, test, base, artifact.details)
                else:
                    _reranker(folder, model, test, base)


def deal(path: Path, articles: Sequence[int]) -> Parts:
    """Assign articles to splits at random; keep only documents of the chosen articles."""
    corpus = corpora.squad(path)
    names = sorted({question.part for question in corpus.questions})
    random.Random(SEED).shuffle(names)
    first, second = articles[0], articles[0] + articles[1]
    names_by_split = {"train": names[:first], "validation": names[first:second], "test": names[second : sum(articles)]}
    questions = list(corpus.questions)
    random.Random(SEED).shuffle(questions)
    split = {key: [query for query in questions if query.part in set(value)] for key, value in names_by_split.items()}
    used = {document for chosen in split.values() for query in chosen for document in query.gains}
    documents = {key: text for key, text in corpus.documents.items() if key in used}
    return Parts(replace(corpus, documents=documents), _quotes(path), split)


def _quotes(path: Path) -> dict[str, str]:
    """Map question ids to the sentence of the passage in which the answer starts."""
    quotes = {}
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            text = paragraph["context"]
            spans = list(sentences(text))
            for qa in paragraph["qas"]:
                if answers := qa.get("answers"):
                    at = answers[0]["answer_start"]
                    span = next(((start, end) for start, end in spans if start <= at < end), (0, len(text)))
                    quotes[qa["id"]] = text[slice(*span)]
    return quotes


async def _rows(project: Project, parts: Parts, options: argparse.Namespace) -> dict[str, list[TrainingRow]]:
    opened = await _open(project)
    places = {document: number for number, document in enumerate(parts.corpus.documents)}
    rows = {}
    for split, number in (("train", max(options.train)), ("validation", options.validation)):
        examples = []
        for query in parts.split[split][:number]:
            (document,) = query.gains
            file = places[document] // ROWS_PER_FILE * ROWS_PER_FILE
            proof = Evidence(f"docs/{file:08}.jsonl#{document}", parts.quotes[query.id])
            examples.append(Example(query.id, query.text, evidence=(proof,)))
        resources: Any = Resources(opened)
        rows[split] = await retrieval_rows(
            resources,
            examples,
            negatives=options.hard_negatives,
            part=options.part,
            measured=split == "validation",
        )
        print(f"{split}: {len(rows[split])} rows of {len(examples)} questions", flush=True)
    await opened.close()
    return rows


async def _trained(
    models: Path,
    rows: Mapping[str, list[TrainingRow]],
    number: int,
    options: argparse.Namespace,
    details: Mapping[str, Any],
) -> tuple[Artifact, float]:
    settings = {
        **SETTINGS,
        "part": options.part,
        "epochs": options.epochs,
        "learning_rate": options.learning_rate,
        "batch_size": 32,
        "hard_negatives": options.hard_negatives,
    }
    job = Job(models / f"{options.part}-{number}", "search", "retriever", "bundled", settings, details)
    job.folder.mkdir()
    write_job(job, rows["train"][:number], rows["validation"])
    started = time.perf_counter()

    def show_step(step: TrainingStep) -> None:
        if step.metrics:
            print(f"  {time.perf_counter() - started:.0f} s, step {step.step}: {dict(step.metrics)} {step.note}")

    artifact = await launch_training(job.folder, module="groundtune.workflows.training_process", progress=show_step)
    return artifact, time.perf_counter() - started


def _report(artifact: Artifact, seconds: float, number: int) -> None:
    metrics, details = artifact.metrics, artifact.details
    print(f"\ntrained on {number} questions, {details['steps']} steps, {seconds:.0f} s in total")
    print(
        f"gate: validation nDCG@10 {metrics['ndcg@10_base']:.4f} ({details['against']}) to {metrics['ndcg@10']:.4f}, "
        f"gain {metrics['gain']:+.4f} [{metrics['gain_low']:+.4f}, {metrics['gain_high']:+.4f}], "
        f"n = {details['questions']} in {details['groups']} groups: {'adopted' if details['adopted'] else 'refused'}"
    )
    if "dense_gain" in metrics:
        print(
            f"  dense alone {metrics['dense_base']:.4f} to {metrics['dense']:.4f}, gain {metrics['dense_gain']:+.4f} "
            f"[{metrics['dense_gain_low']:+.4f}, {metrics['dense_gain_high']:+.4f}]; "
            f"weight of the cosine {details['dense_weight_base']:g} to {details['dense_weight']:g}"
        )
    if artifact.unusable:
        print(f"unusable: {artifact.unusable}")


def _embedder(
    corpus: Corpus, model: Path, test: Sequence[Query], base: Mapping[str, Any], details: Mapping[str, Any]
) -> None:
    with project_folder() as folder:
        _write(folder / "docs", corpus)
        with (folder / "groundtune.toml").open("a") as file:
            file.write(f'[embedder]\nkind = "local"\nmodel = "{model}"\n')
        with Project.open(folder) as project:
            project.ingest()
            tuned = asyncio.run(_ndcgs(project, test))
    before, after = f"{details['dense_weight_base']:g}", f"{details['dense_weight']:g}"
    default = f"{DEFAULT_DENSE_WEIGHT:g}"
    rows: list[Sequence[str]] = [("test articles", "base", "tuned", "gain in nDCG@10")]
    rows.append(("dense", *_compared(base["dense"], tuned["dense"], test)))
    rows.append((f"fused, weight {default}", *_compared(base[default], tuned[default], test)))
    rows.append((f"fused, fitted {before} and {after}", *_compared(base[before], tuned[after], test)))
    table(rows)


def _reranker(folder: Path, model: Path, test: Sequence[Query], base: Mapping[str, Sequence[float]]) -> None:
    """Compare the fused ranking with the same ranking after reranking its 20 best."""
    text = (folder / "groundtune.toml").read_text()
    (folder / "groundtune.toml").write_text(
        f'{text}[retrieval]\nreranker = "{model}"\nrerank_candidates = {RERANKED}\n'
    )
    with Project.open(folder) as project:
        ranked = asyncio.run(_reranked(project, test))
    (folder / "groundtune.toml").write_text(text)
    rows: list[Sequence[str]] = [("test articles", "fused", "reranked", "gain in nDCG@10")]
    rows.append(("reranked", *_compared(base[f"{DEFAULT_DENSE_WEIGHT:g}"], ranked, test)))
    table(rows)


async def _open(project: Project) -> OpenIndex:
    embedder = project.session.get_embedder()
    return await OpenIndex.open(
        project.session.storage, config=project.config, embedder=embedder, fitted=project.fitted
    )


async def _ndcgs(project: Project, test: Sequence[Query]) -> dict[str, list[float]]:
    """Return nDCG@10 of each question, dense and fused by weight; a document ranks where its best passage ranks."""
    opened = await _open(project)
    scores: dict[str, list[float]] = defaultdict(list)
    vectors = await opened.embedder.embed_queries([question.text for question in test])
    for question, vector in zip(test, vectors, strict=True):
        lexical = await opened.store.lexical(question.text, k=DEFAULT_CANDIDATES, scope=Scope())
        dense = await opened.store.dense(vector, k=DEFAULT_CANDIDATES, scope=Scope())
        ids = [candidate.id for candidate in (*lexical, *dense)]
        sources = {name: passage.source for name, passage in (await opened.store.read(ids, scope=Scope())).items()}
        scores["dense"].append(_ndcg((sources[candidate.id] for candidate in dense), question))
        complete = len(lexical) < DEFAULT_CANDIDATES
        for weight in WEIGHTS:
            fused = fuse(lexical, dense, vector, dense_weight=weight, complete=complete)
            scores[f"{weight:g}"].append(_ndcg((sources[hit.candidate.id] for hit in fused), question))
    await opened.close()
    return scores


async def _reranked(project: Project, test: Sequence[Query]) -> list[float]:
    opened = await _open(project)
    scores = []
    for question in test:
        hits = await opened.retriever.search(Question(question.text), k=DEFAULT_CANDIDATES, stage="reranked")
        scores.append(_ndcg((hit.passage.source for hit in hits), question))
    await opened.close()
    return scores


def _ndcg(sources: Iterable[str], question: Query) -> float:
    return _metrics(_documents(sources), question.gains)[0]


def _compared(base: Sequence[float], tuned: Sequence[float], test: Iterable[Query]) -> tuple[str, str, str]:
    clusters = [next(iter(query.gains)) for query in test]
    means = [f"{sum(values) / len(values):.4f}" for values in (base, tuned)]
    differences = [after - before for after, before in zip(tuned, base, strict=True)]
    gain = bootstrap_mean(differences, bounds=(-1, 1), clusters=clusters)
    groups = len(set(clusters))
    return means[0], means[1], f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], n = {gain.n} in {groups} groups"


if __name__ == "__main__":
    main()
