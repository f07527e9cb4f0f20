"""Implement `groundtune review reject`."""

from pathlib import Path

from groundtune.cli.options import Json, ProjectFolder
from groundtune.cli.review.deciding import AnswerId, By, Note, decide


def run(
    answer: AnswerId, *, note: Note = "", by: By = None, folder: ProjectFolder = Path(), json: Json = False
) -> None:
    """Reject an answer: no example is made of it, and collect leaves it out."""
    decide(folder, answer, "rejected", by=by, note=note, json=json)
