"""How often the first verbatim quote answers, and what its confidence is worth. Fits the weights in models/quote.py.

    python benchmarks/quotes.py dev-v2.0.json [--fit] [--questions 5000] [--clapnq FOLDER] [--project examples/handbook]

SQuAD 2.0 is cut in two by article: the weights are fitted on one half, the figures are those of the other. ClapNQ and
the handbook are never fitted on. Needs the extras `local` and `dev`; writes nothing but a temporary folder.
"""

import argparse
import asyncio
import hashlib
import json
import random
import shutil
import statistics
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from common import machine, open_index, table
from groundtune.approaches.evidence import Retrieved
from groundtune.ingest.parsed import TextBuilder
from groundtune.ingest.split import Splitter, embedded_text
from groundtune.measure.metrics import contains, covers, holds
from groundtune.measure.statistics import auroc, bootstrap_mean, risk_coverage
from groundtune.models.embed import BundledEmbedder
from groundtune.models.quote import CONFIDENCE_WEIGHTS, RANK_WEIGHTS, Look, QuoteGenerator
from groundtune.models.quote_signals import SIGNALS, Floats, Unit
from groundtune.project import Project
from groundtune.retrieve.retriever import HybridRetriever
from groundtune.retrieve.stores.lance import LanceStore
from groundtune.types import Document, Evidence, Hit, IndexEntry, Prompt, Question, Scope

PASSAGES = 6
COVERAGES = (0.25, 0.5, 0.75, 1.0)
Source = tuple[str, str, str]
"""Id, title and text of a document."""
Right = Callable[[str, str], bool]
"""Whether a quoted text, from a document or source, answers."""


@dataclass
class Asked:
    """A question with what is right, and what was found."""

    question: str
    answerable: bool
    answers: Right
    gold: Right
    """Stricter: it must also come from the gold passage. The ranking is fitted on this."""
    fitted: bool = False
    hits: Sequence[Hit] = ()
    look: Look = field(default_factory=lambda: Look((), np.zeros((0, len(SIGNALS))), np.zeros(0)))
    confidence: float = 0.0
    quoted: int = 0
    """Sentences that the answer has; they are the first of the look, less those that repeat."""
    any_right: bool = False

    def label(self, unit: Unit, rule: Right) -> bool:
        return self.answerable and rule(unit.text, self.hits[unit.passage].passage.source)


def fitting_half(title: str) -> bool:
    """Stable over runs and machines."""
    return int(hashlib.sha256(title.encode()).hexdigest(), 16) % 2 == 0


# -- data ----------------------------------------------------------------------------------------------------------


def in_text(golds: Sequence[str]) -> Right:
    return lambda text, _: contains(text, golds) > 0


def in_evidence(evidence: Sequence[Evidence]) -> Right:
    return lambda text, source: any(
        source == one.source and (holds(text, one.quote) or covers(text, one.quote)) for one in evidence
    )


def read_squad(path: Path) -> tuple[list[Source], list[Asked]]:
    """Every passage as a document, and the questions."""
    documents, asked = [], []
    for article in json.loads(path.read_text())["data"]:
        for number, paragraph in enumerate(article["paragraphs"]):
            name = f"{article['title']}/{number}"
            documents.append((name, article["title"].replace("_", " "), paragraph["context"]))
            for qa in paragraph["qas"]:
                asked.append(squad_question(qa["question"], {a["text"] for a in qa["answers"]}, name))
    return documents, asked


def squad_question(question: str, golds: Collection[str], name: str) -> Asked:
    right = in_text(tuple(golds))
    return Asked(
        question,
        bool(golds),
        answers=right,
        gold=lambda text, source: source == name and right(text, source),
        fitted=fitting_half(name.partition("/")[0]),
    )


def read_clapnq(folder: Path) -> tuple[list[Source], list[Asked]]:
    """600 passages; right is a sentence that the annotators selected."""
    documents: dict[str, Source] = {}
    asked = []
    for kind in ("answerable", "unanswerable"):
        for line in (folder / f"clapnq_dev_{kind}.jsonl").read_text().splitlines():
            row = json.loads(line)
            passage = row["passages"][0]
            name, *_ = documents.setdefault(passage["text"], (f"{len(documents)}", passage["title"], passage["text"]))
            golds = [one for output in row["output"] for one in output.get("selected_sentences") or []]
            right = in_evidence([Evidence(name, one) for one in golds])
            asked.append(Asked(row["input"], kind == "answerable" and bool(golds), right, right))
    return list(documents.values()), asked


async def index(documents: Sequence[Source], folder: Path, embedder: BundledEmbedder) -> LanceStore:
    store = await LanceStore.open(folder, dimension=embedder.dimension)
    splitter = Splitter(count_tokens=embedder.count_tokens, limit=embedder.max_tokens)
    splits = []
    for source, title, text in documents:
        builder = TextBuilder()
        builder.paragraph(text)
        parsed = builder.build(title=title)
        splits.extend(splitter.split(Document(source, source, parsed.text, title), parsed))
    vectors = await embedder.embed([embedded_text(split) for split in splits])
    entries = [
        IndexEntry(s.passage, s.context, str(i), v) for i, (s, v) in enumerate(zip(splits, vectors, strict=True))
    ]
    await store.replace([source for source, _, _ in documents], entries)
    await store.optimize()
    return store


