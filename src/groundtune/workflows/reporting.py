"""Turn a matrix into a verdict and a report, from a run folder or a bare results file. Calls no model."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from groundtune.common.conversations import transcript
from groundtune.common.files import write_atomic, write_json
from groundtune.common.text import format_count
from groundtune.dataset.reviewing import is_unreviewed, unreviewed_sentence
from groundtune.decide.verdict import Requirements, decide
from groundtune.display import Block, Displayed, Line, Table
from groundtune.display.limits import TRAINED, how_to_raise
from groundtune.errors import MissingError, UsageError
from groundtune.measure.approach_summaries import (
    approach_summaries,
    cluster_examples,
    differences,
    group_by_approach,
    tag_table,
)
from groundtune.measure.correctness import gold_kind
from groundtune.measure.metrics import ASSERTED_WRONG, gold_texts
from groundtune.measure.results import RESULTS, read_results
from groundtune.measure.runner import JUDGEMENTS, PASSAGES, read_json_lines
from groundtune.measure.score_tables import ClassTable, FieldTable, class_table, field_table
from groundtune.measure.trainings import TrainingSpread, pool_trainings
from groundtune.report import html as page
from groundtune.types import (
    ApproachSummary,
    Difference,
    Evidence,
    Example,
    Interval,
    Message,
    Result,
    Review,
    Verdict,
)
from groundtune.workflows.calibrating import threshold_sentences
from groundtune.workflows.choosing_prompts import prompt_sentences
from groundtune.workflows.comparing import EXAMPLES, RUN, read_run_file

MANY_SENTENCES = 0.25
"""Share of gold answers that are yes, no or sentences from which the report advises a judge."""
USUAL_PRIMARY = ("correct", "judge", "chrf", "f1")
"""Primary scores for a bare results file, in order of preference."""
FIGURES = ("usd_per_1k", "p50_seconds", "p95_seconds", "cited")
"""Fields of an approach summary that a condition may name besides the scores."""
TableOfRun = TypeVar("TableOfRun")
_CONDITION_PATTERN = re.compile(r"\s*(\S.*?)\s*(>=|<=)\s*(\d*\.?\d+(?:[eE][+-]?\d+)?)\s*")


@dataclass(frozen=True, slots=True)
class Run:
    """A matrix with its metadata; a bare results file has none."""

    results: tuple[Result, ...]
    file: Path
    """The matrix."""
    name: str | None = None
    started: str | None = None
    complete: bool = True
    about: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    barred: Mapping[str, str] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """A minimum or maximum that the recommended approach must meet, such as `correct>=0.8`."""

    metric: str
    at_least: bool
    value: float

    def __str__(self) -> str:
        return f"{self.metric}{'>=' if self.at_least else '<='}{self.value:g}"

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Parse a condition. Raises UsageError."""
        match = _CONDITION_PATTERN.fullmatch(text)
        if match is None:
            raise UsageError(f"invalid condition {text!r}", hint='write it like "correct>=0.8" or "p95_seconds<=2"')
        return cls(match[1], match[2] == ">=", float(match[3]))

    def met_by(self, summary: ApproachSummary) -> bool:
        """Whether an approach meets the condition; an unknown value never does."""
        values: dict[str, float | None] = {name: interval.mean for name, interval in summary.metrics.items()}
        values |= {name: getattr(summary, name) for name in FIGURES}
        actual = values.get(self.metric)
        if actual is None:
            return False
        return actual >= self.value if self.at_least else actual <= self.value


