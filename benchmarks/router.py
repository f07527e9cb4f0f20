"""Claim: `groundtune route` adopts a router in at most 5% of comparisons in which no approach is better for some
questions than for others, and reports the gain where one is. On RouteLLM's answers of two models to MMLU it says what
routing gains over a random mix and over the best single model.

    python benchmarks/router.py [--matrices 400] [--questions 14042] [--signals FILE]

The simulated matrices have questions of several topics, whose embeddings lie close together, and topics of different
difficulty; in those with structure, topics have different best approaches. The router is that of the package, measured
as the command does: five folds, which also choose among the approaches. With structure a quarter of the matrices do.
RouteLLM's questions are embedded with the bundled model; a call of the strong model costs 1 and one of the weak one 0,
as in its paper (Ong et al. 2024, arXiv 2406.18665). Folds are once of single questions and once of whole MMLU subjects,
so that no subject is known.
"""

import argparse
import asyncio
import csv
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common import machine, table
from groundtune.approaches.question_signals import QuestionSignals
from groundtune.decide.routing import Routing, ScoredQuestions, decide_routing
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.types import Question

MODELS = ("mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview")
MOST_ADOPTED = 0.05
TOPICS = 8
DIMENSION = 32
SIZES = ((100, 3), (300, 4), (1000, 4))
"""Questions and approaches of the simulated matrices."""
STRENGTHS = (0.0, 0.5, 1.0, 2.0)
"""How far topics move the log-odds of an approach from those of the others; 0: no structure."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrices", type=int, default=400)
    parser.add_argument("--questions", type=int, default=14_042, help="of RouteLLM; 0: none")
    parser.add_argument("--signals", type=Path, help="file (.npy) that keeps the embedded questions for the next run")
    arguments = parser.parse_args()
    start = time.process_time()
    print(machine())
    rows = [
        simulated(n, k, strength, arguments.matrices // (4 if strength else 1))
        for strength in STRENGTHS
        for n, k in SIZES
    ]
    table([["structure", "n", "approaches", "adopted", "mean gain", "most possible", "claim"], *rows])
    if arguments.questions:
        questions, subjects = asyncio.run(routellm(arguments.questions, arguments.signals))
        for how, groups in (("questions", [str(at) for at in range(len(subjects))]), ("subjects", subjects)):
            print(f"\nRouteLLM, folds of {how}:")
            describe(decide_routing(replace_groups(questions, groups), run="routellm", primary="correct"))
    print(f"\n{time.process_time() - start:.0f} s of CPU")


def simulated(n: int, k: int, strength: float, matrices: int) -> Sequence[str]:
    """Return a row: how often a router is adopted, and its mean gain, in points."""
    found = [matrix(n, k, strength, seed) for seed in range(matrices)]
    adopted = float(np.mean([each.adopted for each in found]))
    error = math.sqrt(max(adopted * (1 - adopted), 1 / matrices) / matrices)
    gains = np.array([each.gain.difference for each in found]) * 100
    room = np.mean([each.oracle - each.single_quality.mean for each in found]) * 100
    claim = "" if strength else "PASS" if adopted <= MOST_ADOPTED + 2 * error else "FAIL"
    gain = f"{gains.mean():+.1f} ± {gains.std() / math.sqrt(matrices):.1f} points"
    return [f"{strength:g}", f"{n:,}", str(k), f"{adopted:.1%} ± {error:.1%}", gain, f"{room:+.1f} points", claim]


def matrix(n: int, k: int, strength: float, seed: int) -> Routing:
    rng = np.random.default_rng((seed, n, k, round(10 * strength)))
    topic = rng.integers(0, TOPICS, size=n)
    vectors = rng.normal(size=(TOPICS, DIMENSION))[topic] + 0.7 * rng.normal(size=(n, DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    hard = rng.normal(size=TOPICS)[topic] * 0.7 + rng.normal(size=n) * 0.8
    levels = rng.uniform(0.2, 1.0, size=k) + hard[:, None] + strength * rng.normal(size=(TOPICS, k))[topic]
    scores = (rng.random((n, k)) < 1 / (1 + np.exp(-levels))).astype(np.float64)
    questions = ScoredQuestions(
        approaches=tuple(f"approach {at}" for at in range(k)),
        signals=np.concatenate([vectors, rng.normal(size=(n, 3))], axis=1),
        embedded=DIMENSION,
        scores=scores,
        costs=None,
        groups=[str(at) for at in range(n)],
    )
    return decide_routing(questions, run="simulated", primary="correct")


async def routellm(most: int, kept: Path | None = None) -> tuple[ScoredQuestions, list[str]]:
    """Return the questions of RouteLLM with the subject of each; equal questions are kept once."""
    rows: dict[str, tuple[str, list[float]]] = {}
    for path in sorted((Path(os.environ.get("GROUNDTUNE_DATA", "../shared/data")) / "routellm-mmlu").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                rows.setdefault(row["prompt"], (path.stem, [float(row[model] == "True") for model in MODELS]))
    chosen = list(rows)
    if most < len(chosen):
        chosen = [chosen[at] for at in sorted(np.random.default_rng(0).choice(len(chosen), most, replace=False))]
    if kept and kept.exists():
        measured = np.load(kept)
    else:
        signals = QuestionSignals(BundledEmbedder(), None)
        batches = [chosen[at : at + 256] for at in range(0, len(chosen), 256)]
        measured = np.concatenate([await signals.measure([Question(text) for text in batch]) for batch in batches])
        if kept:
            np.save(kept, measured)
    scores = np.array([rows[text][1] for text in chosen])
    questions = ScoredQuestions(
        approaches=MODELS,
        signals=measured,
        embedded=measured.shape[1] - 1,
        scores=scores,
        costs=np.tile([0.0, 1.0], (len(chosen), 1)),
        groups=(),
    )
    return questions, [rows[text][0] for text in chosen]


def replace_groups(questions: ScoredQuestions, groups: Sequence[str]) -> ScoredQuestions:
    return ScoredQuestions(
        questions.approaches, questions.signals, questions.embedded, questions.scores, questions.costs, groups
    )


def describe(found: Routing) -> None:
    areas = found.areas
    assert areas is not None
    print(f"{found.sentence} Every question by the best model for it: {found.oracle:.1%}.")
    table(
        [
            [f"over all budgets, n = {found.n:,}", "mean accuracy", "the router is ahead by"],
            ["router", f"{areas.router:.2%}", ""],
            ["random mix", f"{areas.mix:.2%}", points(areas.over_mix)],
            ["best single model in the budget", f"{areas.single:.2%}", points(areas.over_single)],
        ]
    )
    table(
        [
            ["calls of the strong model", "accuracy", "points over a random mix"],
            *(
                [f"{each.usd_per_1k / 1000:.0%}", f"{each.quality:.1%}", f"{100 * each.over_mix:+.2f}"]
                for each in found.curve
            ),
        ]
    )


def points(difference: tuple[float, float, float]) -> str:
    middle, low, high = (100 * each for each in difference)
    return f"{middle:+.2f} points [{low:+.2f}, {high:+.2f}]"


if __name__ == "__main__":
    main()
