"""Encode the notes of a file for one column of a catalog."""

import json
from collections.abc import Sequence

from groundtune.note import Note


def encode_notes(notes: Sequence[Note]) -> str:
    return json.dumps([[note.kind, note.count, note.pages, note.places] for note in notes])


def decode_notes(column: str) -> tuple[Note, ...]:
    return tuple(Note(kind, count, tuple(pages), tuple(places)) for kind, count, pages, places in json.loads(column))
