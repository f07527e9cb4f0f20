"""Measure how far figures on drafted questions agree with those on questions that people asked of the same documents.

    python benchmarks/drafted_examples.py dev-v1.1.json [CLAPNQ FOLDER] [--articles 16] [--questions 200] [--quotes 60]

Each article becomes a file with its title as heading, and its passages as paragraphs. Templates draft as many questions
as people asked, without unanswerable ones, which have no evidence. Systems: BM25, vectors, and both at four weights,
by nDCG@10 of the passages that hold the evidence; and, over three of these, the first verbatim quotes, by whether they
hold the gold answer. Kendall's tau compares the order of the systems; its interval is a bootstrap over both sets of
questions. Needs the extra `dev`; writes only to a temporary folder, and the drafts to --keep.
"""

import argparse
import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from common import machine, open_index, project_folder, table
from groundtune import build
from groundtune.build.open_index import OpenIndex
from groundtune.config import Config
from groundtune.dataset.examples import read_examples
from groundtune.measure.metrics import contains, contains_quote
from groundtune.project import Project
from groundtune.stats.intervals import bootstrap_mean
from groundtune.stats.ranking_metrics import ndcg_at
from groundtune.types import Evidence, Example, Hit, Prompt, Question

WEIGHTS = (0.2, 0.4, 0.6, 0.8)
DEPTH, SHOWN = 10, 6
RESAMPLES = 2_000
KINDS = ("fact", "table-cell", "comparison", "two-documents", "follow-up")


@dataclass(frozen=True)
class Article:
    title: str
    paragraphs: list[str]
    questions: list[Example]


def squad(path: Path) -> list[Article]:
    articles = []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        title = article["title"].replace("_", " ")
        questions = [
            _asked(qa["id"], qa["question"].strip(), [a["text"] for a in qa["answers"]], title, paragraph["context"])
            for paragraph in article["paragraphs"]
            for qa in paragraph["qas"]
            if qa["answers"]
        ]
        articles.append(Article(title, [paragraph["context"] for paragraph in article["paragraphs"]], questions))
    return articles


