"""Parse a notebook: Markdown cells as Markdown, code cells as code. Leaves out cell outputs."""

import json
from pathlib import Path
from typing import Any

from groundtune.errors import ParseError
from groundtune.ingest.loaders import markdown
from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument, TextBuilder


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    try:
        notebook = json.loads(decode(data))
    except json.JSONDecodeError as error:
        raise ParseError(f"is not a notebook: {error.msg}, line {error.lineno}") from error
    cells = _cells(notebook)
    if cells is None:
        raise ParseError("is not a notebook: it has no cells")
    builder = TextBuilder()
    title: str | None = None
    for cell in cells:
        source = _source(cell)
        if cell.get("cell_type") == "markdown":
            first, _ = markdown.add_blocks(builder, source)
            title = title or first
        elif cell.get("cell_type") == "code":
            builder.code(source)
        else:
            builder.paragraph(source)
    return [builder.build(title=title)]


def _cells(notebook: Any) -> list[dict[str, Any]] | None:
    """Return the cells of format 4, or those in the worksheets of format 3."""
    if not isinstance(notebook, dict):
        return None
    if isinstance(notebook.get("worksheets"), list):
        return [cell for sheet in notebook["worksheets"] for cell in sheet.get("cells", [])]
    cells = notebook.get("cells")
    return cells if isinstance(cells, list) else None


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))
    return "".join(source) if isinstance(source, list) else str(source)
