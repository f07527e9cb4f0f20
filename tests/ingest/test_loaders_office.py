"""PDF, Office files and books, written with real libraries, come back as pages, headings, paragraphs and rows."""

import zipfile
from datetime import date, datetime
from pathlib import Path

import docx
import openpyxl
import pptx
from fpdf import FPDF

from groundtune.ingest.loaders import load
from groundtune.ingest.parsed import ParsedDocument
from groundtune.note import Note

PROSE = (
    "The stem bolts are tightened to fourteen newton metres after the first fifty kilometres, because new bolts settle "
    "a little under load. A workshop can do it, or the owner with a torque wrench and a four millimetre key."
)


def load_one(path: Path) -> ParsedDocument:
    (parsed,) = load(path)
    return parsed


def blocks(parsed: ParsedDocument) -> list[tuple[str, str]]:
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


def texts(parsed: ParsedDocument) -> list[str]:
    return [text for _, text in blocks(parsed)]


def heading_of(parsed: ParsedDocument, text: str) -> tuple[str, ...]:
    return next(block.heading for block in parsed.blocks if text in parsed.text[block.start : block.end])


def page_of(parsed: ParsedDocument, text: str) -> int | None:
    return next(block.page for block in parsed.blocks if text in parsed.text[block.start : block.end])


# --- PDF -----------------------------------------------------------------------------------------------------------


class Handout(FPDF):
    def header(self) -> None:
        self.set_font("Helvetica", size=9)
        self.cell(0, 8, "Tilt Works handbook 2026", new_x="LMARGIN", new_y="NEXT")

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("Helvetica", size=9)
        self.cell(0, 8, f"Page {self.page_no()}", align="C")


def handout(path: Path) -> Path:
    pdf = Handout()
    for number in (1, 2, 3):
        pdf.add_page()
        pdf.set_font("Helvetica", "B", 18)
        pdf.cell(0, 12, f"Chapter {'One Two Three'.split()[number - 1]}", new_x="LMARGIN", new_y="NEXT")
        pdf.set_font("Helvetica", size=11)
        pdf.multi_cell(0, 6, PROSE.replace("kilometres", f"kilometres of {number}"))
        pdf.ln(5)
        pdf.multi_cell(0, 6, f"Second paragraph of chapter {number}, which stands apart.")
        pdf.ln(5)
        rows = [
            ["Model", "Price", "Weight"],
            ["Wren", "3,690", "29 kg"],
            ["Heron 3, with a long name", "5,490", "46 kg"],
        ]
        with pdf.table() as table:
            for cells in rows:
                table.row(cells)
    pdf.output(str(path))
    return path


def test_pdf(tmp_path: Path) -> None:
    parsed = load_one(handout(tmp_path / "a.pdf"))
    assert parsed.title == "Chapter One"
    assert len(parsed.pages) == 3
    assert parsed.pages[0] == 0
    assert PROSE.replace("kilometres", "kilometres of 2") in texts(parsed)
    assert page_of(parsed, "Second paragraph of chapter 3") == 3
    assert heading_of(parsed, "Second paragraph of chapter 2") == ("Chapter Two",)
    assert ("row", "Model: Heron 3, with a long name; Price: 5,490; Weight: 46 kg") in blocks(parsed)
    assert parsed.text.count("Tilt Works handbook 2026") == 1
    assert "Page 2" not in parsed.text
    for start, words in zip(parsed.pages, ("Tilt Works", "Chapter Two", "Chapter Three"), strict=True):
        assert parsed.text[start:].startswith(words)
    assert parsed.notes == (Note("page_furniture", 5),)


def test_pdf_words_divided_at_line_ends_are_rejoined(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Times", size=11)
    for line in (
        "Development takes time, and the people who do the devel-",
        "opment know it best. A well-known rule: tell every-",
        "body early, and use a well-",
        "known name. Development is everybody at once.",
    ):
        pdf.cell(0, 6, line, new_x="LMARGIN", new_y="NEXT")
    pdf.output(str(tmp_path / "a.pdf"))
    text = load_one(tmp_path / "a.pdf").text
    assert "the development know" in text
    assert "tell everybody early" in text
    assert "a well-known name" in text


def test_pdf_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=10)
    for column, word in enumerate(("left", "right")):
        for line in range(20):
            pdf.set_xy(15 + 95 * column, 30 + 5 * line)
            pdf.cell(80, 5, f"The {word} column goes on with its line {line} of prose")
    pdf.output(str(tmp_path / "a.pdf"))
    text = load_one(tmp_path / "a.pdf").text
    assert text.index("left column goes on with its line 19") < text.index("right column goes on with its line 0")


def test_pdf_wrapped_cells_stay_in_their_row(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=11)
    long = "Take it out of the bike, wait for a whole minute, put it back and lock it again"
    with pdf.table(col_widths=(20, 40, 40)) as table:
        for cells in (["Code", "Meaning", "What to do"], ["E11", "Sensor", long], ["E23", long, "Wait"]):
            table.row(cells)
    pdf.output(str(tmp_path / "a.pdf"))
    assert texts(load_one(tmp_path / "a.pdf")) == [
        f"Code: E11; Meaning: Sensor; What to do: {long}",
        f"Code: E23; Meaning: {long}; What to do: Wait",
    ]


# --- Office --------------------------------------------------------------------------------------------------------


