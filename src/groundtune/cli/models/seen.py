"""Implement `groundtune models seen`: find the models that were trained on a source. Changes nothing."""

from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.models.list import show_models
from groundtune.cli.options import Json, ProjectFolder


def run(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A file, a folder, FILE#ID for one row, or the id of an example.")
    ],
    *,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """List the models that were trained on a file, folder or example.

    A deleted source is still found, for example to know which models to train again without it.
    """
    from groundtune.project import Project
    from groundtune.workflows import lineage

    with Project.open(folder) as project:
        workspace = project.workspace
        trained = lineage.trained_on(workspace, project.config, source, here=Path.cwd())
        if not trained and not json:
            output.print_line(f"no model was trained on {source}")
            return
        show_models(trained, (), workspace.model_folders, json=json)
