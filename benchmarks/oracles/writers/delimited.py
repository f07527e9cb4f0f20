"""Write the first plain table of a document as a CSV file."""

import csv
from dataclasses import replace
from pathlib import Path

from benchmarks.oracles.structures import Document, Table


def write(document: Document, path: Path) -> Document | None:
    """Write a table with one header line and without merged cells; None if the document has none."""
    for block in document.blocks:
        if isinstance(block, Table) and block.header == 1 and len(block.rows) > 2:
            cells = [cell for row in block.rows for cell in row]
            if all(cell.rows == cell.columns == 1 for cell in cells):
                delimiter = "\t" if path.suffix == ".tsv" else ",;"[len(cells) % 2]
                with path.open("w", encoding="utf-8", newline="") as file:
                    csv.writer(file, delimiter=delimiter).writerows(block.grid())
                return replace(document, blocks=(block,), header=None, footer=None)
    return None
