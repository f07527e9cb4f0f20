"""Parse a PDF into headings, paragraphs and rows with page numbers. Never runs scripts.

Pages without a text layer are noted, or read by whoever calls `parse` with `read_picture`.

This module turns glyphs into lines; `pdf_headers.py` removes headers and footers, `pdf_layout.py` builds the blocks.
"""

import ctypes
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from groundtune.errors import ParseError
from groundtune.ingest.loaders.pdf_headers import without_headers_and_footers
from groundtune.ingest.loaders.pdf_layout import add_pages
from groundtune.ingest.loaders.pdf_types import Line, Page, Segment
from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_line

_DPI = 200
"""Resolution at which pages are drawn for OCR."""
_LONGEST_SIDE = 6_000
"""Pixels of the longer side of such a picture, at most."""
_HYPHENS = {0x02: "-", 0xAD: "-", 0xFFFE: "-"}
_CELL_GAP = 1.1
"""Gap between words, in font sizes, above which they are cells of a row; justified prose stays below it."""
_WORD_GAP = 0.55
"""Gap, in font sizes, above which words are cells if the rows around them have columns there."""
"""Index, code, left, right, bottom, top on the displayed page; white space has code 32 and no position."""
_SURROGATES = range(0xD800, 0xE000)
_JUNK_TITLE = re.compile(r"^(untitled|microsoft word|powerpoint|document|slide)\b|\.\w{2,5}$", re.IGNORECASE)
ReadPicture = Callable[[Any, float, float], tuple[Page, int]]
"""Reads the picture of a page (a PIL image) of this width and height in points; also returns how many lines it could
not read."""


def parse(
    path: Path, data: bytes, *, read_picture: ReadPicture | None = None, all_pages: bool = False
) -> list[ParsedDocument]:
    """Return the document. read_picture: reads pages without a text layer; with `all_pages` it reads all of them."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        code = getattr(error, "err_code", None)
        if code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY) or "assword" in str(error):
            raise ParseError("is encrypted; save it without a password") from error
        raise ParseError("is damaged: it cannot be opened as a PDF; export it again") from error
    try:
        if len(document) == 0:
            raise ParseError("contains no pages", skip=True)
        builder = TextBuilder()
        pages = [_page(document, index) for index in range(len(document))]
        for index, page in enumerate(pages):
            if (not page.lines or all_pages) and not _is_blank(document[index]):
                pages[index] = _read_picture(builder, document, index, read_picture)
        stated = clean_line(document.get_metadata_value("Title"))
    finally:
        document.close()
    if not any(page.lines for page in pages):
        wanted = "OCR found no text in it" if read_picture else "scanned PDF; pip install 'groundtune[ocr]' to read it"
        raise ParseError(f"no text layer ({wanted})", skip=True)
    title = add_pages(builder, without_headers_and_footers(pages))
    parsed = builder.build(title=title)
    if stated and not _JUNK_TITLE.search(stated) and stated.lower() in clean_line(parsed.text[:2000]).lower():
        parsed = builder.build(title=stated)
    return [parsed]


def _read_picture(
    builder: TextBuilder, document: pypdfium2.PdfDocument, index: int, read_picture: ReadPicture | None
) -> Page:
    """Return a page as a picture of it shows it; without `read_picture` an empty one, and note that."""
    page = document[index]
    width, height = page.get_size()
    if read_picture is None:
        builder.note("no_text_layer", page=index + 1)
        return Page([], width, height)
    scale = min(_DPI / 72, _LONGEST_SIDE / max(width, height))
    read, unread = read_picture(page.render(scale=scale).to_pil(), width, height)
    page.close()
    if read.lines:
        builder.note("read_by_ocr", page=index + 1)
    if unread:
        builder.note("unread_line", count=unread, page=index + 1)
    return read


def _is_blank(page: pypdfium2.PdfPage) -> bool:
    return bool(pdfium.FPDFPage_CountObjects(page.raw) <= 0)


def _page(document: pypdfium2.PdfDocument, index: int) -> Page:
    try:
        page = document[index]
    except pypdfium2.PdfiumError as error:
        raise ParseError(f"is damaged: page {index + 1} cannot be read; export it again") from error
    text = page.get_textpage()
    width, height = page.get_size()
    lines = list(_lines(text.raw, page.get_rotation(), width, height))
    text.close()
    page.close()
    return Page(lines, width, height)


def _glyphs(
    text: Any, rotation: int, width: float, height: float
) -> Iterator[tuple[int, int, float, float, float, float]]:
    """Yield index, code, left, right, bottom, top of each glyph on the displayed page; white space has code 32."""
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


def _lines(text: Any, rotation: int, width: float, height: float) -> Iterator[Line]:
    """Yield lines in content order; a new one starts where glyphs leave the line, jump back or change size."""
    line: _OpenLine | None = None
    space = False
    for index, code, left, right, bottom, top in _glyphs(text, rotation, width, height):
        if code == 32:
            space = True
            continue
        if line is not None and not line.accepts(left, bottom, top):
            yield from line.close(text)
            line = None
        size = _size(text, index) if line is None or line.gap(left) > _WORD_GAP else line.size
        if line is not None and abs(size - line.size) > 0.12 * line.size and line.gap(left) > _WORD_GAP:
            yield from line.close(text)
            line = None
        if line is None:
            line = _OpenLine(index, size, left, bottom, top)
            space = False
        line.add(index, code, left, right, space=space)
        space = False
    if line is not None:
        yield from line.close(text)


def _size(text: Any, index: int) -> float:
    """Return the displayed font size: the stated one, scaled by the text matrix."""
    matrix = pdfium.FS_MATRIX()
    size = float(pdfium.FPDFText_GetFontSize(text, index))
    if pdfium.FPDFText_GetMatrix(text, index, ctypes.byref(matrix)):
        size *= (matrix.c**2 + matrix.d**2) ** 0.5
    return round(size * 2) / 2 or 1.0


def _is_bold(text: Any, index: int) -> bool:
    """Return whether a glyph is bold, by the weight that its font states, otherwise by the font's name."""
    if pdfium.FPDFText_GetFontWeight(text, index) >= 600:
        return True
    name = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    size = pdfium.FPDFText_GetFontInfo(text, index, name, 128, ctypes.byref(flags))
    return bool(size) and b"bold" in name.value.lower()


