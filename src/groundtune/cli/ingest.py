"""Implement `groundtune ingest`: update the index, and report what happened to every file and item of a source."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder, Wait
from groundtune.common.text import format_count

if TYPE_CHECKING:
    from groundtune.ingest.sync import SyncProgress, SyncReport
    from groundtune.project import Project

SHOWN = 20
"""Files not in the index that are printed; --json lists all."""


def run(
    *,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="Build a new index alongside the current one, and switch to it when it is complete.",
        ),
    ] = False,
    wait: Wait = 0.0,
    calibrate: Annotated[
        bool, typer.Option(help="Fit the abstention threshold on the examples, unless it has already been fitted.")
    ] = True,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Bring the index up to date with the documents.

    Processes only what changed, and removes deleted documents from the index.

    Exit code: 1 if a table [sources.NAME] could not be read; its documents stay, everything else is up to date.
    """
    from groundtune.project import Project

    with Project.open(folder) as project:
        summary = ingest(project, rebuild=rebuild, wait=wait, calibrate=calibrate, show=not json)
    if json:
        output.print_json(summary)
    else:
        output.next_step('groundtune ask "…"', "or try groundtune search or groundtune evaluate")
    if summary["failed_sources"]:
        raise typer.Exit(1)


def ingest(
    project: "Project", *, rebuild: bool = False, wait: float = 0.0, calibrate: bool = True, show: bool = True
) -> dict[str, object]:
    """Ingest with a progress bar; return what --json prints."""
    with output.progress("files") as bar:

        def step(progress: "SyncProgress") -> None:
            passages = format_count(progress.passages_embedded, "passage")
            bar.update(progress.files_done, total=progress.files_total, now=progress.current_source or passages)

        report = project.ingest(rebuild=rebuild, wait_seconds=wait, progress=step)
    if show:
        _show(report)
    calibrated = _calibrated(project) if calibrate and report.passages else None
    if calibrated:
        output.print_note(calibrated)
    return _object(report, calibrated)


def _calibrated(project: "Project") -> str | None:
    """Fit the threshold of quotes if it is not fitted yet; return a sentence about it, or None."""
    from groundtune.build.approach_registry import calibrated_unasked
    from groundtune.workflows.abstention_threshold import Calibration

    name, config = calibrated_unasked(project.config), project.config
    if config.task != "answer" or name is None or name in project.fitted.thresholds:
        return None
    if not config.examples.files or config.answers.threshold is not None or not config.answers.calibration_questions:
        return None
    with output.progress("calibrating") as bar:
        calibration = project.calibrate(name, progress=lambda _, done, total: bar.update(done, total=total))
    return (
        calibration.sentence
        if isinstance(calibration, Calibration)
        else f"No threshold for {name}: {calibration.reason}."
    )


def _show(report: "SyncReport") -> None:
    output.print_line(report.summary)
    output.print_line(
        f"{format_count(report.documents, 'document')}, {format_count(report.passages, 'passage')} in the index; "
        f"{report.embedded:,} embedded now, in {report.seconds:.1f} s"
    )
    with_reason = [row for row in report.rows if row.reason]
    for row in with_reason[:SHOWN]:
        output.print_line(f"  {row.status}: {output.printable(row.source).removesuffix(':')}: {row.reason}")
    if len(with_reason) > SHOWN:
        output.print_line(f"  and {len(with_reason) - SHOWN:,} more; --json lists all")
    for line in report.notes:
        output.print_line(f"  note: {output.printable(line)}")
    for note in report.rule_notes[:SHOWN]:
        output.print_line(f"  note: {output.printable(note.text)}")


def _object(report: "SyncReport", calibrated: str | None) -> dict[str, object]:
    from groundtune.ingest.notes import describe_note, describe_notes, note_kind

    return {
        "files": [
            {
                "source": file.row.source,
                "status": file.row.status,
                "reason": file.row.reason or describe_notes(file.row.notes),
                "notes": [
                    {**asdict(note), "sort": note_kind(note.kind).sort, "text": describe_note(note)}
                    for note in file.row.notes
                ],
                "change": file.change,
                "documents": file.row.documents,
                "passages": file.row.passages,
                "digest": file.row.digest,
                "groups": file.row.groups,
            }
            for file in report.files
        ],
        "failed_sources": report.failed_sources,
        "rule_notes": [
            {"key": note.rule.key, "pattern": note.rule.pattern, "line": note.rule.line, "message": note.message}
            for note in report.rule_notes
        ],
        "documents": report.documents,
        "passages": report.passages,
        "embedded": report.embedded,
        "seconds": report.seconds,
        "calibration": calibrated,
    }
