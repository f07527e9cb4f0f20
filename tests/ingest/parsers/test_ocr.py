"""Scanned pages and pictures become text with pages, and what cannot be read is noted."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

from groundtune.errors import ParseError
from groundtune.ingest.loaders import load
from groundtune.ingest.ocr import RecognizedPage, RecognizedText, recognize
from groundtune.ingest.parsed import ParsedDocument
from groundtune.ingest.parsers.ocr import PageReader
from groundtune.ingest.sandbox import Sandbox
from groundtune.note import Note

WIDTH, HEIGHT = 1240, 1754
"""An A4 page at 150 dpi."""
LETTER = (
    "The notice period is three months to the very end of the",
    "quarter, and it begins on the arrival of the letter.",
)
TABLE = (("Zone", "Weight", "Fee"), ("EU", "up to 5 kg", "14.00"), ("World", "up to 2 kg", "23.50"))


def picture(title: str, lines: Sequence[str], table: Sequence[Sequence[str]] = ()) -> Image.Image:
    image = Image.new("L", (WIDTH, HEIGHT), 255)
    draw = ImageDraw.Draw(image)
    draw.text((100, 90), title, font=ImageFont.load_default(50), fill=0)
    for number, line in enumerate(lines):
        draw.text((100, 220 + 40 * number), line, font=ImageFont.load_default(28), fill=0)
    for number, row in enumerate(table):
        for column, cell in enumerate(row):
            draw.text((100 + 330 * column, 500 + 60 * number), cell, font=ImageFont.load_default(28), fill=0)
    return image


def scan(path: Path) -> None:
    """Write a PDF of three pages: one with a text layer, a scan, an empty one."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=12)
    pdf.cell(text="This cover sheet has a text layer.")
    pdf.add_page()
    pdf.image(picture("Lease", LETTER, TABLE), 0, 0, 210)
    pdf.add_page()
    pdf.output(str(path))


@pytest.mark.slow
def test_a_picture_is_read_like_a_page(tmp_path: Path) -> None:
    path = tmp_path / "lease.png"
    picture("Lease", LETTER, TABLE).save(path, dpi=(150, 150))
    (document,) = load(path, parser="ocr")
    assert [document.text[block.start : block.end] for block in document.blocks] == [
        " ".join(LETTER),
        "Zone: EU; Weight: up to 5 kg; Fee: 14.00",
        "Zone: World; Weight: up to 2 kg; Fee: 23.50",
    ]
    assert {block.heading for block in document.blocks} == {("Lease",)}
    assert document.notes == (Note("read_by_ocr", 1, (1,)),)
    texts = {document.text[box.start : box.end]: box for box in document.boxes}
    assert texts.keys() == {"Lease", *LETTER, *(cell for row in TABLE[1:] for cell in row), *TABLE[0]}
    box = texts["23.50"]
    assert (box.page, box.left, box.top) == pytest.approx((1, 760 / WIDTH, 620 / HEIGHT), abs=0.01)


@pytest.mark.slow
def test_only_pages_without_a_text_layer_are_read(tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    scan(path)
    (document,) = load(path, parser="ocr")
    assert "cover sheet" in document.text
    assert " ".join(LETTER) in document.text
    assert {block.page for block in document.blocks} == {1, 2}
    assert document.notes == (Note("read_by_ocr", 1, (2,)),)


def test_without_ocr_the_note_names_the_page_but_not_the_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    scan(path)
    (document,) = load(path)
    assert document.notes == (Note("no_text_layer", 1, (2,)),)


@pytest.mark.slow
async def test_each_page_of_a_picture_file_is_a_page_and_has_its_own_time(tmp_path: Path) -> None:
    path = tmp_path / "fax.tiff"
    pages = [picture(title, LETTER) for title in ("First sheet", "Second sheet")]
    pages[0].save(path, save_all=True, append_images=pages[1:], dpi=(150, 150))
    async with Sandbox(workers=1) as sandbox:
        (outcome,) = await sandbox.load_many([path], ["ocr"])
    assert isinstance(outcome, list)
    (document,) = outcome
    assert isinstance(document, ParsedDocument)
    assert [(block.heading, block.page) for block in document.blocks] == [(("First sheet",), 1), (("Second sheet",), 2)]


@pytest.mark.slow
def test_a_picture_without_text_is_noted(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=12)
    pdf.cell(text="Cover sheet")
    pdf.add_page()
    pdf.image(Image.new("L", (400, 600), 128), 0, 0, 210)
    pdf.output(str(tmp_path / "grey.pdf"))
    (document,) = load(tmp_path / "grey.pdf", parser="ocr")
    assert document.notes == (Note("no_text_found", 1, (2,)),)


@pytest.mark.slow
def test_an_empty_picture_has_no_text() -> None:
    assert recognize(Image.new("L", (400, 300), 255)) == RecognizedPage((), 0)


def test_letters_that_the_model_does_not_know_are_counted_as_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    class Engine:
        """Answers like the model for a line in Cyrillic: a long box with one mark in it."""

        def __call__(self, image: object) -> object:
            import numpy

            class Result:
                boxes = numpy.array([[[0.0, 0.0], [800.0, 0.0], [800.0, 30.0], [0.0, 30.0]]])
                txts = (".",)
                scores = (0.96,)

            return Result()

    monkeypatch.setattr("groundtune.ingest.ocr._engine", Engine)
    page, unread = PageReader().read(Image.new("L", (800, 600), 255), 1, 400, 300)
    assert (page.lines, unread) == ([], 1)


def test_texts_beside_each_other_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = (
        RecognizedText("14.00", 600, 102, 680, 130),
        RecognizedText("Zone", 100, 100, 180, 130),
        RecognizedText("EU", 190, 101, 230, 129),
        RecognizedText("below", 100, 160, 180, 190),
    )
    monkeypatch.setattr("groundtune.ingest.ocr.recognize", lambda image: RecognizedPage(texts, 0))
    page, _ = PageReader().read(Image.new("L", (1000, 1000), 255), 1, 500, 500)
    assert [[segment.text for segment in line.segments] for line in page.lines] == [["Zone EU", "14.00"], ["below"]]
    assert page.lines[0].left == 50
    assert page.lines[0].top > page.lines[1].top


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\nnothing more", b"no picture at all"])
def test_a_damaged_picture_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    with pytest.raises(ParseError, match="cannot be opened as a picture"):
        load(path, parser="ocr")


def test_a_picture_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    data = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(data, "PNG")
    path.write_bytes(data.getvalue())
    with pytest.raises(ParseError, match="pixels; make it smaller"):
        load(path, parser="ocr")
