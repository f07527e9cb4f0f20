"""Read what was typed, ticked and written onto a PDF page after it was made: form fields and annotations.

Whatever has an appearance becomes part of the page, as viewers show it. Fields without one and ticks become words.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pypdfium2.raw as pdfium

from groundtune.ingest.loaders.pdf_types import Box, Line, Segment
from groundtune.ingest.parsed import clean_line

_TYPED = (pdfium.FPDF_FORMFIELD_TEXTFIELD, pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX)
_TICKED = (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON)
_UNSEEN = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
_PASSWORD = 1 << 13
_COMMENTS = (
    pdfium.FPDF_ANNOT_TEXT,
    pdfium.FPDF_ANNOT_HIGHLIGHT,
    pdfium.FPDF_ANNOT_UNDERLINE,
    pdfium.FPDF_ANNOT_SQUIGGLY,
    pdfium.FPDF_ANNOT_STRIKEOUT,
    pdfium.FPDF_ANNOT_CARET,
)
_LABEL_GAP = 2.5
"""Distance from a box to its label, in font sizes."""
_USUAL_SIZE = 12.0
_LEADING = 1.2
_WIDTH = 0.5
"""Usual width of a letter, in font sizes."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What was typed into a field that has no appearance. All boxes are those of the page that is not turned."""

    box: Box
    text: str


@dataclass(frozen=True, slots=True)
class _Tick:
    box: Box
    ticked: bool
    name: str
    """Name of its field, for a box without a label."""


@dataclass(slots=True)
class Written:
    """What was written onto a page after it was made."""

    entries: list[_Entry] = field(default_factory=list)
    ticks: list[_Tick] = field(default_factory=list)
    strikes: list[Box] = field(default_factory=list)
    comments: int = 0
    hidden: int = 0
    flattened: bool = False
    """Whether the page has changed and must be opened again."""


def read_written(page: Any, form: Any) -> Written:
    """Return what was written onto the page, and make what has an appearance part of it.

    page, form: the handles of PDFium.
    """
    written = Written()
    shown = False
    for index in reversed(range(pdfium.FPDFPage_GetAnnotCount(page))):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        kind = pdfium.FPDFAnnot_GetSubtype(annotation)
        taken = False
        if kind not in (pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP):
            taken = _take(written, annotation, kind, form)
            shown = shown or not taken
        pdfium.FPDFPage_CloseAnnot(annotation)
        if taken:
            pdfium.FPDFPage_RemoveAnnot(page, index)
    written.flattened = shown and pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY) == pdfium.FLATTEN_SUCCESS
    return written


def _take(written: Written, annotation: Any, kind: int, form: Any) -> bool:
    """Note what an annotation holds. Return whether nothing of it is to be read from its appearance."""
    if pdfium.FPDFAnnot_GetFlags(annotation) & _UNSEEN:
        written.hidden += bool(_text_of(annotation, "Contents") or _text_of(annotation, "V"))
        return True
    if kind == pdfium.FPDF_ANNOT_STRIKEOUT:
        written.strikes += _quads(annotation)
    if kind in _COMMENTS:
        written.comments += bool(_text_of(annotation, "Contents"))
        return True
    if kind == pdfium.FPDF_ANNOT_FREETEXT and not _has_words(annotation):
        written.entries.append(_Entry(_box(annotation), _text_of(annotation, "Contents")))
        return True
    return kind == pdfium.FPDF_ANNOT_WIDGET and form is not None and _take_field(written, annotation, form)


def _take_field(written: Written, annotation: Any, form: Any) -> bool:
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in _TICKED:
        name = _string(pdfium.FPDFAnnot_GetFormFieldAlternateName, form, annotation)
        name = name or _string(pdfium.FPDFAnnot_GetFormFieldName, form, annotation).rsplit(".", 1)[-1]
        if kind == pdfium.FPDF_FORMFIELD_RADIOBUTTON:
            name = f"{name}: {_string(pdfium.FPDFAnnot_GetFormFieldExportValue, form, annotation)}"
        written.ticks.append(_Tick(_box(annotation), bool(pdfium.FPDFAnnot_IsChecked(form, annotation)), name))
        return True
    if kind not in _TYPED:
        return False
    if kind == pdfium.FPDF_FORMFIELD_TEXTFIELD and pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD:
        return True
    value = _string(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation)
    if kind == pdfium.FPDF_FORMFIELD_LISTBOX or (value and not _has_words(annotation)):
        if value:
            written.entries.append(_Entry(_box(annotation), value))
        return True
    return False


