"""Implement `groundtune route`: train a router on a comparison, and say whether it pays."""

from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder
from groundtune.display.blocks import as_text


def run(
    name: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Name of a comparison.", show_default="the latest one")
    ] = None,
    *,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Train a router on a comparison, and say whether it pays.

    A router asks, for each question, the approach that is most likely to answer it. It is measured on questions that it
    was not trained on, and kept only where it is measurably better than the best single approach. Asks no language
    model.
    """
    from groundtune.project import Project

    with Project.open(folder) as project:
        routing = project.route(name)
    if json:
        output.print_json({"sentence": routing.sentence, **output.jsonable(routing)})
        return
    output.print_line(as_text(routing.view()))
    if routing.adopted:
        output.next_step("groundtune use routed", "makes the router the project's choice")
