"""Parse JSON Lines into one document per line. Rejects the whole file if any line is not an object."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from groundtune.errors import ParseError
from groundtune.ingest.loaders.table_rows import rows_to_documents
from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument
from groundtune.ingest.table_shapes import TableRow

_NAMED = 3
"""Bad lines quoted in the error."""


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    text = decode(data)
    del data
    bad: list[tuple[int, str]] = []
    documents = rows_to_documents(_rows(text, bad))
    if bad:
        raise ParseError(_complaint(bad, every=len(bad) == sum(bool(line.strip()) for line in _lines(text))))
    return documents


def _rows(text: str, bad: list[tuple[int, str]]) -> Iterator[TableRow]:
    """Yield a row for each object; lines that are none are added to `bad`, with the reason."""
    for line, content in enumerate(_lines(text), start=1):
        if not content.strip():
            continue
        value = _read(content)
        if isinstance(value, str):
            bad.append((line, value))
        else:
            yield named_cells(value)


def _lines(text: str) -> Iterator[str]:
    """Split at `\\n` only: JSON strings may contain the other characters that end a line elsewhere."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def _read(content: str) -> Mapping[str, Any] | str:
    """Return the object, or what is wrong with the line."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        return f"invalid JSON ({error})" if isinstance(error, ValueError) else "nested too deeply"
    return value if isinstance(value, dict) else "not an object"


def named_cells(value: Mapping[str, Any]) -> TableRow:
    """Return the values of an object as text: strings as they are, the rest as JSON; nulls are dropped."""
    names = [key for key, member in value.items() if member is not None]
    return TableRow([as_text(value[name]) for name in names], names)


def as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(item, str | int | float) for item in value):
        return ", ".join(map(as_text, value))
    return json.dumps(value, ensure_ascii=False)


def _complaint(bad: list[tuple[int, str]], *, every: bool) -> str:
    named = "; ".join(f"line {line}: {reason}" for line, reason in bad[:_NAMED])
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    return f"{'no line' if every else 'not every line'} is a JSON object ({named}{more}); fix or remove these lines"
