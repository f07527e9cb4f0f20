"""Parse CSV and TSV into one document per row. Detects delimiter, encoding and header; keeps cells without a column."""

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from groundtune.common.delimiters import guess_delimiter
from groundtune.errors import ParseError
from groundtune.ingest.loaders.table_rows import NumberedRow, rows_to_documents
from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    text = decode(data).replace("\x00", "")
    del data
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # the default of 128 KiB rejects long texts
    delimiter = guess_delimiter(text, default="\t" if path.suffix.lower() == ".tsv" else ",")
    try:
        parsed = rows_to_documents(_rows(csv.reader(io.StringIO(text), delimiter=delimiter)))
    except csv.Error as error:
        raise ParseError(f"cannot be parsed as a table: {error}") from error
    if not parsed:
        raise ParseError("contains no rows", skip=True)
    return parsed


def _rows(reader: Iterator[list[str]]) -> Iterator[NumberedRow]:
    first = next(reader, [])
    while first and not any(cell.strip() for cell in first):
        first = next(reader, [])
    header = _names(first) if _is_header(first) else []
    number = 0
    if not header and any(first):
        number = 1
        yield number, _fields(first, [])
    for cells in reader:
        if any(cell.strip() for cell in cells):
            number += 1
            yield number, _fields(cells, header)


def _is_header(cells: list[str]) -> bool:
    return bool(cells) and not any(cell.strip().replace(".", "", 1).replace(",", "").isdecimal() for cell in cells)


def _names(cells: list[str]) -> list[str]:
    """Return unique column names, so that no cell overwrites another."""
    names: list[str] = []
    for index, cell in enumerate(cells):
        name = " ".join(cell.split()) or f"column {index + 1}"
        names.append(name if name not in names else f"{name} {index + 1}")
    return names


def _fields(cells: list[str], header: list[str]) -> dict[str, str]:
    return {header[i] if i < len(header) else f"column {i + 1}": cell.strip() for i, cell in enumerate(cells)}
