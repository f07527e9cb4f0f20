"""A matrix to a verdict and a report: from the folder of a run, or from a results file alone. Asks no model."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from groundtune.decide import report as page
from groundtune.decide.verdict import Requirements, decide
from groundtune.decide.wording import count
from groundtune.errors import MissingError, UsageError
from groundtune.measure.results import RESULTS, read_results
from groundtune.measure.runner import JUDGEMENTS, PASSAGES, read_notes
from groundtune.measure.standings import by_approach, clusters_of, differences, standings, tag_table
from groundtune.measure.tables import ClassTable, FieldTable, classification, fields
from groundtune.types import Difference, Evidence, Example, Interval, Result, Standing, Verdict
from groundtune.workflows.comparing import EXAMPLES, RUN
from groundtune.workspace import read_json, write_atomic, write_json

USUAL = ("correct", "judge", "chrf", "f1")
"""What decides on a bare results file: the first of these that there is."""
FIGURES = ("usd_per_1k", "p50_seconds", "p95_seconds", "cited")
"""Fields of a standing that a demand may name beside the scores."""
Table = TypeVar("Table")
_DEMAND = re.compile(r"\s*(\S.*?)\s*(>=|<=)\s*(\d*\.?\d+(?:[eE][+-]?\d+)?)\s*")


@dataclass(frozen=True, slots=True)
class Run:
    """A matrix with all that is known about it; a bare results file knows nothing else."""

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
class Demand:
    """`correct>=0.8`: what the chosen approach must reach."""

    metric: str
    at_least: bool
    value: float

    def __str__(self) -> str:
        return f"{self.metric}{'>=' if self.at_least else '<='}{self.value:g}"

    @classmethod
    def parse(cls, text: str) -> "Demand":
        """Raises UsageError."""
        found = _DEMAND.fullmatch(text)
        if found is None:
            raise UsageError(
                f"cannot read the demand {text!r}", hint='write it like "correct>=0.8" or "p95_seconds<=2"'
            )
        return cls(found[1], found[2] == ">=", float(found[3]))

    def check(self, known: Sequence[str]) -> None:
        """Raises UsageError when nothing has the score or figure."""
        if self.metric not in known:
            raise UsageError(f"no approach has {self.metric!r}", hint=f"there are {', '.join(known)}")

    def met_by(self, standing: Standing) -> bool:
        """An unknown value meets nothing."""
        known: dict[str, float | None] = {name: one.mean for name, one in standing.metrics.items()}
        known |= {name: getattr(standing, name) for name in FIGURES}
        value = known.get(self.metric)
        if value is None:
            return False
        return value >= self.value if self.at_least else value <= self.value


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on a run, with all figures behind it."""

    run: Run
    primary: str
    n: int
    """Examples in the matrix."""
    standings: tuple[Standing, ...]
    differences: tuple[Difference, ...]
    verdict: Verdict
    tags: tuple[tuple[str, int, Mapping[str, Interval]], ...] = ()
    classes: Mapping[str, ClassTable] = field(default_factory=dict)
    """Of task classify, by approach."""
    fields: Mapping[str, FieldTable] = field(default_factory=dict)
    """Of task extract, by approach."""
    file: Path | None = None
    """report.html, where it was written."""

    def unmet_by(self, demands: Sequence[Demand]) -> list[str]:
        """Demands that the choice misses; where there is no choice, that any of the leaders misses.

        Raises UsageError for a score or figure that no approach has.
        """
        chosen = [self.verdict.choice] if self.verdict.choice else self.verdict.leaders
        held = [one for one in self.standings if one.name in chosen]
        scores = sorted({name for one in self.standings for name in one.metrics})
        for demand in demands:
            if demand.metric not in (*scores, *FIGURES):
                raise UsageError(
                    f"no approach has {demand.metric!r}", hint=f"there are {', '.join((*scores, *FIGURES))}"
                )
        return [str(one) for one in demands if not held or not all(one.met_by(standing) for standing in held)]

    def summary(self) -> dict[str, Any]:
        """What `--json` prints and report.json holds."""
        return {
            "choice": self.verdict.choice,
            "sentence": self.verdict.sentence,
            "primary": self.primary,
            "n": self.n,
            "approaches": [asdict(standing) for standing in self.standings],
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
            "tags": [
                {"tag": tag, "n": n, "approaches": {name: asdict(one) for name, one in means.items()}}
                for tag, n, means in self.tags
            ],
            "classes": {name: asdict(one) for name, one in self.classes.items()},
            "fields": {name: asdict(one) for name, one in self.fields.items()},
            "run": self.run.name,
            "complete": self.run.complete,
            "results": str(self.run.file),
            "html": str(self.file) if self.file else None,
        }


def read_run(path: Path) -> Run:
    """A run from its folder or its results file; what lies beside the file is read too, and need not be there.

    Raises MissingError when there are no results, ConfigError for lines that are none.
    """
    file = path / RESULTS if path.is_dir() else path
    if not file.is_file():
        raise MissingError(f"no results file {file}", hint="groundtune compare writes one")
    results = tuple(read_results(file))
    if not results:
        raise MissingError(f"{file} has no results yet", hint="groundtune compare goes on where it stopped")
    folder = file.parent
    if file.name != RESULTS or not (folder / RUN).is_file():
        return Run(results, file)
    known = read_json(folder / RUN)
    examples = tuple(_example(row) for row in read_notes(folder / EXAMPLES))
    return Run(
        _in_order(results, [one.id for one in examples], known.get("approaches", ())),
        file,
        name=folder.name,
        started=known.get("started"),
        complete=bool(known.get("complete")),
        about=known.get("about", {}),
        missing=known.get("missing", {}),
        barred=known.get("barred", {}),
        examples=examples,
    )


