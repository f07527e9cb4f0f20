"""Turn the fields of a table row into a document. Never drops a row: a repeated id gets a suffix."""

from collections.abc import Iterable, Mapping

from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_line

NumberedRow = tuple[int, Mapping[str, str]]
"""1-based row number, and the fields by column, in order."""
_SPECIAL = ("id", "title", "text")


def rows_to_documents(rows: Iterable[NumberedRow]) -> list[ParsedDocument]:
    """Return one document per row.

    Columns id, title and text (any case) are special, others become metadata; without text, the whole row is the text.
    """
    parsed: list[ParsedDocument] = []
    taken: set[str] = set()
    names: dict[tuple[str, ...], dict[str, str]] = {}
    for number, fields in rows:
        columns = tuple(fields)
        if columns not in names:
            names[columns] = _special_columns(columns)
        document = _document(number, fields, names[columns], taken)
        if document is not None:
            parsed.append(document)
    return parsed


def _special_columns(columns: Iterable[str]) -> dict[str, str]:
    columns_by_name: dict[str, str] = {}
    for column in columns:
        name = column.strip().lower()
        if name in _SPECIAL:
            columns_by_name.setdefault(name, column)
    return columns_by_name


def _document(
    number: int, fields: Mapping[str, str], columns: Mapping[str, str], taken: set[str]
) -> ParsedDocument | None:
    values = {name: fields[column] for name, column in columns.items()}
    builder = TextBuilder()
    for part in values.get("text", "").replace("\r\n", "\n").split("\n\n"):
        builder.paragraph(part)
    if builder.empty:
        builder.row(list(fields.values()), list(fields))
    if builder.empty:
        return None
    row = unique_id(clean_line(values.get("id", "")) or str(number), taken)
    special = {*columns.values()}
    metadata = {key: value for key, value in fields.items() if key and key not in special and value}
    return builder.build(title=values.get("title"), row=row, metadata=metadata)


def unique_id(row: str, taken: set[str]) -> str:
    """Return the id, with a suffix if it is taken; it is taken from then on."""
    name, count = row, 1
    while name in taken:
        count += 1
        name = f"{row}~{count}"
    taken.add(name)
    return name
