"""Read Word paragraphs as shown, and collect what they anchor: boxes, drawings, notes. Never reads files."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from groundtune.ingest.list_numbers import format_number
from groundtune.ingest.loaders.alt_texts import useful_alt_text
from groundtune.ingest.loaders.docx_names import R_PR, R_STYLE, RUN, TEXT, VAL, W, is_on, value, whole
from groundtune.ingest.loaders.docx_styles import RunFormat, Styles, read_run
from groundtune.ingest.loaders.office_charts import add_chart
from groundtune.ingest.loaders.office_diagrams import diagram_paragraphs
from groundtune.ingest.loaders.office_math import M, linear
from groundtune.ingest.loaders.office_parts import DAMAGED
from groundtune.ingest.loaders.symbol_fonts import write_symbols
from groundtune.ingest.parsed import TextBuilder
from groundtune.ingest.superscripts import subscript, superscript

BOX = f"{W}txbxContent"
MATH_PARAGRAPH = f"{M}oMathPara"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_CX = "{http://schemas.microsoft.com/office/drawing/2014/chartex}"
_DGM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_V = "{urn:schemas-microsoft-com:vml}"
_WP = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}"
_DECORATIVE = "{http://schemas.microsoft.com/office/drawing/2017/decorative}decorative"
_PAGE_NUMBERS = {"PAGE", "NUMPAGES", "SECTIONPAGES"}
_SMALLEST_PICTURE = 1_080_000**2
"""Area from which a picture may hold text to read: three centimetres square, in EMU."""
_DELETED = {f"{W}del", f"{W}moveFrom"}
_SKIPPED = {f"{W}pPr", f"{W}rPr", f"{W}sdtPr", f"{W}sdtEndPr", f"{W}customXmlPr", f"{W}smartTagPr", f"{W}instrText"}
_SKIPPED |= {f"{W}delText", f"{W}delInstrText", f"{W}proofErr", f"{W}bookmarkStart", f"{W}bookmarkEnd"}
_NOTE_STYLES = {"lowerRoman": "lower-roman", "upperRoman": "upper-roman", "lowerLetter": "repeated-lower-alpha"}
_NOTE_STYLES |= {"upperLetter": "repeated-upper-alpha", "chicago": "repeated-symbols"}


class RunReader:
    """Reads paragraphs of one part in their order."""

    def __init__(self, builder: TextBuilder, part: Any, styles: Styles, *, skip_page_numbers: bool = False) -> None:
        self._builder = builder
        self._part = part
        self._styles = styles
        self._skip_page_numbers = skip_page_numbers
        self.set_off = True
        """Whether all text read since it was set has been bold or white."""
        self.page_numbers = 0
        """Page numbers that were left out."""
        self._out: list[str] = []
        self._fields: list[_Field] = []
        """Fields that are open; they may reach over paragraphs."""
        self._left_out = ""
        self._boxes: list[Any] = []
        self._drawings: list[Callable[[], None]] = []
        self._notes: list[tuple[str, str | None, str]] = []
        self._note_counts = {"footnotes": 0, "endnotes": 0}
        self._pictures = set[str]()
        self._coloured = part.element.find(f"{W}background") is not None
        self._note_styles: dict[str, str] = {}

    def text(self, paragraph: Any, form: RunFormat) -> str:
        """Return the text of a paragraph as shown. form: what its runs get from its style."""
        self._out = []
        self._left_out = ""
        self._form = form
        self._paragraph = paragraph
        self._inline(paragraph)
        return "".join(self._out)

    def take_boxes(self) -> list[Any]:
        """Return the text boxes that were met since the last call."""
        taken, self._boxes = self._boxes, []
        return taken

    def take_drawings(self) -> list[Callable[[], None]]:
        """Return what adds the charts, diagrams and pictures that were met since the last call."""
        taken, self._drawings = self._drawings, []
        return taken

    def take_notes(self) -> list[tuple[str, str | None, str]]:
        """Return the notes referred to since the last call: kind, id, number as shown."""
        taken, self._notes = self._notes, []
        return taken

    def _inline(self, element: Any) -> None:
        for child in element:
            tag = child.tag
            if tag == RUN:
                self._run(child)
            elif tag in _SKIPPED:
                continue
            elif tag in _DELETED:
                if next(child.iter(f"{W}delText", TEXT), None) is not None:
                    self._leave_out("deleted_text")
            elif tag == f"{W}fldSimple":
                self._simple_field(child)
            elif tag in (f"{M}oMath", MATH_PARAGRAPH):
                self._write(linear(child))
            elif (chosen := alternative(child)) is not None:
                self._inline(chosen)
            elif isinstance(tag, str):
                self._inline(child)

    def _run(self, run: Any) -> None:
        first = run[0] if len(run) else None
        form = self._form if first is None or first.tag != R_PR else self._format(first)
        before = len(self._out)
        self._run_content(run, form.font)
        if len(self._out) == before:
            return
        if not (form.bold or form.white):
            self.set_off = False
        if form.hidden or form.tiny or (form.white and not form.shaded and self._is_on_paper()):
            self._drop(before, "hidden_text")
        elif form.struck:
            self._drop(before, "deleted_text")
        else:
            self._left_out = ""
            if form.position in ("superscript", "subscript"):
                written = "".join(self._out[before:])
                self._out[before:] = [superscript(written) if form.position == "superscript" else subscript(written)]

    def _format(self, properties: Any) -> RunFormat:
        style_id = properties[0].get(VAL) if len(properties) and properties[0].tag == R_STYLE else None
        return read_run(properties).over(self._styles.run(style_id)).over(self._form)

    def _is_on_paper(self) -> bool:
        """Whether white text of the paragraph is not seen: neither it nor what holds it may be coloured."""
        if self._coloured or self._paragraph.find(f"{W}pPr/{W}shd") is not None:
            return False
        return next(self._paragraph.iterancestors(f"{W}tc", BOX), None) is None

    def _drop(self, start: int, kind: str) -> None:
        dropped = "".join(self._out[start:])
        del self._out[start:]
        if dropped.strip():
            self._leave_out(kind)
        elif not self._left_out:
            self._out.append(dropped)

    def _leave_out(self, kind: str) -> None:
        """Note a piece that is left out; runs that follow each other are one piece."""
        if self._left_out != kind:
            self._builder.note(kind)
        self._left_out = kind

    def _write(self, text: str) -> None:
        if text and (not self._fields or all(field.shows for field in self._fields)):
            self._out.append(text)

    def _run_content(self, run: Any, font: str | None) -> None:
        for child in run:
            tag = child.tag
            if tag == TEXT:
                self._write(write_symbols(child.text or "", font))
            elif tag in _SIGNS:
                self._write(_SIGNS[tag])
            elif tag in _SKIPPED:
                if tag == f"{W}instrText" and self._fields:
                    self._fields[-1].instruction += child.text or ""
            elif tag == f"{W}fldChar":
                self._field(child)
            elif tag == f"{W}sym":
                code = int(child.get(f"{W}char") or "0", 16)
                self._write(write_symbols(chr(code), child.get(f"{W}font")) if 0 < code <= 0x10FFFF else "")
            elif tag in (f"{W}footnoteReference", f"{W}endnoteReference"):
                self._reference(child)
            elif tag in (f"{W}drawing", f"{W}pict", f"{W}object"):
                self._drawing(child)
            elif tag == f"{W}ruby":
                self._ruby(child)
            elif (chosen := alternative(child)) is not None:
                self._run_content(chosen, font)

    def _ruby(self, ruby: Any) -> None:
        for name, opens, closes in (("rubyBase", "", ""), ("rt", " (", ")")):
            part = ruby.find(f"{W}{name}")
            text = "".join(t.text or "" for t in part.iter(f"{W}t")) if part is not None else ""
            self._write(f"{opens}{text}{closes}" if text else "")

    # -- fields ----------------------------------------------------------------------------------------------------

    def _simple_field(self, element: Any) -> None:
        if self._skips(element.get(f"{W}instr") or ""):
            self.page_numbers += 1
        else:
            self._inline(element)

    def _skips(self, instruction: str) -> bool:
        words = instruction.split(maxsplit=1)
        return self._skip_page_numbers and bool(words) and words[0].upper() in _PAGE_NUMBERS

    def _field(self, mark: Any) -> None:
        kind = mark.get(f"{W}fldCharType")
        if kind == "begin":
            data = mark.find(f"{W}ffData")
            self._write(_form_value(data) if data is not None else "")
            self._fields.append(_Field())
        elif kind == "separate" and self._fields:
            skipped = self._skips(self._fields[-1].instruction)
            self.page_numbers += skipped
            self._fields[-1].shows = not skipped
        elif kind == "end" and self._fields:
            field = self._fields.pop()
            self.page_numbers += not field.shows and self._skips(field.instruction)

    # -- what a paragraph anchors ------------------------------------------------------------------------------------

    def _reference(self, reference: Any) -> None:
        kind = "footnotes" if reference.tag == f"{W}footnoteReference" else "endnotes"
        if is_on_attribute(reference.get(f"{W}customMarkFollows")):
            label = "*"
        else:
            self._note_counts[kind] += 1
            if kind not in self._note_styles:
                self._note_styles[kind] = _note_style(self._part, kind)
            label = format_number(self._note_counts[kind], self._note_styles[kind])
            self._write(superscript(f"[{label}]"))
        self._notes.append((kind, reference.get(f"{W}id"), label))

    def _drawing(self, drawing: Any) -> None:
        for box in _boxes(drawing):
            self._boxes.append(box)
        for text_path in drawing.iter(f"{_V}textpath"):
            self._write(text_path.get("string") or "")
        for chart in drawing.iter(f"{_C}chart", f"{_CX}chart"):
            self._drawings.append(partial(self._chart, chart.get(f"{_R}id")))
        for diagram in drawing.iter(f"{_DGM}relIds"):
            self._drawings.append(partial(self._diagram, diagram.get(f"{_R}dm")))
        if (
            drawing.tag == f"{W}object"
            and drawing.find(".//{urn:schemas-microsoft-com:office:office}OLEObject") is not None
        ):
            self._builder.note("embedded_object")
            return
        for name in ("inline", "anchor"):
            for placed in drawing.iter(f"{_WP}{name}"):
                self._picture(placed)
        for image in drawing.iter(f"{_V}imagedata"):
            shape = image.getparent()
            self._described(useful_alt_text(shape.get("alt")), image.get(f"{_R}id"), large=True)

    def _picture(self, placed: Any) -> None:
        properties, extent = placed.find(f"{_WP}docPr"), placed.find(f"{_WP}extent")
        images = [blip.get(f"{_R}embed") or blip.get(f"{_R}link") for blip in placed.iter(f"{_A}blip")]
        described = useful_alt_text(properties.get("descr")) if properties is not None else ""
        if properties is not None and is_on_attribute(properties.get("hidden")):
            return
        area = (whole(extent.get("cx")) or 0) * (whole(extent.get("cy")) or 0) if extent is not None else 0
        decorative = next(placed.iter(_DECORATIVE), None)
        if decorative is not None and decorative.get("val") in ("1", "true"):
            return
        if images:
            self._described(described, images[0], large=area >= _SMALLEST_PICTURE)

    def _described(self, text: str, image: str | None, *, large: bool) -> None:
        """Add what describes a picture; without a description a picture that may say something is noted once."""
        if text:
            self._drawings.append(partial(self._builder.paragraph, text))
        elif large and image and image not in self._pictures:
            self._pictures.add(image)
            self._builder.note("picture")

    def _chart(self, relation: str | None) -> None:
        try:
            add_chart(self._builder, self._part.related_parts[relation].blob)
        except DAMAGED:
            self._builder.note("unreadable_part", place="chart")

    def _diagram(self, relation: str | None) -> None:
        try:
            for paragraph in diagram_paragraphs(self._part.related_parts[relation].blob):
                self._builder.paragraph("".join(t.text or "" for t in paragraph.iter(f"{_A}t")))
        except DAMAGED:
            self._builder.note("unreadable_part", place="diagram")


class _Field:
    """A field whose end was not met yet."""

    __slots__ = ("instruction", "shows")

    def __init__(self) -> None:
        self.instruction = ""
        self.shows = False
        """Whether its result has begun; what stands before is an instruction."""


_SIGNS = {
    f"{W}tab": "\t",
    f"{W}ptab": "\t",
    f"{W}br": "\n",
    f"{W}cr": "\n",
    f"{W}noBreakHyphen": "-",
}


def alternative(element: Any) -> Any:
    """Return the choice of an element that has alternatives for older programs; None for other elements."""
    if element.tag != f"{_MC}AlternateContent":
        return None
    choice = element.find(f"{_MC}Choice")
    return choice if choice is not None else element.find(f"{_MC}Fallback")


def is_on_attribute(text: str | None) -> bool:
    return text in ("1", "true", "on")


def _boxes(element: Any) -> Iterator[Any]:
    """Yield the text boxes of a drawing, not those within them, nor their copies for older programs."""
    for child in element:
        if child.tag == BOX:
            yield child
        elif child.tag != f"{_MC}Fallback":
            yield from _boxes(child)


def _form_value(data: Any) -> str:
    """Return what a check box or a list of a form shows; a text field has a result of its own."""
    box = data.find(f"{W}checkBox")
    if box is not None:
        checked = box.find(f"{W}checked")
        return "☒" if is_on(checked if checked is not None else box.find(f"{W}default")) else "☐"
    choices = data.find(f"{W}ddList")
    if choices is None:
        return ""
    entries = [entry.get(VAL) or "" for entry in choices.iterchildren(f"{W}listEntry")]
    chosen = whole(value(choices, "result")) or whole(value(choices, "default")) or 0
    return entries[chosen] if 0 <= chosen < len(entries) else ""


def _note_style(part: Any, kind: str) -> str:
    """Return how footnotes or endnotes are numbered: as the first section that states it."""
    stated = next((value(e, "numFmt") for e in part.element.iter(f"{W}{kind[:-1]}Pr")), None)
    stated = stated or ("decimal" if kind == "footnotes" else "lowerRoman")
    return _NOTE_STYLES.get(stated, "decimal")
