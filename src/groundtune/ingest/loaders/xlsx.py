"""Parse sheets into rows that name their columns. Reads displayed values; never computes a formula or runs a macro."""

import io
import warnings
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import openpyxl

from groundtune.ingest.parsed import ParsedDocument, TextBuilder

_HEADER_ROWS = 10
"""Rows at the top of a sheet that are searched for the header."""


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    builder = TextBuilder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about extensions that openpyxl drops, none of which is text
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # many exporters state wrong ones
            builder.heading(1, sheet.title)
            _sheet(builder, _rows(sheet))
    return [builder.build()]


def _rows(sheet: Any) -> Iterator[list[str]]:
    """Yield rows that are not empty, as text, without empty cells at the end."""
    for row in sheet.iter_rows():
        cells = [_cell_text(cell.value, cell.number_format if cell.value is not None else "") for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield cells


def _sheet(builder: TextBuilder, rows: Iterator[list[str]]) -> None:
    """Add a sheet: lines above the header as paragraphs, the rest as rows; without a header, rows as they are."""
    head = list(islice(rows, _HEADER_ROWS))
    header_index = _header_index(head)
    header: list[str] = []
    for index, row in enumerate(head):
        if index == header_index:
            header = row
        elif header_index is not None and index < header_index:
            builder.paragraph("; ".join(filter(None, row)))
        else:
            builder.row(row, header)
    if header_index == len(head) - 1:
        builder.row(header)
    for row in rows:
        builder.row(row, header)


def _header_index(rows: list[list[str]]) -> int | None:
    """Return the index of the first row that is about as wide as the widest and whose cells are distinct, non-numeric
    names.
    """
    width = max((sum(map(bool, row)) for row in rows), default=0)
    for index, row in enumerate(rows):
        names = [cell for cell in row if cell]
        if len(names) < 2 or len(names) < 0.6 * width:
            continue
        if len({*names}) < len(names) or any(_is_number(name) or len(name) > 120 for name in names):
            return None
        return index
    return None


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).replace(",", "").rstrip("%").isdecimal() and len(text) != 4


def _cell_text(value: Any, number_format: str) -> str:
    """Return a value as displayed: ISO dates, whole numbers without `.0`, percentages."""
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case datetime():
            return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case int() | float() if "%" in number_format:
            return f"{value * 100:.10g}%"
        case float():
            return f"{value:.15g}"
        case _:
            return str(value)
