"""Build the text of a document block by block, so that offsets are exact by construction. Never reads files."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, repeat
from typing import Literal

from groundtune.ingest.superscripts import write_out
from groundtune.ingest.table_shapes import read_table
from groundtune.note import Note
from groundtune.text_box import TextBox

BlockKind = Literal["paragraph", "row", "code"]
SEPARATOR = "\n\n"
MOST_PLACES = 20
"""Places that a note names."""
_SECTION = 0
"""Level of a heading that no other heading ends."""
LONGEST_PLACE = 100
"""Characters of such a place that are kept."""
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ud800-\udfff\ue000-\uf8ff\ufeff\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e007f\U000f0000-\U0010ffff]+"
)
"""Control characters, soft hyphens, direction marks, lone surrogates, private-use glyphs; not joiners (ZWJ, ZWNJ)."""


@dataclass(frozen=True, slots=True)
class Block:
    """The unit of splitting: a paragraph, a list item, a table row or a code block."""

    kind: BlockKind
    start: int
    end: int
    heading: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """One document as its loader read it. `text[block.start:block.end]` is the text of a block.

    Blocks have text, and are in its order without overlap. `TextBuilder` makes such documents.
    """

    text: str
    blocks: tuple[Block, ...]
    title: str | None = None
    row_id: str | None = None
    """Row id in files whose rows are documents; None otherwise."""
    pages: tuple[int, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    boxes: tuple[TextBox, ...] = ()
    """Where on its pages the text stands that OCR read."""
    notes: tuple[Note, ...] = ()
    """What the file shows that is not in the text, what was left out on purpose, and what was guessed."""


class TextBuilder:
    """Collect headings, paragraphs and rows in reading order; `build` joins them into one text.

    A heading is part of the text and of the heading path of the blocks below it. It is a block itself only if there are
    none, so that a title alone is found.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._pages: list[int] = []
        self._notes: dict[str, _OpenNote] = {}
        self._open_headings: list[_OpenHeading] = []
        self._heading_path: tuple[str, ...] = ()

    def page(self) -> None:
        """Start a new page."""
        self._pages.append(self._next_start())

    def heading(self, level: int, text: str) -> None:
        """Add a heading; level 1 is the outermost. An empty heading is dropped."""
        text = clean_line(text)
        if not text:
            return
        self._close_headings(level)
        self._open_heading(level, text)

    def open_section(self, text: str) -> None:
        """Add a heading that is over at `close_section`, as those of tabs and of what a click opens are."""
        self._open_heading(_SECTION, clean_line(text))

    def close_section(self) -> None:
        while self._open_headings[-1].level != _SECTION:
            self._close_heading()
        self._close_heading()

    def paragraph(self, text: str, *, page_breaks: Sequence[int] = ()) -> None:
        """Add running text or a list item, with white space collapsed.

        page_breaks: where in `text` a new page starts, for a paragraph that goes on over the end of its page.
        """
        cleaned = clean_text(text)
        start = self._next_start()
        self._block("paragraph", cleaned)
        for at in page_breaks:
            before = len(clean_text(text[:at]))
            self._pages.append(start + before + (cleaned[before : before + 1].isspace()))

    def code(self, text: str) -> None:
        """Add text whose line breaks and indentation matter."""
        lines = _INVISIBLE.sub("", write_out(text).replace("\r\n", "\n")).split("\n")
        self._block("code", "\n".join(line.rstrip() for line in lines).strip("\n"))

    def row(self, cells: Sequence[str], header: Sequence[str] = ()) -> None:
        """Add a table row that is readable on its own: `Model: Wren; Price: 3,200`."""
        self._block("row", render_row(cells, header))

    def table(self, rows: Iterable[Sequence[str]], *, header: Sequence[str] | None = None) -> None:
        """Add the rows of a complete grid under their column names; without `header`, under those found in the grid.

        `table_shapes` says how a grid is read, and what its `Across` and `MarkedRow` tell of merged and marked cells.
        """
        for row in read_table(rows, header):
            if row.unnamed:
                self.note("no_header")
            if row.names or len(row.cells) > 1:
                self.row(row.cells, row.names)
            else:
                self.paragraph("".join(row.cells))

    def note(self, kind: str, *, count: int = 1, page: int | None = None, place: str | None = None) -> None:
        """Say that something is not in the text, or was guessed; notes of one kind are added up.

        kind: a key of note_kinds.toml. page: number of the page or slide, from 1. place: another place in words.
        """
        note = self._notes.setdefault(kind, _OpenNote())
        note.count += count
        if page is not None:
            note.pages.add(page)
        if place is not None and len(note.places) < MOST_PLACES:
            note.places.setdefault(clean_line(place)[:LONGEST_PLACE])

    @property
    def length(self) -> int:
        """Length of the text so far."""
        return self._length

    @property
    def empty(self) -> bool:
        return not self._blocks and not self._parts

    def build(
        self, *, title: str | None = None, row: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> ParsedDocument:
        if self._open_headings:
            self._close_headings(0)
        return ParsedDocument(
            text=SEPARATOR.join(self._parts),
            blocks=tuple(self._blocks),
            title=(clean_line(title) or None) if title else None,
            row_id=row,
            pages=tuple(min(start, self._length) for start in self._pages) if self._pages else (),
            metadata=dict(metadata or {}),
            notes=tuple(note.closed(kind) for kind, note in self._notes.items()) if self._notes else (),
        )

    def _open_heading(self, level: int, text: str) -> None:
        above = self._heading_path
        start, end = self._append(text) if text else (self._length, self._length)
        self._heading_path = (*above, text) if text else above
        block = Block("paragraph", start, end, above, len(self._pages) or None)
        self._open_headings.append(_OpenHeading(level, block, len(self._blocks)))

    def _close_headings(self, level: int) -> None:
        """End the sections of this level and below; a heading without text below it becomes a block."""
        while self._open_headings and self._open_headings[-1].level >= level:
            self._close_heading()

    def _close_heading(self) -> None:
        heading = self._open_headings.pop()
        self._heading_path = heading.block.heading
        if len(self._blocks) == heading.blocks_before and heading.block.start < heading.block.end:
            self._blocks.append(heading.block)

    def _next_start(self) -> int:
        return self._length + len(SEPARATOR) if self._parts else 0

    def _append(self, text: str) -> tuple[int, int]:
        start = self._length + len(SEPARATOR) if self._parts else 0
        self._parts.append(text)
        self._length = start + len(text)
        return start, self._length

    def _block(self, kind: BlockKind, text: str) -> None:
        if not text or text.isspace():
            return
        start, end = self._append(text)
        self._blocks.append(Block(kind, start, end, self._heading_path, len(self._pages) or None))


@dataclass(frozen=True, slots=True)
class _OpenHeading:
    """A heading whose section is not over."""

    level: int
    block: Block
    """The heading as a block."""
    blocks_before: int
    """Blocks in the text before it."""


@dataclass(slots=True)
class _OpenNote:
    """A note that is still added to."""

    count: int = 0
    pages: set[int] = field(default_factory=set)
    places: dict[str, None] = field(default_factory=dict)

    def closed(self, kind: str) -> Note:
        return Note(kind, self.count, tuple(sorted(self.pages)), tuple(self.places))


def clean_text(text: str) -> str:
    """Collapse white space but keep line breaks, drop invisible characters, normalise to NFC.

    Raised and lowered text is written out (`superscripts`).
    """
    if text.isprintable():
        if not text.isascii():
            text = unicodedata.normalize("NFC", text)
        return " ".join(text.split()) if "  " in text else text.strip()
    text = write_out(text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
    elif _INVISIBLE.search(text):
        text = _INVISIBLE.sub("", text)
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def clean_line(text: str) -> str:
    """Clean the text and remove its line breaks: for headings, titles and table cells."""
    text = clean_text(text)
    return text.replace("\n", " ") if "\n" in text else text


@lru_cache(maxsize=1_000)
def _column_names(header: tuple[str, ...]) -> list[str]:
    return [clean_line(name).rstrip(":") for name in header]


def render_row(cells: Sequence[str], header: Sequence[str] = ()) -> str:
    """Render a table row as one line; empty cells are dropped."""
    parts = []
    for cell, name in zip(cells, chain(_column_names(tuple(header)), repeat("")), strict=False):
        is_clean = cell.isascii() and cell.isprintable() and "  " not in cell
        if value := cell.strip() if is_clean else clean_line(cell):
            parts.append(f"{name}: {value}" if name and name != value else value)
    return "; ".join(parts)
