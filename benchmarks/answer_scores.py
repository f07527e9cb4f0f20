"""Measure how well the scores `correct` and `contains` agree with labelled answers, and on the golds of SQuAD.

    python -m benchmarks.answer_scores

Pairs: tests/data/answer_pairs, labelled twice before the rule was written. Their questions are in two parts, by a hash:
`development`, which was read while the rule was written, and `held out`, which was not. Kappa is Cohen's, with a 95%
bootstrap interval over questions, since the answers to a question are not independent.

SQuAD 2.0 (in GROUNDTUNE_DATA): each gold answer of a question against its other gold answers, which should be right,
and against the gold answers of a question of another article, which should be wrong.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.common import table

from groundtune.measure.correctness import is_correct
from groundtune.measure.metrics import contains, gold_texts

PAIRS = Path(__file__).parent.parent / "tests/data/answer_pairs"
HELD_OUT = 3
"""One question in this many is held out."""
RESAMPLES = 2000

Rule = Callable[[str, Sequence[str], str, str], bool]
"""Whether an answer is right, given the gold answers, the question and the language."""


def by_correct(answer: str, golds: Sequence[str], question: str, language: str) -> bool:
    return any(is_correct(answer, gold, question=question, language=language) for gold in golds)


def by_contains(answer: str, golds: Sequence[str], question: str, language: str) -> bool:
    return bool(contains(answer, golds))


RULES: dict[str, Rule] = {"correct": by_correct, "contains": by_contains}


def read_pairs() -> list[dict[str, Any]]:
    """Return the pairs, each with its `label`."""
    labels = {row["id"]: row for row in _rows(PAIRS / "labels.jsonl")}
    return [{**pair, "label": labels[pair["id"]]["first"]} for pair in _rows(PAIRS / "pairs.jsonl")]


def is_held_out(question: str) -> bool:
    """Whether the answers to this question were not looked at while the rule was written."""
    return int(hashlib.sha256(question.encode()).hexdigest(), 16) % HELD_OUT == 0


def kappa(labels: Sequence[bool], results: Sequence[bool]) -> float:
    """Return Cohen's kappa of two lists of booleans; NaN where it is undefined."""
    first, second = np.asarray(labels, float), np.asarray(results, float)
    agreed = float((first == second).mean())
    chance = float(first.mean() * second.mean() + (1 - first.mean()) * (1 - second.mean()))
    return (agreed - chance) / (1 - chance) if chance < 1 else float("nan")


def kappa_interval(pairs: Sequence[dict[str, Any]], results: Sequence[bool]) -> tuple[float, float]:
    """Return the 95% percentile interval of kappa when whole questions are resampled."""
    clusters: dict[str, list[int]] = {}
    for index, pair in enumerate(pairs):
        clusters.setdefault(pair["question"], []).append(index)
    groups = list(clusters.values())
    rng = np.random.default_rng(0)
    labels = [pair["label"] for pair in pairs]
    drawn = []
    for _ in range(RESAMPLES):
        rows = [index for group in rng.integers(0, len(groups), len(groups)) for index in groups[group]]
        drawn.append(kappa([labels[row] for row in rows], [results[row] for row in rows]))
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def agreement() -> Iterator[list[str]]:
    """Yield the rows of the table on the labelled pairs."""
    pairs = read_pairs()
    parts = {
        "all": pairs,
        "development": [pair for pair in pairs if not is_held_out(pair["question"])],
        "held out": [pair for pair in pairs if is_held_out(pair["question"])],
    }
    kinds = ["all", *sorted({pair["kind"] for pair in pairs})]
    yield [
        "part",
        "kind",
        "n",
        "questions",
        *(f"{name}: kappa (95%)" for name in RULES),
        "wrong as right",
        "right as wrong",
    ]
    for part, rows in parts.items():
        for kind in kinds:
            chosen = [pair for pair in rows if kind in ("all", pair["kind"])]
            cells, errors = [], ["", ""]
            for name, rule in RULES.items():
                results = [rule(p["answer"], gold_texts(p["gold"]), p["question"], p["language"]) for p in chosen]
                low, high = kappa_interval(chosen, results)
                cells.append(f"{kappa([p['label'] for p in chosen], results):.2f} ({low:.2f} to {high:.2f})")
                if name == "correct":
                    right = sum(pair["label"] for pair in chosen)
                    taken = sum(r and not p["label"] for p, r in zip(chosen, results, strict=True))
                    missed = sum(p["label"] and not r for p, r in zip(chosen, results, strict=True))
                    errors = [f"{taken}/{len(chosen) - right}", f"{missed}/{right}"]
            yield [part, kind, str(len(chosen)), str(len({pair["question"] for pair in chosen})), *cells, *errors]


def squad(path: Path) -> Iterator[list[str]]:
    """Yield the rows of the table on SQuAD."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    questions = [question for article in articles for part in article["paragraphs"] for question in part["qas"]]
    answerable = [
        (question["question"], [answer["text"] for answer in question["answers"]])
        for question in questions
        if len(question["answers"]) > 1
    ]
    own = [(golds[i], [*golds[:i], *golds[i + 1 :]], text) for text, golds in answerable for i in range(len(golds))]
    differing = [(answer, others, text) for answer, others, text in own if answer not in others]
    half = len(answerable) // 2
    following = [*answerable[half:], *answerable[:half]]
    foreign = [
        (a, golds, text) for (text, golds), (_, others) in zip(answerable, following, strict=True) for a in others
    ]
    yield ["gold answer of SQuAD against", "n", *RULES]
    for name, rows in (
        ("the other gold answers of its question", own),
        ("the same, where its text is not among them", differing),
        ("the gold answers of a question of another article", foreign),
    ):
        shares = [
            sum(rule(answer, list(dict.fromkeys(golds)), text, "english") for answer, golds, text in rows) / len(rows)
            for rule in RULES.values()
        ]
        yield [name, f"{len(rows):,}", *(f"{share:.1%}" for share in shares)]
    yield [f"unanswerable questions: {sum(not q['answers'] for q in questions):,}, right only if abstained", "", "", ""]


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    table(agreement())
    print()
    table(squad(Path(os.environ.get("GROUNDTUNE_DATA", "../shared/data")) / "squad/dev-v2.0.json"))
