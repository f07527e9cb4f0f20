"""`groundtune ingest`: documents to index, and the fate of every file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Folder, Json

if TYPE_CHECKING:
    from groundtune.ingest.sync import Progress, SyncReport
    from groundtune.project import Project

SHOWN = 20
"""Files without a place in the index that are named; --json names all."""


def run(
    folder: Folder = Path(),
    *,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make a new index beside the present one and change over at the end.")
    ] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait while another process is writing.", min=0)] = 0.0,
    calibrate: Annotated[
        bool, typer.Option(help="Fit the abstention threshold on the examples, once there is none.")
    ] = True,
    json: Json = False,
) -> None:
    """Bring the index up to date with the documents: only what changed, deletions too."""
    from groundtune.project import Project

    with Project.open(folder) as project:
        done = ingest(project, rebuild=rebuild, wait=wait, calibrate=calibrate, show=not json)
    if json:
        output.emit_json(done)
    else:
        output.next_step('groundtune ask "…"', "or groundtune search, groundtune evaluate")


def ingest(
    project: "Project", *, rebuild: bool = False, wait: float = 0.0, calibrate: bool = True, show: bool = True
) -> dict[str, object]:
    """Ingest with a progress bar; what --json prints."""
    with output.progress("files") as bar:

        def step(progress: "Progress") -> None:
            passages = output.count(progress.passages, "passage")
            bar.update(progress.files_done, total=progress.files_total, now=progress.current or passages)

        report = project.ingest(rebuild=rebuild, wait_seconds=wait, progress=step)
    if show:
        _show(report)
    calibrated = _calibrated(project) if calibrate and report.passages else None
    if calibrated:
        output.note(calibrated)
    return _object(report, calibrated)


def _calibrated(project: "Project") -> str | None:
    """Fits the threshold the first time there is something to fit it on; what came of it."""
    if not project.config.examples.files or project.fitted.threshold is not None:
        return None
    if project.config.task != "answer" or project.config.models["default"].kind != "quote":
        return None
    with output.progress("calibrating") as bar:
        found = project.calibrate(progress=lambda done: bar.update(done))
    if found is None:
        return None
    return (
        f"Abstention threshold {found.point.threshold:.2f}, from {found.n} train and validation examples "
        f"({found.rule}): answers {found.point.coverage:.0%} of them, {found.point.risk:.0%} of those wrong."
    )


def _show(report: "SyncReport") -> None:
    changes = [one.change for one in report.files]
    seen = ", ".join(
        f"{changes.count(change):,} {change}"
        for change in ("added", "changed", "renamed", "removed", "unchanged")
        if change in changes
    )
    output.show(f"{output.count(len(report.files), 'file')}: {seen or 'none'}")
    output.show(
        f"{output.count(report.documents, 'document')}, {output.count(report.passages, 'passage')} in the index; "
        f"{report.embedded:,} embedded now, in {report.seconds:.1f} s"
    )
    outside = [one.row for one in report.files if one.change != "removed" and one.row.status != "indexed"]
    for row in outside[:SHOWN]:
        output.show(f"  {row.status}: {output.named(row.source)}: {row.reason}")
    if len(outside) > SHOWN:
        output.show(f"  and {len(outside) - SHOWN:,} more; --json lists all")


def _object(report: "SyncReport", calibrated: str | None) -> dict[str, object]:
    return {
        "files": [
            {
                "source": one.row.source,
                "status": one.row.status,
                "reason": one.row.reason,
                "change": one.change,
                "documents": one.row.documents,
                "passages": one.row.passages,
                "digest": one.row.digest,
                "groups": one.row.groups,
            }
            for one in report.files
        ],
        "documents": report.documents,
        "passages": report.passages,
        "embedded": report.embedded,
        "seconds": report.seconds,
        "calibration": calibrated,
    }
