"""Read the numbers of a chart in an OpenDocument file, one row per category. Never draws or computes."""

from collections.abc import Iterator
from typing import Any

from groundtune.ingest.loaders.odf_names import CHART, OFFICE, TABLE, TEXT
from groundtune.ingest.parsed import TextBuilder


def add_chart(builder: TextBuilder, root: Any) -> None:
    """Add titles and values of the content of a chart."""
    for title in root.iter(f"{CHART}title", f"{CHART}subtitle"):
        builder.paragraph("\n".join("".join(p.itertext()) for p in title.iter(f"{TEXT}p")))
    rows = [list(_cells(row)) for table in root.iter(f"{TABLE}table") for row in table.iter(f"{TABLE}table-row")]
    names, values = rows[:1], rows[1:]
    if not values:
        builder.note("unreadable_part", place="chart")
    for cells in values:
        if any(cells[1:]):
            builder.row(cells, names[0])


def _cells(row: Any) -> Iterator[str]:
    for cell in row.iterchildren(f"{TABLE}table-cell"):
        shown = "\n".join("".join(p.itertext()) for p in cell.iterchildren(f"{TEXT}p"))
        text = shown or cell.get(f"{OFFICE}value") or ""
        yield "" if text.lower() == "nan" else text
