"""What workers send comes through unchanged, and anything else than a proper reply is refused."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import ParseError
from groundtune.ingest.parsed import Block, ParsedDocument, TextBuilder
from groundtune.ingest.sandbox_frames import (
    BUSY,
    LENGTH,
    OUT_OF_MEMORY,
    ReplyError,
    decode_reply,
    decode_request,
    encode_documents,
    encode_error,
    encode_request,
)
from groundtune.note import Note
from groundtune.text_box import TextBox

TEXT = "Über uns\n\nEine Zeile 😀"
DOCUMENT = ParsedDocument(
    TEXT,
    (Block("paragraph", 0, 8, ("A", "B")), Block("row", 10, len(TEXT), ("A", "B"), 2)),
    title="Titel",
    row_id="r1",
    pages=(0, 10),
    metadata={"half": "a\ud800b", "": "x"},
    boxes=(TextBox(0, 8, 1, 0.1, 0.25, 0.5, 1.0),),
    notes=(Note("picture", 2, (1, 2), ("sheet A",)),),
)
WHOLE = st.text(st.characters(exclude_categories=["Cs"]))


def frame(value: Any, text: str = "") -> bytes:
    head = json.dumps(value).encode()
    return LENGTH.pack(len(head)) + head + text.encode()


def columns(documents: list[ParsedDocument]) -> tuple[dict[str, Any], str]:
    """Return the columns of a reply, to be spoiled, and its text."""
    reply = encode_documents(documents)
    end = LENGTH.size + LENGTH.unpack_from(reply)[0]
    return json.loads(reply[LENGTH.size : end])["documents"], reply[end:].decode()


def test_documents_come_through() -> None:
    empty = ParsedDocument("", ())
    assert decode_reply(encode_documents([DOCUMENT, empty, DOCUMENT])) == [DOCUMENT, empty, DOCUMENT]
    assert decode_reply(encode_documents([])) == []


@given(st.lists(st.tuples(st.lists(WHOLE), WHOLE, st.dictionaries(st.text(), st.text())), max_size=4))
def test_whatever_a_builder_makes_comes_through(parts: list[tuple[list[str], str, dict[str, str]]]) -> None:
    documents = []
    for texts, name, metadata in parts:
        builder = TextBuilder()
        for number, text in enumerate(texts):
            builder.page()
            builder.heading(number % 3 + 1, name)
            (builder.paragraph, builder.code)[number % 2](text)
        clean = {key.encode("utf-8", "replace").decode(): "\udc80" for key in metadata}
        documents.append(builder.build(title=name, row=name, metadata=clean))
    assert decode_reply(encode_documents(documents)) == documents


def test_reasons_and_requests_come_through() -> None:
    reply = decode_reply(encode_error("empty file", skip=True))
    assert isinstance(reply, ParseError)
    assert (reply.message, reply.skip) == ("empty file", True)
    assert (decode_reply(OUT_OF_MEMORY), decode_reply(BUSY)) == ("memory", "busy")
    files = [("/a", "ocr"), ("/n\udce4me \n.md", "")]
    assert decode_request(encode_request(files)) == files


def test_a_reason_is_short_and_cannot_control_the_terminal() -> None:
    reply = decode_reply(frame({"error": "\x1b[31mred\n" + "x" * 10**6, "skip": False}))
    assert isinstance(reply, ParseError)
    assert reply.message.startswith("[31mred x")
    assert len(reply.message) <= 1000


# -- what is refused ---------------------------------------------------------------------------------------------


class Exploit:
    """Creates a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.file,)


def test_a_pickle_is_not_executed(tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    pickled = pickle.dumps(("parsed", [Exploit(trace)]))
    for sent in (pickled, LENGTH.pack(len(pickled)) + pickled, LENGTH.pack(0) + pickled):
        with pytest.raises(ReplyError):
            decode_reply(sent)
    assert not trace.exists()
    pickle.loads(pickled)
    assert trace.exists(), "the pickle would have worked"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0" * 7,
        b"\0" * 8,
        b"\xff" * 100,
        LENGTH.pack(2) + b"\xff\xfe",
        LENGTH.pack(99) + b'{"memory":true}',
        LENGTH.pack(2**64 - 1) + b"[]",
        LENGTH.pack(200_000) + b"[" * 200_000,
        LENGTH.pack(5_000) + b"1" * 5_000,
        encode_documents([DOCUMENT])[:-1],
        encode_documents([DOCUMENT]) + b"\xff",
    ],
)
def test_garbage_is_refused(sent: bytes) -> None:
    with pytest.raises(ReplyError):
        decode_reply(sent)


