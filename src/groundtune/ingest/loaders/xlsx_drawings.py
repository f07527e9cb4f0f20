"""Read what lies on a sheet above its cells: text boxes and pictures' descriptions. Never draws or computes."""

from typing import Any

from groundtune.ingest.loaders.xlsx_parts import Workbook, is_on
from groundtune.ingest.parsed import TextBuilder


def add_drawing(builder: TextBuilder, book: Workbook, path: str, *, place: str) -> None:
    """Add the texts of a drawing, in the order of the file."""
    try:
        root = book.tree(path)
    except KeyError:
        builder.note("unreadable_part", place=place)
        return
    for shape in root.iter("{*}sp", "{*}cxnSp", "{*}pic"):
        properties = (
            shape.find("{*}nvSpPr/{*}cNvPr") if shape.tag.endswith("}sp") else shape.find("{*}nvPicPr/{*}cNvPr")
        )
        if properties is not None and is_on(properties.get("hidden")):
            builder.note("hidden_text", place=place)
        elif shape.tag.endswith("}pic"):
            builder.paragraph("" if properties is None else properties.get("descr") or "")
            builder.note("picture", place=place)
        else:
            for paragraph in shape.iterfind("{*}txBody/{*}p"):
                builder.paragraph(_paragraph(paragraph))


def _paragraph(paragraph: Any) -> str:
    return "".join("\n" if part.tag.endswith("}br") else part.text or "" for part in paragraph.iter("{*}t", "{*}br"))
