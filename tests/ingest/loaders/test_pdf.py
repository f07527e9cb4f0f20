"""PDF pages come back as a person reads them: nothing lost at their edges, nothing torn apart between two of them."""

import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from fpdf import FPDF
from fpdf.enums import TableHeadingsDisplay, TextMode
from PIL import Image

from groundtune.ingest.loaders import load
from groundtune.ingest.loaders.pdf_layers import has_layers
from groundtune.ingest.loaders.pdf_layout import add_pages
from groundtune.ingest.loaders.pdf_types import Line, Page, Segment
from groundtune.ingest.parsed import ParsedDocument, TextBuilder
from groundtune.note import Note

PROSE = "What is not said here is as the law says it, and nothing else was agreed upon by the two sides. "


def parsed(pdf: FPDF, folder: Path) -> ParsedDocument:
    path = folder / "a.pdf"
    pdf.output(str(path))
    (document,) = load(path)
    return document


def texts(document: ParsedDocument) -> list[str]:
    return [document.text[block.start : block.end] for block in document.blocks]


def document(write: Callable[[FPDF, int], None], pages: int) -> FPDF:
    """Return a PDF of which `write` wrote each page."""
    pdf = FPDF()
    pdf.set_auto_page_break(False)
    for number in range(1, pages + 1):
        pdf.add_page()
        pdf.set_font("Helvetica", size=12)
        write(pdf, number)
    return pdf


def line(pdf: FPDF, height: float, text: str) -> None:
    pdf.set_xy(10, height)
    pdf.cell(text=text)


# --- headers and footers -------------------------------------------------------------------------------------------


def test_lines_at_the_edge_that_differ_in_numbers_are_content(tmp_path: Path) -> None:
    def write(pdf: FPDF, number: int) -> None:
        line(pdf, 10, f"Invoice no. 2025-{116 + number}")
        pdf.set_xy(10, 60)
        pdf.multi_cell(150, 6, PROSE * number)
        line(pdf, 280, f"Total due: {number + 99} EUR")

    text = parsed(document(write, 3), tmp_path).text
    for number in (1, 2, 3):
        assert f"Invoice no. 2025-{116 + number}" in text
        assert f"Total due: {number + 99} EUR" in text


def test_a_header_that_repeats_unchanged_is_kept_once_and_noted(tmp_path: Path) -> None:
    def write(pdf: FPDF, number: int) -> None:
        line(pdf, 10, "Contract 4711, Wren Ltd")
        pdf.set_xy(10, 60)
        pdf.multi_cell(150, 6, f"Clause {'abcde'[number - 1]}. {PROSE * 3}")
        line(pdf, 280, f"Wren Ltd, Graz | Page {number} of 5")

    document_ = parsed(document(write, 5), tmp_path)
    assert document_.text.count("Contract 4711, Wren Ltd") == 1
    assert document_.text.count("Wren Ltd, Graz") == 1
    assert "of 5" not in document_.text
    assert document_.notes == (Note("page_furniture", 8),)
    assert [document_.text[start:].split()[1] for start in document_.pages[1:]] == ["b.", "c.", "d.", "e."]


def test_page_numbers_are_left_out_in_every_language(tmp_path: Path) -> None:
    forms = ("Seite {} von 3", "page {} sur 3", "Página {} de 3", "- {} -", "{}/3", "{}", "Strona {} z 3", "Wren · {}")
    for form in forms:

        def write(pdf: FPDF, number: int, form: str = form) -> None:
            line(pdf, 60, f"The text of page {'one two three'.split()[number - 1]}.")
            line(pdf, 285, form.format(number).encode("latin-1").decode("latin-1"))

        text = parsed(document(write, 3), tmp_path).text
        assert not any(character.isdigit() for character in text), form
        assert text.count("Wren") == ("Wren" in form), form


