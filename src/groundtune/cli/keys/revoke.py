"""Implement `groundtune keys revoke`: make a key invalid."""

from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder


def run(
    name: Annotated[str, typer.Argument(help="Name or id of the key, as keys list shows them.", metavar="NAME")],
    *,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Make an API key invalid, at once, also for running servers.

    Revoking the last key does not open the server again: it then lets nobody in.
    """
    from groundtune.project import Project
    from groundtune.serve.doors.keys import KeyFile, shown

    with Project.open(folder) as project:
        key = KeyFile(project.workspace).revoke(name)
    if json:
        output.print_json(shown(key))
        return
    output.print_line(f"the key {key.id} of {key.name} is revoked")
