"""Turn the rows of a table into documents. Never drops a row or a cell: a repeated id gets a suffix."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_line
from groundtune.ingest.table_shapes import TableRow

SPECIAL = ("id", "title", "text")
"""Names of columns, in any case, whose cells become the id, the title and the text of the document."""


def rows_to_documents(rows: Iterable[TableRow]) -> list[ParsedDocument]:
    """Return one document per row: its text column and then the other columns by name, or else the whole row.

    All columns with a name but the special ones are metadata as well.
    """
    parsed: list[ParsedDocument] = []
    taken: dict[str, int] = {}
    columns = _Columns.of(())
    for number, row in enumerate(rows, start=1):
        if row.names is not columns.names and row.names != columns.names:
            columns = _Columns.of(row.names)
        document = _document(number, row, columns, taken)
        if document is not None:
            parsed.append(document)
    return parsed


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the names of the columns mean."""

    names: Sequence[str]
    special: Mapping[str, int]
    """Columns that are read in their own way."""
    keys: Sequence[tuple[int, str]]
    """The other columns and their keys in the metadata; its place makes a repeated name another one."""

    @classmethod
    def of(cls, names: Sequence[str]) -> "_Columns":
        special: dict[str, int] = {}
        keys: dict[str, int] = {}
        for at, name in enumerate(names):
            key = " ".join(name.split())
            if key.lower() in SPECIAL and key.lower() not in special:
                special[key.lower()] = at
            elif key:
                keys[f"{key} {at + 1}" if key in keys else key] = at
        return cls(names, special, [(at, key) for key, at in keys.items()])


def _document(number: int, row: TableRow, columns: _Columns, taken: dict[str, int]) -> ParsedDocument | None:
    cells = row.cells
    values = {name: cells[at] for name, at in columns.special.items() if at < len(cells)}
    builder = TextBuilder()
    if text := values.get("text"):
        for part in text.replace("\r\n", "\n").split("\n\n"):
            builder.paragraph(part)
    if builder.empty:
        builder.row(cells, row.names)
    else:
        others = [*cells]
        for at in columns.special.values():
            if at < len(others):
                others[at] = ""
        builder.row(others, row.names)
    if builder.empty:
        return None
    if row.unnamed:
        builder.note("no_header", place=f"row {number}")
    stated = values.get("id")
    name = unique_id((stated and clean_line(stated)) or str(number), taken)
    metadata = {key: text for at, key in columns.keys if at < len(cells) and (text := cells[at].strip())}
    return builder.build(title=values.get("title"), row=name, metadata=metadata)


def unique_id(row: str, taken: dict[str, int]) -> str:
    """Return the id, with a suffix if it is taken; it is taken from then on. taken: ids, and how often each came."""
    if row not in taken:
        taken[row] = 1
        return row
    count = taken[row] + 1
    name = f"{row}~{count}"
    while name in taken:
        count += 1
        name = f"{row}~{count}"
    taken[row] = count
    taken[name] = 1
    return name