def test_a_list_goes_on_over_the_page_without_loss(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.set_auto_page_break(True, margin=12)
    pdf.add_page()
    pdf.set_font("Helvetica", size=12)
    for number in range(1, 81):
        pdf.cell(text=f"Bolt M{number} costs {number * 3} cents", new_x="LMARGIN", new_y="NEXT", h=7)
    found = texts(parsed(pdf, tmp_path))
    assert "\n".join(found).split("\n") == [f"Bolt M{number} costs {number * 3} cents" for number in range(1, 81)]


# --- over page breaks ----------------------------------------------------------------------------------------------


def long_table(pdf: FPDF, rows: int, *, repeat: bool) -> None:
    display = TableHeadingsDisplay.ON_TOP_OF_EVERY_PAGE if repeat else TableHeadingsDisplay.NONE
    with pdf.table(repeat_headings=display) as table:
        table.row(["Code", "Meaning", "Fee"])
        for number in range(1, rows + 1):
            table.row([f"E{number}", f"Meaning of the error number {number}", str(number % 17 + 3)])


def test_a_table_keeps_its_column_names_on_the_next_page(tmp_path: Path) -> None:
    for repeat in (True, False):
        pdf = FPDF()
        pdf.add_page()
        pdf.set_font("Helvetica", size=11)
        long_table(pdf, 90, repeat=repeat)
        pdf.add_page()
        with pdf.table() as table:
            table.row(["Branch", "Street", "Phone"])
            table.row(["Graz", "Long Street 4", "0316 1"])
            table.row(["Linz", "Short Street 5", "0732 2"])
        found = texts(parsed(pdf, tmp_path))
        assert found == [
            *(f"Code: E{n}; Meaning: Meaning of the error number {n}; Fee: {n % 17 + 3}" for n in range(1, 91)),
            "Branch: Graz; Street: Long Street 4; Phone: 0316 1",
            "Branch: Linz; Street: Short Street 5; Phone: 0732 2",
        ]


def over_a_break(first: str, second: str, folder: Path) -> ParsedDocument:
    def write(pdf: FPDF, number: int) -> None:
        pdf.set_xy(10, 60)
        pdf.multi_cell(170, 6, PROSE * 8 if number == 1 else second + " " + PROSE, new_x="LMARGIN", new_y="NEXT")
        if number == 1:
            pdf.ln(6)
            pdf.multi_cell(170, 6, first)
            pdf.set_font("Helvetica", size=8)
            line(pdf, 270, "1 A footnote stands between the two halves of the sentence.")

    return parsed(document(write, 2), folder)


def test_a_paragraph_goes_on_over_the_page_break(tmp_path: Path) -> None:
    long = "It is agreed between the shop and the customer that bikes can be returned "
    sentence = over_a_break(f"{long}within thirty", "days of delivery, in their box.", tmp_path)
    assert f"{long}within thirty days of delivery, in their box. What is" in sentence.text
    assert sentence.text[sentence.pages[1] :].startswith("days of delivery")
    word = over_a_break(f"{long}after deliv-", "ery, in their box.", tmp_path)
    assert f"{long}after delivery, in their box." in word.text
    assert word.text[word.pages[1] :].startswith("ery, in")
    assert next(block.page for block in word.blocks if "delivery" in word.text[block.start : block.end]) == 1
    name = over_a_break(f"{long}at the shop of", "Graz, in their box.", tmp_path)
    assert "at the shop of Graz, in their box." in name.text


def test_a_finished_sentence_ends_its_paragraph_at_the_page_break(tmp_path: Path) -> None:
    document_ = over_a_break("Bikes can be returned at any time.", "The customer pays nothing for that.", tmp_path)
    assert "Bikes can be returned at any time." in texts(document_)


# --- what is seen --------------------------------------------------------------------------------------------------


def one_page() -> FPDF:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=12)
    return pdf


def test_hidden_text_is_left_out_and_noted(tmp_path: Path) -> None:
    pdf = one_page()
    pdf.write(6, "The price is 30 euros")
    pdf.set_text_color(255, 255, 255)
    pdf.write(6, " and secretly 17")
    pdf.set_text_color(0, 0, 0)
    pdf.write(6, " a month.")
    with pdf.local_context(text_mode=TextMode.INVISIBLE):
        pdf.text(20, 100, "Nobody sees this.")
    pdf.set_font_size(0.5)
    pdf.text(20, 120, "Too small to read.")
    pdf.set_font_size(12)
    pdf.text(20, 400, "Below the page.")
    document_ = parsed(pdf, tmp_path)
    assert document_.text == "The price is 30 euros a month."
    assert document_.notes == (Note("hidden_text", 4, (1,)),)


