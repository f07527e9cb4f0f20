"""Parse Word documents into headings, paragraphs and rows in document order. Leaves out comments and deleted text."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import docx

from groundtune.errors import ParseError
from groundtune.ingest.loaders.document_headings import DocumentHeadings
from groundtune.ingest.loaders.docx_names import (
    CELL,
    P_STYLE,
    PARAGRAPH,
    R_PR,
    ROW,
    TABLE,
    VAL,
    Properties,
    W,
    is_on,
    paragraph_properties,
    value,
    whole,
)
from groundtune.ingest.loaders.docx_numbering import Numbering
from groundtune.ingest.loaders.docx_runs import MATH_PARAGRAPH, RunReader, alternative
from groundtune.ingest.loaders.docx_styles import MAX_LEVEL, ParagraphStyle, Styles
from groundtune.ingest.loaders.office_math import linear
from groundtune.ingest.loaders.office_parts import DAMAGED, read_xml
from groundtune.ingest.parsed import SEPARATOR, ParsedDocument, TextBuilder, clean_line, render_row
from groundtune.ingest.table_shapes import Across, MarkedRow, join_names, mark_first_row

_WRAPPERS = {f"{W}{name}" for name in ("sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag")}
_CELL_PR, _GRID_SPAN, _V_MERGE = (f"{W}{name}" for name in ("tcPr", "gridSpan", "vMerge"))
_MOST_COLUMNS = 100
_FIRST_ROW = 0x20
"""Bit of `w:tblLook` for a first row that is set off."""
_NUMBER_WORDS = 2
"""Words around a page number, such as "Page 3 of 9"; a line with more says something else too."""
_CHUNKS = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/plain": "text",
    "application/rtf": "rtf",
    "text/rtf": "rtf",
    "message/rfc822": "eml",
}
"""Loaders of documents that stand within a document, by media type."""


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    document = docx.Document(io.BytesIO(data))
    walk = _DocxWalk(document, TextBuilder())
    walk.furniture()
    walk.body(document.element.body)
    walk.note_comments()
    return [walk.builder.build(title=walk.headings.title)]


class _DocxWalk:
    """One pass over the body."""

    def __init__(self, document: Any, builder: TextBuilder) -> None:
        self.builder = builder
        self.headings = DocumentHeadings(builder)
        self._document = document
        self._part = document.part
        self._styles = Styles(document.styles.element)
        self._numbering = Numbering(_related(document.part, "numbering"), self._styles)
        self._notes = {name: _notes(document.part, name) for name in ("footnotes", "endnotes")}
        self._runs = RunReader(builder, document.part, self._styles)

    def body(self, container: Any) -> None:
        for element in container:
            try:
                self._block(element)
            except DAMAGED:
                self.builder.note("unreadable_part")

    def _block(self, element: Any) -> None:
        tag = element.tag
        if tag == PARAGRAPH:
            self._paragraph(element)
        elif tag == TABLE:
            self._table(element)
            self._after()
        elif tag in _WRAPPERS:
            self.body(element)
        elif tag == f"{W}altChunk":
            self._chunk(element)
        elif tag == MATH_PARAGRAPH:
            self.builder.paragraph(linear(element))
        elif (chosen := alternative(element)) is not None:
            self.body(chosen)

    def furniture(self) -> None:
        """Add each header and footer of the pages once, in front of the text; lines of page numbers are left out."""
        body = self._runs
        lines: dict[str, None] = {}
        for part in self._headers_and_footers():
            self._runs = RunReader(TextBuilder(), part, self._styles, skip_page_numbers=True)
            lines |= dict.fromkeys(self._lines(part.element))
        self._runs = body
        for line in lines:
            self.builder.paragraph(line)
        if lines and (_pages(self._part) or 2) > 1:
            self.builder.note("page_furniture", count=len(lines))

    def _lines(self, container: Any) -> Iterator[str]:
        """Yield the lines of a header or a footer, without those that only number the pages."""
        for element in container.iter(PARAGRAPH, ROW):
            within = next((e.tag for e in element.iterancestors(ROW, f"{W}txbxContent")), None)
            if element.tag == PARAGRAPH and within == ROW:
                continue
            before = self._runs.page_numbers
            cells = self._row(element)[0] if element.tag == ROW else [self._read(element)[0]]
            text = clean_line(render_row(list(dict.fromkeys(cells))))
            numbered = self._runs.page_numbers > before
            only_numbers = len(text.split()) <= _NUMBER_WORDS and not any(map(str.isdigit, text))
            if text and not (numbered and only_numbers):
                yield text

    def _headers_and_footers(self) -> Iterator[Any]:
        """Yield the parts that pages show, each once."""
        settings = _related(self._part, "settings")
        even = settings is not None and bool(is_on(settings.find(f"{W}evenAndOddHeaders")))
        seen = set[str]()
        for section in self._part.element.iter(f"{W}sectPr"):
            first = bool(is_on(section.find(f"{W}titlePg")))
            for reference in section.iterchildren(f"{W}headerReference", f"{W}footerReference"):
                kind = reference.get(f"{W}type")
                relation = self._part.rels.get(reference.get(_RELATION))
                if (kind == "first" and not first) or (kind == "even" and not even) or relation is None:
                    continue
                if not relation.is_external and relation.rId not in seen:
                    seen.add(relation.rId)
                    yield relation.target_part

    def note_comments(self) -> None:
        comments = _related(self._part, "comments")
        if comments is not None and (count := len(comments.findall(f"{W}comment"))):
            self.builder.note("comment", count=count)

    def _paragraph(self, element: Any) -> None:
        text, label, level = self._read(element)
        if not text.strip():
            pass
        elif level is None:
            self.builder.paragraph(label + text)
        else:
            self.headings.add(level, text, label)
        self._after()

    def _read(self, paragraph: Any) -> tuple[str, str, int | None]:
        """Return text, number and heading level of a paragraph."""
        stated = paragraph_properties(paragraph)
        style_id = stated[P_STYLE].get(VAL) if P_STYLE in stated else None
        style = self._styles.paragraph(style_id)
        text = self._runs.text(paragraph, style.run)
        return text, self._label(stated, style, style_id), _level(stated, style)

    def _after(self) -> None:
        """Add what a paragraph or a table anchors: text boxes, charts, notes."""
        for add in self._runs.take_drawings():
            add()
        for box in self._runs.take_boxes():
            self.body(box)
        for kind, number, label in self._runs.take_notes():
            note = self._notes[kind].get(number)
            if note is not None:
                self._note(note, label)

    def _note(self, note: Any, label: str) -> None:
        """Add a footnote or an endnote behind the text it belongs to."""
        for index, paragraph in enumerate(note.iter(PARAGRAPH)):
            text = self._read(paragraph)[0]
            self.builder.paragraph(f"[{label}] {text}" if index == 0 and text.strip() else text)
        self._runs.take_boxes()

    def _label(self, stated: Properties, style: ParagraphStyle, style_id: str | None) -> str:
        """Count the paragraph and return its number, with the space behind it."""
        numbering = stated.get(f"{W}numPr")
        own_id = value(numbering, "numId")
        number_id = own_id or style.number_id
        if number_id is None or number_id == "0" or not _is_counted(stated.get(R_PR)):
            return ""
        level = whole(value(numbering, "ilvl"))
        if level is None and own_id is None:
            level = self._numbering.level_of_style(number_id, style_id)
        return self._numbering.label(number_id, level if level is not None else style.number_level or 0)

    # -- tables ----------------------------------------------------------------------------------------------------

    def _table(self, table: Any) -> None:
        if self._is_layout(table):
            for row in self._shown_rows(table):
                for cell in _children(row, CELL):
                    if _spans(cell)[1] != "continue":
                        self.body(cell)
            return
        header, rows = self._grid(table)
        if header and rows:
            self.builder.table(rows, header=join_names(header))
        elif header or rows:
            self.builder.table(header or rows)

    def _is_layout(self, table: Any) -> bool:
        """Whether the table only places text on the page: one column, one row around tables, headings above text."""
        rows = list(_children(table, ROW))
        if all(sum(1 for _ in _children(row, CELL)) == 1 for row in rows):
            return True
        if len(rows) == 1 and next(rows[0].iter(TABLE), None) is not None:
            return True
        for style in table.iter(f"{W}pStyle"):
            if self._styles.paragraph(style.get(VAL)).level is not None:
                cell = next(style.iterancestors(CELL))
                if sum(next(p.iter(f"{W}t"), None) is not None for p in cell.iter(PARAGRAPH)) > 1:
                    return True
        return False

    def _grid(self, table: Any) -> tuple[list[list[str]], list[list[str]]]:
        """Return the rows that repeat as header on every page, and the others, merged cells spread."""
        header: list[list[str]] = []
        rows: list[list[str]] = []
        above: dict[int, str] = {}
        for row in self._shown_rows(table):
            self._runs.set_off = True
            cells, merged = self._row(row, above)
            if self._runs.set_off and any(cells):
                cells = MarkedRow(cells)
            above = merged
            repeats = not rows and bool(is_on(row.find(f"{W}trPr/{W}tblHeader")))
            (header if repeats else rows).append(cells)
        if rows and not header and self._sets_off_first_row(table):
            mark_first_row(rows)
        return header, rows

    def _sets_off_first_row(self, table: Any) -> bool:
        look = table.find(f"{W}tblPr/{W}tblLook")
        wanted = look is not None and (
            look.get(f"{W}firstRow") == "1"
            or (int(look.get(VAL) or "0", 16) & _FIRST_ROW and not look.get(f"{W}firstRow"))
        )
        return bool(wanted) and self._styles.sets_off_first_row(value(table, "tblPr/tblStyle"))

    def _shown_rows(self, table: Any) -> Iterator[Any]:
        for row in _children(table, ROW):
            properties = row.find(f"{W}trPr")
            if properties is not None and properties.find(f"{W}del") is not None:
                self.builder.note("deleted_text")
            elif properties is not None and is_on(properties.find(f"{W}hidden")):
                self.builder.note("hidden_row")
            else:
                yield row

    def _row(self, row: Any, above: dict[int, str] | None = None) -> tuple[list[str], dict[int, str]]:
        """Return the cells by column, merged ones spread, and the texts of cells that go on below by column."""
        properties = row.find(f"{W}trPr")
        cells = [""] * min(whole(value(properties, "gridBefore")) or 0, _MOST_COLUMNS)
        merged: dict[int, str] = {}
        for cell in _children(row, CELL):
            column = len(cells)
            width, merge = _spans(cell)
            text = above[column] if merge == "continue" and above and column in above else self._cell(cell)
            if merge is not None:
                merged[column] = text
            cells += [text, *[Across(text)] * (width - 1)]
        return cells, merged

    def _cell(self, cell: Any) -> str:
        return clean_line("\n".join(self._cell_lines(cell)))

    def _cell_lines(self, container: Any) -> Iterator[str]:
        for element in container:
            tag = element.tag
            if tag == PARAGRAPH:
                text, label, _ = self._read(element)
                yield label + text
            elif tag == TABLE:
                header, rows = self._grid(element)
                yield "; ".join(render_row(row) for row in (*header, *rows))
            elif tag in _WRAPPERS:
                yield from self._cell_lines(element)

    def _chunk(self, element: Any) -> None:
        """Add a document of another format that stands within this one."""
        from importlib import import_module

        relation = self._part.rels.get(element.get(_RELATION))
        if relation is None or relation.is_external:
            self.builder.note("unreadable_part", place="linked document")
            return
        part = relation.target_part
        try:
            if part.content_type.endswith("wordprocessingml.document.main+xml"):
                inner = docx.Document(io.BytesIO(part.blob))
                _DocxWalk(inner, self.builder).body(inner.element.body)
                return
            module = import_module(f"groundtune.ingest.loaders.{_CHUNKS[part.content_type.split(';')[0]]}")
            for parsed in module.parse(Path(str(part.partname)), part.blob):
                _include(self.builder, parsed)
        except (ParseError, *DAMAGED):
            self.builder.note("unreadable_part", place="embedded document")


_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def _level(stated: Properties, style: ParagraphStyle) -> int | None:
    """Return 0 for the title, 1 to 9 for headings, None for text."""
    outline = stated.get(f"{W}outlineLvl")
    if outline is None:
        return style.level
    level = whole(outline.get(VAL))
    return level + 1 if level is not None and level < MAX_LEVEL else None


def _is_counted(mark: Any) -> bool:
    """Whether the mark of a paragraph is seen: neither hidden nor deleted."""
    return mark is None or (not is_on(mark.find(f"{W}vanish")) and mark.find(f"{W}del") is None)


def _related(part: Any, kind: str) -> Any:
    """Return the root element of the first related part of a kind; None if there is none."""
    for relation in part.rels.values():
        if not relation.is_external and relation.reltype.rsplit("/", 1)[-1] == kind:
            target = relation.target_part
            element = getattr(target, "element", None)
            return element if element is not None else read_xml(target.blob)
    return None


def _notes(part: Any, kind: str) -> dict[str | None, Any]:
    """Return footnotes or endnotes by id; separators have a type, notes have none."""
    root = _related(part, kind)
    notes: Iterable[Any] = root if root is not None else ()
    return {note.get(f"{W}id"): note for note in notes if note.get(f"{W}type") is None}


def _pages(part: Any) -> int | None:
    """Return how many pages the program counted when it saved the file."""
    for relation in part.package.rels.values():
        if not relation.is_external and relation.reltype.endswith("/extended-properties"):
            root = read_xml(relation.target_part.blob)
            return whole(next((e.text for e in root if str(e.tag).endswith("}Pages")), None))
    return None


def _children(element: Any, tag: str) -> Iterator[Any]:
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _children(child, tag)


def _spans(cell: Any) -> tuple[int, Literal["restart", "continue"] | None]:
    """Return how many columns a cell covers, and its part in a cell that covers several rows, if it has one."""
    width = 1
    merge: Literal["restart", "continue"] | None = None
    first = cell[0] if len(cell) else None
    if first is not None and first.tag == _CELL_PR:
        for stated in first:
            if stated.tag == _GRID_SPAN:
                width = min(whole(stated.get(VAL)) or 1, _MOST_COLUMNS)
            elif stated.tag == _V_MERGE:
                merge = "restart" if stated.get(VAL) == "restart" else "continue"
    return width, merge


def _include(builder: TextBuilder, parsed: ParsedDocument) -> None:
    """Add the text and the notes of another document."""
    for text in parsed.text.split(SEPARATOR):
        builder.paragraph(text)
    for note in parsed.notes:
        builder.note(note.kind, count=note.count)
