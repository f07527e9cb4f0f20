"""Parse slides as pages: the title as a heading, then text, tables, charts, notes. Never reads text inside images."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pptx import Presentation
from pptx.enum.shapes import MSO_SHAPE_TYPE, PP_PLACEHOLDER

from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_line

_FRAME = {PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.HEADER}

_GENERATED = "automatically generated"
"""Marks an image description that PowerPoint wrote itself."""


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    builder = TextBuilder()
    title: str | None = None
    for slide in Presentation(io.BytesIO(data)).slides:
        builder.page()
        heading = slide.shapes.title
        heading_id = heading.shape_id if heading is not None else None
        text = clean_line(heading.text_frame.text) if heading is not None else ""
        title = title or text or None
        builder.heading(1, text)
        for shape in _shapes(slide.shapes):
            if shape.shape_id != heading_id:
                _shape(builder, shape)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            notes = slide.notes_slide.notes_text_frame.text
            if notes.strip():
                builder.paragraph(f"Notes: {notes}")
    return [builder.build(title=title)]


def _shapes(shapes: Any) -> Iterator[Any]:
    for shape in shapes:
        if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
            yield from _shapes(shape.shapes)
        else:
            yield shape


def _shape(builder: TextBuilder, shape: Any) -> None:
    if shape.is_placeholder and shape.placeholder_format.type in _FRAME:
        return
    if shape.has_text_frame:
        for paragraph in shape.text_frame.paragraphs:
            builder.paragraph(paragraph.text.replace("\v", "\n"))
    elif shape.has_table:
        rows = [[cell.text for cell in row.cells] for row in shape.table.rows]
        builder.table(row for row in rows if any(row))
    elif shape.has_chart:
        _chart(builder, shape.chart)
    elif shape.shape_type == MSO_SHAPE_TYPE.PICTURE:
        description = shape._element.nvPicPr.cNvPr.get("descr") or ""
        builder.paragraph("" if _GENERATED in description.lower() else description)


def _chart(builder: TextBuilder, chart: Any) -> None:
    """Add the numbers of a chart, one row per category."""
    if chart.has_title and chart.chart_title.has_text_frame:
        builder.paragraph(chart.chart_title.text_frame.text)
    for plot in chart.plots:
        names = ["", *(series.name for series in plot.series)]
        columns = [list(series.values) for series in plot.series]
        for index, category in enumerate(plot.categories):
            row = [
                f"{column[index]:.15g}" if index < len(column) and column[index] is not None else ""
                for column in columns
            ]
            builder.row([str(category), *row], names)