@pytest.mark.parametrize(
    "value",
    [
        None, 1, "text", [], {}, ["parsed", []], {"memory": False}, {"memory": 1}, {"memory": True, "more": 1},
        {"error": 3, "skip": False}, {"error": "x"}, {"error": "x", "skip": 0}, {"documents": []}, {"documents": {}},
    ],
)  # fmt: skip
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(ReplyError):
        decode_reply(frame(value))


SPOILED: list[tuple[str, Any, str]] = [
    ("starts", [-1, 10], "offsets outside the text"),
    ("ends", [8, len(TEXT) + 1], "offsets outside the text"),
    ("ends", [8, 10**30], "offsets outside the text"),
    ("ends", [8.0, 12], "offsets outside the text"),
    ("ends", ["8", 12], "offsets outside the text"),
    ("starts", [False, 10], "offsets outside the text"),
    ("starts", [8, 10], "empty or out of order"),
    ("starts", [0, 7], "empty or out of order"),
    ("starts", [0], "missing fields"),
    ("starts", 5, "wrong fields"),
    ("kinds", [0, 3], "unknown kind"),
    ("kinds", [-1, 0], "unknown kind"),
    ("under", [0, 1], "unknown heading"),
    ("on_pages", [0, -2], "unknown page"),
    ("headings", ["AB"], "heading that is not text"),
    ("headings", [["A", 1]], "where text is expected"),
    ("headings", [["\ud800"]], "half a character"),
    ("titles", [0], "where text is expected"),
    ("titles", [["x"]], "where text is expected"),
    ("titles", ["\udfff"], "half a character"),
    ("row_ids", [False], "where text is expected"),
    ("row_ids", ["a", "b"], "missing fields"),
    ("pages", [[11, 10]], "pages out of order"),
    ("pages", [[0, len(TEXT) + 1]], "pages outside the text"),
    ("pages", [0], "pages that are no offsets"),
    ("metadata", [{"a": 1}], "metadata that is not text"),
    ("metadata", [[]], "metadata that is not text"),
    ("boxes", [[[0, len(TEXT) + 1, 1, 0, 0, 1, 1]]], "boxes outside the text"),
    ("boxes", [[[0, 1, -1, 0, 0, 1, 1]]], "boxes on no page"),
    ("boxes", [[[0, True, 1, 0, 0, 1, 1]]], "boxes outside the text"),
    ("boxes", [[[0, 1, 1, 0, 0, 1, float("nan")]]], "boxes outside the page"),
    ("boxes", [[[0, 1, 1, 0, 0, 1]]], "boxes with wrong fields"),
    ("boxes", [3], "boxes with wrong fields"),
    ("notes", [[["picture", -1, [], []]]], "notes with wrong numbers"),
    ("notes", [[["picture", 1, ["2"], []]]], "notes with wrong numbers"),
    ("notes", [[["picture", 1, [], [2]]]], "where text is expected"),
    ("notes", [["picture"]], "notes with wrong fields"),
    ("notes", [{}], "notes with wrong fields"),
    ("lengths", [len(TEXT) - 1], "too little or too much text"),
    ("lengths", [len(TEXT) + 1], "too little or too much text"),
    ("lengths", [None], "too little or too much text"),
    ("blocks", [1], "belong to no document"),
    ("blocks", [3], "belong to no document"),
]


@pytest.mark.parametrize(("column", "value", "words"), SPOILED)
def test_spoiled_documents_are_refused(column: str, value: Any, words: str) -> None:
    good, text = columns([DOCUMENT])
    assert decode_reply(frame({"documents": good}, text)) == [DOCUMENT]
    with pytest.raises(ReplyError, match=words):
        decode_reply(frame({"documents": {**good, column: value}}, text))


def test_a_document_cannot_take_the_text_or_blocks_of_another() -> None:
    good, text = columns([DOCUMENT, DOCUMENT])
    for column, value in (("lengths", [2 * len(TEXT), 0]), ("lengths", [2 * len(TEXT) + 1, -1]), ("blocks", [3, 1])):
        with pytest.raises(ReplyError):
            decode_reply(frame({"documents": {**good, column: value}}, text))


def test_missing_and_unknown_columns_are_refused() -> None:
    good, text = columns([DOCUMENT])
    for name in good:
        with pytest.raises(ReplyError):
            decode_reply(frame({"documents": {key: value for key, value in good.items() if key != name}}, text))
    with pytest.raises(ReplyError):
        decode_reply(frame({"documents": {**good, "code": []}}, text))