def _in_order(results: Sequence[Result], examples: Sequence[str], approaches: Sequence[str]) -> tuple[Result, ...]:
    """Rows stand in the file as they were finished, which differs from run to run."""
    row, column = ({name: place for place, name in enumerate(names)} for names in (examples, approaches))
    last = len(results)
    return tuple(sorted(results, key=lambda one: (row.get(one.example, last), column.get(one.approach, last))))


def judge_run(run: Run, *, primary: str | None = None) -> Report:
    """The verdict by the requirements that the run was made under.

    primary: the score that decides, instead of the run's own. Raises UsageError when no row has it.
    """
    known = sorted({name for result in run.results for name in result.scores})
    usual = next((name for name in USUAL if name in known), "correct")
    metric = primary or str(run.about.get("primary") or usual)
    if known and metric not in known:
        raise UsageError(f"no row has the score {metric!r}", hint=f"--primary, one of {', '.join(known)}")
    clusters = clusters_of(run.examples)
    own, notes = _with_training(standings(run.results, primary=metric, clusters=clusters), run.about)
    pairs = differences(run.results, primary=metric, clusters=clusters)
    n = len({result.example for result in run.results})
    requirements = Requirements(**run.about.get("requirements", {}), barred=run.barred)
    groups = len({clusters.get(one, one) for one in {result.example for result in run.results}}) if clusters else None
    verdict = decide(own, pairs, requirements, primary=metric, examples=n, clusters=groups)
    caveats = (*verdict.caveats, *notes, *_trained_on(run.about), *_forgetting(run.about))
    verdict = replace(verdict, caveats=caveats)
    return Report(
        run,
        metric,
        n,
        tuple(own),
        tuple(pairs),
        verdict,
        tags=tuple(tag_table(run.results, run.examples, primary=metric)),
        classes=_tables(run, classification) if run.examples and run.about.get("task") == "classify" else {},
        fields=_tables(run, fields) if run.examples and run.about.get("task") == "extract" else {},
    )


def _with_training(own: list[Standing], about: Mapping[str, Any]) -> tuple[list[Standing], list[str]]:
    """Prices with the cost of a training spread over the months of [costs], and what to know where that cannot be."""
    requests, months = about.get("requirements", {}).get("requests_per_month"), about.get("months") or 12
    found, notes = [], []
    for one in own:
        cost = about.get("training_usd", {}).get(one.name, 0.0)
        if cost is None:
            notes.append(f"What the training of {one.name} cost is unknown, and not in its price.")
        elif cost and not requests:
            notes.append(
                f"The training of {one.name} cost ${cost:,.2f}, not in its price: set costs.requests_per_month."
            )
        elif cost and one.usd_per_1k is not None:
            one = replace(one, usd_per_1k=one.usd_per_1k + 1000 * cost / (months * requests))
            notes.append(f"The price of {one.name} has its training in it, spread over {months} months.")
        found.append(one)
    return found, notes


def _trained_on(about: Mapping[str, Any]) -> list[str]:
    return [
        f"{count(n, 'example')} with an id or input that {name} was trained on: left out for every approach."
        for name, n in about.get("trained_on", {}).items()
    ]


def _forgetting(about: Mapping[str, Any]) -> list[str]:
    """What each training took from its base, once for all approaches that rest on it."""
    names: dict[str, list[str]] = {}
    for name, line in about.get("forgetting", {}).items():
        names.setdefault(line, []).append(name)
    return [f"{line} ({', '.join(own)})" for line, own in names.items()]


def write_report(report: Report, folder: Path) -> Report:
    """report.json and report.html into a folder; returns the report with the place of its page."""
    report = write_page(report, folder / "report.html")
    write_json(folder / "report.json", report.summary())
    return report


def write_page(report: Report, file: Path) -> Report:
    """report.html with everything in it; returns the report with its place."""
    report = replace(report, file=file)
    run = report.run
    reasons = {
        (note["example"], note["approach"]): note["reasons"] for note in read_notes(run.file.parent / JUDGEMENTS)
    }
    cells: dict[str, dict[str, Any]] = {}
    for result in run.results:
        cell = _cell(result)
        if own := reasons.get((result.example, result.approach)):
            reason = "; ".join(f"{metric}: {text}" for metric, text in own.items())
            cell["judge"] = {"score": result.scores.get("judge"), "reason": reason}
        cells.setdefault(result.example, {})[result.approach] = cell
    notes = {note["id"]: note for note in read_notes(run.file.parent / PASSAGES)}
    content = {
        **report.summary(),
        "title": run.about.get("name") or "groundtune",
        "made": run.started,
        "task": run.about.get("task", "answer"),
        "examples": [
            {
                "id": one.id,
                "input": one.input,
                "output": one.output,
                "tags": list(one.tags),
                "evidence": [asdict(proof) for proof in one.evidence],
            }
            for one in run.examples
        ],
        "cells": cells,
        "passages": notes,
    }
    write_atomic(file, page.render(content).encode("utf-8", "backslashreplace"))
    return report


def _cell(result: Result) -> dict[str, Any]:
    return {
        "status": result.status,
        "output": result.output,
        "citations": [asdict(citation) for citation in result.citations],
        "scores": dict(result.scores),
        "usage": asdict(result.usage),
        "error": asdict(result.error) if result.error else None,
    }


def _tables(run: Run, table: Callable[[Sequence[Result], Sequence[Example]], Table]) -> dict[str, Table]:
    return {name: table(list(rows.values()), run.examples) for name, rows in by_approach(run.results).items()}


def _example(row: Mapping[str, Any]) -> Example:
    lists = {key: tuple(row[key]) for key in ("tags", "groups")}
    return Example(**{**row, **lists, "evidence": tuple(Evidence(**one) for one in row["evidence"])})
