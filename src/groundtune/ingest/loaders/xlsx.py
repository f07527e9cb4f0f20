"""Parse workbooks into rows that name their columns. Reads values as displayed; never computes a formula or a macro.

Sheets are streamed: of a sheet only one row, its merged cells and what stands around its cells are in memory.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from lxml import etree

from groundtune.ingest.loaders.office_parts import DAMAGED
from groundtune.ingest.loaders.xlsx_drawings import add_drawing
from groundtune.ingest.loaders.xlsx_parts import CellFormat, SheetPart, Text, Workbook, is_on, read_text
from groundtune.ingest.merged_cells import Area, MergedCells
from groundtune.ingest.number_formats import show_number, show_text
from groundtune.ingest.parsed import ParsedDocument, TextBuilder
from groundtune.ingest.table_shapes import MarkedRow

_END_OF_CELLS = re.compile(rb"</(?:[\w.-]+:)?sheetData\s*>|<(?:[\w.-]+:)?sheetData\s*/>")
_MERGED = re.compile(rb"<(?:[\w.-]+:)?mergeCell\s[^>]*?ref=[\"']([A-Z]+\d+:[A-Z]+\d+)")
_FILTER = re.compile(rb"<(?:[\w.-]+:)?autoFilter\s[^>]*?ref=[\"']([A-Z]+\d+(?::[A-Z]+\d+)?)[\"'][^>]*?(/?)>")
_CHUNK = 1 << 20
_LONGEST_TAG = 64
_MOST_COLUMNS = 16_384
_PLAIN = ("General", "@")
_EXACT = 16
"""Digits from which a number is not exact."""


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    builder = TextBuilder()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        book = Workbook.open(archive)
        for part in book.sheets:
            if part.hidden:
                builder.note("hidden_sheet", place=part.name)
                continue
            builder.heading(1, part.name)
            try:
                builder.table(_Sheet(book, part, builder).rows())
            except DAMAGED:
                builder.note("unreadable_part", place=part.name)
            for relation in book.relations(part.path):
                if relation.kind == "drawing":
                    add_drawing(builder, book, relation.path, place=part.name)
    return [builder.build()]


@dataclass(slots=True)
class _Surroundings:
    """What a sheet says behind its cells."""

    merged: dict[int, list[Area]] = field(default_factory=dict)
    """Merged cells by their first row."""
    filters: list[Area] = field(default_factory=list)
    """Ranges with a filter that hides rows."""
    heads: set[int] = field(default_factory=set)
    """Rows that are the heads of tables or filters."""
    is_coloured: bool = False
    """Whether cells may have another background than their own: that of a table or of a condition."""


class _Sheet:
    """The rows of one sheet; what is left out is noted."""

    def __init__(self, book: Workbook, part: SheetPart, builder: TextBuilder) -> None:
        self._book = book
        self._part = part
        self._builder = builder
        self._around = _surroundings(book, part)
        self._formats = book.formats
        self._hidden_columns: list[tuple[int, int]] = []
        self._left_out: set[int] = set()
        """Hidden columns with text."""
        self._frozen = part.titles
        self._merged = MergedCells()

    def rows(self) -> Iterator[list[str]]:
        """Yield the rows that are shown, without the columns that are not; one or two empty ones for a gap."""
        number, gap, default_hidden = 0, 0, False
        for name, element in self._elements():
            if name == "row":
                before, number = number, _whole(element.get("r")) or number + 1
                gap += max(0, number - before - 1)
                cells = self._cells(element, number)
                row = self._complete(cells, number)
                if self._merged.joins(number):
                    gap = 0
                if not self._is_shown(element, number, filled=bool(cells), default_hidden=default_hidden):
                    continue
                if row:
                    yield from [[]] * min(gap, 2)
                    yield row
                gap = 0 if row or self._merged.joins(number) else gap + 1
            elif name == "col":
                if is_on(element.get("hidden")) or element.get("width") == "0":
                    self._hidden_columns.append((_whole(element.get("min")), _whole(element.get("max"))))
            elif name == "pane" and (element.get("state") or "").startswith("frozen"):
                self._frozen = max(self._frozen, _whole(element.get("ySplit")))
            elif name == "sheetFormatPr":
                default_hidden = is_on(element.get("zeroHeight"))
        for column in sorted(self._left_out):
            self._note("hidden_column", column=column)

    def _elements(self) -> Iterator[tuple[str, Any]]:
        """Yield rows and what stands before them, by name; each is dropped from memory behind it."""
        tags = ("{*}row", "{*}col", "{*}pane", "{*}sheetFormatPr")
        with self._book.archive.open(self._book.names[self._part.path.lower()]) as file:
            for _, element in etree.iterparse(file, tag=tags, resolve_entities=False, no_network=True):
                yield element.tag.rpartition("}")[2], element
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]

    def _is_shown(self, element: Any, number: int, *, filled: bool, default_hidden: bool) -> bool:
        if not is_on(element.get("hidden", "1" if default_hidden and element.get("ht") is None else "0")):
            return True
        if filled:
            filtered = any(one.top < number <= one.bottom for one in self._around.filters)
            self._note("filtered_row" if filtered else "hidden_row", row=number)
        return False

    def _cells(self, element: Any, number: int) -> dict[int, tuple[str, CellFormat]]:
        """Return the texts that a row shows and their formats, by column."""
        found: dict[int, tuple[str, CellFormat]] = {}
        column = 0
        for cell in element:
            reference = cell.get("r")
            column = _column(reference.rstrip("0123456789")) if reference else column + 1
            style = cell.get("s")
            form = self._formats[int(style)] if style and int(style) < len(self._formats) else self._formats[0]
            text = self._text(cell, form, number, column)
            if text and form.struck:
                self._note("deleted_text", row=number, column=column)
            elif text and form.white and not self._around.is_coloured:
                self._note("hidden_text", row=number, column=column)
            elif text:
                found[column] = (text, form)
        return found

    def _text(self, cell: Any, form: CellFormat, row: int, column: int) -> str:
        """Return the text that a cell shows."""
        kind, value, computed, inline = cell.get("t"), "", False, None
        for child in cell:
            name = child.tag.rpartition("}")[2]
            if name == "v":
                value = child.text or ""
            elif name == "f":
                computed = True
            elif name == "is":
                inline = child
        if computed and kind != "str" and (not value or (value == "0" and self._book.is_computed_on_opening)):
            self._note("no_stored_value", row=row, column=column)
            return ""
        if kind == "inlineStr" or inline is not None:
            return self._shown(Text("") if inline is None else read_text(inline), form, row, column)
        if not value:
            return ""
        if kind == "s":
            texts = self._book.texts
            index = _whole(value)
            return self._shown(texts[index] if index < len(texts) else Text(""), form, row, column)
        if kind == "b":
            return "TRUE" if value.strip() == "1" else "FALSE"
        if kind in ("e", "d"):
            return value
        if kind == "str":
            return self._shown(Text(value), form, row, column)
        return self._number(value.strip(), form, row, column)

    def _shown(self, text: Text, form: CellFormat, row: int, column: int) -> str:
        if text.struck:
            self._note("deleted_text", count=text.struck, row=row, column=column)
        if form.code in _PLAIN or not text.shown:
            return text.shown.strip()
        shown = show_text(text.shown, form.code).strip()
        if not shown:
            self._note("hidden_text", row=row, column=column)
        return shown

    def _number(self, value: str, form: CellFormat, row: int, column: int) -> str:
        if form.code in _PLAIN and len(value) < _EXACT and value.isdecimal():
            return value
        try:
            number = float(value)
        except ValueError:
            return value
        shown = show_number(number, "General" if form.code == "@" else form.code, from_1904=self._book.from_1904)
        if not shown and form.code.strip(";") == "":
            self._note("hidden_text", row=row, column=column)
        return shown.strip()

    def _complete(self, cells: dict[int, tuple[str, CellFormat]], number: int) -> list[str]:
        """Return the row by visible columns, merged cells spread; marked if it looks like a line of column names."""
        set_off = bool(cells) and all(form.set_off for _, form in cells.values())
        texts = {column: text for column, (text, _) in cells.items()}
        for area in self._around.merged.pop(number, ()):
            self._merged.add(area, texts.get(area.left, ""))
        self._merged.spread(texts, number, is_hidden=self._is_hidden)
        if self._hidden_columns:
            texts = self._without_hidden(texts)
        if not texts:
            return []
        row = [""] * max(texts)
        for column, text in texts.items():
            row[column - 1] = text
        marked = set_off or number <= self._frozen or number in self._around.heads
        return MarkedRow(row) if marked else row

    def _without_hidden(self, texts: dict[int, str]) -> dict[int, str]:
        found: dict[int, str] = {}
        for column, text in texts.items():
            if self._is_hidden(column):
                self._left_out.add(column)
            else:
                found[
                    column
                    - sum(min(last, column) - first + 1 for first, last in self._hidden_columns if first < column)
                ] = text
        return found

    def _hidden_before(self, column: int) -> int:
        return sum(last - first + 1 for first, last in self._hidden_columns if last < column)

    def _is_hidden(self, column: int) -> bool:
        return any(first <= column <= last for first, last in self._hidden_columns)

    def _note(self, kind: str, *, count: int = 1, row: int | None = None, column: int | None = None) -> None:
        cell = f"{_letters(column) if column else ''}{row or ''}"
        self._builder.note(kind, count=count, place=f"{self._part.name}!{cell}")


# --- what stands around the cells ----------------------------------------------------------------------------------


def _surroundings(book: Workbook, part: SheetPart) -> _Surroundings:
    found = _Surroundings()
    tail = _behind_cells(book, part.path)
    for match in _MERGED.finditer(tail):
        area = _area(match[1].decode())
        found.merged.setdefault(area.top, []).append(area)
    for match in _FILTER.finditer(tail):
        _add_filter(found, _area(match[1].decode()), hides=not match[2])
    found.is_coloured = b"conditionalFormatting" in tail or b"tablePart" in tail
    for relation in book.relations(part.path):
        if relation.kind == "table" and relation.path.lower() in book.names:
            table = book.tree(relation.path)
            area = _area(table.get("ref", "A1"))
            if table.get("headerRowCount") != "0":
                _add_filter(found, area, hides=table.find("{*}autoFilter/{*}filterColumn") is not None)
    return found


def _add_filter(found: _Surroundings, area: Area, *, hides: bool) -> None:
    found.heads.add(area.top)
    if hides:
        found.filters.append(area)


def _behind_cells(book: Workbook, path: str) -> bytes:
    """Return the XML behind the cells of a sheet, which is needed before them: merged cells and filters."""
    seen, tail = b"", None
    with book.archive.open(book.names[path.lower()]) as file:
        while chunk := file.read(_CHUNK):
            if tail is not None:
                tail += chunk
                continue
            seen = seen[-_LONGEST_TAG:] + chunk
            if match := _END_OF_CELLS.search(seen):
                tail = seen[match.end() :]
    return tail or b""


# --- places --------------------------------------------------------------------------------------------------------


def _area(reference: str) -> Area:
    first, _, last = reference.partition(":")
    (top, left), (bottom, right) = _place(first), _place(last or first)
    return Area(top, left, bottom, right)


def _place(reference: str) -> tuple[int, int]:
    letters = reference.rstrip("0123456789")
    return _whole(reference[len(letters) :]) or 1, _column(letters)


@lru_cache(maxsize=_MOST_COLUMNS)
def _column(letters: str) -> int:
    number = 0
    for letter in letters.replace("$", "").upper():
        number = number * 26 + ord(letter) - 64
    return min(max(number, 1), _MOST_COLUMNS)


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _whole(text: str | None) -> int:
    """Return a whole number; 0 for anything else."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 9 else 0
