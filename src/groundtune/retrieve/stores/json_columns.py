"""Encode notes and boxes for one column of a catalog each."""

import json
from collections.abc import Sequence

from groundtune.note import Note
from groundtune.text_box import TextBox


def encode_notes(notes: Sequence[Note]) -> str:
    return json.dumps([[note.kind, note.count, note.pages, note.places] for note in notes])


def decode_notes(column: str) -> tuple[Note, ...]:
    return tuple(Note(kind, count, tuple(pages), tuple(places)) for kind, count, pages, places in json.loads(column))


def encode_boxes(boxes: Sequence[TextBox]) -> str:
    return json.dumps(boxes)


def decode_boxes(column: str) -> tuple[TextBox, ...]:
    return tuple(TextBox(*values) for values in json.loads(column))
