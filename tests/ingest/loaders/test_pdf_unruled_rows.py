"""Rows that no rule separates are rows, and many-lined cells of ruled rows are cells."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fpdf import FPDF

from groundtune.ingest.loaders import load

NAMES = ("Work", "Note", "Hours", "Cost")
WRAPPED = "only the left door and the part of the roof above it"
BODY = (
    ("Body labour", "", "2", "300"),
    ("Paint labour", WRAPPED, "1.5", "225"),
    ("Supplies", "", "", ""),
    ("Oil", "no", "-", "-"),
    ("Tax", "", "10.20%", "55.08"),
)
READ = [
    "Work: Body labour; Hours: 2; Cost: 300",
    f"Work: Paint labour; Note: {WRAPPED}; Hours: 1.5; Cost: 225",
    "Work: Supplies",
    "Work: Oil; Note: no; Hours: -; Cost: -",
    "Work: Tax; Hours: 10.20%; Cost: 55.08",
]
WIDTHS = (34, 46, 22, 24)
EDGES = (10, 44, 90, 112, 136)
Written = tuple[int, int, int, float, str]
"""Row, column, line of its cell, height, text."""
ORDERS: dict[str, Callable[[Written], tuple[float, ...]]] = {
    "row by row": lambda part: part[:3],
    "column by column": lambda part: (part[0] > 0, part[1], *part[:3]),
    "line by line": lambda part: (part[3], part[1]),
}


def blocks(pdf: FPDF, folder: Path) -> list[str]:
    path = folder / "a.pdf"
    pdf.output(str(path))
    (document,) = load(path)
    return [document.text[block.start : block.end] for block in document.blocks]


def draw(pdf: FPDF, rows: Sequence[Sequence[str]], order: Callable[[Written], tuple[float, ...]]) -> None:
    """Draw a table on a new page, with rules between its columns and below its names alone."""
    pdf.set_auto_page_break(False)
    pdf.add_page()
    written: list[Written] = []
    top = below = 40.0
    heights = []
    for at, cells in enumerate(rows):
        lines = [_wrapped(pdf, text, width) for text, width in zip(cells, WIDTHS, strict=True)]
        written += [
            (at, column, number, below + 4 + 5 * number, text)
            for column, texts in enumerate(lines)
            for number, text in enumerate(texts)
        ]
        below += 1 + 5 * max(map(len, lines))
        heights.append(below)
    for at, column, _, height, text in sorted(written, key=order):
        pdf.set_font("Helvetica", style="" if at else "B", size=11)
        pdf.text(EDGES[column] + 1, height, text)
    for x in EDGES:
        pdf.line(x, top, x, below)
    for y in (top, heights[0], below):
        pdf.line(EDGES[0], y, EDGES[-1], y)


def _wrapped(pdf: FPDF, text: str, width: float) -> list[str]:
    pdf.set_font("Helvetica", size=11)
    return pdf.multi_cell(width, 5, text, dry_run=True, output="LINES") if text else [""]


@pytest.mark.parametrize("order", ORDERS)
def test_lines_between_ruled_columns_are_rows_in_whatever_order_they_were_written(order: str, tmp_path: Path) -> None:
    pdf = FPDF()
    draw(pdf, [NAMES, *BODY], ORDERS[order])
    assert blocks(pdf, tmp_path) == READ


def test_such_rows_go_on_over_the_page(tmp_path: Path) -> None:
    pdf = FPDF()
    draw(pdf, [NAMES, *BODY], ORDERS["row by row"])
    draw(pdf, [NAMES, *BODY[::-1]], ORDERS["row by row"])
    assert blocks(pdf, tmp_path) == [*READ, *READ[::-1]]


def test_many_lined_cells_of_ruled_rows_stay_whole(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=11)
    rows = (
        ("Bill to", "Ship to", "Contact"),
        ("Wren Ltd\n12 High Street\nLondon", "Ann Smith\n3 Low Street\nLeeds", "ann@wren.com\n+44 20 1234 555"),
        ("Heron GmbH\nAm See 5\nBerlin", "Ute Roth\nAm See 7\nBerlin", "ute@heron.de\n+49 30 123 456"),
    )
    with pdf.table(rows):
        pass
    assert blocks(pdf, tmp_path) == [
        "Bill to: Wren Ltd 12 High Street London; Ship to: Ann Smith 3 Low Street Leeds; "
        "Contact: ann@wren.com +44 20 1234 555",
        "Bill to: Heron GmbH Am See 5 Berlin; Ship to: Ute Roth Am See 7 Berlin; Contact: ute@heron.de +49 30 123 456",
    ]


def test_values_below_each_other_in_one_cell_are_rows_with_the_texts_beside_them(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=11)
    with pdf.table([("Size", "Price"), ("Small\nLarge\nHuge", "10\n20\n30")]):
        pass
    assert blocks(pdf, tmp_path) == ["Size: Small; Price: 10", "Size: Large; Price: 20", "Size: Huge; Price: 30"]


def test_a_frame_is_no_cell_of_what_it_surrounds(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", style="B", size=18)
    pdf.text(40, 30, "Estimate for a repair")
    pdf.set_font("Helvetica", size=11)
    details = (
        ("Insured name", "Bruce Wayne", "Year", "2025"),
        ("Claim number", "SF-1008", "Make", "Jeep"),
        ("Policy", "POL-2022-555", "Model", "Grand Cherokee"),
    )
    for at, texts in enumerate(details):
        for x, text in zip((12, 50, 100, 130), texts, strict=True):
            pdf.text(x, 40 + 6 * at, text)
    pdf.text(12, 64, "Total")
    pdf.text(132, 64, "5,738")
    pdf.rect(10, 20, 160, 50)
    pdf.line(10, 60, 170, 60)
    pdf.line(120, 60, 120, 70)
    assert blocks(pdf, tmp_path) == [*map("; ".join, details), "Total; 5,738"]
    (document,) = load(tmp_path / "a.pdf")
    assert {block.heading for block in document.blocks} == {("Estimate for a repair",)}
