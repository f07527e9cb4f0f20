"""Parse CSV and TSV into one document per row. Detects delimiter, encoding and column names; drops no cell."""

import csv
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from groundtune.common.delimiters import split_lines
from groundtune.errors import ParseError
from groundtune.ingest.loaders.table_rows import SPECIAL, rows_to_documents
from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument
from groundtune.ingest.table_shapes import TableRow, read_rows
from groundtune.languages.column_names import names_a_column

_SAMPLE = 50
"""Lines that are looked at to tell whether there is one column only."""


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    text = decode(data)
    del data
    lines = split_lines(text, default="\t" if path.suffix.lower() == ".tsv" else ",")
    try:
        parsed = rows_to_documents(_rows(cells for _, cells in lines))
    except csv.Error as error:
        raise ParseError(f"cannot be parsed as a table: {error}") from error
    if not parsed:
        raise ParseError("contains no rows", skip=True)
    return parsed


def _rows(lines: Iterator[list[str]]) -> Iterator[TableRow]:
    head = list(islice(lines, _SAMPLE))
    rest: Iterator[list[str]] = chain(head, lines)
    filled = [cells for cells in head if cells]
    if filled and _is_stated(filled[0]):
        rest = (cells for cells in rest if cells)
        return read_rows(rest, header=next(rest))
    if all(len(cells) < 2 for cells in head):
        return _one_column([cells[0] for cells in filled], (cells for cells in rest if cells))
    return read_rows(rest)


def _is_stated(cells: Sequence[str]) -> bool:
    """Whether the line names the column of the texts, as files for programs do, or both ids and titles."""
    names = {cell.strip().lower() for cell in cells}
    return "text" in names or names.issuperset(SPECIAL[:2])


def _one_column(head: Sequence[str], lines: Iterator[list[str]]) -> Iterator[TableRow]:
    """Yield the rows of one column, under its name if the first line has a word for one and hardly any other has."""
    named = len(head) > 1 and names_a_column(head[0]) and 3 * sum(map(names_a_column, head[1:])) < len(head)
    names = next(lines) if named else []
    yield from (TableRow(cells, names) for cells in lines)