def layered(folder: Path) -> Path:
    """Write a page of text in layers: by name, by membership, and as forms."""
    line = b"BT /F1 12 Tf 72 %d Td (%s) Tj ET "
    page = line % (700, b"No layer.") + b"/OC /On BDC " + line % (680, b"Layer on.") + b"EMC /OC /Off BDC "
    page += line % (660, b"Layer off.") + b"EMC /OC /AllOn BDC " + line % (640, b"Membership off.") + b"EMC "
    page += b"/P <</MCID 0>> BDC " + line % (620, b"Tagged.") + b"EMC /Off Do /On Do"
    form = line % (580, b"Form on.") + b"/OC /Off BDC " + line % (560, b"Part of the form off.") + b"EMC"
    fonts, names = b"/Font<</F1 7 0 R>>", b"/Properties<</On 5 0 R/Off 6 0 R/AllOn 10 0 R>>"
    box = b"/Type/XObject/Subtype/Form/BBox[0 0 612 792]/Resources<<" + fonts + names + b">>"
    kids = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<<" + fonts + names
    objects = (
        b"<</Type/Catalog/Pages 2 0 R/OCProperties<</OCGs[5 0 R 6 0 R]/D<</OFF[6 0 R]>>>>>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        kids + b"/XObject<</Off 8 0 R/On 9 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(page), page),
        b"<</Type/OCG/Name(Text)>>",
        b"<</Type/OCG/Name(Draft)>>",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<<%s/OC 6 0 R/Length %d>>stream\n%s\nendstream"
        % (box, len(line % (600, b"Form off.")), line % (600, b"Form off.")),
        b"<<%s/Length %d>>stream\n%s\nendstream" % (box, len(form), form),
        b"<</Type/OCMD/OCGs[5 0 R 6 0 R]/P/AllOn>>",
    )
    data = b"%PDF-1.5\n"
    for number, one in enumerate(objects, start=1):
        data += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    path = folder / "layers.pdf"
    path.write_bytes(data + b"trailer\n<</Size 11/Root 1 0 R>>\n%%EOF")
    return path


def test_text_of_layers_that_are_switched_off_is_left_out_and_noted(tmp_path: Path) -> None:
    (read,) = load(layered(tmp_path))
    assert " ".join(read.text.split()) == "No layer. Layer on. Tagged. Form on."
    assert [(note.kind, note.count) for note in read.notes] == [("hidden_text", 4)]


def test_layers_are_known_where_the_catalog_is_packed() -> None:
    packed = zlib.compress(b"1 0 <</Type/Catalog/OCProperties 2 0 R>>")
    assert has_layers(b"<</Type/ObjStm/Filter/FlateDecode>>stream\r\n" + packed + b"\nendstream")
    assert not has_layers(b"<</Type/ObjStm>>stream\n" + zlib.compress(b"1 0 <</Type/Catalog>>") + b"\nendstream")


def test_white_text_on_a_dark_ground_is_read(tmp_path: Path) -> None:
    pdf = one_page()
    pdf.set_fill_color(30, 30, 120)
    pdf.rect(10, 20, 100, 20, style="F")
    pdf.set_text_color(255, 255, 255)
    pdf.text(15, 30, "Opening hours")
    pdf.set_text_color(30, 30, 120)
    pdf.text(15, 36, "blue on blue")
    assert parsed(pdf, tmp_path).text == "Opening hours"


def test_text_over_which_a_rectangle_is_painted_is_left_out(tmp_path: Path) -> None:
    pdf = one_page()
    pdf.set_fill_color(220)
    pdf.rect(10, 42, 120, 10, style="F")
    pdf.text(12, 48, "The contract with Wren Ltd ends in May.")
    width = pdf.get_string_width
    pdf.set_fill_color(0)
    pdf.rect(12 + width("The contract with "), 43, width("Wren Ltd"), 7, style="F")
    pdf.text(12, 70, "This line is marked.")
    with pdf.local_context(fill_opacity=0.4):
        pdf.rect(12, 65, 60, 7, style="F")
    document_ = parsed(pdf, tmp_path)
    assert texts(document_) == ["The contract with ends in May.", "This line is marked."]
    assert document_.notes == (Note("hidden_text", 1, (1,)),)


