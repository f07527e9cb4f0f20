"""Implement `groundtune review decline`."""

from pathlib import Path

from groundtune.cli.options import Json, ProjectFolder
from groundtune.cli.review.deciding import AnswerId, By, Note, decide


def run(
    answer: AnswerId, *, note: Note = "", by: By = None, folder: ProjectFolder = Path(), json: Json = False
) -> None:
    """Decline to decide about an answer, because you cannot tell. No example is made of it."""
    decide(folder, answer, "declined", by=by, note=note, json=json)
