"""Implement `groundtune spend`: show what served answers have cost, by day and by key. Limits nothing."""

from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder
from groundtune.records.spending import KEPT_DAYS


def run(
    *,
    days: Annotated[
        int, typer.Option("--days", min=1, max=KEPT_DAYS, metavar="N", help="Today and the days before.")
    ] = 14,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Show what the answers of groundtune serve have cost, by day (UTC) and by key.

    Answers whose cost nobody knows are counted beside the sums; prices are set under [prices].
    """
    from groundtune.project import Project
    from groundtune.serve.doors.keys import KeyFile

    with Project.open(folder) as project:
        report = project.spend(days=days)
        names = {key.id: key.name for key in KeyFile(project.workspace).all()}
    report = report.named(names)
    if json:
        output.print_json({"usd": report.usd, "usd_today": report.usd_today, **output.jsonable(report)})
    else:
        output.show_blocks(report.view())
