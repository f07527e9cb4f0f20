"""Implement `groundtune review accept`."""

from pathlib import Path

from groundtune.cli.options import Json, ProjectFolder
from groundtune.cli.review.deciding import AnswerId, By, Note, decide


def run(
    answer: AnswerId, *, note: Note = "", by: By = None, folder: ProjectFolder = Path(), json: Json = False
) -> None:
    """Accept an answer as it is: promotion makes a train example of it."""
    decide(folder, answer, "accepted", by=by, note=note, json=json)