def test_docx(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("Staff guide", level=0)
    document.add_heading("Leave", level=1)
    paragraph = document.add_paragraph("Twenty-six ")
    paragraph.add_run("days").bold = True
    document.add_heading("Carry over", level=2)
    document.add_paragraph("Five days", style="List Bullet")
    table = document.add_table(rows=3, cols=2)
    for row, cells in zip(table.rows, (("Years", "Days"), ("1", "26"), ("5", "30")), strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    document.add_paragraph("After the table")
    document.save(str(tmp_path / "a.docx"))
    parsed = load_one(tmp_path / "a.docx")
    assert parsed.title == "Staff guide"
    assert texts(parsed) == [
        "Twenty-six days",
        "Five days",
        "Years: 1; Days: 26",
        "Years: 5; Days: 30",
        "After the table",
    ]
    assert heading_of(parsed, "Five days") == ("Staff guide", "Leave", "Carry over")


def test_pptx(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    for number in (1, 2):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = f"Slide {number}"
        slide.placeholders[1].text = f"Point {number}\nNext point {number}"
        slide.notes_slide.notes_text_frame.text = f"Say {number}"
    table = deck.slides[1].shapes.add_table(2, 2, 0, 0, 914400, 914400).table
    for row, cells in enumerate((("Model", "Price"), ("Wren", "3,690"))):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    deck.save(str(tmp_path / "a.pptx"))
    parsed = load_one(tmp_path / "a.pptx")
    assert parsed.title == "Slide 1"
    assert texts(parsed)[:3] == ["Point 1", "Next point 1", "Notes: Say 1"]
    assert "Model: Wren; Price: 3,690" in texts(parsed)
    assert page_of(parsed, "Next point 2") == 2
    assert heading_of(parsed, "Wren") == ("Slide 2",)
    assert len(parsed.pages) == 2


def test_xlsx(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Rates"
    sheet.append(["Rates of 2025"])
    sheet.append([])
    sheet.append(["Country", "From", "Full day", "Share", "Seen"])
    sheet.append(["Belgium", date(2025, 1, 1), 54.0, 0.125, datetime(2025, 1, 2, 3, 4)])
    sheet["D4"].number_format = "0.0%"
    sheet.append([])
    sheet.append(["Denmark", None, 610.5, None, True])
    book.create_sheet("Empty")
    codes = book.create_sheet("Codes")
    codes.append(["7", "8"])
    codes.append([1, 2])
    book.save(tmp_path / "a.xlsx")
    parsed = load_one(tmp_path / "a.xlsx")
    assert parsed.title is None
    assert texts(parsed) == [
        "Rates of 2025",
        "Country: Belgium; From: 2025-01-01; Full day: 54; Share: 12.5%; Seen: 2025-01-02 3:04:00",
        "Country: Denmark; Full day: 610.5; Seen: TRUE",
        "Empty",
        "7; 8",
        "1; 2",
    ]
    assert heading_of(parsed, "Belgium") == ("Rates",)
    assert parsed.blocks[0].page is None


# --- books ---


def test_epub(tmp_path: Path) -> None:
    path = tmp_path / "a.epub"
    chapter = "<html xmlns='http://www.w3.org/1999/xhtml'><head><title>x</title></head><body>{}</body></html>"
    items = "<item id='n' href='nav.xhtml' properties='nav' media-type='application/xhtml+xml'/>" + "".join(
        f"<item id='c{n}' href='text/c%20{n}.xhtml' media-type='application/xhtml+xml'/>" for n in (1, 2)
    )
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        rootfile = "<rootfiles><rootfile full-path='OEBPS/p.opf'/></rootfiles>"
        book.writestr("META-INF/container.xml", f"<container>{rootfile}</container>")
        book.writestr(
            "OEBPS/p.opf",
            "<package xmlns:dc='http://purl.org/dc/elements/1.1/'><metadata><dc:title>The Book</dc:title></metadata>"
            f"<manifest>{items}</manifest><spine><itemref idref='n'/>"
            "<itemref idref='c2'/><itemref idref='c1'/></spine></package>",
        )
        book.writestr("OEBPS/nav.xhtml", chapter.format("Contents"))
        for number in (1, 2):
            book.writestr(
                f"OEBPS/text/c {number}.xhtml", chapter.format(f"<h1>Chapter {number}</h1><p>Text {number}</p>")
            )
    parsed = load_one(path)
    assert parsed.title == "The Book"
    assert texts(parsed) == ["Text 2", "Text 1"]
    assert heading_of(parsed, "Text 1") == ("Chapter 1",)


# --- Headings alone ------------------------------------------------------------------------------------------------


def test_a_heading_without_text_below_it_is_a_block(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "# Rules\n\n## Dogs are not allowed\n\n## Bikes\n\nThey stand outside.\n\n# Closed\n\n## On 1 May\n", "utf-8"
    )
    parsed = load_one(tmp_path / "a.md")
    assert [(parsed.text[block.start : block.end], block.heading) for block in parsed.blocks] == [
        ("Dogs are not allowed", ("Rules",)),
        ("They stand outside.", ("Rules", "Bikes")),
        ("On 1 May", ("Closed",)),
    ]


def test_slides_with_titles_alone_are_read(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    for title in ("We are closed on 1 May", "We open again on 4 May"):
        deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = title
    deck.save(str(tmp_path / "a.pptx"))
    parsed = load_one(tmp_path / "a.pptx")
    assert texts(parsed) == ["We are closed on 1 May", "We open again on 4 May"]
    assert page_of(parsed, "4 May") == 2
