"""`groundtune judge`: how far the judge agrees with people, before its scores decide anything."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli import output
from groundtune.cli.options import Folder, Json
from groundtune.errors import JudgeError

if TYPE_CHECKING:
    from groundtune.project import Project
    from groundtune.workflows.judging import JudgeAgreement

SHOWN = 5
"""Disagreements on the screen; --json has all."""
FAIR = 0.4
"""Kappa below which a judge is said to be no help. Source: Landis and Koch 1977 (0.41 and above is moderate)."""


def run(
    folder: Folder = Path(),
    *,
    against: Annotated[
        Path,
        typer.Option(
            help='JSON Lines file, one {"input", "answer", "gold", "label"} a line; label: true where a person finds '
            "the answer right."
        ),
    ],
    json: Json = False,
) -> None:
    """Hold the judge of the project file against what people said: Cohen's kappa with a 95 % interval."""
    from groundtune.project import Project

    with Project.open(folder) as project:
        found = judge(project, against)
    if json:
        output.emit_json({**output.jsonable(found), "errors": dict(found.errors)})
    else:
        show_agreement(found)
    if len(found.failures) == found.rows - found.by_rule:
        raise typer.Exit(JudgeError.exit_code)


def judge(project: "Project", against: Path) -> "JudgeAgreement":
    """Ask the judge with a progress bar."""
    with output.progress("verdicts") as bar:
        return project.judge(against, progress=lambda done: bar.update(done))


def show_agreement(found: "JudgeAgreement") -> None:
    """The figures with their denominators, the confusion, and the first disagreements."""
    output.show(f"Judge {output.named(found.judge)} against {output.named(found.file)}:")
    output.show(
        f"  {output.count(found.rows, 'row')}: {found.judged:,} judged, {found.by_rule:,} settled by who abstained, "
        f"{output.count(len(found.failures), 'error')}"
    )
    if found.agreement is not None:
        _show_figures(found.agreement)
    if found.disagreements:
        shown = found.disagreements[:SHOWN]
        output.show(f"\nThe first {len(shown)} of {output.count(len(found.disagreements), 'disagreement')}:")
        for one in shown:
            output.show(f"\nline {one.line}: {output.excerpt(one.input, 120)}", style="bold")
            output.show(f"  answer: {_said(one.answer)}")
            output.show(f"  gold:   {_said(one.gold)}")
            output.show(f"  person: {one.person}; judge: {one.judge}: {output.excerpt(one.reason, 240)}", style="dim")
    if found.failures:
        first = found.failures[0]
        kinds = ", ".join(f"{kind} {number:,}" for kind, number in sorted(found.errors.items()))
        output.warn(
            f"{len(found.failures):,} of {output.count(found.rows, 'row')} without a verdict ({kinds}); the first, "
            f"line {first.line}: {output.excerpt(first.message, 240)}"
        )
    kappa = found.agreement.kappa if found.agreement else None
    if kappa is not None and kappa.mean < FAIR:
        output.warn(f"kappa {kappa.mean:.3f} is below {FAIR}: do not decide by this judge")
        output.next_step("groundtune judge", "after fixing [judge] instructions or model; read the reasons above")
    elif kappa is not None:
        output.next_step("groundtune compare", "with the judge's score beside the others")


def _show_figures(agreement: Any) -> None:
    kappa = output.interval(agreement.kappa) if agreement.kappa is not None else "–"
    output.show(f"  kappa {kappa}" + (f" ({agreement.note})" if agreement.note else ""))
    output.show(f"  equal {output.interval(agreement.agreement)}")
    names = [f"judge: {label}" for label in agreement.labels]
    rows = [[f"person: {label}", *row] for label, row in zip(agreement.labels, agreement.confusion, strict=True)]
    output.show_table(["", *names], rows)


def _said(value: Any) -> str:
    if value is None:
        return "– (abstained)"
    return output.excerpt(value if isinstance(value, str) else str(value), 120)
