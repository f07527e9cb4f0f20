"""Train a router on a comparison, and keep it where it pays. Asks no language model."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from groundtune import build
from groundtune.approaches.question_signals import QuestionSignals
from groundtune.build.approach_families import ROUTED
from groundtune.build.resources import Resources
from groundtune.build.router_file import StoredRouter, write_router
from groundtune.common.conversations import question_of
from groundtune.config import Config
from groundtune.decide.routing import FEWEST, Routing, ScoredQuestions, decide_routing
from groundtune.decide.wording import PRICE_HINT, join_names
from groundtune.errors import UsageError
from groundtune.measure.approach_summaries import cluster_examples, group_by_approach, row_score
from groundtune.stats.inputs import Floats
from groundtune.stats.routing import FOLDS, candidates, fit_router
from groundtune.types import Result
from groundtune.workflows.reporting import Report, evaluate_run
from groundtune.workflows.routing_file import RoutingNote, write_routing
from groundtune.workflows.runs import read_run, run_folder
from groundtune.workspace import Workspace


async def train_router(workspace: Workspace, config: Config, resources: Resources, *, run: str | None) -> Routing:
    """Train a router on a comparison, the latest if none is named, and write it if it pays; the run keeps the verdict.

    Only approaches that meet the requirements take part. Where it does not pay, an earlier router is removed, unless it
    is the project's choice. Raises MissingError without a comparison, UsageError for one that no router can be trained
    on, and when a price is unknown that [route] needs.
    """
    if reason := build.residency_violation(config, config.embedder):
        raise UsageError(f"a router reads the vectors of questions: {reason}")
    compared = read_run(run_folder(workspace, run))
    report = evaluate_run(compared)
    names = _eligible(report)
    index = resources.index
    signals = QuestionSignals(resources.batch_embedder(), index.retriever if index else None)
    questions = await _scored(report, names, signals, resources.batch_embedder().dimension)
    value = config.route.right_answer_usd
    if value is not None and questions.costs is None:
        unpriced = join_names(
            [each.name for each in report.approaches if each.name in names and each.usd_per_1k is None]
        )
        raise UsageError(f"[route] right_answer_usd needs the price of {unpriced}", hint=PRICE_HINT)
    try:
        routing = decide_routing(questions, run=compared.name or "", primary=report.primary, right_answer_usd=value)
    except ValueError as error:
        raise UsageError(f"{report.primary}: {error}", hint="groundtune compare --primary NAME") from error
    write_routing(compared.file.parent, RoutingNote(routing.primary, routing.sentence, routing.adopted))
    if routing.adopted:
        pinned = compared.about.get("artifacts", {})
        write_router(workspace.router, _stored(questions, routing, resources, pinned, index is not None))
    elif config.answers.approach != ROUTED:
        workspace.router.unlink(missing_ok=True)
    return routing


def _eligible(report: Report) -> list[str]:
    """Return the approaches that a router may choose from. Raises UsageError when there are fewer than two."""
    own = report.run.about.get("own_approaches", {})
    names = [
        each.name
        for each in report.approaches
        if each.name not in report.verdict.ruled_out and each.name != ROUTED and each.name not in own
    ]
    if len(names) < 2:
        raise UsageError(
            f"a router needs two approaches that meet the requirements; this comparison has {len(names)}",
            hint="groundtune compare",
        )
    return names


async def _scored(report: Report, names: Sequence[str], signals: QuestionSignals, embedded: int) -> ScoredQuestions:
    """Return the questions that all approaches have a score for. Raises UsageError for too few, or too few groups."""
    run, primary = report.run, report.primary
    rows = group_by_approach(run.results)
    examples = [
        example
        for example in run.examples
        if all(_score(rows[name].get(example.id), primary) is not None for name in names)
    ]
    if len(examples) < FEWEST:
        raise UsageError(
            f"a router needs {FEWEST} examples that {join_names(names)} all have a score for, not {len(examples)}",
            hint="groundtune compare without --until-decided, which asks every approach every question"
            if run.stopping
            else "add examples, then groundtune compare",
        )
    clusters = cluster_examples(examples)
    groups = [clusters.get(example.id, example.id) for example in examples]
    if (count := len(set(groups))) < FOLDS:
        raise UsageError(
            f"a router needs examples of {FOLDS} groups or documents, not {count}",
            hint="examples of one group are not independent: add others, then groundtune compare",
        )
    cells = [[rows[name][example.id] for name in names] for example in examples]
    prices = [[report.case.machine.of_answer(cell) for cell in row] for row in cells]
    known = all(price is not None for row in prices for price in row)
    return ScoredQuestions(
        approaches=tuple(names),
        signals=await signals.measure([question_of(example) for example in examples]),
        embedded=embedded,
        scores=np.array([[_score(cell, primary) or 0.0 for cell in row] for row in cells]),
        costs=np.array(prices, dtype=np.float64) if known else None,
        groups=groups,
        ids=[example.id for example in examples],
        tags=[example.tags for example in examples],
    )


def _score(row: Result | None, primary: str) -> float | None:
    return None if row is None else row_score(row, primary)


def _stored(
    questions: ScoredQuestions, routing: Routing, resources: Resources, pinned: Mapping[str, str], retrieval: bool
) -> StoredRouter:
    """Fit the router on all questions."""
    weight = 1 / routing.right_answer_usd if routing.right_answer_usd else 0.0
    scores, costs = questions.scores, questions.costs
    chosen = candidates(scores if costs is None else scores - weight * costs, costs)
    model = fit_router(
        questions.signals, scores[:, chosen], questions.group_numbers, embedded=questions.embedded, seed=1
    )
    names = [questions.approaches[at] for at in chosen]
    return StoredRouter(
        run=routing.run,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        approaches=tuple(f"{name}@{pinned[name]}" if name in pinned and "@" not in name else name for name in names),
        examples=tuple(questions.ids),
        embedder=resources.embedder().digest,
        retrieval=retrieval,
        weight=weight,
        costs=tuple([0.0] * len(chosen) if costs is None else costs[:, chosen].mean(axis=0).tolist()),
        center=_rounded(model.center),
        axes=_rounded(model.axes),
        weights=_rounded(model.weights),
    )


def _rounded(values: Floats) -> list[Any]:
    """Return nested lists of numbers with the precision of float32, which takes half the space."""
    rounded: list[Any] = values.astype(np.float32).tolist()
    return rounded