async def ask(documents: Sequence[Source], asked: Sequence[Asked], embedder: BundledEmbedder) -> list[Asked]:
    """Retrieve and quote as `groundtune ask` does with verbatim quotes."""
    with tempfile.TemporaryDirectory() as folder:
        store = await index(documents, Path(folder), embedder)
        retriever = HybridRetriever(store, embedder)

        async def nothing(_: str) -> None:  # each document is one passage or two: joining them changes little
            return None

        evidence = Retrieved(retriever, nothing, passages=PASSAGES)
        for one in asked:
            one.hits = await evidence.gather(Question(one.question))
    await quote(asked, embedder)
    return list(asked)


async def ask_project(folder: Path, embedder: BundledEmbedder) -> list[Asked]:
    """The examples of a project, in a copy of its folder."""
    asked: list[Asked] = []
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(shutil.copytree(folder, Path(scratch) / "project", ignore=shutil.ignore_patterns(".groundtune")))
        with Project.open(root) as project:
            await project.aingest()
            opened = await open_index(project)
            evidence = Retrieved(opened.retriever, opened.document, passages=PASSAGES)
            for example in project.examples():
                golds = () if example.output is None else (str(example.output),)
                gold = in_evidence(example.evidence)
                one = Asked(example.input, bool(golds), answers=in_text(golds), gold=gold)
                one.hits = await evidence.gather(Question(example.input, scope=Scope(groups=example.groups)))
                asked.append(one)
    await quote(asked, embedder)
    return asked


async def quote(asked: Sequence[Asked], embedder: BundledEmbedder) -> None:
    generator = QuoteGenerator(embedder)
    seconds = []
    for one in asked:
        prompt = Prompt(one.question, hits=tuple(one.hits))
        generation = await generator.generate(prompt)
        seconds.append(generation.usage.seconds or 0.0)
        one.look = await generator.look(prompt)
        one.confidence = generation.confidence or 0.0
        lines = [line.rpartition(" [") for line in generation.text.splitlines()]
        one.quoted = len(lines)
        one.any_right = one.answerable and any(
            one.answers(text, one.hits[int(number[:-1]) - 1].passage.source) for text, _, number in lines
        )
    print(f"{len(asked)} questions, median {statistics.median(seconds) * 1000:.0f} ms to quote; {machine()}")


# -- fitting -------------------------------------------------------------------------------------------------------


def fit_ranking(asked: Sequence[Asked], columns: Sequence[int]) -> Floats:
    """Weights that make the sentences with the answer most likely: softmax over each question's sentences."""
    tables, labels = [], []
    for one in asked:
        right = np.array([one.label(unit, one.gold) for unit in one.look.units], dtype=bool)
        if right.any() and not right.all():
            tables.append(one.look.signals[:, columns])
            labels.append(right)
    rows, right = np.concatenate(tables), np.concatenate(labels)
    scale = rows.std(axis=0) + 1e-9
    rows = rows / scale
    sizes = [len(one) for one in labels]
    question, starts = np.repeat(np.arange(len(sizes)), sizes), np.cumsum([0, *sizes[:-1]])

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = rows @ weights
        odds = np.exp(scores - np.maximum.reduceat(scores, starts)[question])
        total, good = np.add.reduceat(odds, starts), np.add.reduceat(odds * right, starts)
        slope = rows.T @ (odds / total[question] - odds * right / good[question]) / len(sizes)
        return float(np.log(total / good).mean() + 1e-3 * weights @ weights), slope + 2e-3 * weights

    found: Floats = minimize(loss, np.zeros(len(columns)), jac=True, method="L-BFGS-B").x / scale
    return found


def ranked(asked: Sequence[Asked], columns: Sequence[int], weights: Floats | Sequence[float]) -> list[Asked]:
    """The same questions with their sentences in the order of other weights."""
    found = []
    for one in asked:
        scores = one.look.signals[:, columns] @ np.asarray(weights)
        order = np.argsort(-scores, kind="stable")
        look = Look(tuple(one.look.units[i] for i in order), one.look.signals[order], scores[order])
        found.append(replace(one, look=look))
    return found


def fit_confidence(asked: Sequence[Asked]) -> list[float]:
    """Constant and weights of the probability that the first sentence answers; unanswerable questions count."""
    known = [one for one in asked if one.look.units]
    rows, right = np.array([one.look.certainty for one in known]), [first_right(one) for one in known]
    model = LogisticRegression(C=10.0, max_iter=5_000).fit(rows, right)
    return [float(model.intercept_[0]), *(float(weight) for weight in model.coef_[0])]


def first_right(one: Asked) -> bool:
    return bool(one.look.units) and one.label(one.look.units[0], one.answers)


