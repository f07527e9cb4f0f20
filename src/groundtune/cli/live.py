"""Implement `groundtune live`: show what people think of two approaches on real questions. Compares nothing itself."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder
from groundtune.errors import UsageError


def run(
    *,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DAY", help="Only answers from this day (UTC) on count, like 2027-01-14."),
    ] = None,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Compare approaches on real questions: [serve.shadow] by what reviewers decided, [serve.split] by thumbs.

    Intervals and p-values hold whenever you look. Exit code: 0, also while it cannot tell; 3 if nothing was drawn yet.
    """
    from groundtune.project import Project

    with Project.open(folder) as project:
        report = project.compare_live(since=_day(since))
    if json:
        output.print_json(report.summary())
    else:
        output.show_blocks(report.view())


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--since {text} is no day", hint="write it like 2027-01-14") from None
