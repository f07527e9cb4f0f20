"""Parse OpenDocument spreadsheets into rows that name their columns. Reads what cells show; never computes."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from groundtune.ingest.loaders.odf_names import DRAW, FO, OFFICE, TABLE, TEXT
from groundtune.ingest.loaders.odf_styles import Styles
from groundtune.ingest.loaders.office_parts import read_xml
from groundtune.ingest.merged_cells import Area, MergedCells
from groundtune.ingest.parsed import ParsedDocument, TextBuilder
from groundtune.ingest.superscripts import subscript, superscript
from groundtune.ingest.table_shapes import MarkedRow

_SAFE = {"resolve_entities": False, "no_network": True}
_BOLD = ("bold", "700", "800", "900")
_WHITE = "#ffffff"
_MOST_COLUMNS = 16_384
_MOST_REPEATS = 10_000
"""Times that a row with text is repeated."""
_PARTS = (f"{TABLE}table-column", f"{TABLE}table-row", f"{TABLE}shapes")
_HIDDEN = {"collapse": "hidden_row", "filter": "filtered_row"}


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    builder = TextBuilder()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        common = read_xml(archive.read("styles.xml")) if "styles.xml" in archive.namelist() else None
        with archive.open("content.xml") as file:
            _Content(file, common, builder).read()
    return [builder.build()]


class _Content:
    """One pass over the sheets: each row is dropped from memory behind it."""

    def __init__(self, file: Any, common: Any, builder: TextBuilder) -> None:
        self._file = file
        self._common = common
        self._styles = Styles(common, etree.Element("none"))
        self._set_off: dict[str | None, bool] = {}
        """Whether text is bold or white, by style of the cell."""
        self._builder = builder
        self._sheet = ""
        self._row = 0
        self._columns = 0
        self._hidden_columns: set[int] = set()
        self._left_out: set[int] = set()
        self._merged = MergedCells()
        self._boxes: list[str] = []

    def read(self) -> None:
        events = etree.iterparse(self._file, events=("start", "end"), **_SAFE)
        depth = 0
        for event, element in events:
            if element.tag == f"{TABLE}table":
                depth += 1 if event == "start" else -1
                if event == "start" and depth == 1:
                    self._read_sheet(element, events)
                    depth = 0
                    _drop(element)
            elif event == "end" and element.tag == f"{OFFICE}automatic-styles":
                self._styles = Styles(self._common, element.getparent())

    def _read_sheet(self, sheet: Any, events: Any) -> None:
        self._sheet = sheet.get(f"{TABLE}name", "")
        display = self._styles.stated("table", sheet.get(f"{TABLE}style-name"), f"{TABLE}display", "table-properties")
        if display == "false":
            self._builder.note("hidden_sheet", place=self._sheet)
            for _ in self._elements(sheet, events):
                pass
            return
        self._builder.heading(1, self._sheet)
        self._row = self._columns = 0
        self._hidden_columns, self._left_out, self._boxes = set(), set(), []
        self._merged = MergedCells()
        self._builder.table(self._rows(sheet, events))
        for column in sorted(self._left_out):
            self._note("hidden_column", column=column)
        for box in self._boxes:
            self._builder.paragraph(box)

    def _elements(self, sheet: Any, events: Any) -> Iterator[Any]:
        """Yield the columns, rows and shapes of a sheet as they end."""
        inner = 0
        for event, element in events:
            if element.tag == f"{TABLE}table":
                inner += 1 if event == "start" else -1
                if inner < 0:
                    return
            elif event == "end" and not inner and element.tag in _PARTS:
                yield element
                _drop(element)

    def _rows(self, sheet: Any, events: Any) -> Iterator[list[str]]:
        """Yield the rows that are shown, without the columns that are not; one or two empty ones for a gap."""
        gap = 0
        for element in self._elements(sheet, events):
            if element.tag == f"{TABLE}table-column":
                self._column(element)
            elif element.tag == f"{TABLE}shapes":
                self._boxes += _paragraphs(element, self._styles)
            else:
                repeats = _count(element, f"{TABLE}number-rows-repeated")
                row = self._read_row(element)
                joined = self._merged.joins(self._row + 1)
                if row is None:
                    self._row += repeats
                elif not row:
                    gap += 0 if joined else repeats
                    self._row += repeats
                else:
                    yield from [[]] * (0 if joined else min(gap, 2))
                    gap = 0
                    yield from [row] * min(repeats, _MOST_REPEATS)
                    self._row += repeats

    def _column(self, element: Any) -> None:
        repeats = min(_count(element, f"{TABLE}number-columns-repeated"), _MOST_COLUMNS)
        if element.get(f"{TABLE}visibility") in _HIDDEN or _is_folded(element):
            self._hidden_columns.update(range(self._columns + 1, self._columns + repeats + 1))
        self._columns += repeats

    def _read_row(self, element: Any) -> list[str] | None:
        """Return the row by visible columns; None if it is hidden."""
        number = self._row + 1
        texts: dict[int, str] = {}
        set_off = True
        column = 1
        for cell in element.iterchildren(f"{TABLE}table-cell", f"{TABLE}covered-table-cell"):
            repeats = min(_count(cell, f"{TABLE}number-columns-repeated"), _MOST_COLUMNS)
            covered = cell.tag == f"{TABLE}covered-table-cell"
            text = "" if covered or not (len(cell) or cell.attrib) else self._text(cell, number, column)
            if text:
                set_off = set_off and self._is_set_off(cell.get(f"{TABLE}style-name"))
                texts.update(dict.fromkeys(range(column, column + repeats), text))
            rows, columns = _count(cell, f"{TABLE}number-rows-spanned"), _count(cell, f"{TABLE}number-columns-spanned")
            if (rows > 1 or columns > 1) and not covered:
                self._merged.add(Area(number, column, number + rows - 1, column + columns - 1), text)
            column += repeats
        own = len(texts)
        self._merged.spread(texts, number, is_hidden=self._hidden_columns.__contains__)
        hidden = _HIDDEN.get(element.get(f"{TABLE}visibility", "")) or ("hidden_row" if _is_folded(element) else None)
        if hidden is not None:
            if own:
                self._note(
                    hidden, count=min(_count(element, f"{TABLE}number-rows-repeated"), _MOST_REPEATS), row=number
                )
            return None
        row = self._visible(texts)
        is_head = element.getparent().tag == f"{TABLE}table-header-rows"
        return MarkedRow(row) if own and (set_off or is_head) else row

    def _visible(self, texts: dict[int, str]) -> list[str]:
        """Return the texts by visible column."""
        self._left_out |= {column for column in texts if column in self._hidden_columns}
        shown = {column: text for column, text in texts.items() if column not in self._hidden_columns}
        before = sorted(self._hidden_columns)
        row = [""] * max(shown, default=0)
        for column, text in shown.items():
            row[column - 1 - sum(hidden < column for hidden in before)] = text
        return row

    def _is_set_off(self, style: str | None) -> bool:
        if style not in self._set_off:
            weight, colour = (
                self._styles.stated("table-cell", style, attribute, "text-properties")
                for attribute in (f"{FO}font-weight", f"{FO}color")
            )
            self._set_off[style] = weight in _BOLD or colour == _WHITE
        return self._set_off[style]

    def _text(self, cell: Any, row: int, column: int) -> str:
        """Return the text that a cell shows."""
        lines = [_line(paragraph, self._styles) for paragraph in cell.iterchildren(f"{TEXT}p")]
        struck = sum(line.struck for line in lines)
        text = "\n".join(line.text for line in lines).strip()
        if text and self._styles.format("table-cell", cell.get(f"{TABLE}style-name")).struck:
            struck, text = struck + 1, ""
        if struck:
            self._note("deleted_text", count=struck, row=row, column=column)
        self._boxes += _paragraphs(cell, self._styles)
        if not lines:
            kind = cell.get(f"{OFFICE}value-type")
            text = _value(cell, kind)
            if not text and kind is None and cell.get(f"{TABLE}formula"):
                self._note("no_stored_value", row=row, column=column)
        return text

    def _note(self, kind: str, *, count: int = 1, row: int | None = None, column: int | None = None) -> None:
        place = f"{_letters(column) if column else ''}{row or ''}"
        self._builder.note(kind, count=count, place=f"{self._sheet}!{place}")


@dataclass(slots=True)
class _Line:
    text: str = ""
    struck: int = 0


def _line(paragraph: Any, styles: Styles) -> _Line:
    """Return what a paragraph shows: spaces and breaks written out, struck pieces left out and counted."""
    line = _Line()
    _add(line, paragraph, styles)
    return line


def _add(line: _Line, node: Any, styles: Styles) -> None:
    line.text += node.text or ""
    for child in node:
        tag = child.tag
        if tag == f"{TEXT}span":
            form = styles.format("text", child.get(f"{TEXT}style-name"))
            inner = _line(child, styles)
            line.struck += inner.struck
            if form.struck:
                line.struck += bool(inner.text.strip())
            else:
                wrap = {"superscript": superscript, "subscript": subscript}.get(form.position or "")
                line.text += wrap(inner.text) if wrap else inner.text
        elif tag == f"{TEXT}s":
            line.text += " " * min(_count(child, f"{TEXT}c"), 100)
        elif tag == f"{TEXT}tab":
            line.text += "\t"
        elif tag == f"{TEXT}line-break":
            line.text += "\n"
        elif isinstance(tag, str) and not tag.startswith((DRAW, OFFICE)):
            _add(line, child, styles)
        line.text += child.tail or ""


def _paragraphs(element: Any, styles: Styles) -> list[str]:
    """Return the paragraphs of the text boxes and shapes in an element; the notes at cells are not shown."""
    return [
        _line(paragraph, styles).text
        for shape in element.iter(f"{DRAW}text-box", f"{DRAW}custom-shape", f"{DRAW}rect", f"{DRAW}caption")
        if not any(parent.tag == f"{OFFICE}annotation" for parent in shape.iterancestors())
        for paragraph in shape.iterchildren(f"{TEXT}p")
    ]


def _value(cell: Any, kind: str | None) -> str:
    """Return the value of a cell for which its writer stored no text."""
    for name in ("string-value", "date-value", "time-value", "boolean-value", "value"):
        if value := cell.get(f"{OFFICE}{name}"):
            return str(value).upper() if kind == "boolean" else str(value)
    return ""


def _is_folded(element: Any) -> bool:
    """Whether a row or column stands in a group that is folded up."""
    groups = (f"{TABLE}table-row-group", f"{TABLE}table-column-group")
    return any(group.get(f"{TABLE}display") == "false" for group in element.iterancestors(*groups))


def _count(element: Any, name: str) -> int:
    value = element.get(name, "1")
    return int(value) if value.isascii() and value.isdecimal() and 0 < len(value) < 9 and int(value) else 1


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _drop(element: Any) -> None:
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]
