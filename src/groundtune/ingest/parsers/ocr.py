"""Read scanned pages and pictures by OCR: PDF, PNG, JPEG, TIFF, BMP, WebP. Needs the extra `[ocr]`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from groundtune.errors import ParseError, need
from groundtune.ingest import ocr
from groundtune.ingest.loaders import pdf, read_bytes
from groundtune.ingest.loaders.file_formats import check_format
from groundtune.ingest.loaders.pdf_layout import add_pages
from groundtune.ingest.loaders.pdf_types import Line, Page, Segment
from groundtune.ingest.ocr import RecognizedPage, RecognizedText
from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_line
from groundtune.text_box import TextBox

DEFAULT_DPI = 200
"""Resolution of a picture that does not state its own."""
LONGEST_SIDE = 6_000
"""Pixels; a larger picture is made smaller before it is read."""
MOST_PIXELS = 250_000_000
_CELL_GAP = 1.1
"""Gap between two texts of a line, in sizes of its type, above which they are cells of a row."""


class OcrParser:
    """`Loader` for files whose pages may be pictures: a page with a text layer is read as it is."""

    def __init__(self) -> None:
        need("rapidocr", extra="ocr")
        self.version = version("rapidocr")

    def load(self, path: Path) -> list[ParsedDocument]:
        data = read_bytes(path)
        reader = PageReader()
        if path.suffix.lower() == ".pdf":
            check_format(".pdf", data)
            parsed = self._read_pdf(path, data, reader)
        else:
            parsed = [_read_images(path, reader)]
        return [replace(document, boxes=reader.boxes_in(document)) for document in parsed]

    def _read_pdf(self, path: Path, data: bytes, reader: "PageReader") -> list[ParsedDocument]:
        return pdf.parse(path, data, read_picture=reader.read)


class AllPagesOcrParser(OcrParser):
    """`OcrParser` that also reads pages with a text layer by OCR, for PDFs whose text layer is bad."""

    def _read_pdf(self, path: Path, data: bytes, reader: "PageReader") -> list[ParsedDocument]:
        return pdf.parse(path, data, read_picture=reader.read, all_pages=True)


class PageReader:
    """Reads pictures of the pages of one file, and keeps where each text stands."""

    def __init__(self) -> None:
        self._read: dict[int, tuple[RecognizedPage, int, int]] = {}
        """What was read on a page, by its number, with the width and height of its picture in pixels."""

    def read(self, image: Image.Image, number: int, width: float, height: float) -> tuple[Page, int]:
        """Return the page that a picture shows, and the number of its lines that could not be read.

        number: of the page, from 1. width, height: of the page, in points.
        """
        read = ocr.recognize(image)
        self._read[number] = read, image.width, image.height
        lines = [_line(row, read, width / image.width, height) for row in _rows(read)]
        return Page(lines, width, height), read.unread

    def boxes_in(self, document: ParsedDocument) -> tuple[TextBox, ...]:
        """Return the boxes of the texts that were read and stand in the document as they were read."""
        boxes = []
        for number, (read, width, height) in self._read.items():
            first = document.pages[number - 1]
            end = document.pages[number] if number < len(document.pages) else len(document.text)
            taken: set[int] = set()
            for text in (text for row in _rows(read) for text in row):
                line = clean_line(text.text)
                start = document.text.find(line, first, end)
                while start in taken:
                    start = document.text.find(line, start + 1, end)
                if start < 0:  # a word that was divided between two lines, for example
                    continue
                taken.add(start)
                sides = (text.left / width, text.top / height, text.right / width, text.bottom / height)
                inside = (round(min(max(side, 0.0), 1.0), 4) for side in sides)
                boxes.append(TextBox(start, start + len(line), number, *inside))
        return tuple(sorted(boxes))


def _read_images(path: Path, reader: PageReader) -> ParsedDocument:
    builder = TextBuilder()
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # Pillow refuses twice as many
    try:
        pages = []
        with Image.open(path) as image:
            for number, frame in enumerate(ImageSequence.Iterator(image), 1):
                picture, width, height = _upright(frame)
                page, unread = reader.read(picture, number, width, height)
                pages.append(page)
                pdf.note_read(builder, number, page, unread)
    except Image.DecompressionBombError as error:
        raise ParseError(f"has more than {MOST_PIXELS:,} pixels; make it smaller") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise ParseError("is damaged: it cannot be opened as a picture; save it again") from error
    title = add_pages(builder, pages)
    return builder.build(title=title)


def _upright(frame: Image.Image) -> tuple[Image.Image, float, float]:
    """Return the picture as it is displayed, with its width and height in points."""
    dpi = frame.info.get("dpi", (DEFAULT_DPI,))[0]
    dpi = float(dpi) if dpi and float(dpi) >= 50 else DEFAULT_DPI
    image = ImageOps.exif_transpose(frame.convert("RGB"))
    width, height = image.width * 72 / dpi, image.height * 72 / dpi
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return image, width, height


def _rows(read: RecognizedPage) -> list[list[RecognizedText]]:
    """Return the texts that stand on one line together, lines from top to bottom, texts from left to right."""
    rows: list[list[RecognizedText]] = []
    for text in sorted(read.texts, key=lambda text: (text.top + text.bottom) / 2):
        middle = (text.top + text.bottom) / 2
        row = next((row for row in rows[-3:] if row[0].top < middle < row[0].bottom), None)
        if row is None:
            rows.append([text])
        else:
            row.append(text)
    return [sorted(row, key=lambda text: text.left) for row in rows]


def _line(row: Sequence[RecognizedText], page: RecognizedPage, scale: float, height: float) -> Line:
    size = round(ocr.type_size(row[0], page.texts) * scale * 0.75 * 2) / 2
    pieces = [Segment(text.text, text.left * scale, text.right * scale) for text in row]
    return Line(
        list(_cells(pieces, size)),
        height - max(text.bottom for text in row) * scale,
        height - min(text.top for text in row) * scale,
        size,
        pieces,
    )


def _cells(pieces: Sequence[Segment], size: float) -> Iterator[Segment]:
    """Yield the pieces of a line, those that stand close together joined."""
    current = pieces[0]
    for piece in pieces[1:]:
        if piece.left - current.right <= _CELL_GAP * size:
            current = Segment(f"{current.text} {piece.text}", current.left, piece.right)
        else:
            yield current
            current = piece
    yield current
