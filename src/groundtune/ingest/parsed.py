"""What a loader makes of a file: text with its structure, offsets exact by construction. Never reads files."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

BlockKind = Literal["paragraph", "row", "code"]
SEPARATOR = "\n\n"
_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\s*\n\s*")


@dataclass(frozen=True, slots=True)
class Block:
    """The atom of splitting: a paragraph, a list item, a table row, a code block."""

    kind: BlockKind
    start: int
    end: int
    heading: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """One document as its loader read it. `text[block.start:block.end]` is the block."""

    text: str
    blocks: tuple[Block, ...]
    title: str | None = None
    row: str | None = None
    """Id of the row for files whose rows are documents; None otherwise."""
    pages: tuple[int, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


class TextBuilder:
    """Collects headings, paragraphs and rows in reading order; `build` joins them into one text.

    Headings are part of the text (a reader sees them) and of the heading path of what follows, but no blocks.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._pages: list[int] = []
        self._path: list[tuple[int, str]] = []

    def page(self) -> None:
        """A new page starts here."""
        self._pages.append(self._next_start())

    def heading(self, level: int, text: str) -> None:
        """Level 1 is the outermost. An empty heading is left out."""
        text = clean(text)
        if not text:
            return
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        self._path.append((level, text))
        self._append(text)

    def paragraph(self, text: str) -> None:
        """Running text or a list item; white space is folded."""
        self._block("paragraph", clean(text))

    def code(self, text: str) -> None:
        """Text whose line breaks and indentation matter."""
        self._block("code", text.strip("\n").rstrip())

    def row(self, cells: Sequence[str], header: Sequence[str] = ()) -> None:
        """A table row, readable on its own: `Model: Wren; Price: 3,200`."""
        self._block("row", render_row(cells, header))

    def table(self, rows: Iterable[Sequence[str]], *, header: Sequence[str] | None = None) -> None:
        """Rows of one table; without `header` the first row is it."""
        for cells in rows:
            if header is None:
                header = cells
                continue
            self.row(cells, header)

    @property
    def empty(self) -> bool:
        return not self._blocks and not self._parts

    def build(
        self, *, title: str | None = None, row: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> Parsed:
        return Parsed(
            text=SEPARATOR.join(self._parts),
            blocks=tuple(self._blocks),
            title=clean(title or "") or None,
            row=row,
            pages=tuple(self._pages),
            metadata=dict(metadata or {}),
        )

    def _next_start(self) -> int:
        return self._length + len(SEPARATOR) if self._parts else 0

    def _append(self, text: str) -> tuple[int, int]:
        start = self._next_start()
        self._parts.append(text)
        self._length = start + len(text)
        return start, self._length

    def _block(self, kind: BlockKind, text: str) -> None:
        if not text.strip():
            return
        start, end = self._append(text)
        path = tuple(text for _, text in self._path)
        self._blocks.append(Block(kind, start, end, path, len(self._pages) or None))


def clean(text: str) -> str:
    """Fold white space to what a reader sees; drop NUL and other control characters."""
    text = "".join(c if c.isprintable() or c.isspace() else "" for c in text)
    return _BLANK_LINES.sub("\n", _SPACES.sub(" ", text)).strip()


def render_row(cells: Sequence[str], header: Sequence[str] = ()) -> str:
    """One line for one table row; empty cells are left out."""
    parts = []
    for index, cell in enumerate(cells):
        value = " ".join(clean(cell).split())
        name = " ".join(clean(header[index]).split()) if index < len(header) else ""
        if value:
            parts.append(f"{name}: {value}" if name and name != value else value)
    return "; ".join(parts)
