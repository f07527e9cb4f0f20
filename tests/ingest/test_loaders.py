"""Each format, written with a real library, comes back as paragraphs, rows and headings that a reader would name."""

import csv
import json
import re
import textwrap
import zipfile
from datetime import date, datetime
from email.message import EmailMessage
from pathlib import Path

import docx
import openpyxl
import pptx
from fpdf import FPDF
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.ingest.loaders import MEDIA_TYPES, PARSER_VERSION, load
from groundtune.ingest.parsed import Parsed, TextBuilder, clean, render_row

PROSE = (
    "The stem bolts are tightened to fourteen newton metres after the first fifty kilometres, because new bolts settle "
    "a little under load. A workshop can do it, or the owner with a torque wrench and a four millimetre key."
)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def one(path: Path) -> Parsed:
    (parsed,) = load(path)
    return parsed


def blocks(parsed: Parsed) -> list[tuple[str, str]]:
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


def texts(parsed: Parsed) -> list[str]:
    return [text for _, text in blocks(parsed)]


def heading_of(parsed: Parsed, text: str) -> tuple[str, ...]:
    return next(block.heading for block in parsed.blocks if text in parsed.text[block.start : block.end])


def page_of(parsed: Parsed, text: str) -> int | None:
    return next(block.page for block in parsed.blocks if text in parsed.text[block.start : block.end])


def test_every_ending_has_a_media_type_and_a_loader() -> None:
    assert PARSER_VERSION
    assert all(re.fullmatch(r"\.[a-z]+", suffix) for suffix in MEDIA_TYPES)
    assert len(MEDIA_TYPES) == 22


# --- the builder ---------------------------------------------------------------------------------------------------

CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("paragraph"), st.text()),
        st.tuples(st.just("code"), st.text()),
        st.tuples(st.just("heading"), st.integers(1, 6), st.text()),
        st.tuples(st.just("row"), st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4)),
        st.tuples(st.just("table"), st.lists(st.lists(st.text(), max_size=3), max_size=3)),
        st.tuples(st.just("page")),
    ),
    max_size=20,
)


@settings(max_examples=300, deadline=None)
@given(CALLS)
def test_blocks_are_exact_ordered_and_disjoint(calls: list[tuple[object, ...]]) -> None:
    builder = TextBuilder()
    for name, *arguments in calls:
        getattr(builder, str(name))(*arguments)
    parsed = builder.build()
    end = 0
    for block in parsed.blocks:
        text = parsed.text[block.start : block.end]
        assert block.start >= end
        assert text.strip()
        assert text == (clean(text) if block.kind != "code" else text)
        end = block.end
    assert end <= len(parsed.text)
    assert all(0 <= start <= len(parsed.text) for start in parsed.pages)
    assert list(parsed.pages) == sorted(parsed.pages)
    parsed.text.encode("utf-8")  # no lone surrogates


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1))
def test_a_paragraph_is_its_cleaned_text(paragraphs: list[str]) -> None:
    builder = TextBuilder()
    for paragraph in paragraphs:
        builder.paragraph(paragraph)
    parsed = builder.build()
    assert texts(parsed) == [clean(paragraph) for paragraph in paragraphs if clean(paragraph)]


@given(st.text())
def test_clean_twice_is_clean_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


def test_clean_folds_what_nobody_sees() -> None:
    assert clean(" a\t\u00a0b \r\n\r\n c\x00\u00ad\u200bd ") == "a b\ncd"
    assert clean("Cafe\u0301") == "Café"
    assert clean("می\u200cخواهم") == "می\u200cخواهم"


def test_a_table_with_one_row_is_not_lost() -> None:
    builder = TextBuilder()
    builder.table([["Only", "row"]])
    builder.table([["Name", "Price"], ["Wren", "3,200"]])
    assert texts(builder.build()) == ["Only; row", "Name: Wren; Price: 3,200"]
    assert render_row(["", "x", "y"], ["a", "b:"]) == "b: x; y"


# --- Markdown ------------------------------------------------------------------------------------------------------