def clapnq(folder: Path) -> list[Article]:
    paragraphs: defaultdict[str, dict[str, None]] = defaultdict(dict)
    questions: defaultdict[str, list[Example]] = defaultdict(list)
    for line in (folder / "clapnq_dev_answerable.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        (passage,) = row["passages"]
        paragraphs[passage["title"]][passage["text"]] = None
        golds = [output["answer"] for output in row["output"]]
        questions[passage["title"]].append(_asked(row["id"], row["input"], golds, passage["title"], passage["text"]))
    return [Article(title, list(texts), questions[title]) for title, texts in paragraphs.items()]


def _asked(name: str, question: str, golds: list[str], title: str, passage: str) -> Example:
    gold = next((gold for gold in golds if gold in passage), "")
    return Example(name, question, sorted(set(golds)), (Evidence(title, _around(passage, gold)),))


def _around(passage: str, gold: str) -> str:
    """Return the sentence that holds the gold answer, or else the first one."""
    at = max(passage.find(gold), 0)
    start = passage.rfind(". ", 0, at) + 2 if ". " in passage[:at] else 0
    end = passage.find(". ", at + len(gold))
    return passage[start : end if end > 0 else len(passage)]


async def scores(
    config: Config, opened: OpenIndex, examples: Sequence[Example], quotes: int
) -> dict[str, NDArray[np.float64]]:
    """Return the score of every system for each question; NaN where a system was not asked."""
    found: dict[str, list[float]] = defaultdict(list)
    quoter = build.quote_generator(config, opened.embedder)
    for number, example in enumerate(examples):
        question = Question(example.input, example.history)
        for name, stage, weight in (
            ("bm25", "bm25", None),
            ("vectors", "dense", None),
            *((f"both {weight}", None, weight) for weight in WEIGHTS),
        ):
            opened.retriever.dense_weight = weight or opened.retriever.dense_weight
            hits = await opened.retriever.search(question, k=DEPTH, stage=stage)
            found[name].append(_ndcg(hits, example))
            if name in ("bm25", "vectors", "both 0.4"):
                reply = ""
                if number < quotes:
                    generation = await quoter.generate(Prompt(example.input, hits=tuple(hits[:SHOWN])))
                    reply = generation.text
                golds = example.output if isinstance(example.output, list) else [example.output]
                found[f"quote over {name}"].append(contains(reply, golds) if number < quotes else float("nan"))
    return {name: np.array(values, dtype=float) for name, values in found.items()}


def _ndcg(hits: Sequence[Hit], example: Example) -> float:
    relevant = [
        {hit.passage.id for hit in hits if contains_quote(hit.passage.text, proof.quote)} or {"not found"}
        for proof in example.evidence
    ]
    return ndcg_at([hit.passage.id for hit in hits], relevant, k=DEPTH)


def tau(first: dict[str, NDArray[np.float64]], second: dict[str, NDArray[np.float64]], names: Sequence[str]) -> str:
    """Return Kendall's tau between the means of both, with its 95% bootstrap interval, where it is defined."""
    rng = np.random.default_rng(0)
    a, b = (np.array([values[name] for name in names]) for values in (first, second))
    a, b = (values[:, ~np.isnan(values).any(axis=0)] for values in (a, b))
    n = f"n = {a.shape[1]} asked, {b.shape[1]} drafted, {len(names)} systems"
    exact = kendalltau(a.mean(axis=1), b.mean(axis=1)).statistic
    if np.isnan(exact):
        return f"undefined, since all systems score alike on one of the two, {n}"
    draws = []
    for _ in range(RESAMPLES):
        means = [values[:, rng.integers(values.shape[1], size=values.shape[1])].mean(axis=1) for values in (a, b)]
        draws.append(kendalltau(*means).statistic)
    undefined = float(np.isnan(draws).mean())
    low, high = np.nanquantile(draws, [0.025, 0.975])
    note = f", without {undefined:.0%} of the resamples, in which all are alike" if undefined else ""
    return f"{exact:.2f} [{low:.2f}, {high:.2f}]{note}, {n}"


def report(name: str, articles: Sequence[Article], *, most: int, quotes: int, keep: Path | None) -> None:
    everything = [question for article in articles for question in article.questions]
    asked = random.Random(0).sample(everything, min(most, len(everything)))
    with project_folder() as folder:
        for number, article in enumerate(articles):
            text = f"# {article.title}\n\n" + "\n\n".join(article.paragraphs)
            (folder / "docs" / f"{number:04}.md").write_text(text, encoding="utf-8")
        with Project.open(folder) as project:
            project.ingest()
            done = project.draft(folder / "drafted.jsonl", n=len(asked), kinds=KINDS)
            drafted = read_examples(done.file)
            if keep:
                (keep / f"{name}-drafted.jsonl").write_bytes(done.file.read_bytes())

            async def measure() -> list[dict[str, NDArray[np.float64]]]:
                opened = await open_index(project)
                try:
                    return [await scores(project.config, opened, examples, quotes) for examples in (asked, drafted)]
                finally:
                    await opened.close()

            first, second = asyncio.run(measure())
    print(f"\n## {name}: {len(articles)} articles\n\n{done}\n")
    rows = [["system", "asked by people", "drafted"]]
    for system in first:
        means = [values[system][~np.isnan(values[system])] for values in (first, second)]
        rows.append([system, *(str(bootstrap_mean(list(values))) if len(values) else "–" for values in means)])
    table(rows)
    searching = [system for system in first if not system.startswith("quote")]
    quoting = [system for system in first if system.startswith("quote")]
    print(f"\nKendall's tau, searching: {tau(first, second, searching)}")
    if quotes:
        print(f"Kendall's tau, quoting: {tau(first, second, quoting)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--articles", type=int, default=16)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--quotes", type=int, default=60)
    parser.add_argument("--keep", type=Path, help="folder to copy the drafts to")
    given = parser.parse_args()
    print(machine())
    for path in given.sets:
        articles = squad(path) if path.is_file() else clapnq(path)
        chosen = random.Random(0).sample(articles, min(given.articles * (1 if path.is_file() else 20), len(articles)))
        report(path.name, chosen, most=given.questions, quotes=given.quotes, keep=given.keep)


if __name__ == "__main__":
    main()
