"""Implement `groundtune evaluate`: measure retrieval on its own, and show the worst questions and their causes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, OnlySplit, ProjectFolder
from groundtune.common.text import format_count
from groundtune.display.blocks import as_text
from groundtune.errors import UsageError

if TYPE_CHECKING:
    from groundtune.measure.retrieval_quality import RetrievalReport, StageReport
    from groundtune.workflows.abstention_threshold import Calibration, Uncalibrated
    from groundtune.workflows.evaluating import ParserTrial, WeightFit
    from groundtune.workflows.sweep_report import SweepReport


def run(
    *,
    k: Annotated[
        int,
        typer.Option(
            "-k", "--k", metavar="N", help="Count evidence as found if it is among the top N passages.", min=1
        ),
    ] = 10,
    split: OnlySplit = None,
    worst: Annotated[int, typer.Option(metavar="N", help="Number of worst-ranked questions to show.", min=0)] = 5,
    sweep: Annotated[
        bool,
        typer.Option(
            "--sweep",
            help="Search for better settings: how documents are split, fusion weights, and what [sweep] names.",
        ),
    ] = False,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="Use what --sweep finds measurably better: project file and index."),
    ] = False,
    fit: Annotated[
        bool,
        typer.Option("--fit", help="Fit and save the fusion weight and the abstention threshold."),
    ] = False,
    parser: Annotated[
        str | None,
        typer.Option(
            "--parser",
            metavar="NAME",
            help="Try another parser on the documents, such as markitdown, and say whether more is found.",
        ),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include", metavar="PATTERN", help="Documents that --parser reads (repeatable).", show_default="all"
        ),
    ] = None,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Measure retrieval on its own, and show what it misses and why.

    Reports recall, nDCG and MRR by stage with 95% intervals, on the examples that have evidence (quotes with their
    source).
    """
    from groundtune.project import Project

    if sweep + fit + (parser is not None) > 1:
        raise UsageError("--sweep, --fit and --parser cannot be combined", hint="run one after the other")
    if adopt and not sweep:
        raise UsageError("--adopt uses what a sweep finds", hint="groundtune evaluate --sweep --adopt")
    if include and parser is None:
        raise UsageError("--include says which documents --parser reads", hint="add --parser NAME")
    with Project.open(folder) as project:
        if sweep:
            found = project.sweep(adopt=adopt, progress=output.print_note)
            output.print_json(found) if json else _show_sweep(found)
        elif fit:
            fitted = project.fit()
            with output.progress("calibrating") as bar:
                calibration = project.calibrate(progress=lambda _, done, total: bar.update(done, total=total))
            if json:
                output.print_json({"fit": fitted, "calibration": calibration})
            else:
                _show_fit(fitted, calibration)
        elif parser is not None:
            trial = project.try_parser(parser, include or ("**/*",))
            output.print_json(trial) if json else _show_trial(trial, include or ("**/*",))
        else:
            report = project.evaluate(k=k, split=split, worst=worst)
            if json:
                output.print_json(report)
            else:
                show_report(report)


def show_report(report: "RetrievalReport") -> None:
    """Print one table of all stages, then the failures of the last stage."""
    if report.unreviewed_sentence:
        output.print_line(report.unreviewed_sentence, style="bold")
    names = list(report.stages[0].metrics)
    rows = [[stage.stage, *(stage.metrics[name] for name in names)] for stage in report.stages]
    output.show_table(["stage", *names], rows)
    if report.skipped:
        output.print_note(f"{format_count(report.skipped, 'example')} without evidence skipped")
    _show_failures(report.stages[-1], report.k)
    if report.mismatch and report.mismatch.sentence:
        output.print_line("\n" + as_text(report.mismatch.view()))
    output.next_step("groundtune evaluate --fit", "fits the fusion weight; --sweep searches for better settings")


def _show_failures(stage: "StageReport", k: int) -> None:
    if stage.failures:
        causes = ", ".join(f"{cause} {share:.0%}" for cause, share in stage.causes.items() if share)
        output.print_line(
            f"\nMissing from the top {k} passages: {stage.failures} of {stage.pieces} pieces of evidence ({causes})"
        )
    for miss in stage.worst:
        where = f"rank {miss.rank}" if miss.rank else miss.cause
        output.print_line(f"\n{miss.example}: {miss.question}", style="bold")
        output.print_line(f'  expected ({where}): {output.printable(miss.source)}: "{output.excerpt(miss.quote, 120)}"')
        for hit in miss.instead[:2]:
            output.print_line(
                f"  found instead: {output.printable(hit.source)} > {hit.heading}: {hit.words}", style="dim"
            )


def _show_sweep(report: "SweepReport") -> None:
    from groundtune.cli.models.adopt import show_adoption

    output.print_line(as_text(report.view()))
    if report.adoption:
        show_adoption(report.adoption)
        output.next_step(
            "groundtune evaluate --fit",
            "fits the abstention threshold again; groundtune models adopt --back undoes the adoption",
        )
    elif report.winner:
        output.next_step("groundtune evaluate --sweep --adopt", "writes these settings to the project file")


def _show_trial(trial: "ParserTrial", patterns: Sequence[str]) -> None:
    output.print_line(as_text(trial.view()))
    if trial.difference.low > 0:
        rule = f"[[documents.parsers]] include = [{', '.join(f'{pattern!r}' for pattern in patterns)}]"
        output.next_step("groundtune ingest", f'after adding {rule} parser = "{trial.parser}" to the project file')


def _show_fit(fit: "WeightFit", calibration: "Calibration | Uncalibrated") -> None:
    from groundtune.workflows.abstention_threshold import Uncalibrated

    output.print_line(f"Fusion weight {fit.dense_weight:g} fitted on {fit.train_n} train questions.")
    if fit.unreviewed_sentence:
        output.print_line(fit.unreviewed_sentence, style="bold")
    output.print_line(f"  nDCG@10 on the test split: {output.interval(fit.test)}")
    output.print_line(f"  with the default weight:   {output.interval(fit.test_default)}")
    if isinstance(calibration, Uncalibrated):
        output.print_line(f"No threshold fitted: {calibration.reason}.")
        return
    output.print_line(calibration.sentence)
    curve = calibration.curve
    chosen = [curve[round(share * (len(curve) - 1))] for share in (0.1, 0.25, 0.5, 0.75, 1.0)]
    output.show_table(
        ["threshold", "answered", "of those wrong"], [[p.threshold, p.coverage, p.risk] for p in dict.fromkeys(chosen)]
    )