def test_struck_text_is_left_out_and_underlined_text_is_read(tmp_path: Path) -> None:
    pdf = one_page()
    pdf.write(6, "Return it within ")
    pdf.set_font(style="S")
    pdf.write(6, "40")
    pdf.set_font(style="")
    pdf.write(6, " 30 days, ")
    pdf.set_font(style="U")
    pdf.write(6, "at our cost")
    document_ = parsed(pdf, tmp_path)
    assert document_.text == "Return it within 30 days, at our cost"
    assert document_.notes == (Note("deleted_text", 1, (1,)),)


def test_raised_and_lowered_figures_never_join_a_number(tmp_path: Path) -> None:
    pdf = one_page()
    for part in ("It moves 10", "^6", " litres of H", "_2", "O, costs 45", "^2", " euros."):
        pdf.char_vpos = {"^": "SUP", "_": "SUB"}.get(part[0], "LINE")
        pdf.write(6, part.lstrip("^_"))
    pdf.char_vpos = "LINE"
    pdf.ln(60)
    pdf.char_vpos = "SUP"
    pdf.write(6, "2")
    pdf.char_vpos = "LINE"
    pdf.write(6, " Without tax.")
    assert texts(parsed(pdf, tmp_path)) == ["It moves 10^6 litres of H2O, costs 45 [2] euros.", "[2] Without tax."]


def picture(pdf: FPDF, *, width: float = 210) -> None:
    pdf.image(Image.new("L", (400, 560), 128), 0, 0, width)


def test_pages_without_text_layer_are_named_and_blank_ones_are_not(tmp_path: Path) -> None:
    pdf = one_page()
    pdf.write(6, "Cover sheet")
    pdf.add_page()
    picture(pdf)
    pdf.add_page()
    pdf.line(20, 20, 100, 20)
    pdf.add_page()
    picture(pdf)
    pdf.text(20, 290, "Received on 3 May")
    document_ = parsed(pdf, tmp_path)
    assert document_.notes == (Note("no_text_layer", 2, (2, 4)),)
    assert "Received on 3 May" in document_.text


def with_nameless_glyphs(pages: list[tuple[str, int]], path: Path) -> None:
    """Write a PDF whose pages have a text, and a number of glyphs of a font that gives them no names of letters."""
    kids = " ".join(f"{3 + 2 * at} 0 R" for at in range(len(pages)))
    objects = ["<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>"]
    font = (
        "<</Type/Font/Subtype/Type3/FontBBox[0 0 750 750]/FontMatrix[0.001 0 0 0.001 0 0]/FirstChar 1/LastChar 2"
        "/Widths[750 750]/Encoding<</Type/Encoding/Differences[1/g1/g2]>>/CharProcs<<>>>>"
    )
    plain = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    for text, glyphs in pages:
        drawn = f"BT /A 12 Tf 72 700 Td ({text}) Tj ET BT /B 12 Tf 72 600 Td <{'0102' * (glyphs // 2)}> Tj ET"
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {len(objects) + 2} 0 R"
            f"/Resources<</Font<</A {plain}/B {font}>>>>>>"
        )
        objects.append(f"<</Length {len(drawn)}>>stream\n{drawn}\nendstream")
    body = "".join(f"{number} 0 obj\n{each}\nendobj\n" for number, each in enumerate(objects, start=1))
    path.write_text(f"%PDF-1.7\n{body}trailer<</Root 1 0 R/Size {len(objects) + 1}>>\n%%EOF\n", encoding="ascii")


def test_pages_in_fonts_that_name_no_letters_are_named(tmp_path: Path) -> None:
    with_nameless_glyphs([("This page can be read.", 10), ("Annex", 60), ("The end.", 0)], tmp_path / "a.pdf")
    (document_,) = load(tmp_path / "a.pdf")
    assert texts(document_) == ["This page can be read.", "Annex", "The end."]
    assert set(document_.notes) == {Note("undecoded_text", 1, (1,)), Note("no_text_layer", 1, (2,))}


def test_the_text_layer_of_a_scan_is_read(tmp_path: Path) -> None:
    pdf = one_page()
    picture(pdf)
    with pdf.local_context(text_mode=TextMode.INVISIBLE):
        pdf.text(20, 100, "What the scan says.")
    document_ = parsed(pdf, tmp_path)
    assert (document_.text, document_.notes) == ("What the scan says.", ())


