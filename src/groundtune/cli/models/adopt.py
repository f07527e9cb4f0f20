"""Implement `groundtune models adopt`: make a tuned retriever the project's retriever, or undo that."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder, Wait
from groundtune.common.text import format_count
from groundtune.config import PROJECT_FILE
from groundtune.errors import UsageError

if TYPE_CHECKING:
    from groundtune.ingest.sync import SyncProgress
    from groundtune.project import Project
    from groundtune.workflows.adopting import Adoption


def run(
    name: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="Id of a model, or the NAME of a [tune.NAME] table for its newest model."),
    ] = None,
    *,
    back: Annotated[bool, typer.Option("--back", help="Undo the last adoption; takes no ID.")] = False,
    wait: Wait = 0.0,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Make a tuned retriever the project's retriever, or undo that.

    Builds a new index beside the current one, changes the project file, then replaces the current index.
    """
    from groundtune.project import Project

    if back and name is not None:
        raise UsageError("--back undoes the last adoption and takes no id", hint="groundtune models adopt --back")
    if name is None and not back:
        raise UsageError("models adopt needs an id", hint="groundtune models list")
    with Project.open(folder) as project:
        adoption = _adopt(project, name, wait)
    _show(adoption, json=json)


def _adopt(project: "Project", name: str | None, wait: float) -> "Adoption":
    """Adopt with a progress bar."""
    with output.progress("files") as bar:

        def step(now: "SyncProgress") -> None:
            passages = format_count(now.passages_embedded, "passage")
            bar.update(now.files_done, total=now.files_total, now=now.current_source or passages)

        return project.adopt(name, wait_seconds=wait, progress=step)


def _show(done: "Adoption", *, json: bool) -> None:
    if json:
        output.print_json(adoption_json(done))
        return
    show_adoption(done)
    output.next_step(
        "groundtune evaluate",
        "measures retrieval with the new model; groundtune models adopt --back undoes the adoption",
    )


def adoption_json(done: "Adoption") -> dict[str, Any]:
    report = done.report and {"passages": done.report.passages, "embedded": done.report.embedded}
    return {"tables": done.tables, "index": report, "forgotten": done.forgotten}


def show_adoption(done: "Adoption") -> None:
    """Print what was changed in the project file, and the new index."""
    for table, values in done.tables.items():
        settings = ", ".join(f"{key} = {value!r}" for key, value in values.items() if value is not None)
        output.print_line(f"{PROJECT_FILE}: [{table}] {settings or 'back to the default'}", style="bold")
    if done.report:
        passages = format_count(done.report.passages, "passage")
        output.print_line(
            f"{passages} in the new index, {done.report.embedded:,} embedded, in {done.report.seconds:.1f} s"
        )
    if done.forgotten:
        output.print_note(
            f"The {' and '.join(done.forgotten)} were fitted for the previous index; groundtune compare fits them "
            "again, and groundtune ingest those of quotes."
        )
