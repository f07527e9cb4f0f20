"""Implement `groundtune models list`: list the trained models with their state. Changes nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.cli import output
from groundtune.cli.models.artifacts import describe_state, validation_metrics
from groundtune.cli.options import Json, ProjectFolder
from groundtune.types import Artifact

if TYPE_CHECKING:
    from groundtune.tune.incomplete import IncompleteTraining


def run(*, folder: ProjectFolder = Path(), json: Json = False) -> None:
    """List all trained models, including incomplete and damaged ones, and those of learning curves.

    Shows how to fix each model that is not usable.
    """
    from groundtune.project import Project
    from groundtune.tune.artifacts import list_artifacts
    from groundtune.tune.incomplete import incomplete_trainings

    with Project.open(folder) as project:
        own, *curves = project.workspace.model_folders
        artifacts = [*project.artifacts(), *(artifact for models in curves for artifact in list_artifacts(models))]
        incomplete = [training for models in (own, *curves) for training in incomplete_trainings(models)]
        show_models(artifacts, incomplete, [own, *curves], json=json)


def show_models(
    artifacts: Sequence[Artifact], incomplete: "Sequence[IncompleteTraining]", folders: Sequence[Path], *, json: bool
) -> None:
    """Print a table of models, or one JSON object. folders: those that contain them; the first is the project's own."""
    places = [next(folder for folder in folders if (folder / artifact.id).is_dir()) for artifact in artifacts]
    states = [
        describe_state(place / artifact.id, artifact, quick=True)
        for place, artifact in zip(places, artifacts, strict=True)
    ]
    if json:
        damaged = {artifact.id: damage for artifact, (_, damage) in zip(artifacts, states, strict=True) if damage}
        output.print_json({"models": artifacts, "incomplete": incomplete, "damaged": damaged})
        return
    if not artifacts and not incomplete:
        output.print_note("no trained models")
        output.next_step("groundtune tune NAME", "trains the model described by [tune.NAME] in the project file")
        return
    rows: list[list[object]] = []
    for artifact, place, (state, _) in zip(artifacts, places, states, strict=True):
        state = state if place == folders[0] else f"{state}; of a learning curve: {place}"
        figures = ", ".join(f"{key} {value:.3f}" for key, value in validation_metrics(artifact)[:3])
        seen = len(artifact.seen_examples)
        rows.append([artifact.id, artifact.kind, artifact.base, figures, seen, output.printable(state)])
    for training in incomplete:
        state = output.printable(training.state)
        rows.append([output.printable(training.id), training.kind, training.base, None, None, state])
    output.show_table(["id", "kind", "base", "validation", "examples seen", "state"], rows)