def test_a_large_picture_that_is_no_photograph_is_noted(tmp_path: Path) -> None:
    pdf = one_page()
    pdf.multi_cell(180, 6, PROSE * 8)
    pdf.image(Image.new("1", (400, 300)), 20, 100, 170)
    pdf.image(Image.new("1", (40, 30)), 20, 250, 20)
    assert parsed(pdf, tmp_path).notes == (Note("picture", 1, (1,)),)


# --- headings ------------------------------------------------------------------------------------------------------


def headed(pdf: FPDF) -> None:
    """Write two headings below each other, and another one that takes two lines."""
    pdf.set_font(style="B", size=24)
    for text in ("Bicycles", "What they cost"):
        pdf.cell(text=text, new_x="LMARGIN", new_y="NEXT")
        pdf.ln(6)
    pdf.set_font(size=18)
    pdf.multi_cell(180, 7, "All models of this year and what we ask for them in our shops and by mail", align="L")
    pdf.ln(12)
    pdf.set_font("Helvetica", size=12)


LONG = "All models of this year and what we ask for them in our shops and by mail"


def test_headings_below_each_other_are_several(tmp_path: Path) -> None:
    pdf = one_page()
    headed(pdf)
    pdf.multi_cell(180, 6, PROSE * 6)
    document = parsed(pdf, tmp_path)
    assert document.text.split("\n\n")[:3] == ["Bicycles", "What they cost", LONG]
    assert document.blocks[-1].heading == ("What they cost", LONG)


def test_headings_are_found_where_everything_else_is_in_ruled_tables(tmp_path: Path) -> None:
    pdf = one_page()
    headed(pdf)
    with pdf.table([("Model", "Price"), *((f"Wren {number}", f"3,6{number}") for number in range(10, 30))]):
        pass
    document = parsed(pdf, tmp_path)
    assert {block.heading for block in document.blocks if block.kind == "row"} == {("What they cost", LONG)}


# --- ruled tables --------------------------------------------------------------------------------------------------


def test_ruled_cells_are_kept_apart_however_narrow_the_gap(tmp_path: Path) -> None:
    pdf = one_page()
    pdf.multi_cell(180, 6, PROSE * 4, new_x="LMARGIN", new_y="NEXT")
    for cells in (("Model", "Price in euros", "Weight"), ("Wren", "3,690", ""), ("Heron 3", "", "46 kg")):
        for width, text in zip((18, 31, 18), cells, strict=True):
            pdf.cell(width, 7, text, border=1)
        pdf.ln(7)
    pdf.multi_cell(180, 6, "The end of the list.")
    assert texts(parsed(pdf, tmp_path))[1:] == [
        "Model: Wren; Price in euros: 3,690",
        "Model: Heron 3; Weight: 46 kg",
        "The end of the list.",
    ]


def test_merged_and_many_lined_cells_of_a_ruled_table(tmp_path: Path) -> None:
    pdf = one_page()
    with pdf.table(col_widths=(20, 40, 40), num_heading_rows=2) as table:
        row = table.row()
        row.cell("Zone", rowspan=2)
        row.cell("Fee", colspan=2)
        table.row(["2024", "2025"])
        row = table.row()
        row.cell("EU", rowspan=2)
        row.cell("9, for parcels of up to five kilograms that are sent on a working day")
        row.cell("10")
        table.row(["12", "14"])
    assert texts(parsed(pdf, tmp_path)) == [
        "Zone: EU; Fee 2024: 9, for parcels of up to five kilograms that are sent on a working day; Fee 2025: 10",
        "Zone: EU; Fee 2024: 12; Fee 2025: 14",
    ]


def test_tables_that_touch_are_two_tables(tmp_path: Path) -> None:
    pdf = one_page()
    pdf.multi_cell(180, 6, PROSE * 4, new_x="LMARGIN", new_y="NEXT")
    tables = (
        ((30, 20), (("Model", "Price"), ("Wren", "3,690"), ("Heron", "5,490"))),
        ((25, 33, 27), (("Place", "Opened", "Seats"), ("Rome", "1987", "40"), ("Oslo", "2003", "12"))),
    )
    for widths, rows in tables:
        for at, cells in enumerate(rows):
            pdf.set_font(style="" if at else "B")
            for width, text in zip(widths, cells, strict=True):
                pdf.cell(width, 7, text, border=1)
            pdf.ln(7)
    assert texts(parsed(pdf, tmp_path))[1:] == [
        "Model: Wren; Price: 3,690",
        "Model: Heron; Price: 5,490",
        "Place: Rome; Opened: 1987; Seats: 40",
        "Place: Oslo; Opened: 2003; Seats: 12",
    ]


