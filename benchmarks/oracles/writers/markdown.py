"""Write a document as Markdown."""

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.oracles.structures import (
    Block,
    Document,
    Heading,
    Items,
    Paragraph,
    Picture,
    Run,
    Table,
    label_of,
)

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def write(document: Document, path: Path) -> Document:
    """Write what Markdown has: tables have one header line and no merged cells, lists are numbered with digits."""
    kept = document.only(
        Heading, Paragraph, Items, Table, Picture, styles=("bold", "superscript", "struck", "link"), notes=True
    )
    kept = Document(kept.title, tuple(block for block in map(_plain, kept.blocks) if block), None, None)
    notes: list[str] = []
    parts: list[str] = []
    for before, block in zip((None, *kept.blocks), kept.blocks, strict=False):
        if isinstance(before, Items) and isinstance(block, Items):
            parts.append("<!-- another list -->")
        parts.append(_block(block, notes))
    parts += [f"[^{number}]: {_escaped(note)}" for number, note in enumerate(notes, start=1)]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return kept


def _plain(block: Block) -> Block | None:
    if isinstance(block, Table):
        plain = all(cell.rows == 1 and cell.columns == 1 for row in block.rows for cell in row)
        return block if block.header == 1 and plain else None
    if isinstance(block, Items):
        return _digits(block)
    return block


def _digits(items: Items) -> Items:
    below = tuple(type(item)(item.runs, _digits(item.below) if item.below else None) for item in items.items)
    return Items(below, "decimal" if items.label else None)


def _block(block: Block, notes: list[str]) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {_escaped(text)}"
        case Paragraph(runs):
            return _inline(runs, notes)
        case Items():
            return "\n".join(_items(block, "", notes))
        case Table():
            lines = [f"| {' | '.join(_escaped(cell.text) for cell in row)} |" for row in block.rows]
            lines.insert(1, f"|{'---|' * len(block.rows[0])}")
            return "\n".join(lines)
        case Picture(description):
            return f"![{_escaped(description)}](picture.png)"
    raise AssertionError(block)


def _items(items: Items, indent: str, notes: list[str]) -> list[str]:
    lines = []
    for number, item in enumerate(items.items, start=1):
        mark = label_of(items.label, number) or "-"
        lines.append(f"{indent}{mark} {_inline(item.runs, notes)}")
        if item.below:
            lines += _items(item.below, indent + "   ", notes)
    return lines


def _inline(runs: Sequence[Run], notes: list[str]) -> str:
    parts = []
    for run in runs:
        text = _escaped(run.text)
        match run.style:
            case "bold":
                text = f"**{text}**"
            case "superscript":
                text = f"<sup>{text}</sup>"
            case "struck":
                text = f"~~{text.rstrip()}~~ "
            case "link":
                text = f"[{text}](https://example.com/)"
        parts.append(text)
        if run.note:
            notes.append(run.note)
            parts.append(f"[^{len(notes)}]")
    return "".join(parts)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
