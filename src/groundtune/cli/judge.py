"""Implement `groundtune judge`: measure how well the LLM judge agrees with human labels before its scores are used."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder
from groundtune.common.text import format_count
from groundtune.errors import JudgeError

if TYPE_CHECKING:
    from groundtune.project import Project
    from groundtune.workflows.judging import JudgeAgreement

SHOWN = 5
"""Disagreements that are printed; --json has all."""
FAIR = 0.4
"""Kappa below which a judge is not trusted. Source: Landis and Koch 1977 (0.41 and above is moderate)."""


def run(
    *,
    against: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help='JSON Lines with {"input", "answer", "gold", "label"} per line; label is true if a person judged the '
            "answer correct.",
        ),
    ],
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Measure how well the LLM judge agrees with human labels.

    Runs the judge configured in the project file on answers labelled by people, and reports Cohen's kappa with a 95%
    interval. Exit code 4 if every call to the judge failed.
    """
    from groundtune.project import Project

    with Project.open(folder) as project:
        report = judge(project, against)
    if json:
        output.print_json({**output.jsonable(report), "errors": dict(report.errors)})
    else:
        show_agreement(report)
    if len(report.failures) == report.rows - report.by_rule:
        raise typer.Exit(JudgeError.exit_code)


def judge(project: "Project", against: Path) -> "JudgeAgreement":
    """Run the judge with a progress bar."""
    with output.progress("verdicts") as bar:
        return project.judge(against, progress=lambda done: bar.update(done))


def show_agreement(report: "JudgeAgreement") -> None:
    """Print the figures with their denominators, the confusion matrix and the first disagreements."""
    output.print_line(f"Judge {output.printable(report.judge)} against {output.printable(report.file)}:")
    output.print_line(
        f"  {format_count(report.rows, 'row')}: {report.judged:,} judged, "
        f"{report.by_rule:,} decided without the judge (abstentions), {format_count(len(report.failures), 'error')}"
    )
    if report.agreement is not None:
        _show_figures(report.agreement)
    if report.disagreements:
        first_few = report.disagreements[:SHOWN]
        output.print_line(f"\nThe first {len(first_few)} of {format_count(len(report.disagreements), 'disagreement')}:")
        for row in first_few:
            output.print_line(f"\nline {row.line}: {output.excerpt(row.input, 120)}", style="bold")
            output.print_line(f"  answer: {_text(row.answer)}")
            output.print_line(f"  gold:   {_text(row.gold)}")
            output.print_line(
                f"  person: {row.person}; judge: {row.judge}: {output.excerpt(row.reason, 240)}", style="dim"
            )
    if report.failures:
        first = report.failures[0]
        kinds = ", ".join(f"{kind} {number:,}" for kind, number in sorted(report.errors.items()))
        output.warn(
            f"no verdict for {len(report.failures):,} of {format_count(report.rows, 'row')} ({kinds}); first on line "
            f"{first.line}: {output.excerpt(first.message, 240)}"
        )
    kappa = report.agreement.kappa if report.agreement else None
    if kappa is not None and kappa.mean < FAIR:
        output.warn(f"kappa {kappa.mean:.3f} is below {FAIR}: do not rely on this judge")
        output.next_step("groundtune judge", "after changing [judge] instructions or model; see the reasons above")
    elif kappa is not None:
        output.next_step("groundtune compare", "reports the judge's score next to the others")


def _show_figures(agreement: Any) -> None:
    kappa = output.interval(agreement.kappa) if agreement.kappa is not None else "–"
    output.print_line(f"  kappa {kappa}" + (f" ({agreement.note})" if agreement.note else ""))
    output.print_line(f"  agreement {output.interval(agreement.agreement)}")
    names = [f"judge: {label}" for label in agreement.labels]
    rows = [[f"person: {label}", *row] for label, row in zip(agreement.labels, agreement.confusion, strict=True)]
    output.show_table(["", *names], rows)


def _text(value: Any) -> str:
    if value is None:
        return "– (abstained)"
    return output.excerpt(value if isinstance(value, str) else str(value), 120)
