"""Implement `groundtune review edit`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder
from groundtune.cli.review.deciding import AnswerId, By, Note, decide
from groundtune.errors import MissingError, UsageError


def run(
    answer: AnswerId,
    *,
    text: Annotated[str | None, typer.Option("--text", metavar="TEXT", help="The better answer.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="File with the better answer; - reads stdin.")
    ] = None,
    note: Note = "",
    by: By = None,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Put a better text in place of an answer: promotion makes a train example and a preference pair of it."""
    if (text is None) == (file is None):
        raise UsageError("the better answer is missing", hint="give either --text TEXT or --file FILE")
    if file is not None:
        text = sys.stdin.read() if file == Path("-") else _read(file)
    decide(folder, answer, "edited", by=by, note=note, text=text, json=json)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MissingError(f"cannot read {output.printable(file)}: {error}") from None
