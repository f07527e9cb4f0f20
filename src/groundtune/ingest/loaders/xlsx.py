"""Parse sheets into rows that name their columns. Reads displayed values; never computes a formula or runs a macro."""

import io
import warnings
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl

from groundtune.ingest.parsed import ParsedDocument, TextBuilder


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    builder = TextBuilder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about extensions that openpyxl drops, none of which is text
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # many exporters state wrong ones
            builder.heading(1, sheet.title)
            builder.table(_rows(sheet))
    return [builder.build()]


def _rows(sheet: Any) -> Iterator[list[str]]:
    """Yield the cells of each row as text."""
    for row in sheet.iter_rows():
        yield [_cell_text(cell.value, cell.number_format if cell.value is not None else "") for cell in row]


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
