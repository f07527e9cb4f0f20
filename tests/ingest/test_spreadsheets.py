"""Workbooks and OpenDocument spreadsheets are read as their programs show them; what is not shown is noted."""

import io
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.styles import Font, PatternFill

from groundtune.ingest.loaders import load
from groundtune.ingest.parsed import ParsedDocument


def read(path: Path) -> tuple[list[str], dict[str, tuple[int, tuple[str, ...]]]]:
    (parsed,) = load(path)
    return texts(parsed), {note.kind: (note.count, note.places) for note in parsed.notes}


def texts(parsed: ParsedDocument) -> list[str]:
    return [parsed.text[block.start : block.end] for block in parsed.blocks]


def saved(book: Any, path: Path) -> Path:
    book.save(path)
    return path


def test_what_is_hidden_is_left_out_and_noted(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["Model", "Margin", "Price"], ["Wren", "secret", 3690], ["Drake", "draft", 9999], ["Heron", "x", 5490]):
        sheet.append(row)
    sheet.row_dimensions[3].hidden = True
    sheet.column_dimensions["B"].hidden = True
    for state in ("hidden", "veryHidden"):
        other = book.create_sheet(state)
        other.append(["salary", 4711])
        other.sheet_state = state
    assert read(saved(book, tmp_path / "a.xlsx")) == (
        ["Model: Wren; Price: 3690", "Model: Heron; Price: 5490"],
        {
            "hidden_row": (1, ("Sheet!3",)),
            "hidden_column": (1, ("Sheet!B",)),
            "hidden_sheet": (2, ("hidden", "veryHidden")),
        },
    )