def test_markdown(tmp_path: Path) -> None:
    parsed = one(
        write(
            tmp_path / "a.md",
            "---\ntitle: Returns policy\nowner: Dele\neffective: 2025-01-06\ntags: [a, b]\ndeep: {x: 1}\n---\n\n"
            "# Returns\n\nYou **can** [return](x.md) a `bike`\nwithin ~~40~~ 30 days. ![a map](m.png)<br>Ask.\n\n"
            "## Steps\n\n3. First\n4. Second\n   - Inner *one*\n\n     More of it\n\n> Quoted &amp; kept\n\n"
            "| Item | Fee |\n|---|---|\n| Bike \\| cart | £45 |\n| | none |\n\n```py\nif x:\n    y()\n```\n\n"
            "<div><p>In <b>HTML</b></p></div>\n\n<!-- secret -->\n\nSee [ref][1] and [[Page|wiki]].[^n]\n\n"
            "[1]: http://example.org\n\n[^n]: A note here.\n",
        )
    )
    assert parsed.title == "Returns policy"
    assert parsed.metadata == {"owner": "Dele", "effective": "2025-01-06", "tags": "a, b"}
    assert blocks(parsed) == [
        ("paragraph", "You can return a bike within 40 30 days. a map\nAsk."),
        ("paragraph", "3. First"),
        ("paragraph", "4. Second"),
        ("paragraph", "Inner one"),
        ("paragraph", "More of it"),
        ("paragraph", "Quoted & kept"),
        ("row", "Item: Bike | cart; Fee: £45"),
        ("row", "Fee: none"),
        ("code", "if x:\n    y()"),
        ("paragraph", "In HTML"),
        ("paragraph", "See ref and wiki."),
        ("paragraph", "A note here."),
    ]
    assert heading_of(parsed, "Inner one") == ("Returns", "Steps")


def test_markdown_title_is_the_first_top_heading_or_none(tmp_path: Path) -> None:
    assert one(write(tmp_path / "a.md", "## Small\n\n# Big *one*\n\nText")).title == "Big one"
    assert one(write(tmp_path / "b.markdown", "Only text")).title is None


def test_markdown_front_matter_that_is_none_stays_text(tmp_path: Path) -> None:
    assert "key: [broken" in one(write(tmp_path / "a.md", "---\nkey: [broken\n---\n\nText")).text
    assert one(write(tmp_path / "b.md", "Above\n\n---\n\nBelow")).text == "Above\n\nBelow"


def test_markdown_table_without_rows_keeps_its_header(tmp_path: Path) -> None:
    assert one(write(tmp_path / "a.md", "| A | B |\n|---|---|\n")).text == "A; B"


# --- plain text ----------------------------------------------------------------------------------------------------


def test_wrapped_prose_is_joined_and_other_lines_are_kept(tmp_path: Path) -> None:
    wrapped = "\n".join(textwrap.wrap(PROSE, 72))
    parsed = one(write(tmp_path / "a.txt", f"{wrapped}\n\n\nTilt Works\n12 Foundry Lane\nMarrowby\n\n- one\n- two\n"))
    assert texts(parsed) == [PROSE, "Tilt Works\n12 Foundry Lane\nMarrowby", "- one", "- two"]
    assert parsed.title is None


def test_restructured_text_headings(tmp_path: Path) -> None:
    parsed = one(write(tmp_path / "a.rst", "=====\nGuide\n=====\n\nIntro.\n\nSetup\n-----\n\nDo it.\n"))
    assert parsed.title == "Guide"
    assert heading_of(parsed, "Do it.") == ("Guide", "Setup")


def test_a_long_log_is_cut_at_line_ends(tmp_path: Path) -> None:
    lines = [f"2025-01-01 10:{at:02} INFO request {at} served" for at in range(60)] * 5
    parsed = one(write(tmp_path / "a.log", "\n".join(lines)))
    assert len(parsed.blocks) > 3
    assert parsed.text.replace("\n\n", "\n").split("\n") == lines


# --- HTML ----------------------------------------------------------------------------------------------------------


