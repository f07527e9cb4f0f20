"""Parse JSON: one document per object of an array, otherwise readable rows `path.to.key: value`. Never evaluates."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from groundtune.errors import ParseError
from groundtune.ingest.loaders.jsonlines import as_text, named_cells
from groundtune.ingest.loaders.table_rows import rows_to_documents
from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument, TextBuilder


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    try:
        value = json.loads(decode(data))
    except json.JSONDecodeError as error:
        raise ParseError(f"is not valid JSON: {error.msg}, line {error.lineno}") from error
    del data
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return rows_to_documents(map(named_cells, value))
    builder = TextBuilder()
    for names, cells in _groups(value):
        builder.row(cells, names)
    title = value.get("title") if isinstance(value, dict) else None
    return [builder.build(title=title if isinstance(title, str) else None)]


def _groups(value: Any) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the plain values of each object or array together, named by their path; outer before inner."""
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        path, node = stack.pop()
        if not isinstance(node, dict | list):
            yield [path], [as_text(node)]
            continue
        members = _members(path, node)
        plain = [(name, as_text(member)) for name, member in members if _is_plain(member)]
        if plain and isinstance(node, dict):
            yield [name for name, _ in plain], [text for _, text in plain]
        elif plain:
            for _, text in plain:
                yield [path], [text]
        stack.extend(reversed([(name, member) for name, member in members if not _is_plain(member)]))


def _members(path: str, value: dict[str, Any] | list[Any]) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"{path}.{key}" if path else key, member) for key, member in value.items() if member is not None]
    return [(f"{path}[{index}]", member) for index, member in enumerate(value, start=1) if member is not None]


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, str | int | float) for item in value) and len(value) <= 20
    return not isinstance(value, dict)
