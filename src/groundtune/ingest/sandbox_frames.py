"""The messages between the sandbox and its workers: plain data, checked on receipt.

A damaged file may take over the parser that reads it. Decoding what a worker sent therefore never runs any of it, and a
reply that does not have exactly the expected form raises ReplyError.

A frame is its length, then the length of a JSON value, the value, and the texts of all documents, joined. Lengths have
8 bytes, little-endian; all else is UTF-8. A request is a list of paths, each with the name of its parser or an empty
one; a reply is `{"documents": columns}`, `{"error": reason, "skip": bool}` or `{"memory": true}`, after any number of
`{"busy": true}`. Documents and blocks are sent as columns, which are smaller
than a million objects, and faster to check.
"""

import json
import struct
from collections.abc import Sequence
from operator import le, lt
from typing import Any, Literal, get_args

from groundtune.errors import ParseError
from groundtune.ingest.parsed import Block, BlockKind, ParsedDocument, clean_line
from groundtune.note import Note
from groundtune.text_box import TextBox

LENGTH = struct.Struct("<Q")
_KINDS: tuple[BlockKind, ...] = get_args(BlockKind)
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}
_OF_DOCUMENTS = ("lengths", "titles", "row_ids", "pages", "metadata", "boxes", "notes", "blocks")
_OF_BLOCKS = ("kinds", "starts", "ends", "on_pages", "under")
_COLUMNS = {*_OF_DOCUMENTS, *_OF_BLOCKS, "headings"}
_LONGEST_REASON = 1000
"""Characters of a worker's reason that are kept."""


class ReplyError(ValueError):
    """A worker sent something else than a reply; the message completes "its parser sent …"."""


def max_reply_bytes(memory_mb: int) -> int:
    """Return the length of the longest reply to accept: half of the memory limit of the worker.

    A worker holds its documents and the reply at the same time, so that an honest one runs out of memory first.
    """
    return memory_mb << 19


# -- written by a worker -----------------------------------------------------------------------------------------


def encode_documents(documents: Sequence[ParsedDocument]) -> bytes:
    """Return the reply. Raises TypeError, ValueError, KeyError or AttributeError if a document has wrong fields."""
    blocks = [block for document in documents for block in document.blocks]
    headings: dict[tuple[str, ...], int] = {}
    columns = {
        "lengths": [len(document.text) for document in documents],
        "titles": [document.title for document in documents],
        "row_ids": [document.row_id for document in documents],
        "pages": [document.pages for document in documents],
        "metadata": [dict(document.metadata) for document in documents],
        "boxes": [document.boxes for document in documents],
        "notes": [
            [[note.kind, note.count, note.pages, note.places] for note in document.notes] for document in documents
        ],
        "blocks": [len(document.blocks) for document in documents],
        "kinds": [_NUMBERS[block.kind] for block in blocks],
        "starts": [block.start for block in blocks],
        "ends": [block.end for block in blocks],
        "on_pages": [block.page or 0 for block in blocks],
        "under": [headings.setdefault(block.heading, len(headings)) for block in blocks],
        "headings": list(headings),
    }
    return _encode({"documents": columns}, "".join(document.text for document in documents))


def encode_error(reason: str, *, skip: bool) -> bytes:
    return _encode({"error": str(reason)[:_LONGEST_REASON], "skip": skip})


def encode_request(files: Sequence[tuple[str, str]]) -> bytes:
    """Return the request. files: path, and name of the parser, empty for the one of its suffix."""
    return _encode(files)


def _encode(value: object, text: str = "") -> bytes:
    head = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    return b"".join((LENGTH.pack(len(head)), head, text.encode()))


OUT_OF_MEMORY = _encode({"memory": True})
BUSY = _encode({"busy": True})
"""Sent after each page that took long, so that the time limit starts again."""


# -- checked by the sandbox --------------------------------------------------------------------------------------


def decode_request(frame: bytes) -> list[tuple[str, str]]:
    return [(path, parser) for path, parser in _decode(frame)[0]]


def decode_reply(frame: bytes) -> list[ParsedDocument] | ParseError | Literal["memory", "busy"]:
    """Return the documents, or the reason why there are none; "memory" when the worker ran out of memory.

    Raises ReplyError.
    """
    try:
        value, text = _decode(frame)
    except (ValueError, RecursionError, struct.error):
        raise ReplyError("something that is not JSON") from None
    except MemoryError:
        raise ReplyError("more than fits into memory") from None
    match value:
        case {"documents": dict(columns), **rest} if not rest:
            return _documents(columns, text)
        case {"error": str(reason), "skip": bool(skip), **rest} if not rest and not text:
            return ParseError(clean_line(reason[:_LONGEST_REASON]), skip=skip)
        case {"memory": True, **rest} if not rest and not text:
            return "memory"
        case {"busy": True, **rest} if not rest and not text:
            return "busy"
        case _:
            raise ReplyError("something else than documents")


def _decode(frame: bytes) -> tuple[Any, str]:
    view = memoryview(frame)
    end = LENGTH.size + LENGTH.unpack_from(view)[0]
    if end > len(view):
        raise ValueError("the JSON value is truncated")
    return json.loads(str(view[LENGTH.size : end], "utf-8")), str(view[end:], "utf-8")


