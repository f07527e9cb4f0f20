"""Implement `groundtune review promote`: make train examples of what reviewers accepted and edited."""

from pathlib import Path

from groundtune.cli import new_examples
from groundtune.cli.options import Json, ProjectFolder
from groundtune.cli.review.deciding import By, reviewer


def run(*, by: By = None, folder: ProjectFolder = Path(), json: Json = False) -> int:
    """Add accepted and edited answers to the file of [review] as train examples, each once.

    An edit becomes a preference pair too: the edited text, and the original one as the rejected reply. Nothing reaches
    the validation or test split, and answers to questions that are nearly in one of them are left out. Exit code 1 if
    nothing is new.
    """
    from groundtune.project import Project

    with Project.open(folder) as project:
        report = project.promote(by=reviewer(by))
    return new_examples.show(report, json=json)
