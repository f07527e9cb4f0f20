"""Read the text of OpenDocument files block by block as shown. Never reads files."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from groundtune.ingest.loaders.alt_texts import useful_alt_text
from groundtune.ingest.loaders.document_headings import DocumentHeadings
from groundtune.ingest.loaders.odf_charts import add_chart
from groundtune.ingest.loaders.odf_names import (
    CHART,
    DRAW,
    FO,
    FORM,
    MATHML,
    OFFICE,
    PRESENTATION,
    STYLE,
    SVG,
    TABLE,
    TEXT,
    XLINK,
    XML,
    Package,
    whole,
)
from groundtune.ingest.loaders.odf_styles import ListCounter, Styles, TextFormat
from groundtune.ingest.loaders.office_math import linear_mathml
from groundtune.ingest.loaders.office_parts import DAMAGED
from groundtune.ingest.loaders.symbol_fonts import write_symbols
from groundtune.ingest.parsed import TextBuilder, clean_line, render_row
from groundtune.ingest.superscripts import subscript, superscript
from groundtune.ingest.table_shapes import Across, MarkedRow, join_names

_PARAGRAPHS = {f"{TEXT}p", f"{TEXT}h"}
_TRANSPARENT = {
    f"{TEXT}{name}"
    for name in (
        "section",
        "index-body",
        "index-title",
        "table-of-content",
        "illustration-index",
        "table-index",
        "object-index",
        "user-index",
        "alphabetical-index",
        "bibliography",
        "numbered-paragraph",
    )
}
_SKIPPED = {
    f"{TEXT}tracked-changes",
    f"{TEXT}note",
    f"{OFFICE}annotation",
    f"{OFFICE}annotation-end",
    f"{OFFICE}forms",
    f"{OFFICE}event-listeners",
    f"{TEXT}script",
    f"{SVG}title",
    f"{SVG}desc",
    f"{PRESENTATION}notes",
}
_PAGE_NUMBERS = {f"{TEXT}page-number", f"{TEXT}page-count"}
_FURNITURE_FIELDS = {f"{PRESENTATION}{name}" for name in ("header", "footer", "date-time")}
_MOST_REPEATED = 1_000
"""Columns or rows that one element may stand for; empty ones at the edge of a table repeat without end."""
_SMALLEST_PICTURE = 9.0
"""Square centimetres from which a picture may hold text to read."""
_CENTIMETRES = {"cm": 1.0, "mm": 0.1, "in": 2.54, "pt": 2.54 / 72, "pc": 2.54 / 6}


class OdfReader:
    """Reads the blocks of one part."""

    def __init__(self, builder: TextBuilder, package: Package, root: Any, *, skip_page_numbers: bool = False) -> None:
        self.builder = builder
        self.headings = DocumentHeadings(builder)
        self.page: int | None = None
        self.page_numbers = 0
        """Page numbers that were left out."""
        self.pictures_here = 0
        """Pictures without a description since a slide began."""
        self.pictures_noted = 0
        """Those of them that were noted, since they did not stand before."""
        self.styles = Styles(package.styles, root)
        self._package = package
        self._skip_page_numbers = skip_page_numbers
        self._counter = ListCounter(self.styles, slides=next(root.iter(f"{OFFICE}presentation"), None) is not None)
        self._forms = {e.get(f"{FORM}id") or e.get(f"{XML}id"): e for e in root.iter() if _is_control(e)}
        self._out: list[str] = []
        self._left_out = ""
        self._anchored: list[Callable[[], None]] = []
        self._pictures = set[str]()
        self._hidden_paragraph = False

    def body(self, container: Any) -> None:
        """Add what an element contains."""
        for element in container:
            try:
                self._block(element)
            except DAMAGED:
                self.builder.note("unreadable_part", page=self.page)

    def _block(self, element: Any) -> None:
        tag = element.tag
        if tag in _PARAGRAPHS:
            self._counter.begin()
            self._paragraph(element)
        elif tag == f"{TEXT}list":
            self._list(element)
        elif tag == f"{TABLE}table":
            self.table(element)
        elif tag in _TRANSPARENT:
            if self._is_shown(element):
                self.body(element)
        elif tag == f"{TEXT}tracked-changes":
            if count := sum(1 for _ in element.iter(f"{TEXT}deletion")):
                self.builder.note("deleted_text", count=count)
        elif isinstance(tag, str) and tag.startswith(DRAW):
            self.shape(element)

    def shape(self, element: Any) -> None:
        """Add a drawing: its text, table, chart, formula or the description of its picture."""
        self._shape(element)
        self._add_anchored()

    def lines(self, container: Any) -> list[str]:
        """Return the paragraphs of an element as lines, lists and tables included."""
        return [line for line in self._lines(container) if line.strip()]

    def _is_shown(self, section: Any) -> bool:
        if section.get(f"{TEXT}display") not in ("none", "condition") or section.get(f"{TEXT}is-hidden") == "false":
            return True
        self.builder.note("hidden_text", page=self.page)
        return False

    # -- paragraphs --------------------------------------------------------------------------------------------------

    def _paragraph(self, element: Any, label: str = "") -> None:
        text = self.text(element)
        name = element.get(f"{TEXT}style-name")
        level = self._level(element, name)
        if level is not None and level > 0 and not label and self._is_numbered(element, name):
            label = self._counter.heading(level - 1, self._restart(element))
        if not text.strip():
            pass
        elif level is None:
            self.builder.paragraph(label + text)
        else:
            self.headings.add(level, text, label)
        self._add_anchored()

    def _level(self, element: Any, name: str | None) -> int | None:
        if element.tag == f"{TEXT}h":
            return whole(element.get(f"{TEXT}outline-level"), 1)
        return 0 if self.styles.is_title(name) else None

    def _is_numbered(self, heading: Any, name: str | None) -> bool:
        if heading.get(f"{TEXT}is-list-header") == "true":
            return False
        stated = (style.get(f"{STYLE}list-style-name") for style in self.styles.chain("paragraph", name))
        return next((value for value in stated if value is not None), None) != ""

    @staticmethod
    def _restart(element: Any) -> str | None:
        if element.get(f"{TEXT}restart-numbering") == "true":
            return str(element.get(f"{TEXT}start-value") or "1")
        return None

    def _add_anchored(self) -> None:
        """Add what a paragraph anchors: notes, text boxes, pictures."""
        while self._anchored:
            waiting, self._anchored = self._anchored, []
            for add in waiting:
                add()

    def text(self, paragraph: Any) -> str:
        """Return the text of a paragraph as shown."""
        outer = self._out, self._left_out, self._hidden_paragraph
        self._out, self._left_out, self._hidden_paragraph = [], "", False
        self._inline(paragraph, self.styles.format("paragraph", paragraph.get(f"{TEXT}style-name")))
        text = "".join(self._out)
        if self._hidden_paragraph and text.strip():
            self.builder.note("hidden_text", page=self.page)
            text = ""
        self._out, self._left_out, self._hidden_paragraph = outer
        return text

    def _inline(self, element: Any, form: TextFormat) -> None:
        self._write(element.text, form)
        for child in element:
            self._child(child, form)
            self._write(child.tail, form)

    def _child(self, child: Any, form: TextFormat) -> None:
        tag = child.tag
        if tag == f"{TEXT}span":
            self._inline(child, self.styles.format("text", child.get(f"{TEXT}style-name")).over(form))
        elif tag == f"{TEXT}s":
            self._out.append(" " * min(whole(child.get(f"{TEXT}c"), 1), 100))
        elif tag in (f"{TEXT}tab", f"{TEXT}line-break"):
            self._out.append("\t" if tag == f"{TEXT}tab" else "\n")
        elif tag == f"{TEXT}note":
            self._note(child)
        elif tag == f"{OFFICE}annotation":
            self.builder.note("comment", page=self.page)
        elif tag == f"{TEXT}hidden-paragraph":
            self._hidden_paragraph = self._hidden_paragraph or child.get(f"{TEXT}is-hidden", "true") == "true"
        elif tag == f"{TEXT}hidden-text":
            if child.get(f"{TEXT}is-hidden", "true") == "true":
                self._leave_out("hidden_text")
            else:
                self._write(child.get(f"{TEXT}string-value") or child.text, form)
        elif tag == f"{TEXT}ruby":
            self._ruby(child, form)
        elif tag in _PAGE_NUMBERS and self._skip_page_numbers:
            self.page_numbers += 1
        elif tag in _FURNITURE_FIELDS or tag in _SKIPPED or not isinstance(tag, str):
            return
        elif tag.startswith(DRAW) and tag != f"{DRAW}a":
            self._shape(child)
        else:
            self._inline(child, form)

    def _ruby(self, ruby: Any, form: TextFormat) -> None:
        base, above = ruby.find(f"{TEXT}ruby-base"), ruby.find(f"{TEXT}ruby-text")
        if base is not None:
            self._inline(base, form)
        if above is not None and above.text:
            self._write(f" ({above.text})", form)

    def _write(self, text: str | None, form: TextFormat) -> None:
        if not text:
            return
        text = " ".join(text.split("\n")) if "\n" in text else text
        kind = self._reason(form)
        if kind and text.strip():
            self._leave_out(kind)
            return
        if text.strip():
            self._left_out = ""
        text = write_symbols(text, form.font)
        if form.position in ("superscript", "subscript"):
            text = superscript(text) if form.position == "superscript" else subscript(text)
        self._out.append(text)

    def _reason(self, form: TextFormat) -> str:
        """Return the note of text in a format that is not seen; empty for text that is seen."""
        if form.hidden or (form.white and not form.shaded and self.page is None and not self._in_box):
            return "hidden_text"
        return "deleted_text" if form.struck else ""

    _in_box = 0
    """How many tables and boxes, which may be coloured, the reader is in."""

    def _leave_out(self, kind: str) -> None:
        if self._left_out != kind:
            self.builder.note(kind, page=self.page)
        self._left_out = kind

    def _note(self, note: Any) -> None:
        """Write the mark of a footnote or an endnote; its text follows behind the paragraph."""
        citation, body = note.find(f"{TEXT}note-citation"), note.find(f"{TEXT}note-body")
        label = clean_line("".join(citation.itertext())) if citation is not None else ""
        self._out.append(superscript(f"[{label}]") if label else "")
        if body is not None:
            self._anchored.append(partial(self._add_note, body, label))

    def _add_note(self, body: Any, label: str) -> None:
        for index, line in enumerate(self.lines(body)):
            self.builder.paragraph(f"[{label}] {line}" if index == 0 and label else line)

    # -- lists -------------------------------------------------------------------------------------------------------

    def _list(self, element: Any) -> None:
        for paragraph, label in self._items(element):
            if paragraph.tag in _PARAGRAPHS:
                self._paragraph(paragraph, label)
            else:
                self.body([paragraph])

    def _items(
        self, element: Any, level: int = 0, style: str | None = None, key: str | None = None
    ) -> Iterator[tuple[Any, str]]:
        """Yield the blocks of a list with their numbers."""
        style = element.get(f"{TEXT}style-name") or style
        key = key or self._counter.key(element, style)
        for item in element:
            if item.tag not in (f"{TEXT}list-item", f"{TEXT}list-header"):
                continue
            first = item.tag == f"{TEXT}list-item"
            for block in item:
                if block.tag == f"{TEXT}list":
                    yield from self._items(block, level + 1, style, key)
                elif block.tag in _PARAGRAPHS:
                    own = item.get(f"{TEXT}style-override") or style
                    label = self._counter.label(key, own, level, item.get(f"{TEXT}start-value")) if first else ""
                    first = False
                    yield block, label
                elif block.tag != f"{TEXT}number":
                    yield block, ""

    # -- tables ------------------------------------------------------------------------------------------------------

    def table(self, table: Any) -> None:
        rows = list(_rows(table))
        widths = {sum(1 for cell in row if cell.tag in _CELLS) for row, _ in rows}
        self._in_box += 1
        if widths == {1}:
            for row, _ in rows:
                for cell in row:
                    self.body(cell)
        else:
            header, body = self._grid(rows)
            if header and body:
                self.builder.table(body, header=join_names(header))
            elif header or body:
                self.builder.table(header or body)
        self._in_box -= 1
        self._add_anchored()

    def _grid(self, rows: list[tuple[Any, bool]]) -> tuple[list[list[str]], list[list[str]]]:
        """Return the lines of the header and the other rows, merged cells spread."""
        header: list[list[str]] = []
        body: list[list[str]] = []
        covered: dict[tuple[int, int], str] = {}
        for at, (row, is_header) in enumerate(rows):
            if row.get(f"{TABLE}visibility", "visible") != "visible":
                self.builder.note("hidden_row", page=self.page)
                continue
            cells: list[str] = []
            for cell in row:
                if cell.tag not in _CELLS:
                    continue
                for _ in range(min(whole(cell.get(f"{TABLE}number-columns-repeated"), 1), _MOST_REPEATED)):
                    column = len(cells)
                    if (at, column) in covered:
                        cells.append(covered[at, column])
                        continue
                    text = clean_line("\n".join(self.lines(cell)))
                    cells.append(text)
                    _cover(covered, cell, at, column, text)
            if not is_header and any(cells) and self._is_set_off(row):
                cells = MarkedRow(cells)
            (header if is_header else body).append(cells)
        return header, body

    def _is_set_off(self, row: Any) -> bool:
        """Whether all text of a row is bold or white by the styles of paragraphs and spans, as table headings are."""
        return {*self._set_off(row, inherited=False)} == {True}

    def _set_off(self, element: Any, *, inherited: bool) -> Iterator[bool]:
        """Yield for each text in an element whether it is bold or white."""
        family = "paragraph" if element.tag in _PARAGRAPHS else "text" if element.tag == f"{TEXT}span" else None
        is_set_off = inherited
        if family:
            name = element.get(f"{TEXT}style-name")
            weight, colour = (
                self.styles.stated(family, name, attribute, "text-properties")
                for attribute in (f"{FO}font-weight", f"{FO}color")
            )
            if weight or colour:
                is_set_off = weight == "bold" or colour == "#ffffff"
        if (element.text or "").strip():
            yield is_set_off
        for child in element:
            yield from self._set_off(child, inherited=is_set_off)
            if (child.tail or "").strip():
                yield is_set_off

    def _lines(self, container: Any) -> Iterator[str]:
        for element in container:
            tag = element.tag
            if tag in _PARAGRAPHS:
                yield self.text(element)
            elif tag == f"{TEXT}list":
                for block, label in self._items(element):
                    if block.tag in _PARAGRAPHS:
                        text = self.text(block)
                        yield label + text
            elif tag == f"{TABLE}table":
                header, body = self._grid(list(_rows(element)))
                yield "; ".join(render_row(row) for row in (*header, *body))
            elif tag in _TRANSPARENT:
                yield from self._lines(element)

    # -- drawings ----------------------------------------------------------------------------------------------------

    def _shape(self, element: Any) -> None:
        tag = element.tag
        if tag in (f"{DRAW}g", f"{DRAW}a"):
            for child in element:
                if isinstance(child.tag, str) and child.tag.startswith(DRAW):
                    self._shape(child)
        elif tag == f"{DRAW}control":
            self._out.append(_control_value(self._forms.get(element.get(f"{DRAW}control"))))
        elif tag == f"{DRAW}frame":
            self._frame(element)
        elif tag not in _SKIPPED:
            self._anchored.append(partial(self._box, element))

    def _box(self, element: Any) -> None:
        self._in_box += 1
        self._counter.begin()
        self.body(element)
        self._in_box -= 1

    def _frame(self, frame: Any) -> None:
        table = frame.find(f"{TABLE}table")
        if table is not None:
            self._anchored.append(partial(self.table, table))
            return
        for name in ("text-box", "object", "object-ole", "image"):
            content = frame.find(f"{DRAW}{name}")
            if content is None:
                continue
            if name == "text-box":
                self._anchored.append(partial(self._box, content))
            elif name == "object":
                self._object(content)
            elif name == "object-ole":
                self.builder.note("embedded_object", page=self.page)
            else:
                self._picture(frame, content)
            return

    def _picture(self, frame: Any, image: Any) -> None:
        texts = (useful_alt_text(frame.findtext(f"{SVG}{name}")) for name in ("desc", "title"))
        if described := next(filter(None, texts), ""):
            self._anchored.append(partial(self.builder.paragraph, described))
            return
        width, height = (_length(frame.get(f"{SVG}{name}")) for name in ("width", "height"))
        if width * height < _SMALLEST_PICTURE:
            return
        self.pictures_here += 1
        target = image.get(f"{XLINK}href") or ""
        if target not in self._pictures:
            self._pictures.add(target)
            self.pictures_noted += 1
            self.builder.note("picture", page=self.page)

    def _object(self, element: Any) -> None:
        """Add an embedded chart; write an embedded formula where it stands."""
        try:
            formula = element.find(f"{MATHML}math")
            root = formula if formula is not None else self._package.part(_part_name(element))
            if root is not None and root.tag == f"{MATHML}math":
                self._out.append(linear_mathml(root))
            elif root is not None and next(root.iter(f"{CHART}chart"), None) is not None:
                self._anchored.append(partial(add_chart, self.builder, root))
            else:
                self.builder.note("embedded_object", page=self.page)
        except DAMAGED:
            self.builder.note("unreadable_part", page=self.page)


_CELLS = {f"{TABLE}table-cell", f"{TABLE}covered-table-cell"}
_ROW_GROUPS = {f"{TABLE}{name}" for name in ("table-header-rows", "table-rows", "table-row-group")}


def _rows(table: Any, *, header: bool = False) -> Iterator[tuple[Any, bool]]:
    """Yield the rows of a table, and whether each is part of its header."""
    for element in table:
        if element.tag == f"{TABLE}table-row":
            has_text = any(cell.tag in _CELLS and len(cell) for cell in element)
            repeated = min(whole(element.get(f"{TABLE}number-rows-repeated"), 1), _MOST_REPEATED)
            for _ in range(repeated if has_text else 1):
                yield element, header
        elif element.tag in _ROW_GROUPS:
            yield from _rows(element, header=header or element.tag == f"{TABLE}table-header-rows")


def _cover(covered: dict[tuple[int, int], str], cell: Any, row: int, column: int, text: str) -> None:
    """Spread the text of a merged cell over the cells that it covers."""
    down = min(whole(cell.get(f"{TABLE}number-rows-spanned"), 1), _MOST_REPEATED)
    right = min(whole(cell.get(f"{TABLE}number-columns-spanned"), 1), _MOST_REPEATED)
    for below in range(down):
        for beside in range(right):
            if below or beside:
                covered[row + below, column + beside] = Across(text) if beside else text


def _part_name(element: Any) -> str:
    return (element.get(f"{XLINK}href") or "").removeprefix("./") + "/content.xml"


def _length(text: str | None) -> float:
    """Return a length in centimetres; 0 if it is not stated."""
    unit = (text or "")[-2:]
    try:
        return float((text or "")[:-2]) * _CENTIMETRES[unit]
    except (ValueError, KeyError):
        return 0.0


def _is_control(element: Any) -> bool:
    return isinstance(element.tag, str) and element.tag.startswith(FORM)


def _control_value(control: Any) -> str:
    """Return what a control of a form shows."""
    if control is None:
        return ""
    label = control.get(f"{FORM}label") or ""
    kind = control.tag.removeprefix(FORM)
    if kind in ("checkbox", "radio"):
        state = control.get(f"{FORM}current-state") or control.get(f"{FORM}state") or "unchecked"
        checked = state == "checked" or (control.get(f"{FORM}current-selected") or "false") == "true"
        return f"{'☒' if checked else '☐'} {label}".rstrip()
    if kind == "listbox":
        options = control.iterchildren(f"{FORM}option")
        chosen = (o.get(f"{FORM}label") for o in options if o.get(f"{FORM}current-selected") == "true")
        return ", ".join(filter(None, chosen))
    return control.get(f"{FORM}current-value") or control.get(f"{FORM}value") or label