@dataclass(frozen=True, slots=True)
class Report(Displayed):
    """The verdict on a run with the figures behind it."""

    run: Run
    primary: str
    n: int
    """Examples in the matrix."""
    approaches: tuple[ApproachSummary, ...]
    """Figures of each approach."""
    differences: tuple[Difference, ...]
    verdict: Verdict
    tags: tuple[tuple[str, int, Mapping[str, Interval]], ...] = ()
    """Tag, number of examples, and the primary score of each approach on them; `wrong_tags`: `asserted_wrong`."""
    wrong_tags: tuple[tuple[str, int, Mapping[str, Interval]], ...] = ()
    classes: Mapping[str, ClassTable] = field(default_factory=dict)
    """Tables of the classify task, by approach."""
    fields: Mapping[str, FieldTable] = field(default_factory=dict)
    """Tables of the extract task, by approach."""
    file: Path | None = None
    """Path of report.html, if written."""

    def view(self) -> list[Block]:
        """Return the verdict, a table of the approaches, and what was not run."""
        own = [name for name in self.own_scores if name != self.primary]
        rows = [
            [
                *(entry.name, _mean(entry), *(entry.metrics.get(name) for name in own)),
                *(entry.abstained, entry.errors, entry.p95_seconds, entry.usd_per_1k),
            ]
            for entry in sorted(self.approaches, key=lambda entry: -1.0 if entry.mean is None else -entry.mean)
        ]
        incomplete = [] if self.run.complete else [Line("This run is incomplete; compare resumes it.")]
        return [
            *self.verdict.view(),
            *([Line(self.unreviewed_sentence, "strong")] if self.unreviewed_sentence else []),
            *incomplete,
            Line(""),
            Table(["approach", self.primary, *own, "abstained", "errors", "p95 s", "usd/1k"], rows),
            *(Line(f"{name}: {text}", "strong") for name, text in self.first_errors().items()),
            *(Line(f"{name} was not run: {reason}", "dim") for name, reason in self.run.missing.items()),
            *(Line(sentence, "dim") for sentence in (*self.prompt_sentences, *self.threshold_sentences)),
            Line(f"{format_count(self.n, 'example')}; {self.file or self.run.file}", "dim"),
        ]

    @property
    def unreviewed(self) -> int:
        """Number of examples that a program drafted and nobody looked at before the comparison."""
        return sum(map(is_unreviewed, self.run.examples))

    @property
    def unreviewed_sentence(self) -> str | None:
        """What every reader of the figures has to know about them; None without such examples."""
        return unreviewed_sentence(self.run.examples)

    @property
    def own_scores(self) -> list[str]:
        """Names of the scores of packages and of the caller."""
        return list(self.run.about.get("own_scorers", ()))

    @property
    def threshold_sentences(self) -> list[str]:
        """The confidence below which each approach abstained, and what it was fitted on; older runs do not say it."""
        return threshold_sentences(self.run.about.get("thresholds", {}))

    @property
    def prompt_sentences(self) -> list[str]:
        """The prompt of each approach that has several, and what it was chosen by; empty when there was no choice."""
        return prompt_sentences(self.run.about.get("prompts", {}))

    def first_errors(self) -> dict[str, str]:
        """Map each approach with errors to their number and the message of the first."""
        return {
            summary.name: f"{format_count(summary.errors, 'error')}, the first: {error.message}"
            for summary in self.approaches
            if summary.errors
            for error in [next(row.error for row in self.run.results if row.approach == summary.name and row.error)]
        }

    def unmet_by(self, conditions: Sequence[Condition]) -> list[str]:
        """Return the conditions that the choice misses or, without a choice, that any leader misses.

        Raises UsageError for a score or figure that no approach has.
        """
        names = [self.verdict.choice] if self.verdict.choice else self.verdict.leaders
        chosen = [entry for entry in self.approaches if entry.name in names]
        scores = sorted({name for entry in self.approaches for name in entry.metrics})
        for condition in conditions:
            if condition.metric not in (*scores, *FIGURES):
                raise UsageError(
                    f"no approach has {condition.metric!r}", hint=f"choose one of {', '.join((*scores, *FIGURES))}"
                )
        return [
            str(condition)
            for condition in conditions
            if not chosen or not all(condition.met_by(summary) for summary in chosen)
        ]

    def summary(self) -> dict[str, Any]:
        """Return the content of report.json, which `--json` also prints."""
        return {
            "choice": self.verdict.choice,
            "sentence": self.verdict.sentence,
            "unreviewed": self.unreviewed,
            "unreviewed_sentence": self.unreviewed_sentence,
            "primary": self.primary,
            "n": self.n,
            "approaches": [asdict(summary) for summary in self.approaches],
            "comparisons": [asdict(difference) for difference in self.differences],
            "verdict": {
                "reasons": self.verdict.reasons,
                "leaders": self.verdict.leaders,
                "ruled_out": self.verdict.ruled_out,
                "flips": self.verdict.flips,
                "caveats": self.verdict.caveats,
                "more_examples": self.verdict.more_examples,
            },
            "unavailable": dict(self.run.missing),
            "thresholds": dict(self.run.about.get("thresholds", {})),
            "prompts": dict(self.run.about.get("prompts", {})),
            "tags": [
                {
                    "tag": tag,
                    "n": n,
                    "approaches": {name: asdict(mean) for name, mean in means.items()},
                    ASSERTED_WRONG: {name: asdict(mean) for name, mean in wrong.items()},
                }
                for (tag, n, means), (_, _, wrong) in zip(self.tags, self.wrong_tags, strict=True)
            ],
            "classes": {name: asdict(table) for name, table in self.classes.items()},
            "fields": {name: asdict(table) for name, table in self.fields.items()},
            "run": self.run.name,
            "complete": self.run.complete,
            "results": str(self.run.file),
            "html": str(self.file) if self.file else None,
        }


