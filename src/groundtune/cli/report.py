"""Implement `groundtune report`: show the verdict of a run or a results file as text, JSON or one HTML page."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, Primary, ProjectFolder, Require, key_values
from groundtune.common.text import format_count
from groundtune.errors import UsageError
from groundtune.types import ApproachSummary, Interval
from groundtune.workspace import Workspace, find_project

if TYPE_CHECKING:
    from groundtune.workflows.reporting import Condition, Report

COLUMNS = (
    "asserted_wrong", "f1", "chrf", "facts", "checks", "judge", "faithfulness", "abstention", "valid",
    "citation_precision", "citation_recall", "supported",
)  # fmt: skip
"""Scores shown next to the primary one, if the run has them."""
MOST_FLIPS = 8
"""Changes that would change the verdict, of which the terminal shows the nearest."""
FIGURES = ("abstained", "cut", "errors", "p95 s", "usd/1k")
"""Other figures shown for each approach, `cut` only where a reply was. Dropped from left to right if narrow."""


def run(
    name: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Name of a run.", show_default="the latest run")
    ] = None,
    *,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="FILE", help="Read this results.jsonl instead; needs no project."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the HTML page to this file.")
    ] = None,
    primary: Primary = None,
    require: Require = None,
    what_if: Annotated[
        list[str] | None,
        typer.Option(
            "--what-if",
            metavar="KEY=VALUE",
            help="Show the verdict under another assumption, such as requests_per_month=1e6 (repeatable).",
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Say whether the recorded verdict still holds, and what is stale.")
    ] = False,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> int:
    """Show the verdict of a run (even an incomplete one) or of a results file.

    Exit code 0 even if there is no clear winner; 1 if every approach is ruled out, none is ever right, a --require
    condition is not met, or a verdict that --verify looks at no longer holds.
    """
    if verify:
        if results is not None or html is not None or primary or require or what_if:
            raise UsageError("--verify takes no other option than RUN and --json", hint="groundtune report --verify")
        return _verify(name, folder, json=json)
    from groundtune.workflows.reporting import Condition, evaluate_run
    from groundtune.workflows.runs import read_run
    from groundtune.workflows.stored_report import stored_report
    from groundtune.workflows.what_if import assume

    assumptions = dict(key_values(what_if, option="--what-if", example="requests_per_month=1e6"))
    conditions = [Condition.parse(text) for text in require or ()]
    if results is not None:
        if name is not None:
            raise UsageError("name a run or a results file, not both")
        report = evaluate_run(assume(read_run(results), assumptions), primary=primary)
    else:
        workspace = Workspace(find_project(folder).parent)
        report = stored_report(workspace, name, primary=primary, what_if=assumptions)
    if html is not None:
        from groundtune.workflows.report_page import write_page

        report = write_page(report, html)
    return print_report(report, conditions, json=json)


def _verify(name: str | None, folder: Path, *, json: bool) -> int:
    """Show whether the recorded verdict still holds; return exit code 1 if it does not."""
    from groundtune.project import Project

    with Project.open(folder) as project:
        verification = project.verify(name)
    if json:
        output.print_json(verification.summary())
    else:
        output.print_line(str(verification))
    return 0 if verification.holds else 1


def print_report(report: "Report", conditions: Sequence["Condition"], *, json: bool) -> int:
    """Print the report; return exit code 1 if a condition is not met or there are no leaders, else 0."""
    unmet = report.unmet_by(conditions)
    if json:
        output.print_json({**report.summary(), "unmet": unmet})
    else:
        show_report(report, unmet=unmet)
    return 1 if unmet or not report.verdict.leaders else 0


def show_report(report: "Report", *, unmet: Sequence[str] = ()) -> None:
    """Print the verdict, its reasons and caveats, then the table."""
    verdict = report.verdict
    output.print_line(verdict.sentence, style="bold")
    if report.figures.unreviewed_sentence:
        output.print_line(report.figures.unreviewed_sentence, style="bold")
    for reason in verdict.reasons:
        output.print_line(f"  {reason}")
    for name, reasons in verdict.ruled_out.items():
        output.print_line(f"  ruled out: {name}: {'; '.join(reasons)}")
    for flip in verdict.flips[:MOST_FLIPS]:
        output.print_line(f"  would change the verdict: {flip.sentence}")
    if more := len(verdict.flips[MOST_FLIPS:]):
        output.print_line(f"  would change the verdict: {format_count(more, 'other')}; --json names all")
    for caveat in verdict.caveats:
        output.print_line(f"  caveat: {caveat}")
    output.print_line()
    _show_summaries(report)
    _show_diagnoses(report)
    if report.guides_sentence:
        output.print_line(report.guides_sentence)
    output.show_blocks(report.costs.brief(verdict.leaders))
    output.show_blocks(report.live_view())
    for summary in report.approaches:
        if summary.unchecked:
            share = f"{summary.unchecked:.0%} of the sentences of its answers could not be checked"
            output.print_note(f"{summary.name}: {share}; they count neither way")
    for name, text in report.figures.errors.items():
        output.warn(f"{name}: {text}")
    for name, reason in report.run.missing.items():
        output.print_note(f"{name} was not run: {reason}")
    if report.routing_sentence:
        output.print_line(report.routing_sentence)
    for sentence in report.curve_sentences:
        output.print_line(sentence)
    for sentence in (*report.prompt_sentences, *report.threshold_sentences):
        output.print_note(sentence)
    if not report.run.complete:
        output.warn("this run is incomplete; groundtune compare resumes it")
    for condition in unmet:
        output.warn(f"not met: {condition}")
    output.print_note(f"{format_count(report.n, 'example')}; results: {report.run.file}")
    if report.file:
        output.next_step(f"open {report.file}", "shows every example side by side")


def _show_diagnoses(report: "Report") -> None:
    from groundtune.decide.diagnosis import largest_causes

    for heading, found in largest_causes(report.diagnoses):
        output.print_line(f"\n{heading}")
        for where, advice in found:
            output.print_line(f"  {where}")
            output.print_line(f"    {advice}")


def _show_summaries(report: "Report") -> None:
    columns = [
        name for name in (*report.own_scores, *COLUMNS) if any(name in summary.metrics for summary in report.approaches)
    ]
    columns = [name for name in columns if name != report.primary]
    cut = any(summary.cut for summary in report.approaches)
    rows = []
    for summary in sorted(report.approaches, key=lambda row: -1.0 if row.mean is None else -row.mean):
        means = [summary.metrics[name].mean if name in summary.metrics else None for name in columns]
        if report.figures.classes:
            means.append(report.figures.classes[summary.name].macro_f1)
        rows.append(
            [
                summary.name,
                _mean(summary),
                *means,
                summary.abstained,
                *([sum(summary.cut.values())] if cut else []),
                summary.errors,
                summary.p95_seconds,
                summary.usd_per_1k,
            ]
        )
    scores = [name.replace("_", " ") for name in columns] + (["macro f1"] if report.figures.classes else [])
    figures = [name for name in FIGURES if cut or name != "cut"]
    dropped = output.show_table(
        ["approach", report.primary, *scores, *figures], rows, droppable=[*reversed(scores), *figures]
    )
    if dropped:
        where = "see the HTML page or --json" if report.file else "see --json"
        output.print_note(f"columns that did not fit: {', '.join(dropped)}; {where}")


def _mean(summary: ApproachSummary) -> Interval | None:
    if summary.mean is None or summary.low is None or summary.high is None:
        return None
    return Interval(summary.mean, summary.low, summary.high, summary.n)
