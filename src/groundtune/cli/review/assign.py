"""Implement `groundtune review assign`."""

from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder
from groundtune.cli.review.deciding import AnswerId, By, reviewer


def run(
    answer: AnswerId,
    *,
    to: Annotated[
        str | None, typer.Option("--to", metavar="NAME", help="The reviewer.", show_default="everybody")
    ] = None,
    by: By = None,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Give an item to a person: the queue then offers it to nobody else. Without --to, to everybody again."""
    from groundtune.project import Project

    with Project.open(folder) as project:
        item = project.assign_review(answer, to, by=reviewer(by))
    if json:
        output.print_json(item)
    else:
        output.print_line(f"{item.answer[:8]} is for {output.printable(item.assignee or 'everybody')}")
