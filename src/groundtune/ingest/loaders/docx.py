"""Parse Word documents into headings, paragraphs and rows in document order. Leaves out comments and deleted text."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docx
from docx.oxml.ns import qn

from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_line

_SKIPPED = {qn("w:del"), qn("w:moveFrom"), qn("w:instrText"), qn("w:pPr"), qn("w:rPr")}
_SKIPPED.add("{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback")
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_SIGNS = {qn("w:noBreakHyphen"): "-", f"{_MATH}den": "/", f"{_MATH}sup": "^", f"{_MATH}sub": "_"}
"""Elements that become a character: fractions, superscripts and subscripts of formulas are written out."""
_TEXT = {qn("w:t"), f"{_MATH}t"}
_BREAKS = {qn("w:br"), qn("w:cr")}
_WRAPPERS = {qn("w:sdt"), qn("w:sdtContent"), qn("w:customXml"), qn("w:ins"), qn("w:moveTo"), qn("w:smartTag")}
_BOX = qn("w:txbxContent")
_FOOTNOTES = ("footnotes", "endnotes")
_MAX_LEVEL = 9


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    document = docx.Document(io.BytesIO(data))
    walk = _DocxWalk(document)
    walk.body(document.element.body)
    walk.notes(document.part)
    return [walk.builder.build(title=walk.title)]


class _DocxWalk:
    """One pass over the body; `title` is the text in Title style, otherwise the first top-level heading."""

    def __init__(self, document: Any) -> None:
        self.builder = TextBuilder()
        self.title: str | None = None
        self._titled = False
        self._levels = _heading_levels(document.styles)

    def body(self, container: Any) -> None:
        for element in container.iterchildren():
            if element.tag == qn("w:p"):
                self._paragraph(element)
            elif element.tag == qn("w:tbl"):
                self._table(element)
            elif element.tag in _WRAPPERS:
                self.body(element)

    def notes(self, part: Any) -> None:
        """Add footnotes and endnotes, after the text they belong to."""
        from lxml import etree

        for relation in part.rels.values():
            if relation.is_external or relation.reltype.rsplit("/", 1)[-1] not in _FOOTNOTES:
                continue
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            root = etree.fromstring(relation.target_part.blob, parser)
            for note in root.iterchildren():
                if note.get(qn("w:type")) is None:  # separators have a type, notes have none
                    self.body(note)

    def _paragraph(self, element: Any) -> None:
        text = "".join(_pieces(element))
        level = self._level(element)
        if level is None:
            self.builder.paragraph(text)
        elif text.strip():
            if self.title is None or (level == 0 and not self._titled):
                self.title = clean_line(text) if level <= 1 else None
                self._titled = level == 0
            self.builder.heading(max(level, 1) if not self._titled or level == 0 else level + 1, text)
        for box in _boxes(element):
            self.body(box)

    def _level(self, element: Any) -> int | None:
        properties = element.pPr
        if properties is None:
            return None
        outline = properties.find(qn("w:outlineLvl"))
        if outline is not None:
            value = int(outline.get(qn("w:val")) or _MAX_LEVEL)
            return value + 1 if value < _MAX_LEVEL else None
        style = properties.pStyle
        return self._levels.get(style.val) if style is not None else None

    def _table(self, table: Any) -> None:
        rows = [_row(row) for row in _children(table, qn("w:tr"))]
        rows = [row for row in rows if any(row)]
        if not rows:
            return
        if len(rows) > 1 and len(rows[0]) > 1 and sum(1 for cell in rows[0] if cell) > 1:
            self.builder.table(rows)
            return
        for row in rows:
            if len(row) == 1:
                self.builder.paragraph(row[0])
            else:
                self.builder.row(row)


def _heading_levels(styles: Any) -> dict[str, int]:
    """Map style ids to levels: 0 for Title, 1 to 9 for headings. A style inherits from the one it is based on."""
    levels: dict[str, int] = {}
    elements = {style.get(qn("w:styleId")): style for style in styles.element.iterchildren(qn("w:style"))}
    for style_id in elements:
        current, seen = style_id, set[str]()
        while current in elements and current not in seen:
            seen.add(current)
            level = _stated_level(elements[current])
            if level is not None:
                levels[style_id] = level
                break
            based_on = elements[current].find(qn("w:basedOn"))
            current = based_on.get(qn("w:val")) if based_on is not None else None
    return levels


def _stated_level(style: Any) -> int | None:
    name = style.find(qn("w:name"))
    value = str(name.get(qn("w:val"))).lower() if name is not None else ""
    if value == "title":
        return 0
    if value.startswith("heading ") and value[8:].isdecimal():
        return int(value[8:])
    outline = style.find(f"{qn('w:pPr')}/{qn('w:outlineLvl')}")
    if outline is None or int(outline.get(qn("w:val")) or _MAX_LEVEL) >= _MAX_LEVEL:
        return None
    return int(outline.get(qn("w:val"))) + 1


def _pieces(element: Any) -> Iterator[str]:
    """Yield visible text in order; text boxes are read separately, after the paragraph that anchors them."""
    stack = [element]
    while stack:
        node = stack.pop()
        if node.tag in _TEXT:
            yield node.text or ""
        elif node.tag == qn("w:tab"):
            yield "\t"
        elif node.tag in _BREAKS:
            yield "\n"
        elif node.tag in _SIGNS:
            yield _SIGNS[node.tag]
            stack.extend(reversed(list(node.iterchildren())))
        elif node.tag not in _SKIPPED and node.tag != _BOX:
            stack.extend(reversed(list(node.iterchildren())))


def _boxes(element: Any) -> Iterator[Any]:
    stack = [element]
    while stack:
        node = stack.pop()
        if node.tag == _BOX:
            yield node
        elif node.tag not in _SKIPPED:
            stack.extend(reversed(list(node.iterchildren())))


def _children(element: Any, tag: str) -> Iterator[Any]:
    for child in element.iterchildren():
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _children(child, tag)


def _row(row: Any) -> list[str]:
    """Return the cells by column; a cell that spans columns leaves the others empty."""
    cells: list[str] = []
    for cell in _children(row, qn("w:tc")):
        text = clean_line("\n".join("".join(_pieces(part)) for part in cell.iter(qn("w:p"))))
        span = cell.find(f"{qn('w:tcPr')}/{qn('w:gridSpan')}")
        width = int(span.get(qn("w:val")) or 1) if span is not None else 1
        cells.extend([text, *[""] * (min(width, 100) - 1)])
    return cells
