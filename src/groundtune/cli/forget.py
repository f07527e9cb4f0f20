"""Implement `groundtune forget`: erase a document, and what came from it. Deletes no file outside .groundtune."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder
from groundtune.errors import UsageError


def run(
    source: Annotated[
        str,
        typer.Argument(
            help="Path of a document as search shows it, NAME:ID of an item, or a pattern such as 'hr/*.md'.",
            metavar="SOURCE",
        ),
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be erased, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before erasing.")] = False,
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Keep models in use that were trained on it.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Let ingest read a forgotten document again; nothing erased comes back.")
    ] = False,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Erase a document from the index with its older versions, from caches, runs, trainings, drafted examples, and from
    the texts of served answers and comments. No ingest reads it again, under whatever name.

    Models that were trained on it answer nobody until they are trained again. The file itself, and examples that people
    wrote, are named and left to you.
    """
    from groundtune.project import Project

    if undo and (dry_run or keep_models):
        raise UsageError("--undo takes neither --dry-run nor --keep-models", hint=f"groundtune forget --undo {source}")
    with Project.open(folder) as project:
        if undo:
            names = project.unforget(source)
            if json:
                output.print_json({"readable": names})
                return
            output.print_line(f"ingest reads again: {', '.join(map(output.printable, names))}")
            output.next_step("groundtune ingest")
            return
        if not (dry_run or yes):
            _confirm(str(project.forget(source, dry_run=True, keep_models=keep_models, here=Path.cwd())), json=json)
        report = project.forget(source, keep_models=keep_models, dry_run=dry_run, here=Path.cwd())
    if json:
        output.print_json(report)
        return
    output.print_line(str(report))
    if dry_run:
        output.next_step(f"groundtune forget {source} --yes")
    elif report.models:
        table = report.models[-1].rpartition("-")[0].rpartition("-")[0]
        output.next_step(f"groundtune tune {table}", "to train it without what was forgotten")


def _confirm(planned: str, *, json: bool) -> None:
    if json or not sys.stdin.isatty():
        raise UsageError("forgetting cannot be undone: erased texts do not come back", hint="--dry-run, then --yes")
    output.print_note(planned)
    typer.confirm("Erase all this?", abort=True, err=True)
