"""Read what lies on a sheet above its cells: text boxes, charts, descriptions of pictures. Never draws or computes."""

from typing import Any

from groundtune.ingest.loaders.office_charts import add_chart
from groundtune.ingest.loaders.office_parts import DAMAGED
from groundtune.ingest.loaders.xlsx_parts import Workbook, is_on, relation_id
from groundtune.ingest.parsed import TextBuilder

_SHAPES = ("{*}sp", "{*}cxnSp", "{*}pic", "{*}graphicFrame")


def add_drawing(builder: TextBuilder, book: Workbook, path: str, *, place: str) -> None:
    """Add what a drawing shows, from the top of the sheet to its end."""
    try:
        root = book.tree(path)
    except DAMAGED:
        builder.note("unreadable_part", place=place)
        return
    charts = {key: one.path for key, one in book.relations_by_id(path).items() if one.kind.startswith("chart")}
    for anchor in sorted(root, key=_corner):
        for shape in anchor.iter(*_SHAPES):
            properties = next(shape.iter("{*}cNvPr"), None)
            if properties is not None and is_on(properties.get("hidden")):
                builder.note("hidden_text", place=place)
            elif shape.tag.endswith("}pic"):
                builder.paragraph("" if properties is None else properties.get("descr") or "")
                builder.note("picture", place=place)
            elif shape.tag.endswith("}graphicFrame"):
                _chart(builder, book, [charts[key] for e in shape.iter() if (key := relation_id(e)) in charts], place)
            else:
                for paragraph in shape.iterfind("{*}txBody/{*}p"):
                    builder.paragraph(_paragraph(paragraph))


def _chart(builder: TextBuilder, book: Workbook, paths: list[str], place: str) -> None:
    try:
        for path in paths:
            add_chart(builder, book.bytes(path))
    except DAMAGED:
        paths = []
    if not paths:
        builder.note("unreadable_part", place=f"drawing on {place}")


def _corner(anchor: Any) -> tuple[int, int]:
    row, column = (anchor.findtext(f"{{*}}from/{{*}}{name}") or "" for name in ("row", "col"))
    return (int(row), int(column)) if row.isdecimal() and column.isdecimal() else (0, 0)


def _paragraph(paragraph: Any) -> str:
    return "".join("\n" if part.tag.endswith("}br") else part.text or "" for part in paragraph.iter("{*}t", "{*}br"))
