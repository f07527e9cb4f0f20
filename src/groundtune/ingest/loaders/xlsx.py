"""Sheets to rows that name their columns. Reads the values a reader sees; never computes a formula or runs a macro."""

import io
import warnings
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import openpyxl

from groundtune.ingest.parsed import Parsed, TextBuilder

_LOOK = 10
"""Rows at the top of a sheet among which the header is sought."""


def parse(path: Path, data: bytes) -> list[Parsed]:
    builder = TextBuilder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # extensions that openpyxl does not keep, none of which is text
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # the stated ones are wrong in files of many exporters
            builder.heading(1, sheet.title)
            _sheet(builder, _rows(sheet))
    return [builder.build()]


def _rows(sheet: Any) -> Iterator[list[str]]:
    """Rows with something in them; cells as text, empty ones at the end cut off."""
    for row in sheet.iter_rows():
        cells = [_shown(cell.value, cell.number_format if cell.value is not None else "") for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield cells


def _sheet(builder: TextBuilder, rows: Iterator[list[str]]) -> None:
    """Lines above the header are paragraphs; without a header rows stand as they are."""
    head = list(islice(rows, _LOOK))
    found = _header(head)
    header: list[str] = []
    for index, row in enumerate(head):
        if index == found:
            header = row
        elif found is not None and index < found:
            builder.paragraph("; ".join(filter(None, row)))
        else:
            builder.row(row, header)
    if found == len(head) - 1:
        builder.row(header)
    for row in rows:
        builder.row(row, header)


def _header(rows: list[list[str]]) -> int | None:
    """The first row that is as wide as what follows, full, of distinct names and without numbers."""
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


def _shown(value: Any, number_format: str) -> str:
    """A value as a reader sees it: dates ISO, whole numbers without `.0`, percentages as such."""
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
