"""Fields of one row to one document of a table file. Never drops a row: a repeated id gets a suffix."""

from collections.abc import Iterable, Mapping

from groundtune.ingest.parsed import Parsed, TextBuilder, one_line

Row = tuple[int, Mapping[str, str]]
"""1-based number of the row, and its fields by column in order."""
_OWN = ("id", "title", "text")


def documents(rows: Iterable[Row]) -> list[Parsed]:
    """Columns id, title and text (in any case) are special, the others are metadata; no text: the whole row is it."""
    parsed: list[Parsed] = []
    taken: set[str] = set()
    names: dict[tuple[str, ...], dict[str, str]] = {}
    for number, fields in rows:
        columns = tuple(fields)
        if columns not in names:
            names[columns] = _own_columns(columns)
        one = _document(number, fields, names[columns], taken)
        if one is not None:
            parsed.append(one)
    return parsed


def _own_columns(columns: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for column in columns:
        name = column.strip().lower()
        if name in _OWN:
            found.setdefault(name, column)
    return found


def _document(number: int, fields: Mapping[str, str], own: Mapping[str, str], taken: set[str]) -> Parsed | None:
    values = {name: fields[column] for name, column in own.items()}
    builder = TextBuilder()
    for part in values.get("text", "").replace("\r\n", "\n").split("\n\n"):
        builder.paragraph(part)
    if builder.empty:
        builder.row(list(fields.values()), list(fields))
    if builder.empty:
        return None
    row = _unique(one_line(values.get("id", "")) or str(number), taken)
    special = {*own.values()}
    metadata = {key: value for key, value in fields.items() if key and key not in special and value}
    return builder.build(title=values.get("title"), row=row, metadata=metadata)


def _unique(row: str, taken: set[str]) -> str:
    name, count = row, 1
    while name in taken:
        count += 1
        name = f"{row}~{count}"
    taken.add(name)
    return name
