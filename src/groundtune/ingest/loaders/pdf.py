"""Parse a PDF into headings, paragraphs and rows with page numbers. Never runs scripts.

Pages without a text layer are noted, or read by whoever calls `parse` with `read_picture`.

`pdf_glyphs.py` turns glyphs into lines, with what `pdf_drawing.py` and `pdf_forms.py` know of the page;
`pdf_headers.py` takes headers and footers out, `pdf_layout.py` builds the blocks.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from groundtune.errors import ParseError
from groundtune.ingest.loaders.pdf_drawing import Drawing, Picture, read_drawing
from groundtune.ingest.loaders.pdf_forms import Written, add_written, read_written
from groundtune.ingest.loaders.pdf_glyphs import Skipped, Unseen, read_lines, view_of
from groundtune.ingest.loaders.pdf_grids import find_grids
from groundtune.ingest.loaders.pdf_headers import without_headers_and_footers
from groundtune.ingest.loaders.pdf_layers import has_layers, texts_switched_off
from groundtune.ingest.loaders.pdf_layout import add_pages
from groundtune.ingest.loaders.pdf_right_to_left import from_its_start, mirrored_grid
from groundtune.ingest.loaders.pdf_types import Box, Line, Page, Strike, runs_through
from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_line

_DPI = 200
"""Resolution at which pages are drawn for OCR."""
_LONGEST_SIDE = 6_000
"""Pixels of the longer side of such a picture, at most."""
_JUNK_TITLE = re.compile(r"^(untitled|microsoft word|powerpoint|document|slide)\b|\.\w{2,5}$", re.IGNORECASE)
_SCAN = 0.5
"""Share of the page that a picture takes from which little text beside it is a stamp on a scan."""
_STAMP = 200
"""Characters of such text."""
_PICTURE = 0.1
"""Share of the page from which a picture that is no photograph is likely to carry text, such as a screenshot."""
_UNDECODED = 0.7
"""Glyphs of fonts that name no letters, for each character that is read, from which a page is like a scan."""
_OUTLINES = 30
"""Filled shapes on a page without text from which they are letters turned into shapes."""


ReadPicture = Callable[[Any, int, float, float], tuple[Page, int]]
"""Reads the picture of a page (a PIL image) with this number, width and height in points; also returns how many lines
it could not read."""


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
        pages = _read_pages(document, builder, layers=has_layers(data))
        for index, page in enumerate(pages):
            if page.unread or (all_pages and page.lines):
                pages[index] = _read_picture(builder, document, index, page, read_picture)
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
    builder: TextBuilder, document: pypdfium2.PdfDocument, index: int, page: Page, read_picture: ReadPicture | None
) -> Page:
    """Return a page as a picture of it shows it; without `read_picture` as it is, and note that."""
    if read_picture is None:
        builder.note("no_text_layer", page=index + 1)
        return page
    shown = _open(document, index)
    width, height = shown.get_size()
    scale = min(_DPI / 72, _LONGEST_SIDE / max(width, height))
    read, unread = read_picture(shown.render(scale=scale).to_pil(), index + 1, width, height)
    shown.close()
    if not read.lines and not unread:
        builder.note("no_text_found", page=index + 1)
        return page
    note_read(builder, index + 1, read, unread)
    return read


def note_read(builder: TextBuilder, number: int, page: Page, unread: int) -> None:
    """Note that a page was read by OCR, and how many of its lines could not be."""
    if page.lines:
        builder.note("read_by_ocr", page=number)
    if unread:
        builder.note("unread_line", count=unread, page=number)


def _read_pages(document: pypdfium2.PdfDocument, builder: TextBuilder, *, layers: bool) -> list[Page]:
    """Return the pages with the lines that can be seen, and note what cannot be, or is not read."""
    kind = document.get_formtype()
    if kind != pdfium.FORMTYPE_NONE:
        document.init_forms()
    if kind == pdfium.FORMTYPE_XFA_FULL:
        builder.note("unreadable_part", place="XFA form")
    return [_read_page(document, index, builder, layers=layers) for index in range(len(document))]


def _read_page(document: pypdfium2.PdfDocument, index: int, builder: TextBuilder, *, layers: bool) -> Page:
    page = _open(document, index)
    written = Written()
    if pdfium.FPDFPage_GetAnnotCount(page.raw):
        written = read_written(page.raw, document.formenv.raw if document.formenv else None)
    if written.flattened:
        page.close()
        page = _open(document, index)
    text = page.get_textpage()
    view = view_of(page, text.raw)
    drawing = read_drawing(page.raw, view)
    skipped = Skipped(hidden=written.hidden)
    hidden = drawing.hidden | texts_switched_off(page) if layers else drawing.hidden
    grids = find_grids(drawing.strokes, drawing.frames)
    lines, mirror = read_lines(text.raw, view, grids, Unseen(hidden, drawing.covered), skipped)
    strikes = _strikes([*drawing.strokes, *view.shown(written.strikes)], lines)
    if strikes:
        skipped = Skipped(hidden=written.hidden)
        lines, _ = read_lines(text.raw, view, grids, Unseen(hidden, drawing.covered, strikes), skipped)
    text.close()
    page.close()
    add_written(lines, written, view.shown)
    lines = [from_its_start(line, view.width if mirror else None) for line in lines]
    if mirror:
        grids = [mirrored_grid(grid, view.width) for grid in grids]
    unread = _is_undecoded(lines, skipped) or _is_unread(lines, drawing, view.width * view.height)
    read = Page(lines, view.width, view.height, grids, unread=unread)
    for note, count in (
        ("hidden_text", skipped.hidden),
        ("deleted_text", skipped.struck),
        ("comment", written.comments),
        ("undecoded_text", 0 if read.unread else min(1, skipped.undecoded)),
        ("picture", 0 if read.unread else _pictures_with_text(drawing, view.width * view.height)),
    ):
        if count:
            builder.note(note, count=count, page=index + 1)
    return read


def _open(document: pypdfium2.PdfDocument, index: int) -> Any:
    try:
        return document[index]
    except pypdfium2.PdfiumError as error:
        raise ParseError(f"is damaged: page {index + 1} cannot be read; export it again") from error


def _strikes(strokes: Iterable[Box], lines: Sequence[Line]) -> tuple[Strike, ...]:
    """Return the strokes that run through text and end where it ends: left, right, height."""
    strikes = []
    for left, bottom, right, top in strokes:
        height = 0.5 * (bottom + top)
        if right - left > 2 * (top - bottom) and any(_runs_through(line, left, right, height) for line in lines):
            strikes.append((left, right, height))
    return tuple(strikes)


def _runs_through(line: Line, left: float, right: float, height: float) -> bool:
    slack = 0.5 * line.size
    inside = line.left - slack < left and right < line.right + slack
    return inside and right - left > slack and runs_through(height, line.bottom, line.top)


def _is_undecoded(lines: Sequence[Line], skipped: Skipped) -> bool:
    """Return whether most of a page is set in fonts that do not say which letters their glyphs are."""
    return skipped.undecoded > _UNDECODED * sum(len(line.text) for line in lines)


def _is_unread(lines: Sequence[Line], drawing: Drawing, area: float) -> bool:
    """Return whether a page is a scan, or letters turned into shapes, of which nothing but a stamp is text."""
    if not lines:
        return bool(drawing.pictures) or drawing.shapes >= _OUTLINES
    largest = max((_share(picture, area) for picture in drawing.pictures), default=0.0)
    return largest >= _SCAN and sum(len(line.text) for line in lines) < _STAMP and not drawing.layered


def _pictures_with_text(drawing: Drawing, area: float) -> int:
    """Return how many pictures are likely to carry text: large ones that are not stored as photographs are."""
    if drawing.layered:
        return 0
    return sum(not picture.photo and _share(picture, area) >= _PICTURE for picture in drawing.pictures)


def _share(picture: Picture, area: float) -> float:
    left, bottom, right, top = picture.box
    return (right - left) * (top - bottom) / area