class _OpenLine:
    """A line under construction."""

    def __init__(self, index: int, size: float, left: float, bottom: float, top: float) -> None:
        self.size = size
        self._first = self._last = index
        self._bottom, self._top = bottom, top
        self._left = self._right = left
        self._codes: list[int] = []
        self._pieces: list[Segment] = []
        self._cells: list[list[Segment]] = [[]]

    def accepts(self, left: float, bottom: float, top: float) -> bool:
        shared = min(top, self._top) - max(bottom, self._bottom)
        least = min(top - bottom, self._top - self._bottom)
        return shared > 0.5 * least and left > self._right - max(self.size, 4.0)

    def gap(self, left: float) -> float:
        """Return the white space before a glyph at `left`, in font sizes."""
        return (left - self._right) / self.size

    def add(self, index: int, code: int, left: float, right: float, *, space: bool) -> None:
        self._last = index
        gap = self.gap(left)
        if gap > _WORD_GAP and self._codes:
            self._end_piece()
            if gap > _CELL_GAP:
                self._cells.append([])
            self._left = left
        elif space and self._codes:
            self._codes.append(32)
        self._codes.append(code if code in _SURROGATES else ord(_HYPHENS.get(code, chr(code))))
        self._right = max(right, left)

    def close(self, text: Any) -> Iterator[Line]:
        self._end_piece()
        cells = [cell for cell in self._cells if cell]
        if cells:
            segments = [Segment(" ".join(piece.text for piece in cell), cell[0].left, cell[-1].right) for cell in cells]
            pieces = [piece for cell in cells for piece in cell]
            bold = _is_bold(text, self._first) and _is_bold(text, self._last)
            yield Line(segments, self._bottom, self._top, self.size, pieces, bold)

    def _end_piece(self) -> None:
        text = "".join(map(chr, self._codes))
        if any(code in _SURROGATES for code in self._codes):
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        text = clean_line(text)
        if text:
            self._cells[-1].append(Segment(text, self._left, self._right))
        self._codes = []
