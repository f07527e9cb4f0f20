"""Parse a notebook: Markdown as Markdown, code as code, with the outputs that are shown. Never runs code."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groundtune.errors import ParseError
from groundtune.ingest.loaders import html, markdown
from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument, TextBuilder

_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_WIDGET = "application/vnd.jupyter.widget-view+json"


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
        source = _joined(cell.get("source", cell.get("input", "")))
        hidden = _hidden(cell)
        if hidden & {"source", "cell"} and source:
            builder.note("hidden_text")
        elif cell.get("cell_type") == "markdown":
            first, _ = markdown.add_blocks(builder, source)
            title = title or first
        elif cell.get("cell_type") == "code":
            builder.code(source)
        else:
            builder.paragraph(source)
        outputs = cell.get("outputs") or []
        if outputs and hidden & {"outputs", "cell"}:
            builder.note("hidden_text", count=len(outputs))
        else:
            for output in outputs:
                _add_output(builder, output)
    return [builder.build(title=title)]


def _cells(notebook: Any) -> list[dict[str, Any]] | None:
    """Return the cells of format 4, or those in the worksheets of format 3."""
    if not isinstance(notebook, dict):
        return None
    if isinstance(notebook.get("worksheets"), list):
        return [cell for sheet in notebook["worksheets"] for cell in sheet.get("cells", [])]
    cells = notebook.get("cells")
    return cells if isinstance(cells, list) else None


def _hidden(cell: Mapping[str, Any]) -> set[str]:
    """Return which parts of a cell are collapsed: `source`, `outputs` or the whole `cell`."""
    metadata = cell.get("metadata") or {}
    jupyter = metadata.get("jupyter") or {}
    tags = {tag for tag in metadata.get("tags") or [] if isinstance(tag, str)}
    hidden = {part for part in ("source", "outputs") if jupyter.get(f"{part}_hidden")}
    hidden |= {"outputs"} if metadata.get("collapsed") is True else set()
    names = {"remove-cell": "cell", "hide-cell": "cell", "remove-input": "source", "remove-output": "outputs"}
    return hidden | {part for tag, part in names.items() if tag in tags}


def _add_output(builder: TextBuilder, output: Mapping[str, Any]) -> None:
    """Add what is shown of an output: the richest form that can be read."""
    if output.get("output_type") in ("error", "pyerr"):
        builder.code(f"{output.get('ename', '')}: {output.get('evalue', '')}")
        return
    if "text" in output and "data" not in output:
        builder.code(_plain(output["text"]))
    shown = output.get("data") or {}
    if _WIDGET in shown:
        builder.note("embedded_content")
    elif "text/html" in shown:
        html.add_blocks(builder, _joined(shown["text/html"]))
    elif "text/markdown" in shown:
        markdown.add_blocks(builder, _joined(shown["text/markdown"]))
    elif any(kind.startswith("image/") for kind in shown) or "png" in output:
        builder.note("picture")
    elif "text/latex" in shown or "text/plain" in shown:
        builder.code(_plain(shown.get("text/latex") or shown["text/plain"]))


def _plain(text: Any) -> str:
    """Return the text that a terminal shows: without colours, and only the last state of a line drawn over."""
    lines = _TERMINAL_CODES.sub("", _joined(text)).split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def _joined(source: Any) -> str:
    return "".join(map(str, source)) if isinstance(source, list) else str(source)
