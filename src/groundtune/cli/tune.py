"""`groundtune tune NAME`: train a table [tune.NAME] of the project file on its examples."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.check import show_preflight
from groundtune.cli.options import Json, Project

if TYPE_CHECKING:
    from groundtune.project import Project as Opened
    from groundtune.tune.job import Step
    from groundtune.types import Artifact


def run(
    name: Annotated[str, typer.Argument(help="Of a table [tune.NAME] of the project file.")],
    *,
    project: Project = Path(),
    look: Annotated[
        bool, typer.Option("--look", help="Say what is wrong and what it takes, and train nothing.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, though one was cut short.")] = False,
    json: Json = False,
) -> int:
    """Look at the rows, then train on the train split, in a process of its own that goes on when it was killed."""
    from groundtune.project import Project as Opened

    with Opened.open(project) as opened:
        found = opened.look(name)
        if not json:
            show_preflight(found)
        elif found.errors:
            output.emit_json({"preflight": found})
        if found.errors:
            return 1
        artifact = train(opened, name, fresh=fresh)
    if json:
        output.emit_json({"artifact": artifact, "preflight": found})
        return 1 if artifact.unusable else 0
    show_artifact(artifact)
    output.next_step("groundtune compare", "holds it against everything else on the test split")
    return 1 if artifact.unusable else 0


def train(project: "Opened", name: str, *, fresh: bool = False) -> "Artifact":
    """Train with a progress bar that shows the loss, and the metrics of the validation split."""
    with output.progress(f"training {name}") as bar:

        def step(now: "Step") -> None:
            loss = "" if now.loss is None else f"loss {now.loss:.4f}  "
            figures = "  ".join(f"{key} {value:.3f}" for key, value in now.metrics.items())
            bar.update(now.step, total=now.steps or None, now=now.note or loss + figures)

        return project.tune(name, fresh=fresh, progress=step)


def show_artifact(artifact: "Artifact") -> None:
    """What came of a training, in a few lines."""
    output.show(f"{artifact.id}: {artifact.kind} on {artifact.base}, {artifact.seconds:.0f} s", style="bold")
    for metric, value in artifact.metrics.items():
        output.show(f"  {metric} {value:.3f} on the validation split")
    if artifact.unusable:
        output.warn(f"not usable: {artifact.unusable}")