def read_run(path: Path) -> Run:
    """Read a run from its folder or its results file, with the metadata beside it if present.

    Raises MissingError when there are no results, ConfigError for invalid lines, FormatError for a run of another
    version of groundtune.
    """
    file = path / RESULTS if path.is_dir() else path
    if not file.is_file():
        raise MissingError(f"no results file {file}", hint="groundtune compare writes one")
    results = tuple(read_results(file))
    if not results:
        raise MissingError(f"{file} has no results yet", hint="resume it with groundtune compare")
    folder = file.parent
    if file.name != RESULTS or not (folder / RUN).is_file():
        return Run(results, file)
    metadata = read_run_file(folder)
    examples = tuple(_example(row) for row in read_json_lines(folder / EXAMPLES))
    return Run(
        _sorted_results(results, [example.id for example in examples], metadata.get("approaches", ())),
        file,
        name=folder.name,
        started=metadata.get("started"),
        complete=bool(metadata.get("complete")),
        about=metadata.get("about", {}),
        missing=metadata.get("missing", {}),
        barred=metadata.get("barred", {}),
        examples=examples,
    )


def _sorted_results(
    results: Sequence[Result], examples: Sequence[str], approaches: Sequence[str]
) -> tuple[Result, ...]:
    """Sort rows by example and approach; the order in the file is the order of completion, which varies."""
    row, column = ({name: place for place, name in enumerate(names)} for names in (examples, approaches))
    last = len(results)
    return tuple(sorted(results, key=lambda result: (row.get(result.example, last), column.get(result.approach, last))))


def evaluate_run(run: Run, *, primary: str | None = None) -> Report:
    """Return the verdict under the requirements of the run.

    primary: the deciding score, instead of the run's own. Raises UsageError when no row has it.
    """
    trainings = run.about.get("trainings", {})
    pooled, spread = pool_trainings(run.results, {name: about["further"] for name, about in trainings.items()})
    run = replace(run, results=tuple(pooled))
    scores = sorted({name for result in run.results for name in result.scores})
    usual = next((name for name in USUAL_PRIMARY if name in scores), "correct")
    metric = primary or str(run.about.get("primary") or usual)
    if metric == ASSERTED_WRONG:
        hint = "set requirements.max_asserted_wrong to rule approaches out by it"
        raise UsageError(f"{metric} cannot decide a comparison, because lower is better", hint=hint)
    if scores and metric not in scores:
        raise UsageError(f"no row has the score {metric!r}", hint=f"set --primary to one of {', '.join(scores)}")
    clusters = cluster_examples(run.examples)
    measured = approach_summaries(run.results, primary=metric, clusters=clusters, spread=spread)
    summaries, notes = _add_training_cost(measured, run.about)
    pairs = differences(run.results, primary=metric, clusters=clusters, spread=spread)
    n = len({result.example for result in run.results})
    requirements = Requirements(**run.about.get("requirements", {}), barred=run.barred)
    groups = (
        len({clusters.get(example, example) for example in {result.example for result in run.results}})
        if clusters
        else None
    )
    verdict = decide(
        summaries,
        pairs,
        requirements,
        primary=metric,
        examples=n,
        clusters=groups,
        prefer_simpler=run.about.get("prefer_simpler", True),
    )
    caveats = (
        *verdict.caveats,
        *(_wording_caveats(run) if metric == "correct" else ()),
        *_cut_caveats(summaries, run.about),
        *_warning_caveats(run.results),
        *notes,
        *_training_caveats(run.about),
        *_seed_caveats(trainings, spread, metric),
        *_forgetting_caveats(run.about),
        *_model_caveats(run.about),
    )
    verdict = replace(verdict, caveats=caveats)
    task, fields_in_language = run.about.get("task"), partial(field_table, language=_language(run))
    return Report(
        run,
        metric,
        n,
        tuple(summaries),
        tuple(pairs),
        verdict,
        tags=tuple(tag_table(run.results, run.examples, primary=metric, spread=spread)),
        wrong_tags=tuple(tag_table(run.results, run.examples, primary=ASSERTED_WRONG, spread=spread)),
        classes=_tables_by_approach(run, class_table) if run.examples and task == "classify" else {},
        fields=_tables_by_approach(run, fields_in_language) if run.examples and task == "extract" else {},
    )


