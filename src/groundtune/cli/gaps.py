"""Implement `groundtune gaps`: list what people ask and the documents leave open. Finds nothing itself."""

from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Groups, Json, ProjectFolder


def run(
    *,
    group: Groups = None,
    days: Annotated[int, typer.Option("--days", min=1, metavar="N", help="Served answers of N days count.")] = 28,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """List what people ask and the documents leave open, by topic: unanswered, contradicting, superseded.

    From the records of served answers and the latest comparison. Questions that were asked with other access groups
    than those of --group are left out.
    """
    from groundtune.project import Project

    with Project.open(folder) as project:
        report = project.gaps(groups=group or (), days=days)
    if json:
        output.print_json(report)
    else:
        output.print_line(str(report))
