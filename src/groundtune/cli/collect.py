"""Implement `groundtune collect`: make train examples of served answers that are good by rule."""

from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import new_examples, output
from groundtune.cli.options import Json, ProjectFolder


def run(
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Examples file to add to.")] = Path(
        "collected.jsonl"
    ),
    min_confidence: Annotated[
        float,
        typer.Option(
            "--min-confidence", metavar="0..1", help="Confidence that is enough where nobody liked the answer.", min=0
        ),
    ] = 0.9,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> int:
    """Add served answers that are good by rule to a file of examples, as candidates for training, each once.

    Taken are whole answers without unsupported sentences that nobody disliked and no reviewer changed, if somebody
    liked them, their citations are all exact, or their confidence is high enough. Questions that are nearly in the
    validation or test split are left out. Exit code 1 if nothing is new.
    """
    from groundtune.project import Project

    with Project.open(folder) as project, output.progress("answers") as bar:
        report = project.collect(
            to, min_confidence=min_confidence, progress=lambda at, total: bar.update(at, total=total)
        )
    return new_examples.show(report, json=json)