def _has_words(annotation: Any) -> bool:
    """Return whether the appearance shows text."""
    length = pdfium.FPDFAnnot_GetAP(annotation, pdfium.FPDF_ANNOT_APPEARANCEMODE_NORMAL, None, 0)
    if length <= 2:
        return False
    content = (ctypes.c_ushort * (length // 2))()
    pdfium.FPDFAnnot_GetAP(annotation, pdfium.FPDF_ANNOT_APPEARANCEMODE_NORMAL, content, length)
    stream = bytes(content).decode("utf-16-le", "replace")
    return any(operator in stream for operator in ("Tj", "TJ", " Do"))


def _text_of(annotation: Any, key: str) -> str:
    return _filled(lambda buffer, length: pdfium.FPDFAnnot_GetStringValue(annotation, key.encode(), buffer, length))


def _string(getter: Any, form: Any, annotation: Any) -> str:
    return _filled(lambda buffer, length: getter(form, annotation, buffer, length))


def _filled(get: Any) -> str:
    """Return the string that a function of PDFium writes into a buffer of UTF-16."""
    length = get(None, 0)
    if length <= 2:
        return ""
    buffer = (ctypes.c_ushort * (length // 2))()
    get(buffer, length)
    return bytes(buffer).decode("utf-16-le", "replace").rstrip("\0").strip()


def _box(annotation: Any) -> Box:
    rect = pdfium.FS_RECTF()
    pdfium.FPDFAnnot_GetRect(annotation, rect)
    (left, right), (bottom, top) = sorted((rect.left, rect.right)), sorted((rect.bottom, rect.top))
    return left, bottom, right, top


def _quads(annotation: Any) -> list[Box]:
    """Return the lines through text that an annotation draws, without height."""
    boxes = []
    for index in range(pdfium.FPDFAnnot_CountAttachmentPoints(annotation)):
        quad = pdfium.FS_QUADPOINTSF()
        pdfium.FPDFAnnot_GetAttachmentPoints(annotation, index, quad)
        xs, ys = (quad.x1, quad.x2, quad.x3, quad.x4), (quad.y1, quad.y2, quad.y3, quad.y4)
        middle = 0.5 * (min(ys) + max(ys))
        boxes.append((min(xs), middle, max(xs), middle))
    return boxes


def add_written(lines: list[Line], written: Written, shown: Any) -> None:
    """Put entries and ticks beside their labels. shown: turns boxes into those of the displayed page."""
    for entry, box in zip(written.entries, shown([entry.box for entry in written.entries]), strict=True):
        _add_entry(lines, entry.text, box)
    boxes = shown([tick.box for tick in written.ticks])
    for tick, box in sorted(zip(written.ticks, boxes, strict=True), key=lambda pair: -pair[1][0]):
        _add_tick(lines, tick, box, boxes)


def _add_entry(lines: list[Line], text: str, box: Box) -> None:
    """Add a line for each line of an entry, behind its label."""
    left, bottom, right, top = box
    beside = [line for line in lines if _shares_height(line, box)]
    rows = [row for row in map(clean_line, text.splitlines()) if row]
    label = max((line for line in beside if line.left < right), key=lambda line: line.left, default=None)
    size = label.size if label else min(_USUAL_SIZE, 0.75 * (top - bottom))
    at = lines.index(label) + 1 if label else len(lines)
    for number, row in enumerate(rows):
        high = (label.top if label else top) - number * _LEADING * size
        low = (label.bottom if label else top - size) - number * _LEADING * size
        segment = Segment(row, left, left + _WIDTH * size * len(row))
        lines.insert(at + number, Line([segment], low, high, size, [segment]))


def _add_tick(lines: list[Line], tick: _Tick, box: Box, boxes: Sequence[Box]) -> None:
    """Say beside its label whether a box is ticked; one without a label is told by the name of its field if ticked."""
    words = "(ticked)" if tick.ticked else "(not ticked)"
    for to_the_right in (True, False):
        for at, line in enumerate(lines):
            if _shares_height(line, box) and (piece := _label(line, box, boxes, to_the_right=to_the_right)) is not None:
                lines[at] = _with_words(line, piece, words)
                return
    if tick.ticked and tick.name.strip(": "):
        _add_entry(lines, f"{tick.name} {words}", box)


def _label(line: Line, box: Box, boxes: Sequence[Box], *, to_the_right: bool) -> int | None:
    """Return the index of the last piece of the label beside a box."""
    found: int | None = None
    edge = box[2] if to_the_right else box[0]
    for at, piece in enumerate(line.pieces) if to_the_right else reversed([*enumerate(line.pieces)]):
        gap = piece.left - edge if to_the_right else edge - piece.right
        if gap < -0.5 * line.size or (found is None and gap > _LABEL_GAP * line.size):
            continue
        if found is not None and (gap > line.size or not to_the_right):
            break
        if any(other != box and _between(other, box, piece) and _shares_height(line, other) for other in boxes):
            break
        found = at
        edge = piece.right if to_the_right else piece.left
    return found


def _between(other: Box, box: Box, piece: Segment) -> bool:
    return min(box[0], piece.left) < other[0] < max(box[0], piece.left)


def _with_words(line: Line, at: int, words: str) -> Line:
    piece = line.pieces[at]
    pieces = [*line.pieces[:at], replace(piece, text=f"{piece.text} {words}"), *line.pieces[at + 1 :]]
    segments = []
    for segment in line.segments:
        own = [part.text for part in pieces if segment.left <= part.left and part.right <= segment.right]
        segments.append(replace(segment, text=" ".join(own)) if own else segment)
    return replace(line, segments=segments, pieces=pieces)


def _shares_height(line: Line, box: Box) -> bool:
    shared = min(line.top, box[3]) - max(line.bottom, box[1])
    return shared > 0.5 * min(line.top - line.bottom, box[3] - box[1])
