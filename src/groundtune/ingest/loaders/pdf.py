"""A PDF with a text layer to headings, paragraphs and rows with page numbers. Never does OCR, never runs its scripts.

Glyphs to lines happens here; `pdf_frame.py` takes off running headers and footers, `pdf_layout.py` makes the blocks.
"""

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium

from groundtune.errors import ParseError
from groundtune.ingest.loaders.pdf_frame import without_frame
from groundtune.ingest.loaders.pdf_layout import Line, Page, Segment, write
from groundtune.ingest.parsed import Parsed, TextBuilder, one_line

_HYPHENS = {0x02: "-", 0xAD: "-", 0xFFFE: "-"}
_CELL_GAP = 1.1
"""Gap between words, in font sizes, from which they are cells of a row; justified prose stays below."""
_SURROGATES = range(0xD800, 0xE000)
_JUNK_TITLE = re.compile(r"^(untitled|microsoft word|powerpoint|document|slide)\b|\.\w{2,5}$", re.IGNORECASE)


def parse(path: Path, data: bytes) -> list[Parsed]:
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        code = getattr(error, "err_code", None)
        if code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY) or "assword" in str(error):
            raise ParseError("is encrypted; save it without a password") from error
        raise ParseError("is broken: no PDF reader can open it; export it again") from error
    try:
        if len(document) == 0:
            raise ParseError("no pages in it", skip=True)
        pages = [_page(document, index) for index in range(len(document))]
        stated = one_line(document.get_metadata_value("Title"))
    finally:
        document.close()
    if not any(page.lines for page in pages):
        raise ParseError("no text layer (scanned PDF; run OCR first)", skip=True)
    builder = TextBuilder()
    title = write(builder, without_frame(pages))
    parsed = builder.build(title=title)
    if stated and not _JUNK_TITLE.search(stated) and stated.lower() in one_line(parsed.text[:2000]).lower():
        parsed = builder.build(title=stated)
    return [parsed]


def _page(document: pypdfium2.PdfDocument, index: int) -> Page:
    try:
        page = document[index]
    except pypdfium2.PdfiumError as error:
        raise ParseError(f"is broken: page {index + 1} cannot be read; export it again") from error
    text = page.get_textpage()
    width, height = page.get_size()
    lines = list(_lines(text.raw, page.get_rotation(), width, height))
    text.close()
    page.close()
    return Page(lines, width, height)


def _glyphs(text: pdfium.FPDF_TEXTPAGE, rotation: int, width: float, height: float) -> Iterator[tuple[int, int, float, float, float, float]]:
    """Index, code, left, right, bottom, top of each glyph as the page is shown; white space has code 32."""
    rect = pdfium.FS_RECTF()
    reference = ctypes.byref(rect)
    code_of, box_of = pdfium.FPDFText_GetUnicode, pdfium.FPDFText_GetLooseCharBox
    for index in range(pdfium.FPDFText_CountChars(text)):
        code = code_of(text, index)
        if code == 0:
            continue
        if code in (9, 10, 13, 32, 0xA0):
            yield index, 32, 0.0, 0.0, 0.0, 0.0
            continue
        box_of(text, index, reference)
        left, right, bottom, top = rect.left, rect.right, rect.bottom, rect.top
        if rotation == 90:
            left, right, bottom, top = bottom, top, height - right, height - left
        elif rotation == 180:
            left, right, bottom, top = width - right, width - left, height - top, height - bottom
        elif rotation == 270:
            left, right, bottom, top = width - top, width - bottom, left, right
        yield index, code, left, right, bottom, top


def _lines(text: pdfium.FPDF_TEXTPAGE, rotation: int, width: float, height: float) -> Iterator[Line]:
    """Lines in the order of the page's content; a new one where the glyphs leave the line or jump back."""
    line = _Open()
    for index, code, left, right, bottom, top in _glyphs(text, rotation, width, height):
        if code == 32:
            line.space = True
            continue
        if line.started and not line.takes(left, bottom, top):
            yield from line.close()
            line = _Open()
        if not line.started:
            line.size = _size(text, index)
        line.add(code, left, right, bottom, top)
    yield from line.close()


def _size(text: pdfium.FPDF_TEXTPAGE, index: int) -> float:
    """Font size as shown: the stated one, scaled by the text's matrix."""
    matrix = pdfium.FS_MATRIX()
    size = float(pdfium.FPDFText_GetFontSize(text, index))
    if pdfium.FPDFText_GetMatrix(text, index, ctypes.byref(matrix)):
        size *= (matrix.c**2 + matrix.d**2) ** 0.5
    return round(size * 2) / 2 or 1.0


class _Open:
    """A line that is being collected."""

    def __init__(self) -> None:
        self.size = 0.0
        self.space = False
        self.started = False
        self._segments: list[Segment] = []
        self._codes: list[int] = []
        self._left = self._right = self._bottom = self._top = 0.0
        self._box = (0.0, 0.0)

    def takes(self, left: float, bottom: float, top: float) -> bool:
        shared = min(top, self._top) - max(bottom, self._bottom)
        least = min(top - bottom, self._top - self._bottom)
        return shared > 0.5 * least and left > self._right - max(self.size, 4.0)

    def add(self, code: int, left: float, right: float, bottom: float, top: float) -> None:
        if not self.started:
            self.started = True
            self._left, self._bottom, self._top = left, bottom, top
        elif left - self._right > _CELL_GAP * self.size:
            self._end_segment()
            self._left = left
        elif self.space and self._codes:
            self._codes.append(32)
        self.space = False
        if code in _SURROGATES:
            self._codes.append(code)
        else:
            self._codes.append(ord(_HYPHENS.get(code, chr(code))))
        self._right = max(right, left)

    def close(self) -> Iterator[Line]:
        if self.started:
            self._end_segment()
            segments = [one for one in self._segments if one.text]
            if segments:
                yield Line(segments, self._bottom, self._top, self.size)

    def _end_segment(self) -> None:
        text = "".join(map(chr, self._codes))
        if any(code in _SURROGATES for code in self._codes):
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        self._segments.append(Segment(one_line(text), self._left, self._right))
        self._codes = []