def test_rows_behind_a_filter_are_left_out_and_noted(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Name", "Land"], ["Anna", "AT"], ["Ben", "DE"]):
        book.active.append(row)
    book.active.auto_filter.ref = "A1:B3"
    book.active.auto_filter.add_filter_column(1, ["AT"])
    book.active.row_dimensions[3].hidden = True
    assert read(saved(book, tmp_path / "a.xlsx")) == (["Name: Anna; Land: AT"], {"filtered_row": (1, ("Sheet!3",))})


def test_a_formula_without_a_stored_value_is_noted(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Price", "Doubled"], [17, "=A2*2"]):
        book.active.append(row)
    assert read(saved(book, tmp_path / "a.xlsx"))[1] == {"no_stored_value": (1, ("Sheet!B2",))}


def test_a_zero_that_its_writer_never_computed_is_no_value(tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(str(tmp_path / "a.xlsx"))
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["Item", "Price", "Doubled"])
    sheet.write_row(1, 0, ["Wren", 17, "=B2*2"])
    book.close()
    assert read(tmp_path / "a.xlsx") == (
        ["Item: Wren; Price: 17", "Doubled"],
        {"no_stored_value": (1, ("Sheet1!C2",))},
    )


def test_merged_cells_reach_over_their_rows_and_columns(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    rows = (["Fees of 2025"], ["Zone", "Fee", None], [None, "old", "new"], ["EU", 9, 14], [None, 29, 44])
    for row in rows:
        sheet.append(row)
    for area in ("A1:C1", "A2:A3", "B2:C2", "A4:A5"):
        sheet.merge_cells(area)
    assert read(saved(book, tmp_path / "a.xlsx"))[0] == [
        "Fees of 2025",
        "Zone: EU; Fee old: 9; Fee new: 14",
        "Zone: EU; Fee old: 29; Fee new: 44",
    ]


def test_a_row_of_a_merged_cell_alone_is_no_gap(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Lohn", "2014"], ["Graz", 9], [], ["Linz", 7]):
        book.active.append(row)
    book.active["A1"].font = book.active["B1"].font = Font(bold=True)
    book.active.merge_cells("A2:A3")
    assert read(saved(book, tmp_path / "a.xlsx"))[0] == ["Lohn: Graz; 2014: 9", "Lohn: Linz; 2014: 7"]


def test_raised_and_struck_text(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    raised, struck = InlineFont(vertAlign="superscript"), InlineFont(strike=True)
    sheet["A1"] = CellRichText("It moves 10", TextBlock(raised, "6"), " litres")
    sheet["A2"] = CellRichText("within ", TextBlock(struck, "40 "), "30 days")
    sheet["A3"] = "gone"
    sheet["A3"].font = Font(strike=True)
    assert read(saved(book, tmp_path / "a.xlsx")) == (
        ["It moves 10^6 litres", "within 30 days"],
        {"deleted_text": (2, ("Sheet!A2", "Sheet!A3"))},
    )


def test_white_text_on_white_is_hidden(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row, text in enumerate(("shown", "gone", "head"), 1):
        sheet.cell(row, 1, text)
    sheet["A2"].font = sheet["A3"].font = Font(color="FFFFFFFF")
    sheet["A3"].fill = PatternFill("solid", fgColor="FF000080")
    assert read(saved(book, tmp_path / "a.xlsx")) == (["shown", "head"], {"hidden_text": (1, ("Sheet!A2",))})


def test_values_as_displayed(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    shown = {"€ 76": (76, '"€" 0'), "04711": (4711, "00000"), "(12)": (-12, "0;(0)"), "TRUE": (True, "General")}
    shown |= {"01.01.2025": (45658, "dd.mm.yyyy"), "#REF!": ("#REF!", "General"), "0042": ("0042", "@")}
    for row, (value, code) in enumerate(shown.values(), 1):
        sheet.cell(row, 1, value).number_format = code
    assert read(saved(book, tmp_path / "a.xlsx"))[0] == list(shown)


@pytest.mark.parametrize("mark", ["bold", "frozen", "filter", "table"])
def test_a_line_that_the_file_marks_names_columns(tmp_path: Path, mark: str) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["Sorte", "Herkunft"], ["Boskop", "Tirol"], ["Gala", "Krain"]):
        sheet.append(row)
    if mark == "bold":
        sheet["A1"].font = sheet["B1"].font = Font(bold=True)
    elif mark == "frozen":
        sheet.freeze_panes = "A2"
    elif mark == "filter":
        sheet.auto_filter.ref = "A1:B3"
    else:
        sheet.add_table(openpyxl.worksheet.table.Table(displayName="T", ref="A1:B3"))
    assert read(saved(book, tmp_path / "a.xlsx"))[0] == [
        "Sorte: Boskop; Herkunft: Tirol",
        "Sorte: Gala; Herkunft: Krain",
    ]


def test_styles_to_the_last_column_and_far_cells(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active["A1"] = "near"
    book.active["XFD1"].font = Font(bold=True)
    book.active["XFD1048576"] = "far"
    assert read(saved(book, tmp_path / "a.xlsx"))[0] == ["near", "far"]


def test_text_boxes_pictures_and_charts(tmp_path: Path) -> None:
    from PIL import Image

    picture = io.BytesIO()
    Image.new("L", (9, 9)).save(picture, "PNG")
    book = xlsxwriter.Workbook(str(tmp_path / "a.xlsx"))
    sheet = book.add_worksheet("Pump")
    sheet.write(0, 0, "Cell")
    sheet.insert_textbox(3, 1, "Open on Monday")
    sheet.insert_image(9, 1, "a.png", {"image_data": picture, "description": "A pump"})
    chart = book.add_chart({"type": "column"})
    sheet.write_column(20, 0, [17, 19])
    chart.add_series({"name": "Flow", "values": ["Pump", 20, 0, 21, 0]})
    chart.set_title({"name": "Flow per pump"})
    sheet.insert_chart(30, 1, chart)
    book.close()
    lines, notes = read(tmp_path / "a.xlsx")
    assert lines[:3] == ["Cell", "17", "19"]
    assert lines[3:6] == ["Open on Monday", "A pump", "Flow per pump"]
    assert (lines[3:6], notes) == (
        ["Open on Monday", "A pump", "Flow per pump"],
        {"picture": (1, ("Pump",))},
    )


def test_workbooks_of_other_programs(tmp_path: Path) -> None:
    """Prefixed names, no references of cells, texts inline, absolute targets, dates from 1904; a damaged sheet."""
    main, rels = (
        "http://purl.oclc.org/ooxml/spreadsheetml/main",
        "http://purl.oclc.org/ooxml/officeDocument/relationships",
    )
    packaged = "http://schemas.openxmlformats.org/package/2006/relationships"
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{packaged}"><Relationship Id="a" Type="{rels}/officeDocument" '
            'Target="/xl/book.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/book.xml",
            f'<x:workbook xmlns:x="{main}" xmlns:r="{rels}"><x:workbookPr date1904="1"/><x:sheets>'
            '<x:sheet name="One" r:id="s1"/><x:sheet name="Two" r:id="s2"/></x:sheets></x:workbook>',
        )
        archive.writestr(
            "xl/_rels/book.xml.rels",
            f'<Relationships xmlns="{packaged}"><Relationship Id="s1" Type="{rels}/worksheet" Target="/xl/s1.xml"/>'
            f'<Relationship Id="s2" Type="{rels}/worksheet" Target="s2.xml"/>'
            f'<Relationship Id="st" Type="{rels}/styles" Target="styles.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/styles.xml", f'<styleSheet xmlns="{main}"><cellXfs><xf numFmtId="14"/></cellXfs></styleSheet>'
        )
        archive.writestr(
            "xl/s1.xml",
            f'<x:worksheet xmlns:x="{main}"><x:sheetData><x:row><x:c t="inlineStr"><x:is><x:t>Start_x000D_</x:t></x:is>'
            "</x:c><x:c><x:v>1</x:v></x:c></x:row></x:sheetData></x:worksheet>",
        )
        archive.writestr("xl/s2.xml", f'<worksheet xmlns="{main}"><sheetData><row><c><v>7</v></c></row><row><c')
    lines, notes = read(tmp_path / "a.xlsx")
    assert lines[0] == "Start; 1904-01-02"
    assert notes == {"unreadable_part": (1, ("Two",))}


# --- OpenDocument --------------------------------------------------------------------------------------------------

_NAMESPACES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for short, name in (
        ("office", "office"),
        ("table", "table"),
        ("text", "text"),
        ("style", "style"),
        ("draw", "drawing"),
    )
)
_STYLES = (
    '<style:style style:name="gone" style:family="table"><style:table-properties table:display="false"/></style:style>'
    '<style:style style:name="s" style:family="text"><style:text-properties style:text-line-through-type="single"/>'
    '</style:style><style:style style:name="up" style:family="text"><style:text-properties '
    'style:text-position="super 58%"/></style:style>'
)


def ods(path: Path, *tables: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "content.xml",
            f"<office:document-content {_NAMESPACES}><office:automatic-styles>{_STYLES}</office:automatic-styles>"
            f"<office:body><office:spreadsheet>{''.join(tables)}</office:spreadsheet></office:body>"
            "</office:document-content>",
        )
    return path


def cell(text: str, extra: str = "") -> str:
    return f"<table:table-cell {extra}><text:p>{text}</text:p></table:table-cell>"


def row(*cells: str, extra: str = "") -> str:
    return f"<table:table-row {extra}>{''.join(cells)}</table:table-row>"


def table(name: str, *rows: str, extra: str = "") -> str:
    return f'<table:table table:name="{name}" {extra}>{"".join(rows)}</table:table>'


def test_ods(tmp_path: Path) -> None:
    hidden = 'table:visibility="collapse"'
    path = ods(
        tmp_path / "a.ods",
        table(
            "Fees",
            f'<table:table-column table:number-columns-repeated="2"/><table:table-column {hidden}/>',
            row(cell("Zone"), cell("Fee"), cell("Margin")),
            row(cell("EU", 'table:number-rows-spanned="2"'), cell("9 €", 'office:value="9"'), cell("secret")),
            row("<table:covered-table-cell/>", cell("14 €"), cell("secret")),
            row(cell("World"), cell("29 €"), extra='table:visibility="filter"'),
            row(cell("Moon"), cell("10<text:span text:style-name='up'>6</text:span> €"), extra=hidden),
            row(cell("Mars"), cell("<text:span text:style-name='s'>40</text:span> 44<text:s/>€")),
            row(
                '<table:table-cell table:number-columns-repeated="16384"/>',
                extra='table:number-rows-repeated="1048000"',
            ),
        ),
        table("Old", row(cell("salary")), extra='table:style-name="gone"'),
        table(
            "Next", row(cell("Price"), cell("Doubled")), row(cell("17"), '<table:table-cell table:formula="of:=2"/>')
        ),
    )
    lines, notes = read(path)
    assert lines[:3] == ["Zone: EU; Fee: 9 €", "Zone: EU; Fee: 14 €", "Zone: Mars; Fee: 44 €"]
    assert notes == {
        "filtered_row": (1, ("Fees!4",)),
        "hidden_row": (1, ("Fees!5",)),
        "deleted_text": (1, ("Fees!B6",)),
        "hidden_column": (1, ("Fees!C",)),
        "hidden_sheet": (1, ("Old",)),
        "no_stored_value": (1, ("Next!B2",)),
    }


def test_ods_repeats_and_values_without_text(tmp_path: Path) -> None:
    path = ods(
        tmp_path / "a.ods",
        table(
            "S",
            row(cell("x", 'table:number-columns-repeated="3"'), extra='table:number-rows-repeated="2"'),
            row('<table:table-cell office:value-type="float" office:value="4.5"/>'),
        ),
    )
    assert read(path)[0] == ["x; x; x", "x; x; x", "4.5"]
