"""Write a document as HTML."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from benchmarks.oracles.sentences import RIGHT_TO_LEFT
from benchmarks.oracles.structures import (
    Block,
    Document,
    Field,
    Heading,
    Hidden,
    Items,
    Paragraph,
    Picture,
    Run,
    Table,
)

_TAGS = {"bold": "b", "superscript": "sup", "subscript": "sub", "struck": "del"}
_TYPES = {"decimal": "1", "letter": "a", "roman": "i"}


def write(document: Document, path: Path) -> Document:
    """Write all of the document but page headers and footers, which pages on a screen do not have."""
    kept = document.only(
        *(Heading, Paragraph, Items, Table, Field, Picture, Hidden),
        styles=("bold", "superscript", "subscript", "struck", "hidden", "link"),
        notes=True,
    )
    path.write_text(page(kept), encoding="utf-8")
    return kept


def page(document: Document) -> str:
    """Return a whole page."""
    notes: list[str] = []
    body = "\n".join(blocks(document.blocks, notes))
    if notes:
        rows = "".join(f'<li id="n{number}">{escape(note)}</li>' for number, note in enumerate(notes, start=1))
        body += f"\n<hr><ol>{rows}</ol>"
    head = f'<meta charset="utf-8"><title>{escape(document.title)}</title>'
    style = "<style>table, td, th { border: 1px solid; border-collapse: collapse; padding: 2px 6px }</style>"
    return f"<!DOCTYPE html>\n<html><head>{head}{style}</head>\n<body>\n{body}\n</body></html>\n"


def blocks(all_blocks: Sequence[Block], notes: list[str]) -> Iterator[str]:
    """Yield the markup of each block; texts of footnotes are added to `notes`."""
    for block in all_blocks:
        match block:
            case Heading(level, text):
                yield f"<h{level}>{escape(text)}</h{level}>"
            case Paragraph(runs, language):
                direction = ' dir="rtl"' if language in RIGHT_TO_LEFT else ""
                yield f"<p{direction}>{_inline(runs, notes)}</p>"
            case Items():
                yield _items(block, notes)
            case Table():
                yield _table(block)
            case Field(label, bool() as ticked):
                yield f'<p><label><input type="checkbox"{" checked" if ticked else ""}> {escape(label)}</label></p>'
            case Field(label, str() as value):
                yield f'<p>{escape(label)} <input value="{escape(value)}" size="40"></p>'
            case Picture(description):
                yield f'<p><img src="data:," alt="{escape(description)}"></p>'
            case Hidden(text):
                yield f'<div style="display: none">{escape(text)}</div>'


def _inline(runs: Sequence[Run], notes: list[str]) -> str:
    parts = []
    for run in runs:
        text = escape(run.text)
        if run.style == "link":
            text = f'<a href="https://example.com/">{text}</a>'
        elif run.style == "hidden":
            text = f'<span style="display:none">{text}</span>'
        elif tag := _TAGS.get(run.style):
            text = f"<{tag}>{text}</{tag}>"
        parts.append(text)
        if run.note:
            notes.append(run.note)
            parts.append(f'<sup><a href="#n{len(notes)}">{len(notes)}</a></sup>')
    return "".join(parts)


def _items(items: Items, notes: list[str]) -> str:
    rows = "".join(
        f"<li>{_inline(item.runs, notes)}{_items(item.below, notes) if item.below else ''}</li>" for item in items.items
    )
    return f"<ul>{rows}</ul>" if items.label is None else f'<ol type="{_TYPES[items.label]}">{rows}</ol>'


def _table(table: Table) -> str:
    lines = []
    for number, row in enumerate(table.rows):
        cells = []
        for column, cell in enumerate(row):
            tag = "th" if number < table.header or (table.labels and column == 0) else "td"
            spans = (f' rowspan="{cell.rows}"' if cell.rows > 1 else "") + (
                f' colspan="{cell.columns}"' if cell.columns > 1 else ""
            )
            cells.append(f"<{tag}{spans}>{escape(cell.text)}</{tag}>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table>"
