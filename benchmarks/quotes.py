"""Measure how often the first verbatim quote answers, and its confidence; fit the weights of models/quote_generator.py.

    python benchmarks/quotes.py dev-v2.0.json [--fit] [--questions 5000] [--clapnq FOLDER] [--project examples/handbook]

SQuAD 2.0 is split in two halves by article: the weights are fitted on one half and reported on the other. CLAPNQ and
the handbook are never fitted on. Needs the extras `local` and `dev`; writes only to a temporary folder.
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
from groundtune.approaches.context import RetrievedContext
from groundtune.ingest.chunker import Chunker, embedded_text
from groundtune.ingest.parsed import TextBuilder
from groundtune.measure.metrics import contains, contains_most_of_quote, contains_quote
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.models.quote_generator import CONFIDENCE_WEIGHTS, RANK_WEIGHTS, QuoteCandidates, QuoteGenerator
from groundtune.models.quote_signals import SIGNALS, Floats, QuotableUnit
from groundtune.project import Project
from groundtune.retrieve.retriever import HybridRetriever
from groundtune.retrieve.stores.lance import LanceStore
from groundtune.stats.intervals import bootstrap_mean
from groundtune.stats.ranking_metrics import auroc
from groundtune.stats.risk_coverage import risk_coverage
from groundtune.types import Document, Evidence, Hit, IndexEntry, Prompt, Question, Scope

PASSAGES = 6
COVERAGES = (0.25, 0.5, 0.75, 1.0)
Source = tuple[str, str, str]
"""Id, title and text of a document."""
Right = Callable[[str, str], bool]
"""Decides whether a quoted text from a source answers the question."""


@dataclass
class Case:
    """A question with its rules for a right answer, and the result."""

    question: str
    answerable: bool
    answers: Right
    gold: Right
    """Stricter rule: the quote must also come from the gold passage. The ranking is fitted on it."""
    fitted: bool = False
    hits: Sequence[Hit] = ()
    candidates: QuoteCandidates = field(
        default_factory=lambda: QuoteCandidates((), np.zeros((0, len(SIGNALS))), np.zeros(0))
    )
    confidence: float = 0.0
    quoted: int = 0
    """Number of sentences in the answer: the first ones of the look, without repetitions."""
    any_right: bool = False

    def label(self, unit: QuotableUnit, rule: Right) -> bool:
        return self.answerable and rule(unit.text, self.hits[unit.passage].passage.source)


def fitting_half(title: str) -> bool:
    """Whether an article belongs to the fitting half; stable over runs and machines."""
    return int(hashlib.sha256(title.encode()).hexdigest(), 16) % 2 == 0


# -- data ----------------------------------------------------------------------------------------------------------


def in_text(golds: Sequence[str]) -> Right:
    return lambda text, _: contains(text, golds) > 0


def in_evidence(evidence: Sequence[Evidence]) -> Right:
    return lambda text, source: any(
        source == item.source and (contains_quote(text, item.quote) or contains_most_of_quote(text, item.quote))
        for item in evidence
    )


def read_squad(path: Path) -> tuple[list[Source], list[Case]]:
    """Read every passage as a document, and the questions."""
    documents, cases = [], []
    for article in json.loads(path.read_text())["data"]:
        for number, paragraph in enumerate(article["paragraphs"]):
            name = f"{article['title']}/{number}"
            documents.append((name, article["title"].replace("_", " "), paragraph["context"]))
            for qa in paragraph["qas"]:
                cases.append(squad_question(qa["question"], {a["text"] for a in qa["answers"]}, name))
    return documents, cases


def squad_question(question: str, golds: Collection[str], name: str) -> Case:
    right = in_text(tuple(golds))
    return Case(
        question,
        bool(golds),
        answers=right,
        gold=lambda text, source: source == name and right(text, source),
        fitted=fitting_half(name.partition("/")[0]),
    )


def read_clapnq(folder: Path) -> tuple[list[Source], list[Case]]:
    """Read 600 passages; a quote is right if the annotators selected the sentence."""
    documents: dict[str, Source] = {}
    cases = []
    for kind in ("answerable", "unanswerable"):
        for line in (folder / f"clapnq_dev_{kind}.jsonl").read_text().splitlines():
            row = json.loads(line)
            passage = row["passages"][0]
            name, *_ = documents.setdefault(passage["text"], (f"{len(documents)}", passage["title"], passage["text"]))
            golds = [gold for output in row["output"] for gold in output.get("selected_sentences") or []]
            right = in_evidence([Evidence(name, gold) for gold in golds])
            cases.append(Case(row["input"], kind == "answerable" and bool(golds), right, right))
    return list(documents.values()), cases


async def index(documents: Sequence[Source], folder: Path, embedder: BundledEmbedder) -> LanceStore:
    store = await LanceStore.open(folder, dimension=embedder.dimension)
    chunker = Chunker(count_tokens=embedder.count_tokens, limit=embedder.max_tokens)
    passages = []
    for source, title, text in documents:
        builder = TextBuilder()
        builder.paragraph(text)
        parsed = builder.build(title=title)
        passages.extend(chunker.split(Document(source, source, parsed.text, title), parsed))
    vectors = await embedder.embed([embedded_text(passage) for passage in passages])
    entries = [
        IndexEntry(s.passage, s.context, str(i), v) for i, (s, v) in enumerate(zip(passages, vectors, strict=True))
    ]
    await store.replace([source for source, _, _ in documents], entries)
    await store.optimize()
    return store


async def ask(documents: Sequence[Source], cases: Sequence[Case], embedder: BundledEmbedder) -> list[Case]:
    """Retrieve and quote as `groundtune ask` does with verbatim quotes."""
    with tempfile.TemporaryDirectory() as folder:
        store = await index(documents, Path(folder), embedder)
        retriever = HybridRetriever(store, embedder)

        async def nothing(_: str) -> None:  # each document has only one or two passages: joining them changes little
            return None

        context = RetrievedContext(retriever, nothing, passages=PASSAGES)
        for case in cases:
            case.hits = await context.gather(Question(case.question))
    await quote(cases, embedder)
    return list(cases)


async def ask_project(folder: Path, embedder: BundledEmbedder) -> list[Case]:
    """Ask the examples of a project, in a copy of its folder."""
    cases: list[Case] = []
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(shutil.copytree(folder, Path(scratch) / "project", ignore=shutil.ignore_patterns(".groundtune")))
        with Project.open(root) as project:
            await project.aingest()
            opened = await open_index(project)
            context = RetrievedContext(opened.retriever, opened.document, passages=PASSAGES)
            for example in project.examples():
                golds = () if example.output is None else (str(example.output),)
                gold = in_evidence(example.evidence)
                case = Case(example.input, bool(golds), answers=in_text(golds), gold=gold)
                case.hits = await context.gather(Question(example.input, scope=Scope(groups=example.groups)))
                cases.append(case)
    await quote(cases, embedder)
    return cases


async def quote(cases: Sequence[Case], embedder: BundledEmbedder) -> None:
    generator = QuoteGenerator(embedder)
    seconds = []
    for case in cases:
        prompt = Prompt(case.question, hits=tuple(case.hits))
        generation = await generator.generate(prompt)
        seconds.append(generation.usage.seconds or 0.0)
        case.candidates = await generator.candidates(prompt)
        case.confidence = generation.confidence or 0.0
        lines = [line.rpartition(" [") for line in generation.text.splitlines()]
        case.quoted = len(lines)
        case.any_right = case.answerable and any(
            case.answers(text, case.hits[int(number[:-1]) - 1].passage.source) for text, _, number in lines
        )
    print(f"{len(cases)} questions, median {statistics.median(seconds) * 1000:.0f} ms to quote; {machine()}")


# -- fitting -------------------------------------------------------------------------------------------------------


def fit_ranking(cases: Sequence[Case], columns: Sequence[int]) -> Floats:
    """Fit weights that maximise the likelihood of right sentences: softmax over each question's sentences."""
    tables, labels = [], []
    for case in cases:
        right = np.array([case.label(unit, case.gold) for unit in case.candidates.units], dtype=bool)
        if right.any() and not right.all():
            tables.append(case.candidates.signals[:, columns])
            labels.append(right)
    rows, right = np.concatenate(tables), np.concatenate(labels)
    scale = rows.std(axis=0) + 1e-9
    rows = rows / scale
    sizes = [len(mask) for mask in labels]
    question, starts = np.repeat(np.arange(len(sizes)), sizes), np.cumsum([0, *sizes[:-1]])

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = rows @ weights
        odds = np.exp(scores - np.maximum.reduceat(scores, starts)[question])
        total, good = np.add.reduceat(odds, starts), np.add.reduceat(odds * right, starts)
        slope = rows.T @ (odds / total[question] - odds * right / good[question]) / len(sizes)
        return float(np.log(total / good).mean() + 1e-3 * weights @ weights), slope + 2e-3 * weights

    fitted: Floats = minimize(loss, np.zeros(len(columns)), jac=True, method="L-BFGS-B").x / scale
    return fitted