def _add_training_cost(
    measured: list[ApproachSummary], about: Mapping[str, Any]
) -> tuple[list[ApproachSummary], list[str]]:
    """Spread training costs over the months of [costs] and add them to the prices; return notes on those as well."""
    requests, months = about.get("requirements", {}).get("requests_per_month"), about.get("months") or 12
    priced, notes = [], []
    for summary in measured:
        cost = about.get("training_usd", {}).get(summary.name, 0.0)
        if cost is None:
            notes.append(f"The training cost of {summary.name} is unknown and not included in its price.")
        elif cost and not requests:
            notes.append(
                f"The training of {summary.name} cost ${cost:,.2f}, which is not included in its price: "
                "set costs.requests_per_month."
            )
        elif cost and summary.usd_per_1k is not None:
            summary = replace(summary, usd_per_1k=summary.usd_per_1k + 1000 * cost / (months * requests))
            notes.append(f"The price of {summary.name} includes its training cost, spread over {months} months.")
        priced.append(summary)
    return priced, notes


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


def _cut_caveats(summaries: Sequence[ApproachSummary], about: Mapping[str, Any]) -> list[str]:
    """Name the approaches whose replies ended too early, and the key that lets them end."""
    tables, trained = about.get("model_tables", {}), about.get("artifacts", {})
    return [
        f"{summary.name}: {format_count(count, 'reply', 'replies')} of "
        f"{summary.answered + summary.abstained + summary.errors:,} cut off at {limit}: "
        f"{TRAINED if summary.name in trained else how_to_raise(limit, tables.get(summary.name))}."
        for summary in summaries
        for limit, count in summary.cut.items()
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


def _training_caveats(about: Mapping[str, Any]) -> list[str]:
    return [
        f"{format_count(n, 'example')} {'was' if n == 1 else 'were'} excluded for every approach, "
        f"because {name} was trained on {'its' if n == 1 else 'their'} id or input."
        for name, n in about.get("trained_on", {}).items()
    ]


def _seed_caveats(trainings: Mapping[str, Mapping[str, Any]], spread: TrainingSpread, metric: str) -> list[str]:
    """Say for which trainings the intervals hold, and what can be done to widen that."""
    caveats = []
    single = [name for name, about in trainings.items() if not about["further"]]
    if single:
        tables = dict.fromkeys(f"[tune.{trainings[name]['table']}]" for name in single if "@" not in name)
        hint = f": {' and '.join(tables)} seeds = 3 measures the spread between trainings" if tables else ""
        verb, which = ("hold", "these single trainings") if len(single) > 1 else ("holds", "this one training")
        subject = "The intervals of" if len(single) > 1 else "The interval of"
        caveats.append(f"{subject} {', '.join(single)} {verb} for {which}{hint}.")
    for name, about in trainings.items():
        means = ", ".join(f"{mean:.3f}" for mean in spread.means(name, metric))
        if means:
            count = len(about["further"]) + 1
            caveats.append(f"The interval of {name} includes the spread between its {count} trainings: {means}.")
        if len(about["further"]) + 1 < about["seeds"]:
            caveats.append(
                f"{len(about['further']) + 1} of {about['seeds']} trainings of {name} could be measured: "
                f"groundtune tune {about['table']} trains those that are missing."
            )
    return caveats


def _forgetting_caveats(about: Mapping[str, Any]) -> list[str]:
    """Describe what training made each base model forget, once per artifact."""
    names: dict[str, list[str]] = {}
    for name, line in about.get("forgetting", {}).items():
        names.setdefault(line, []).append(name)
    return [f"{line} ({', '.join(trained)})" for line, trained in names.items()]


def _model_caveats(about: Mapping[str, Any]) -> list[str]:
    return [f"{note} ({', '.join(names)})." for note, names in about.get("model_notes", {}).items()]


def write_report(report: Report, folder: Path) -> Report:
    """Write report.json and report.html to a folder; return the report with the path of its page."""
    report = write_page(report, folder / "report.html")
    write_json(folder / "report.json", report.summary())
    return report


def write_page(report: Report, file: Path) -> Report:
    """Write the self-contained report.html; return the report with its path."""
    report = replace(report, file=file)
    run = report.run
    reasons = {
        (note["example"], note["approach"]): note["reasons"] for note in read_json_lines(run.file.parent / JUDGEMENTS)
    }
    cells: dict[str, dict[str, Any]] = {}
    for result in run.results:
        cell = _cell(result)
        if judged := reasons.get((result.example, result.approach)):
            reason = "; ".join(f"{metric}: {text}" for metric, text in judged.items())
            cell["judge"] = {"score": result.scores.get("judge"), "reason": reason}
        cells.setdefault(result.example, {})[result.approach] = cell
    notes = {note["id"]: note for note in read_json_lines(run.file.parent / PASSAGES)}
    content = {
        **report.summary(),
        "title": run.about.get("name") or "groundtune",
        "made": run.started,
        "threshold_sentences": report.threshold_sentences,
        "prompt_sentences": report.prompt_sentences,
        "task": run.about.get("task", "answer"),
        "examples": [
            {
                "id": example.id,
                "input": transcript(example.input, example.history),
                "output": example.output,
                "tags": list(example.tags),
                "evidence": [asdict(proof) for proof in example.evidence],
            }
            for example in run.examples
        ],
        "cells": cells,
        "passages": notes,
    }
    write_atomic(file, page.render_page(content).encode("utf-8", "backslashreplace"))
    return report


def _cell(result: Result) -> dict[str, Any]:
    return {
        "status": result.status,
        "output": result.output,
        "citations": [asdict(citation) for citation in result.citations],
        "scores": dict(result.scores),
        "usage": asdict(result.usage),
        "error": asdict(result.error) if result.error else None,
        **({"cut": result.cut} if result.cut else {}),
        **({"warnings": list(result.warnings)} if result.warnings else {}),
    }


def _language(run: Run) -> str:
    return str(run.about.get("settings", {}).get("language", "english"))


def _tables_by_approach(
    run: Run, table: Callable[[Sequence[Result], Sequence[Example]], TableOfRun]
) -> dict[str, TableOfRun]:
    return {name: table(list(rows.values()), run.examples) for name, rows in group_by_approach(run.results).items()}


def _example(row: Mapping[str, Any]) -> Example:
    lists = {
        "tags": tuple(row["tags"]),
        "groups": tuple(row["groups"]),
        "evidence": tuple(Evidence(**item) for item in row["evidence"]),
        "history": tuple(Message(**turn) for turn in row.get("history", ())),  # older runs have none
        "facts": tuple(map(tuple, row.get("facts", ()))),
        "review": Review(**row["review"]) if row.get("review") else None,
    }
    return Example(**{**row, **lists})


def _mean(summary: ApproachSummary) -> Interval | None:
    if summary.mean is None or summary.low is None or summary.high is None:
        return None
    return Interval(summary.mean, summary.low, summary.high, summary.n)
