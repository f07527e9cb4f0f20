"""`groundtune report`: the verdict on a run again, or on any results file; terminal, JSON, one HTML file."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, Primary, Project, Require
from groundtune.errors import UsageError
from groundtune.types import Interval, Standing

if TYPE_CHECKING:
    from groundtune.workflows.deciding import Report

COLUMNS = (
    "f1", "chrf", "checks", "judge", "faithfulness", "abstention", "valid", "citation_precision",
    "citation_recall", "supported",
)  # fmt: skip
"""Scores that are shown beside the primary one, where there are any."""
FIGURES = ("abstained", "errors", "p95 s", "usd/1k")
"""What else is shown of every approach; the last goes last where a terminal is narrow."""


def run(
    name: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Name of a run; without it the latest.")] = None,
    *,
    folder: Project = Path(),
    results: Annotated[
        Path | None, typer.Option("--results", help="A results.jsonl, also outside of any project.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the page here.")] = None,
    primary: Primary = None,
    require: Require = None,
    json: Json = False,
) -> int:
    """Say the verdict on a run again, also on one that was cut short, or on a results file alone."""
    from groundtune.workflows import deciding

    demands = [deciding.Demand.parse(one) for one in require or ()]
    if results is not None:
        if name is not None:
            raise UsageError("name a run or a results file, not both")
        report = deciding.judge_run(deciding.read_run(results), primary=primary)
    else:
        from groundtune import project

        with project.Project.open(folder) as opened:
            report = opened.report(name, primary=primary)
    if html is not None:
        report = deciding.write_page(report, html)
    unmet = report.unmet_by(demands)
    if json:
        output.emit_json({**report.summary(), "unmet": unmet})
    else:
        show_report(report, unmet=unmet)
    return exit_code(report, unmet)


def exit_code(report: "Report", unmet: Sequence[str]) -> int:
    """1 when a demand is missed, or no approach can be chosen."""
    return 1 if unmet or not report.verdict.leaders else 0


def show_report(report: "Report", *, unmet: Sequence[str] = ()) -> None:
    """The sentence first, then the reasons, then the table."""
    verdict = report.verdict
    output.show(verdict.sentence, style="bold")
    for reason in verdict.reasons:
        output.show(f"  {reason}")
    for name, reasons in verdict.ruled_out.items():
        output.show(f"  ruled out: {name}: {'; '.join(reasons)}")
    for flip in verdict.flips:
        output.show(f"  would change it: {flip}")
    for caveat in verdict.caveats:
        output.show(f"  mind: {caveat}")
    output.show()
    _show_standings(report)
    for one in report.standings:
        if one.errors:
            first = next(row.error for row in report.run.results if row.approach == one.name and row.error)
            output.warn(f"{one.name}: {output.count(one.errors, 'error')}, the first: {first.message}")
    for missing, reason in report.run.missing.items():
        output.note(f"not run: {missing} {reason}")
    if not report.run.complete:
        output.warn("this run is not complete: groundtune compare goes on where it stopped")
    for demand in unmet:
        output.warn(f"not met: {demand}")
    output.note(f"{output.count(report.n, 'example')}; matrix: {report.run.file}")
    if report.file:
        output.next_step(f"open {report.file}", "every example side by side")


def _show_standings(report: "Report") -> None:
    shown = [name for name in COLUMNS if any(name in one.metrics for one in report.standings)]
    shown = [name for name in shown if name != report.primary]
    rows = []
    for one in sorted(report.standings, key=lambda one: -1.0 if one.mean is None else -one.mean):
        means = [one.metrics[name].mean if name in one.metrics else None for name in shown]
        if report.classes:
            means.append(report.classes[one.name].macro_f1)
        rows.append(
            [
                one.name,
                _mean(one),
                *means,
                one.abstained,
                one.errors,
                one.p95_seconds,
                one.usd_per_1k,
            ]
        )
    scores = [name.replace("_", " ") for name in shown] + (["macro f1"] if report.classes else [])
    left_out = output.show_table(
        ["approach", report.primary, *scores, *FIGURES], rows, spare=[*reversed(scores), *FIGURES]
    )
    if left_out:
        where = "the page and --json have them" if report.file else "--json has them"
        output.note(f"no room for {', '.join(left_out)}: {where}")


def _mean(one: Standing) -> Interval | None:
    if one.mean is None or one.low is None or one.high is None:
        return None
    return Interval(one.mean, one.low, one.high, one.n)
