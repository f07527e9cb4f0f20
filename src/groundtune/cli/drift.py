"""Implement `groundtune drift`: say whether what is served has changed, and what to do. Decides nothing itself."""

from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder


def run(
    *,
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, metavar="N", help="Recent answers are those of N days.", show_default="[drift]"),
    ] = None,
    label: Annotated[int, typer.Option("--label", min=1, metavar="N", help="List at most N questions to label.")] = 40,
    canary: Annotated[bool, typer.Option("--canary/--no-canary", help="Ask the [drift] canary examples again.")] = True,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Compare recent served answers with earlier ones and with the comparison.

    Each signal has a test and an interval, corrected for their number. Exit code: 0 if nothing has changed measurably,
    1 if something has, 3 if no answer was recorded.
    """
    from groundtune.project import Project

    with Project.open(folder) as project:
        report = project.drift(days=days, label=label, canary=canary)
    if json:
        output.print_json({"measurable": report.measurable, **output.jsonable(report)})
    else:
        output.print_line(str(report))
    raise typer.Exit(1 if report.measurable else 0)