def _documents(columns: dict[str, Any], joined: str) -> list[ParsedDocument]:
    if columns.keys() != _COLUMNS or not all(isinstance(column, list) for column in columns.values()):
        raise ReplyError("documents with wrong fields")
    if len({len(columns[name]) for name in _OF_DOCUMENTS}) != 1:
        raise ReplyError("documents with missing fields")
    lengths, titles, row_ids, pages, metadata, boxes, notes, counts = (columns[name] for name in _OF_DOCUMENTS)
    blocks = _blocks(columns)
    for numbers, total, wrong in (
        (lengths, len(joined), "too little or too much text"),
        (counts, len(blocks), "blocks that belong to no document"),
    ):
        _check_numbers(numbers, total, wrong)
        if sum(numbers) != total:
            raise ReplyError(wrong)
    for name in (*titles, *row_ids):
        if name is not None:
            _check_text(name)
    documents, first, at = [], 0, 0
    for length, title, row_id, starts, fields, placed, said, count in zip(
        lengths, titles, row_ids, pages, metadata, boxes, notes, counts, strict=True
    ):
        own, text = blocks[first : first + count], joined[at : at + length]
        first, at = first + count, at + length
        _check_offsets(own, length)
        _check_pages(starts, length)
        _check_metadata(fields)
        documents.append(
            ParsedDocument(text, own, title, row_id, tuple(starts), fields, _boxes(placed, length), _notes(said))
        )
    return documents


def _boxes(values: Any, length: int) -> tuple[TextBox, ...]:
    """Return the boxes of a document whose text has this length."""
    boxes = []
    for value in values if isinstance(values, list) else [values]:
        match value:
            case [int(start), int(end), int(page), *sides] if len(sides) == 4:
                _check_numbers([start, end], length, "boxes outside the text")
                _check_numbers([page], None, "boxes on no page")
                if not all(isinstance(side, int | float) and 0 <= side <= 1 for side in sides):
                    raise ReplyError("boxes outside the page")
                boxes.append(TextBox(start, end, page, *sides))
            case _:
                raise ReplyError("boxes with wrong fields")
    return tuple(boxes)


def _notes(values: Any) -> tuple[Note, ...]:
    """Return the notes of a document."""
    notes = []
    for value in values if isinstance(values, list) else [values]:
        match value:
            case [str(kind), int(count), list(pages), list(places)]:
                _check_numbers([count, *pages], None, "notes with wrong numbers")
                for text in (kind, *places):
                    _check_text(text)
                notes.append(Note(kind, count, tuple(pages), tuple(places)))
            case _:
                raise ReplyError("notes with wrong fields")
    return tuple(notes)


def _blocks(columns: dict[str, list[Any]]) -> tuple[Block, ...]:
    """Return the blocks of all documents."""
    if len({len(columns[name]) for name in _OF_BLOCKS}) != 1:
        raise ReplyError("blocks with missing fields")
    kinds, starts, ends, on_pages, under = (columns[name] for name in _OF_BLOCKS)
    headings = [_heading(heading) for heading in columns["headings"]]
    _check_numbers(kinds, len(_KINDS) - 1, "blocks of an unknown kind")
    _check_numbers(under, len(headings) - 1, "blocks under an unknown heading")
    _check_numbers(on_pages, None, "blocks on an unknown page")
    for offsets in (starts, ends):
        _check_numbers(offsets, None, "offsets outside the text")
    if not all(map(lt, starts, ends)):
        raise ReplyError("blocks that are empty or out of order")
    names, paths = map(_KINDS.__getitem__, kinds), map(headings.__getitem__, under)
    return tuple(map(Block, names, starts, ends, paths, [page or None for page in on_pages]))


def _heading(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ReplyError("a heading that is not text")
    for name in value:
        _check_text(name)
    return tuple(value)


def _check_text(text: Any) -> None:
    """Raise ReplyError for a lone surrogate, which no store can keep. Metadata may have them: it is kept as JSON."""
    if not isinstance(text, str):
        raise ReplyError("something else where text is expected")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ReplyError("text with half a character (a lone surrogate)") from None


def _check_metadata(values: Any) -> None:
    if not isinstance(values, dict) or not all(isinstance(entry, str) for entry in values.values()):
        raise ReplyError("metadata that is not text")


def _check_numbers(numbers: list[Any], largest: int | None, wrong: str) -> None:
    """Raise ReplyError unless all are integers from 0 to `largest`; None: without a limit."""
    if not numbers:
        return
    if set(map(type, numbers)) != {int} or min(numbers) < 0 or (largest is not None and max(numbers) > largest):
        raise ReplyError(wrong)


def _check_pages(starts: Any, length: int) -> None:
    if not isinstance(starts, list):
        raise ReplyError("pages that are no offsets")
    _check_numbers(starts, length, "pages outside the text")
    if not all(map(le, starts, starts[1:])):
        raise ReplyError("pages out of order")


def _check_offsets(blocks: Sequence[Block], length: int) -> None:
    """Raise ReplyError unless every block lies in the text, at or after the end of the one before it."""
    end = 0
    for block in blocks:
        if block.start < end:
            raise ReplyError("blocks that are empty or out of order")
        end = block.end
    if end > length:
        raise ReplyError("offsets outside the text")