def test_html(tmp_path: Path) -> None:
    parsed = one(
        write(
            tmp_path / "a.html",
            "<!doctype html><title>Guide &amp; more</title><nav>Menu</nav><script>x()</script>"
            "bare <b>te</b>xt<div>in a div<p>one<br>two</p>tail</div><h2>Prices</h2>"
            "<table><caption>All prices</caption><thead><tr><th rowspan=2>Model<th colspan=2>Price"
            "<tr><th>old<th>new</thead>"
            "<tr><td rowspan=2>Wren<td>1<td>2<tr><td>3<td>4</table>"
            "<table><tr><th>Founded<td>1975</table>"
            "<ol start=3><li>a<ul><li>n</ul><li>b</ol><dl><dt>Term<dd>meaning</dl><pre>x\n  y</pre>"
            "<p hidden>no</p><p style='display:none'>no</p>"
            "<form><label>Search</label><input></form><blockquote>q</blockquote>",
        )
    )
    assert parsed.title == "Guide & more"
    assert blocks(parsed) == [
        ("paragraph", "bare text"),
        ("paragraph", "in a div"),
        ("paragraph", "one\ntwo"),
        ("paragraph", "tail"),
        ("paragraph", "All prices"),
        ("row", "Model: Wren; Price old: 1; Price new: 2"),
        ("row", "Model: Wren; Price old: 3; Price new: 4"),
        ("row", "Founded: 1975"),
        ("paragraph", "3. a"),
        ("paragraph", "n"),
        ("paragraph", "4. b"),
        ("paragraph", "Term: meaning"),
        ("code", "x\n  y"),
        ("paragraph", "q"),
    ]
    assert heading_of(parsed, "Wren") == ("Prices",)


def test_html_main_is_preferred_when_it_holds_most(tmp_path: Path) -> None:
    page = "<h1>T</h1><div>side</div><main><p>{}</p></main>"
    assert "side" not in one(write(tmp_path / "a.html", page.format("long text " * 20))).text
    assert "side" in one(write(tmp_path / "b.html", page.format("x"))).text
    assert one(write(tmp_path / "c.html", page.format("x"))).title == "T"


def test_html_page_inside_a_form_and_layout_table(tmp_path: Path) -> None:
    page = "<body><form><table><tr><td><h1>Head</h1><p>Body text</p></td></tr></table><input></form>"
    parsed = one(write(tmp_path / "a.htm", page))
    assert texts(parsed) == ["Body text"]
    assert heading_of(parsed, "Body") == ("Head",)


# --- PDF -----------------------------------------------------------------------------------------------------------


class Handout(FPDF):
    def header(self) -> None:
        self.set_font("Helvetica", size=9)
        self.cell(0, 8, f"Tilt Works handbook {2020 + self.page_no()}", new_x="LMARGIN", new_y="NEXT")

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
    parsed = one(handout(tmp_path / "a.pdf"))
    assert parsed.title == "Chapter One"
    assert len(parsed.pages) == 3
    assert parsed.pages[0] == 0
    assert PROSE.replace("kilometres", "kilometres of 2") in texts(parsed)
    assert page_of(parsed, "Second paragraph of chapter 3") == 3
    assert heading_of(parsed, "Second paragraph of chapter 2") == ("Chapter Two",)
    assert ("row", "Model: Heron 3, with a long name; Price: 5,490; Weight: 46 kg") in blocks(parsed)
    assert "Tilt Works handbook" not in parsed.text
    assert "Page 2" not in parsed.text
    for number, start in enumerate(parsed.pages, start=1):
        assert parsed.text[start:].startswith("Chapter"), number


