"""Compute the figures of a matrix: means, differences and tables. They hold whatever is required of the approaches."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import TypeVar

from groundtune.common.text import format_count
from groundtune.dataset.reviewing import is_unreviewed, unreviewed_sentence
from groundtune.errors import UsageError
from groundtune.measure.approach_summaries import (
    Clusters,
    approach_summaries,
    cluster_examples,
    differences,
    group_by_approach,
    is_answer,
    row_score,
    tag_table,
)
from groundtune.measure.best_of_each import best_of_each
from groundtune.measure.correctness import gold_kind
from groundtune.measure.failures import failures_by_approach
from groundtune.measure.metric_names import ASSERTED_WRONG, USUAL_PRIMARY
from groundtune.measure.metrics import gold_texts
from groundtune.measure.score_tables import class_table, field_table
from groundtune.measure.tables import ErrorsAsWrong
from groundtune.measure.trainings import TrainingSpread, pool_trainings
from groundtune.types import Example, Result, Usage
from groundtune.workflows.figures import Figures, MeanUse
from groundtune.workflows.runs import Run

MANY_SENTENCES = 0.25
"""Share of gold answers that are yes, no or sentences from which the report advises a judge."""
TableOfRun = TypeVar("TableOfRun")


def measure(run: Run, primary: str | None = None) -> Figures:
    """Return the figures of a matrix. primary: the deciding score, instead of the run's own.

    Raises UsageError when no row has that score.
    """
    trainings = run.about.get("trainings", {})
    rows, spread = pool_trainings(run.results, {name: about["further"] for name, about in trainings.items()})
    metric = _metric(run, rows, primary)
    clusters = cluster_examples(run.examples)
    examples = {result.example for result in rows}
    anytime = run.stopping is not None
    summaries = approach_summaries(rows, primary=metric, clusters=clusters, spread=spread, anytime=anytime)
    names = {summary.name for summary in summaries}
    newest = [result for result in run.results if result.approach in names]
    task, fields_in_language = run.about.get("task", "answer"), partial(field_table, language=_language(run))
    return Figures(
        primary=metric,
        n=len(examples),
        groups=len({clusters.get(example, example) for example in examples}) if clusters else None,
        approaches=tuple(summaries),
        differences=tuple(differences(rows, primary=metric, clusters=clusters, spread=spread, anytime=anytime)),
        use={name: _mean_use(list(by_example.values())) for name, by_example in group_by_approach(rows).items()},
        errors={
            summary.name: f"{format_count(summary.errors, 'error')}, the first: {error.message}"
            for summary in summaries
            if summary.errors
            for error in [next(row.error for row in rows if row.approach == summary.name and row.error)]
        },
        errors_as_wrong=_errors_as_wrong(rows, metric, clusters, spread, anytime=anytime),
        training_means={name: means for name in trainings if (means := spread.means(name, metric))},
        failures=failures_by_approach(newest, task=task, primary=metric, clusters=clusters, anytime=anytime),
        wording_caveats=tuple(_wording_caveats(run) if metric == "correct" else ()),
        warning_caveats=tuple(_warning_caveats(rows)),
        unreviewed=sum(map(is_unreviewed, run.examples)),
        unreviewed_sentence=unreviewed_sentence(run.examples),
        tags=tuple(tag_table(rows, run.examples, primary=metric, spread=spread, anytime=anytime)),
        wrong_tags=tuple(tag_table(rows, run.examples, primary=ASSERTED_WRONG, spread=spread, anytime=anytime)),
        classes=_by_approach(rows, run.examples, class_table) if run.examples and task == "classify" else {},
        fields=_by_approach(rows, run.examples, fields_in_language) if run.examples and task == "extract" else {},
        best_of_each=best_of_each(rows, primary=metric),
    )


def _errors_as_wrong(
    rows: Sequence[Result], primary: str, clusters: Clusters, spread: TrainingSpread, *, anytime: bool
) -> ErrorsAsWrong | None:
    """Return the figures of the deciding score with 0 for every error; None where no error lacks that score."""
    if all(row.error is None or row_score(row, primary) is not None for row in rows):
        return None
    scored = [
        replace(row, error=None, scores={primary: 0.0 if score is None else score})
        for row in rows
        if (score := row_score(row, primary)) is not None or row.error
    ]
    summaries = approach_summaries(scored, primary=primary, clusters=clusters, spread=spread, anytime=anytime)
    return ErrorsAsWrong(
        {each.name: each.metrics[primary] for each in summaries},
        tuple(differences(scored, primary=primary, clusters=clusters, spread=spread, anytime=anytime)),
    )


def _metric(run: Run, rows: Sequence[Result], primary: str | None) -> str:
    """Return the name of the score that decides. Raises UsageError when no row has it."""
    scores = sorted({name for result in rows for name in result.scores})
    usual = next((name for name in USUAL_PRIMARY if name in scores), "correct")
    metric = primary or str(run.about.get("primary") or usual)
    if metric == ASSERTED_WRONG:
        hint = "set requirements.max_asserted_wrong to rule approaches out by it"
        raise UsageError(f"{metric} cannot decide a comparison, because lower is better", hint=hint)
    if scores and metric not in scores:
        raise UsageError(f"no row has the score {metric!r}", hint=f"set --primary to one of {', '.join(scores)}")
    return metric


def _mean_use(rows: Sequence[Result]) -> MeanUse:
    """Return the mean use of the rows of an approach that are answers."""
    usages = [row.usage for row in rows if is_answer(row)]

    def mean(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return fmean(known) if known and len(known) == len(values) else None

    return MeanUse(
        usd=mean([usage.usd for usage in usages]),
        machine_seconds=mean([_machine_seconds(usage) for usage in usages]),
        input_tokens=mean([usage.input_tokens for usage in usages]),
        cached_tokens=mean([usage.cached_tokens for usage in usages]),
        output_tokens=mean([usage.output_tokens for usage in usages]),
    )


def _machine_seconds(usage: Usage) -> float | None:
    return usage.seconds if usage.machine_seconds is None else usage.machine_seconds


def _wording_caveats(run: Run) -> list[str]:
    """Say so when the words of an answer tell little about whether it is right, and nothing else was asked."""
    if run.about.get("task", "answer") != "answer" or any("judge" in result.scores for result in run.results):
        return []
    language = _language(run)
    golds = [gold_texts(example.output)[0] for example in run.examples if example.output]
    kinds = Counter(gold_kind(gold, language) for gold in golds)
    if not golds or kinds["yes or no"] + kinds["sentence"] < MANY_SENTENCES * len(golds):
        return []
    named = {"yes or no": "yes or no", "sentence": "sentences"}
    counts = " and ".join(f"{kinds[kind]:,} {text}" for kind, text in named.items() if kinds[kind])
    return [
        f"Among {format_count(len(golds), 'gold answer')} are {counts}: `correct` compares words, so it takes a right "
        "answer in other words for wrong. A judge reads the meaning: set [judge]."
    ]


def _warning_caveats(results: Sequence[Result]) -> list[str]:
    """Return each warning of the rows once, with the approaches and the number of rows; figures in it may differ."""
    alike: dict[str, list[tuple[str, str]]] = {}
    for result in results:
        for warning in dict.fromkeys(result.warnings):
            alike.setdefault(re.sub(r"\d[\d.,]*", "#", warning), []).append((result.approach, warning))
    caveats = []
    for rows in alike.values():
        counts = Counter(approach for approach, _ in rows)
        places = ", ".join(f"{name} {format_count(count, 'row')}" for name, count in counts.items())
        caveats.append(f"{rows[0][1]} ({places}).")
    return caveats


def _by_approach(
    rows: Sequence[Result],
    examples: Sequence[Example],
    table: Callable[[Sequence[Result], Sequence[Example]], TableOfRun],
) -> dict[str, TableOfRun]:
    return {name: table(list(own.values()), examples) for name, own in group_by_approach(rows).items()}


def _language(run: Run) -> str:
    return str(run.about.get("settings", {}).get("language", "english"))
