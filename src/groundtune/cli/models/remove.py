"""Implement `groundtune models remove`: delete a model. Never deletes one that the project file names."""

from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder
from groundtune.errors import UsageError


def run(
    name: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a model or training run, or a NAME that has only one.")
    ],
    *,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Delete a model or an incomplete training run, also one of a learning curve by its ID."""
    from groundtune.project import Project
    from groundtune.tune.incomplete import find_training, remove_training
    from groundtune.workflows import adopting

    with Project.open(folder) as project:
        own, *curves = project.workspace.model_folders
        models = next((models for models in curves if not (own / name).is_dir() and (models / name).is_dir()), own)
        training = models / find_training(models, name)
        if key := adopting.key_naming_model(project.config, training):
            undo = "use" if key.startswith("[answers]") else "models adopt"
            hint = f"groundtune {undo} --back, or choose another one"
            raise UsageError(f"{training.name} is in use by {key} in the project file", hint=hint)
        with project.workspace.lock("models"):
            removed = remove_training(models, training.name)
    output.print_json({"removed": removed}) if json else output.print_line(f"removed {removed}")