def test_pdf_words_divided_at_line_ends_are_made_whole(tmp_path: Path) -> None:
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
    text = one(tmp_path / "a.pdf").text
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
    text = one(tmp_path / "a.pdf").text
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
    assert texts(one(tmp_path / "a.pdf")) == [
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
    parsed = one(tmp_path / "a.docx")
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
    parsed = one(tmp_path / "a.pptx")
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
    parsed = one(tmp_path / "a.xlsx")
    assert parsed.title is None
    assert texts(parsed) == [
        "Rates of 2025",
        "Country: Belgium; From: 2025-01-01; Full day: 54; Share: 12.5%; Seen: 2025-01-02 03:04:00",
        "Country: Denmark; Full day: 610.5; Seen: TRUE",
        "7; 8",
        "1; 2",
    ]
    assert heading_of(parsed, "Belgium") == ("Rates",)
    assert parsed.blocks[0].page is None


# --- rows ----------------------------------------------------------------------------------------------------------


def test_csv_rows_are_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerows([["ID", "Title", "Text", "topic"], ["7", "Refunds", "One.\n\nTwo, too.", "billing"]])
        writer.writerows([["", "", "Three", ""], [], ["7", "x", "Again", "y"]])
    rows = load(path)
    assert [(row.row, row.title, texts(row), dict(row.metadata)) for row in rows] == [
        ("7", "Refunds", ["One.", "Two, too."], {"topic": "billing"}),
        ("2", None, ["Three"], {}),
        ("7~2", "x", ["Again"], {"topic": "y"}),
    ]


def test_csv_without_text_column_is_rendered(tmp_path: Path) -> None:
    (row,) = load(write(tmp_path / "a.tsv", "model\tprice\nWren\t3,690\n"))
    assert (row.row, row.text, dict(row.metadata)) == (
        "1",
        "model: Wren; price: 3,690",
        {"model": "Wren", "price": "3,690"},
    )


def test_csv_without_header(tmp_path: Path) -> None:
    rows = load(write(tmp_path / "a.csv", "Wren,3690\nHeron,5490\n"))
    assert [row.text for row in rows] == ["column 1: Wren; column 2: 3690", "column 1: Heron; column 2: 5490"]


def test_json_lines_and_arrays_of_objects(tmp_path: Path) -> None:
    objects = [{"id": "a", "text": "One\u2028line", "n": 3, "tags": ["x", "y"], "none": None}, {"q": "Two"}]
    lines = write(tmp_path / "a.jsonl", "\n\n".join(json.dumps(one, ensure_ascii=False) for one in objects) + "\n")
    for path in (lines, write(tmp_path / "a.json", json.dumps(objects))):
        first, second = load(path)
        assert (first.row, first.text, dict(first.metadata)) == ("a", "One\nline", {"n": "3", "tags": "x, y"})
        assert (second.row, second.text) == ("2", "q: Two")


def test_json_of_any_other_shape_is_readable(tmp_path: Path) -> None:
    value = {
        "name": "Wren",
        "size": {"length": 189, "unit": "cm"},
        "parts": [{"id": 1}, {"id": 2}],
        "notes": ["a", "b"],
    }
    parsed = one(write(tmp_path / "a.json", json.dumps(value)))
    assert texts(parsed) == [
        "name: Wren; notes: a, b",
        "size.length: 189; size.unit: cm",
        "parts[1].id: 1",
        "parts[2].id: 2",
    ]


# --- books, mail, notebooks ----------------------------------------------------------------------------------------


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
    parsed = one(path)
    assert parsed.title == "The Book"
    assert texts(parsed) == ["Text 2", "Text 1"]
    assert heading_of(parsed, "Text 1") == ("Chapter 1",)


def test_mail(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Rückfrage zur Miete", "a@example.org", "b@example.org"
    message["Date"] = "Mon, 02 Jun 2025 09:00:00 +0000"
    message.set_content("Guten Tag,\n\nwann endet der Vertrag?\n")
    message.add_alternative("<p>HTML part</p>", subtype="html")
    message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="lease.pdf")
    (tmp_path / "a.eml").write_bytes(bytes(message))
    parsed = one(tmp_path / "a.eml")
    assert parsed.title == "Rückfrage zur Miete"
    assert texts(parsed) == ["Guten Tag,", "wann endet der Vertrag?", "Attachments: lease.pdf"]
    assert parsed.metadata == {
        "from": "a@example.org",
        "to": "b@example.org",
        "date": "Mon, 02 Jun 2025 09:00:00 +0000",
    }


def test_mail_with_html_only(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"] = "Hello"
    message.set_content("<h2>Part</h2><p>Über uns</p>", subtype="html", charset="iso-8859-1")
    (tmp_path / "a.eml").write_bytes(bytes(message))
    assert texts(one(tmp_path / "a.eml")) == ["Über uns"]


def test_notebook(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Study\n", "Some *text*"]},
        {"cell_type": "code", "source": "for x in y:\n    print(x)", "outputs": [{"text": "not read"}]},
    ]
    parsed = one(write(tmp_path / "a.ipynb", json.dumps({"cells": cells, "nbformat": 4})))
    assert parsed.title == "Study"
    assert blocks(parsed) == [("paragraph", "Some text"), ("code", "for x in y:\n    print(x)")]
