"""Write a document as plain text."""

import textwrap
from pathlib import Path

from benchmarks.oracles.structures import Document, Items, Paragraph, labelled, shown


def write(document: Document, path: Path) -> Document:
    """Write paragraphs, wrapped, and lists."""
    kept = document.only(Paragraph, Items)
    parts = []
    for block in kept.blocks:
        if isinstance(block, Paragraph):
            parts.append("\n".join(textwrap.wrap(shown(block.runs), 72)))
        elif isinstance(block, Items):
            parts.append("\n".join(f"{label or '-'} {shown(item.runs)}" for label, item in labelled(block)))
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return kept
