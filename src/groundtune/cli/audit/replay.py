"""Implement `groundtune audit replay`: ask a recorded question again, and show what differs."""

from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder


def run(
    answer: Annotated[str, typer.Argument(help="Id of the answer, or its beginning.", metavar="ID")],
    *,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Ask the question of a recorded answer again, with the same groups, and show what differs.

    Says what is not as it was: the index, the model, the approach, the version. The new answer is not recorded.
    """
    from groundtune.project import Project

    with Project.open(folder) as project:
        replay = project.replay(answer)
    output.print_json(replay) if json else output.print_line(str(replay))