def ranked(cases: Sequence[Case], columns: Sequence[int], weights: Floats | Sequence[float]) -> list[Case]:
    """Return the same cases with their sentences ordered by other weights."""
    reordered = []
    for case in cases:
        scores = case.candidates.signals[:, columns] @ np.asarray(weights)
        order = np.argsort(-scores, kind="stable")
        candidates = QuoteCandidates(
            tuple(case.candidates.units[i] for i in order), case.candidates.signals[order], scores[order]
        )
        reordered.append(replace(case, candidates=candidates))
    return reordered


def fit_confidence(cases: Sequence[Case]) -> list[float]:
    """Fit constant and weights of the probability that the first sentence answers, unanswerable questions included."""
    known = [case for case in cases if case.candidates.units]
    rows, right = np.array([case.candidates.certainty for case in known]), [first_right(case) for case in known]
    model = LogisticRegression(C=10.0, max_iter=5_000).fit(rows, right)
    return [float(model.intercept_[0]), *(float(weight) for weight in model.coef_[0])]


def first_right(case: Case) -> bool:
    return bool(case.candidates.units) and case.label(case.candidates.units[0], case.answers)


def show_fit(cases: Sequence[Case], others: dict[str, Sequence[Case]]) -> None:
    """Fit both models on these cases, and print the contribution of each signal on every set."""
    every = list(range(len(SIGNALS)))
    weights = fit_ranking(cases, every)
    print(f"RANK_WEIGHTS = ({', '.join(f'{weight:.2f}' for weight in weights)})")
    confidence = fit_confidence(ranked(cases, every, weights))
    print(f"CONFIDENCE_WEIGHTS = ({', '.join(f'{weight:.2f}' for weight in confidence)})")
    rows = [["signals, refitted", *others]]
    trials = {"all": every, "cosine alone": [0], "cosine, passage": [0, 1], "cosine, passage, words": [0, 1, 2]}
    trials |= {f"without {name}": [i for i in every if i != index] for index, name in enumerate(SIGNALS)}
    for name, columns in trials.items():
        fitted = fit_ranking(cases, columns)
        shares = [
            share([first_right(q) for q in ranked(set_, columns, fitted) if q.answerable]) for set_ in others.values()
        ]
        rows.append([name, *shares])
    table(rows)


