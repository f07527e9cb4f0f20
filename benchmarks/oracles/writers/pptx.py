"""Write a document as slides: a slide per heading, text boxes with bullets and automatic numbers, tables, pictures."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.oracles.sentences import RIGHT_TO_LEFT
from benchmarks.oracles.structures import (
    Block,
    Document,
    Heading,
    Hidden,
    Items,
    Paragraph,
    Picture,
    Run,
    Table,
)
from benchmarks.oracles.writers.docx import dot
from lxml import etree
from pptx import Presentation
from pptx.oxml.ns import qn
from pptx.util import Cm, Pt

_NUMBERS = {"decimal": "arabicPeriod", "letter": "alphaLcPeriod", "roman": "romanLcPeriod"}
_MOST = 3
"""Blocks on a slide; further ones go on to a slide with the next title."""
_MOST_ROWS = 8


def write(document: Document, path: Path) -> Document:
    """Write what slides have; a hidden part becomes a hidden slide."""
    kept = document.only(
        *(Heading, Paragraph, Items, Table, Picture, Hidden),
        styles=("bold", "superscript", "subscript", "struck", "link"),
    )
    kept = replace(kept, blocks=tuple(_on_slides(kept.blocks)))
    show: Any = Presentation()
    slide, top = None, 3.0
    for block in kept.blocks:
        match block:
            case Heading(_, text):
                slide, top = show.slides.add_slide(show.slide_layouts[5]), 4.0
                slide.shapes.title.text = text
            case Paragraph(runs, language):
                frame = _box(slide, top, 2)
                _paragraph(frame.paragraphs[0], runs, language)
                top += 2
            case Items():
                frame = _box(slide, top, 4)
                _items(frame, block, 0)
                top += 5
            case Table():
                top += _table(slide, block, top)
            case Picture(description):
                picture = slide.shapes.add_picture(io.BytesIO(dot()), Cm(1), Cm(top), Cm(1))
                picture._element.nvPicPr.cNvPr.set("descr", description)
                top += 1.5
            case Hidden(text):
                hidden = show.slides.add_slide(show.slide_layouts[5])
                hidden.shapes.title.text = text
                hidden._element.set("show", "0")
    show.save(str(path))
    return kept


def _on_slides(blocks: Sequence[Block]) -> list[Block]:
    """Return the blocks with headings of one level, enough of them that no slide is too full."""
    found: list[Block] = []
    count = 0
    title = ""
    for block in blocks:
        if isinstance(block, Heading):
            title, count = block.text, 0
            found.append(Heading(1, title))
            continue
        if isinstance(block, Table) and len(block.rows) > _MOST_ROWS:
            continue
        if isinstance(block, Hidden):
            found.append(block)
            continue
        if count == _MOST:
            title, count = f"{title} again", 0
            found.append(Heading(1, title))
        found.append(block)
        count += 1
    hidden = [block for block in found if isinstance(block, Hidden)]
    return [*(block for block in found if not isinstance(block, Hidden)), *hidden]


def _box(slide: Any, top: float, height: float) -> Any:
    frame = slide.shapes.add_textbox(Cm(1), Cm(top), Cm(23), Cm(height)).text_frame
    frame.word_wrap = True
    return frame


def _paragraph(paragraph: Any, runs: Sequence[Run], language: str = "en") -> None:
    if language in RIGHT_TO_LEFT:
        paragraph._p.get_or_add_pPr().set("rtl", "1")
    for piece in runs:
        run = paragraph.add_run()
        run.text = piece.text
        run.font.size = Pt(10)
        properties = run._r.get_or_add_rPr()
        match piece.style:
            case "bold":
                run.font.bold = True
            case "superscript":
                properties.set("baseline", "30000")
            case "subscript":
                properties.set("baseline", "-25000")
            case "struck":
                properties.set("strike", "sngStrike")
            case "link":
                run.hyperlink.address = "https://example.com/"


def _items(frame: Any, items: Items, level: int) -> None:
    for item in items.items:
        paragraph = frame.paragraphs[0] if not frame.text else frame.add_paragraph()
        paragraph.level = level
        _paragraph(paragraph, item.runs)
        properties = paragraph._p.get_or_add_pPr()
        properties.set("marL", str(342900 * (level + 1)))
        properties.set("indent", "-342900")
        if items.label:
            etree.SubElement(properties, qn("a:buAutoNum")).set("type", _NUMBERS[items.label])
        else:
            etree.SubElement(properties, qn("a:buChar")).set("char", "•")
        if item.below:
            _items(frame, item.below, level + 1)


def _table(slide: Any, table: Table, top: float) -> float:
    cells = table.cells()
    height = 0.7 * len(cells)
    shape = slide.shapes.add_table(len(cells), len(cells[0]), Cm(1), Cm(top), Cm(23), Cm(height))
    shape.table.first_row = bool(table.header)
    for down, row in enumerate(cells):
        for right, cell in enumerate(row):
            if (down and cells[down - 1][right] is cell) or (right and row[right - 1] is cell):
                continue
            place = shape.table.cell(down, right)
            if cell.rows > 1 or cell.columns > 1:
                place.merge(shape.table.cell(down + cell.rows - 1, right + cell.columns - 1))
            place.text = cell.text
            for run in place.text_frame.paragraphs[0].runs:
                run.font.size = Pt(9)
    return height + 0.5
