"""Parse slides as pages: the title as a heading, then text, tables, charts, notes. Never reads text inside images."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pptx import Presentation

from groundtune.ingest.loaders.alt_texts import useful_alt_text
from groundtune.ingest.loaders.office_charts import add_chart
from groundtune.ingest.loaders.office_diagrams import diagram_paragraphs
from groundtune.ingest.loaders.office_parts import DAMAGED
from groundtune.ingest.loaders.pptx_text import A, TextReader, inherited_bodies, placeholder
from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_line
from groundtune.ingest.table_shapes import Across, MarkedRow, mark_first_row

_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_CX = "{http://schemas.microsoft.com/office/drawing/2014/chartex}"
_DGM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_DECORATIVE = "{http://schemas.microsoft.com/office/drawing/2017/decorative}decorative"
_TITLES = ("title", "ctrTitle")
_FURNITURE = ("ftr", "dt", "hdr")
_PICTURE_SHARE = 0.04
"""Share of the slide from which a picture may hold text to read."""


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    deck = Presentation(io.BytesIO(data))
    walk = _DeckWalk(deck.slide_width or 0, deck.slide_height or 0)
    for number, slide in enumerate(deck.slides, 1):
        walk.slide(slide, number)
    return [walk.builder.build(title=walk.title)]


class _DeckWalk:
    """One pass over the slides; `title` is the first slide title."""

    def __init__(self, width: int, height: int) -> None:
        self.builder = TextBuilder()
        self.title: str | None = None
        self._width, self._height = width, height
        self._number = 0
        self._inherited: dict[Any, list[Any]] = {}
        """What the placeholders of each layout inherit."""
        self._layout_shapes: dict[str, list[Any]] = {}
        """Shapes that each layout and master shows on its slides."""
        self._furniture = set[str]()
        """Footers and texts of masters that were added: each stands in the text once."""
        self._pictures = set[Any]()
        """Pictures that were noted, such as a logo on every slide."""

    def slide(self, slide: Any, number: int) -> None:
        self.builder.page()
        self._number = number
        if slide.element.get("show") in ("0", "false"):
            self.builder.note("hidden_slide", page=number)
            return
        self._part = slide.part
        self._text = TextReader(self.builder, number)
        self._pictures_here = self._pictures_noted = 0
        tree = slide.element.find(f"{_P}cSld/{_P}spTree")
        shapes = list(_flat(tree))
        layouts = _layouts(slide)
        titled = next((shape for shape in shapes if placeholder(shape)[0] in _TITLES and self._is_shown(shape)), None)
        title = clean_line("\n".join(self._paragraphs(titled, layouts))) if titled is not None else ""
        self.title = self.title or title or None
        before = self.builder.length
        self.builder.heading(1, title)
        for shape in shapes:
            if shape is not titled and self._is_shown(shape):
                self._shape(shape, layouts)
        self._backgrounds(slide, layouts)
        only_pictures = self.builder.length == before and (self._pictures_here or _has_background(slide))
        if only_pictures and not self._pictures_noted:
            self.builder.note("picture", page=number)
        self._notes(slide)

    def _is_shown(self, shape: Any) -> bool:
        properties = next(shape.iter(f"{_P}cNvPr"), None)
        hidden = properties is not None and properties.get("hidden") in ("1", "true")
        if not hidden and not self._is_outside(shape):
            return True
        if next(shape.iter(f"{A}t"), None) is not None:
            self.builder.note("hidden_text", page=self._number)
        return False

    def _is_outside(self, shape: Any) -> bool:
        """Whether the shape stands beside the slide, where people keep what they do not show."""
        place = next(shape.iterchildren(f"{_P}xfrm"), None)
        place = place if place is not None else shape.find(f"{_P}spPr/{A}xfrm")
        offset, extent = (place.find(f"{A}{name}") if place is not None else None for name in ("off", "ext"))
        if offset is None or extent is None or shape.getparent().tag != f"{_P}spTree" or not self._width:
            return False
        left, top = int(offset.get("x") or 0), int(offset.get("y") or 0)
        right, bottom = left + int(extent.get("cx") or 0), top + int(extent.get("cy") or 0)
        return left >= self._width or top >= self._height or right < 0 or bottom < 0

    def _shape(self, shape: Any, layouts: list[Any]) -> None:
        try:
            if shape.tag == f"{_P}graphicFrame":
                self._frame(shape)
            elif shape.tag == f"{_P}pic":
                self._picture(shape)
            else:
                self._text_shape(shape, layouts)
        except DAMAGED:
            self.builder.note("unreadable_part", page=self._number)

    def _text_shape(self, shape: Any, layouts: list[Any]) -> None:
        kind = placeholder(shape)[0]
        if kind == "sldNum":
            return
        paragraphs = self._paragraphs(shape, layouts)
        if kind in _FURNITURE:
            self._once(paragraphs)
            return
        for text in paragraphs:
            self.builder.paragraph(text)
        if shape.find(f"{_P}spPr/{A}blipFill") is not None:
            self._picture(shape)

    def _once(self, paragraphs: list[str]) -> None:
        """Add lines that stand on many slides where they are met first."""
        for text in filter(None, map(clean_line, paragraphs)):
            if text in self._furniture:
                self.builder.note("page_furniture", page=self._number)
            else:
                self._furniture.add(text)
                self.builder.paragraph(text)

    def _paragraphs(self, shape: Any, layouts: list[Any]) -> list[str]:
        body = shape.find(f"{_P}txBody")
        if body is None:
            return []
        key = (layouts[0].part.partname, *placeholder(shape)) if layouts else None
        if key not in self._inherited:
            self._inherited[key] = inherited_bodies(shape, layouts)
        return self._text.paragraphs(body, self._inherited[key])

    def _frame(self, frame: Any) -> None:
        data = frame.find(f"{A}graphic/{A}graphicData")
        if data is None:
            return
        for table in data.iterchildren(f"{A}tbl"):
            self.builder.table(self._grid(table))
        for chart in data.iterchildren(f"{_C}chart", f"{_CX}chart"):
            self._chart(chart.get(f"{_R}id"))
        for diagram in data.iterchildren(f"{_DGM}relIds"):
            for paragraph in diagram_paragraphs(self._related(diagram.get(f"{_R}dm")).blob):
                self.builder.paragraph(self._text.paragraph(paragraph))
        if next(data.iter(f"{_P}oleObj"), None) is not None:
            self.builder.note("embedded_object", page=self._number)

    def _chart(self, relation: str | None) -> None:
        try:
            add_chart(self.builder, self._related(relation).blob)
        except DAMAGED:
            self.builder.note("unreadable_part", page=self._number, place="chart")

    def _grid(self, table: Any) -> list[list[str]]:
        """Return the rows of a table, merged cells spread over the cells that they cover."""
        rows: list[list[str]] = []
        down: dict[int, str] = {}
        for row in table.iterchildren(f"{A}tr"):
            cells: list[str] = []
            for cell in row.iterchildren(f"{A}tc"):
                column = len(cells)
                if cell.get("vMerge") in ("1", "true"):
                    cells.append(down.get(column, ""))
                elif cell.get("hMerge") in ("1", "true"):
                    cells.append(Across(cells[-1]) if cells else "")
                else:
                    body = cell.find(f"{A}txBody")
                    cells.append(clean_line("\n".join(self._text.paragraphs(body, []))) if body is not None else "")
                down[column] = cells[column]
            runs = [run for run in row.iter(f"{A}r") if (run.findtext(f"{A}t") or "").strip()]
            bold = all((run.find(f"{A}rPr") is not None and run.find(f"{A}rPr").get("b") == "1") for run in runs)
            rows.append(MarkedRow(cells) if runs and bold else cells)
        properties = table.find(f"{A}tblPr")
        set_off = properties is not None and properties.get("firstRow") in ("1", "true")
        if rows and set_off:
            mark_first_row(rows)
        return rows

    def _picture(self, shape: Any) -> None:
        properties = next(shape.iter(f"{_P}cNvPr"), None)
        if properties is None or next((e for e in shape.iter(_DECORATIVE) if e.get("val") in ("1", "true")), None):
            return
        if described := useful_alt_text(properties.get("descr")):
            self.builder.paragraph(described)
            return
        extent = shape.find(f"{_P}spPr/{A}xfrm/{A}ext")
        slide_area = self._width * self._height
        area = int(extent.get("cx") or 0) * int(extent.get("cy") or 0) if extent is not None else slide_area
        blip = next(shape.iter(f"{A}blip"), None)
        if area < _PICTURE_SHARE * slide_area or blip is None:
            return
        self._pictures_here += 1
        image = blip.get(f"{_R}embed") or blip.get(f"{_R}link")
        image = getattr(self._part.rels.get(image), "_target", image)
        if image not in self._pictures:
            self._pictures.add(image)
            self._pictures_noted += 1
            self.builder.note("picture", page=self._number)

    def _backgrounds(self, slide: Any, layouts: list[Any]) -> None:
        """Add the texts that layout and master show on the slide, such as a label of confidentiality, once."""
        shown = slide.element.get("showMasterSp") not in ("0", "false")
        for layout in layouts if shown else ():
            name = str(layout.part.partname)
            if name not in self._layout_shapes:
                every = _flat(layout.element.find(f"{_P}cSld/{_P}spTree"))
                self._layout_shapes[name] = [s for s in every if s.tag == f"{_P}sp" and placeholder(s)[0] is None]
            for shape in self._layout_shapes[name]:
                if self._is_shown(shape):
                    self._once(self._paragraphs(shape, []))
            if layout.element.get("showMasterSp") in ("0", "false"):
                break

    def _notes(self, slide: Any) -> None:
        if not slide.has_notes_slide:
            return
        for shape in _flat(slide.notes_slide.element.find(f"{_P}cSld/{_P}spTree")):
            if placeholder(shape)[0] == "body":
                text = "\n".join(self._paragraphs(shape, []))
                if text.strip():
                    self.builder.paragraph(f"Notes: {text}")

    def _related(self, relation: str | None) -> Any:
        return self._part.related_part(relation)


def _layouts(slide: Any) -> list[Any]:
    """Return the layout and the master of a slide, as far as the file has them."""
    try:
        return [slide.slide_layout, slide.slide_layout.slide_master]
    except (KeyError, AttributeError):
        return []


def _flat(tree: Any) -> Iterator[Any]:
    """Yield the shapes in their order, those of groups in place of the group."""
    for shape in tree if tree is not None else ():
        if shape.tag == f"{_P}grpSp":
            properties = shape.find(f"{_P}nvGrpSpPr/{_P}cNvPr")
            if properties is not None and properties.get("hidden") in ("1", "true"):
                continue
            yield from _flat(shape)
        elif shape.tag == f"{_MC}AlternateContent":
            choice = shape.find(f"{_MC}Choice")
            yield from _flat(choice if choice is not None else shape.find(f"{_MC}Fallback"))
        elif shape.tag in _SHAPES:
            yield shape


_SHAPES = {f"{_P}{name}" for name in ("sp", "pic", "graphicFrame", "cxnSp")}


def _has_background(slide: Any) -> bool:
    background = slide.element.find(f"{_P}cSld/{_P}bg")
    return background is not None and next(background.iter(f"{A}blip"), None) is not None