# -- figures -------------------------------------------------------------------------------------------------------


def share(values: Sequence[bool]) -> str:
    if not values:
        return "-"
    interval = bootstrap_mean([float(value) for value in values])
    return f"{interval.mean:.3f} ({interval.low:.3f}-{interval.high:.3f}, n = {interval.n})"


def area(scores: Sequence[float], positives: Sequence[bool]) -> str:
    """Format the AUROC with its 95% interval, bootstrap over questions."""
    rng, data, truth = np.random.default_rng(0), np.array(scores), np.array(positives)
    draws = [rng.integers(0, len(data), len(data)) for _ in range(500)]
    values = [value for draw in draws if (value := auroc(data[draw], truth[draw])) is not None]
    whole = auroc(data, truth)
    if whole is None:
        return "-"
    low, high = np.quantile(values, (0.025, 0.975))
    return f"{whole:.3f} ({low:.3f}-{high:.3f}, n = {len(data)})"


def figures(cases: Sequence[Case]) -> dict[str, str]:
    answerable = [case for case in cases if case.answerable]
    retrieved = [case for case in answerable if any(case.label(unit, case.gold) for unit in case.candidates.units)]
    right = [first_right(case) for case in cases]
    confidences = [case.confidence for case in cases]
    cosine = ranked(answerable, [0], [1.0])
    points = risk_coverage(confidences, [float(value) for value in right])
    wrong = {level: next(point.risk for point in points if point.coverage >= level) for level in COVERAGES}
    squares = np.mean([(c - r) ** 2 for c, r in zip(confidences, right, strict=True)])
    return {
        "first sentence has the answer": share([first_right(case) for case in answerable]),
        "  the same by cosine alone": share([first_right(case) for case in cosine]),
        "  where the gold passage was retrieved": share([first_right(case) for case in retrieved]),
        "any quoted sentence has it": share([case.any_right for case in answerable]),
        "sentences quoted, mean": f"{np.mean([case.quoted for case in cases]):.2f}",
        "AUROC, answerable or not": area(confidences, [case.answerable for case in cases]),
        "AUROC, first sentence right or not": area(confidences, right),
        "mean confidence / share right": f"{np.mean(confidences):.3f} / {np.mean(right):.3f}",
        "Brier score": f"{squares:.3f}",
        "wrong at coverage " + ", ".join(f"{c:.0%}" for c in wrong): ", ".join(f"{r:.3f}" for r in wrong.values()),
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squad", type=Path, help="dev-v2.0.json")
    parser.add_argument("--fit", action="store_true", help="fit the weights and print them ready to paste")
    parser.add_argument("--questions", type=int, default=5_000, help="a random sample of SQuAD's questions")
    parser.add_argument("--clapnq", type=Path, help="folder with clapnq_dev_*.jsonl")
    parser.add_argument("--project", type=Path, help="folder of a project with examples")
    options = parser.parse_args()
    embedder = BundledEmbedder()
    documents, squad = read_squad(options.squad)
    random.Random(0).shuffle(squad)
    cases = await ask(documents, squad[: options.questions], embedder)
    sets: dict[str, Sequence[Case]] = {
        "SQuAD, other half": [case for case in cases if not case.fitted],
        "SQuAD, fitting half": [case for case in cases if case.fitted],
    }
    if options.clapnq:
        sets["CLAPNQ"] = await ask(*read_clapnq(options.clapnq), embedder)
    if options.project:
        sets[options.project.name] = await ask_project(options.project, embedder)
    if options.fit:
        show_fit(sets["SQuAD, fitting half"], sets)
    columns = {name: figures(set_) for name, set_ in sets.items()}
    names = list(next(iter(columns.values())))
    table([["", *columns], *[[name, *(column[name] for column in columns.values())] for name in names]])
    print(f"weights in use: {RANK_WEIGHTS}, {CONFIDENCE_WEIGHTS}")


if __name__ == "__main__":
    asyncio.run(main())