def show_fit(asked: Sequence[Asked], others: dict[str, Sequence[Asked]]) -> None:
    """Fits both models on these questions, and says what each signal is worth on all of them."""
    every = list(range(len(SIGNALS)))
    weights = fit_ranking(asked, every)
    print(f"RANK_WEIGHTS = ({', '.join(f'{weight:.2f}' for weight in weights)})")
    confidence = fit_confidence(ranked(asked, every, weights))
    print(f"CONFIDENCE_WEIGHTS = ({', '.join(f'{weight:.2f}' for weight in confidence)})")
    rows = [["signals, refitted", *others]]
    trials = {"all": every, "cosine alone": [0], "cosine, standing": [0, 1], "cosine, standing, words": [0, 1, 2]}
    trials |= {f"without {name}": [i for i in every if i != index] for index, name in enumerate(SIGNALS)}
    for name, columns in trials.items():
        fitted = fit_ranking(asked, columns)
        shares = [
            share([first_right(q) for q in ranked(set_, columns, fitted) if q.answerable]) for set_ in others.values()
        ]
        rows.append([name, *shares])
    table(rows)


# -- figures -------------------------------------------------------------------------------------------------------


def share(values: Sequence[bool]) -> str:
    if not values:
        return "-"
    found = bootstrap_mean([float(value) for value in values])
    return f"{found.mean:.3f} ({found.low:.3f}-{found.high:.3f}, n = {found.n})"


def area(scores: Sequence[float], positives: Sequence[bool]) -> str:
    """AUROC with its 95 % interval, bootstrap over questions."""
    rng, data, truth = np.random.default_rng(0), np.array(scores), np.array(positives)
    draws = [rng.integers(0, len(data), len(data)) for _ in range(500)]
    values = [value for draw in draws if (value := auroc(data[draw], truth[draw])) is not None]
    whole = auroc(data, truth)
    if whole is None:
        return "-"
    low, high = np.quantile(values, (0.025, 0.975))
    return f"{whole:.3f} ({low:.3f}-{high:.3f}, n = {len(data)})"


def figures(asked: Sequence[Asked]) -> dict[str, str]:
    answerable = [one for one in asked if one.answerable]
    retrieved = [one for one in answerable if any(one.label(unit, one.gold) for unit in one.look.units)]
    right = [first_right(one) for one in asked]
    confidences = [one.confidence for one in asked]
    cosine = ranked(answerable, [0], [1.0])
    points = risk_coverage(confidences, [float(value) for value in right])
    wrong = {wanted: next(point.risk for point in points if point.coverage >= wanted) for wanted in COVERAGES}
    squares = np.mean([(c - r) ** 2 for c, r in zip(confidences, right, strict=True)])
    return {
        "first sentence has the answer": share([first_right(one) for one in answerable]),
        "  the same by cosine alone": share([first_right(one) for one in cosine]),
        "  where the gold passage was retrieved": share([first_right(one) for one in retrieved]),
        "any quoted sentence has it": share([one.any_right for one in answerable]),
        "sentences quoted, mean": f"{np.mean([one.quoted for one in asked]):.2f}",
        "AUROC, answerable or not": area(confidences, [one.answerable for one in asked]),
        "AUROC, first sentence right or not": area(confidences, right),
        "mean confidence / share right": f"{np.mean(confidences):.3f} / {np.mean(right):.3f}",
        "Brier score": f"{squares:.3f}",
        "wrong at coverage " + ", ".join(f"{c:.0%}" for c in wrong): ", ".join(f"{r:.3f}" for r in wrong.values()),
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squad", type=Path, help="dev-v2.0.json")
    parser.add_argument("--fit", action="store_true", help="fit the weights, and print them ready to paste")
    parser.add_argument("--questions", type=int, default=5_000, help="a random sample of SQuAD's questions")
    parser.add_argument("--clapnq", type=Path, help="folder with clapnq_dev_*.jsonl")
    parser.add_argument("--project", type=Path, help="folder of a project with examples")
    chosen = parser.parse_args()
    embedder = BundledEmbedder()
    documents, questions = read_squad(chosen.squad)
    random.Random(0).shuffle(questions)
    asked = await ask(documents, questions[: chosen.questions], embedder)
    sets: dict[str, Sequence[Asked]] = {
        "SQuAD, other half": [one for one in asked if not one.fitted],
        "SQuAD, fitting half": [one for one in asked if one.fitted],
    }
    if chosen.clapnq:
        sets["ClapNQ"] = await ask(*read_clapnq(chosen.clapnq), embedder)
    if chosen.project:
        sets[chosen.project.name] = await ask_project(chosen.project, embedder)
    if chosen.fit:
        show_fit(sets["SQuAD, fitting half"], sets)
    columns = {name: figures(set_) for name, set_ in sets.items()}
    names = list(next(iter(columns.values())))
    table([["", *columns], *[[name, *(column[name] for column in columns.values())] for name in names]])
    print(f"weights in use: {RANK_WEIGHTS}, {CONFIDENCE_WEIGHTS}")


if __name__ == "__main__":
    asyncio.run(main())