def test_a_first_line_that_stands_on_each_page_names_the_columns_from_the_first_one(tmp_path: Path) -> None:
    def write(pdf: FPDF, number: int) -> None:
        pdf.set_y(30)
        for cells in (("Name", "Duty"), (f"Ann{number}", "lamps"), (f"Ute{number}", "ropes")):
            for text in cells:
                pdf.cell(50, 8, text, border=1)
            pdf.ln(8)

    assert texts(parsed(document(write, 2), tmp_path)) == [
        f"Name: {name}{number}; Duty: {duty}"
        for number in (1, 2)
        for name, duty in (("Ann", "lamps"), ("Ute", "ropes"))
    ]


def test_hidden_words_leave_no_gap_between_cells(tmp_path: Path) -> None:
    pdf = one_page()
    pdf.multi_cell(180, 6, PROSE * 2, new_x="LMARGIN", new_y="NEXT")
    for _ in range(3):
        for grey, text in ((0, "The shop is"), (255, " hidden words"), (0, " open on Monday.")):
            pdf.set_text_color(grey)
            pdf.write(6, text)
        pdf.ln(6)
    assert "The shop is open on Monday." in parsed(pdf, tmp_path).text


def test_columns_with_narrow_gaps_are_found_where_words_stand_exactly_below_each_other(tmp_path: Path) -> None:
    pdf = one_page()
    pdf.multi_cell(180, 6, PROSE * 3, new_x="LMARGIN", new_y="NEXT")
    rows = (
        ("Model", "Price", "Rank"),
        ("Wren 1", "3,690", "good"),
        ("Swift 2", "", "best"),
        ("Heron", "5,490", "fine"),
    )
    for at, cells in enumerate(rows):
        pdf.set_font(style="B" if at == 0 else "")
        for place, text in zip((10, 27, 42), cells, strict=True):
            pdf.text(place, 70 + 6 * at, text)
    assert texts(parsed(pdf, tmp_path))[1:] == [
        "Model: Wren 1; Price: 3,690; Rank: good",
        "Model: Swift 2; Rank: best",
        "Model: Heron; Price: 5,490; Rank: fine",
    ]


def test_turned_text_keeps_its_words(tmp_path: Path) -> None:
    pdf = one_page()
    pdf.multi_cell(180, 6, PROSE * 3)
    for angle, text in ((90, "Sold in Graz"), (-90, "Made in Linz"), (40, "FINAL DRAFT")):
        with pdf.rotation(angle, 100, 150):
            pdf.text(100, 150, text)
    found = parsed(pdf, tmp_path).text
    assert "Sold in Graz" in found
    assert "Made in Linz" in found
    assert "FINAL DRAFT" in found


def test_a_page_whose_text_runs_up_is_read_turned(tmp_path: Path) -> None:
    pdf = one_page()
    with pdf.rotation(90, 100, 150):
        for at, cells in enumerate((("Model", "Price"), ("Wren", "3,690"), ("Heron", "5,490"))):
            pdf.text(60, 100 + 8 * at, cells[0])
            pdf.text(120, 100 + 8 * at, cells[1])
    assert texts(parsed(pdf, tmp_path)) == ["Model: Wren; Price: 3,690", "Model: Heron; Price: 5,490"]


@pytest.mark.parametrize(
    "lines",
    [
        ("自行车送达后三十", "天内可以退货。退货时必须", "附上两把钥匙。"),
        ("返品は配達から三十日", "以内です。返品の際には鍵を", "同封してください。"),
        ("คืนจักรยานได้ภายใน", "สามสิบวันหลังจากได้รับ", "สินค้า"),
    ],
)
def test_lines_without_spaces_are_one_sentence(lines: tuple[str, ...]) -> None:
    builder = TextBuilder()
    written = [
        Line([Segment(text, 72, 72 + 12 * len(text))], 700 - 16 * number, 712 - 16 * number, 12)
        for number, text in enumerate(lines)
    ]
    add_pages(builder, [Page(written, 612, 792)])
    assert builder.build().text == "".join(lines)
