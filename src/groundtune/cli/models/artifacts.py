"""Describe an artifact in a few words, and define the argument that names one. Prints nothing."""

from pathlib import Path
from typing import Annotated

import typer

from groundtune.types import Artifact

ModelName = Annotated[
    str,
    typer.Argument(metavar="ID", help="Id of a model, or the NAME of a [tune.NAME] table for its newest model."),
]


def validation_metrics(artifact: Artifact) -> list[tuple[str, float]]:
    """Return the metrics without those of the train split."""
    return [(key, value) for key, value in artifact.metrics.items() if not key.startswith("train")]


def describe_state(folder: Path, artifact: Artifact, *, quick: bool) -> tuple[str, str | None]:
    """Describe the state, including any damage. quick: check only files that changed since training."""
    from groundtune.tune.artifacts import find_damage

    if damage := " ".join(find_damage(folder, artifact, quick=quick) or ()):
        return f"damaged: {damage}; run groundtune tune {artifact.name}", damage
    if artifact.unusable:
        return f"not usable: {artifact.unusable}", None
    no_gain = artifact.details.get("no_gain")
    return (f"usable, but {no_gain}" if no_gain else "usable"), None
