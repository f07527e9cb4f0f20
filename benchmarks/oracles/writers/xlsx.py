"""Write the tables of a document as a workbook: a sheet per heading, numbers as numbers with their number format."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
from benchmarks.oracles.structures import Block, Document, Heading, Hidden, Table
from openpyxl.styles import Font

_NOT_IN_NAMES = re.compile(r"[:\\/?*\[\]]")
_LONGEST_NAME = 31


def write(document: Document, path: Path) -> Document:
    """Write headings as sheets, and tables; hidden parts become a hidden sheet, row or column in turn."""
    kept = document.only(Heading, Table, Hidden)
    kept = replace(kept, blocks=_named(kept.blocks))
    book = openpyxl.Workbook()
    assert book.active is not None
    book.remove(book.active)
    sheet: Any = None
    row = 1
    for number, block in enumerate(kept.blocks):
        match block:
            case Heading(_, text):
                sheet = book.create_sheet(text)
                row = 1
            case Table():
                row = _table(sheet, block, row) + 1
            case Hidden(text) if number % 2:
                hidden = book.create_sheet(f"Hidden {number}")
                hidden["A1"] = text
                hidden.sheet_state = "hidden"
            case Hidden(text):
                sheet.cell(row, 1, text)
                sheet.row_dimensions[row].hidden = True
                row += 1
    book.save(path)
    return kept


def _named(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """Return the blocks with headings that can be names of sheets."""
    return tuple(
        Heading(1, _NOT_IN_NAMES.sub("", block.text)[:_LONGEST_NAME].strip()) if isinstance(block, Heading) else block
        for block in blocks
    )


def _table(sheet: Any, table: Table, top: int) -> int:
    """Write a table; return the row below it."""
    cells = table.cells()
    for down, row in enumerate(cells):
        for right, cell in enumerate(row):
            if (down and cells[down - 1][right] is cell) or (right and row[right - 1] is cell):
                continue
            place = sheet.cell(top + down, right + 1)
            _fill(place, cell.text)
            if down < table.header:
                place.font = Font(bold=True)
            if cell.rows > 1 or cell.columns > 1:
                end = (top + down + cell.rows - 1, right + cell.columns)
                sheet.merge_cells(start_row=top + down, start_column=right + 1, end_row=end[0], end_column=end[1])
    return top + len(cells)


_NUMBERS = (
    (re.compile(r"-?\d+"), "0", 1.0),
    (re.compile(r"-?\d{1,3}(,\d{3})+"), "#,##0", 1.0),
    (re.compile(r"-?\d+\.\d\d"), "0.00", 1.0),
    (re.compile(r"-?\d+%"), "0%", 0.01),
    (re.compile(r"€ \d+"), '"€" 0', 1.0),
    (re.compile(r"\d+ kg"), '0" kg"', 1.0),
)


def _fill(place: Any, text: str) -> None:
    """Write a number as a number whose format shows the text, anything else as text."""
    for pattern, number_format, factor in _NUMBERS:
        if pattern.fullmatch(text):
            value = float(re.sub(r"[^\d.-]", "", text)) * factor
            place.value = int(value) if factor == 1 and value.is_integer() else value
            place.number_format = number_format
            return
    if text:
        place.value = text
