"""Write a document as PDF with fpdf2: headings by size, labels as text, tables over pages, page header and footer."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.oracles.structures import (
    Document,
    Heading,
    Hidden,
    Items,
    Paragraph,
    Run,
    Table,
    label_of,
)
from fpdf import FPDF
from fpdf.enums import TableHeadingsDisplay

_FONTS = Path("/usr/share/fonts/truetype/dejavu")
LANGUAGES = ("en", "de", "fr", "es", "pl", "tr", "ru", "el")
"""Languages that the font has and that need no shaping."""
_SIZES = {1: 18, 2: 15, 3: 13}
_VPOS = {"superscript": "SUP", "subscript": "SUB"}


def missing_font() -> str | None:
    """Why no PDF can be written here; None if one can."""
    return None if (_FONTS / "DejaVuSans.ttf").exists() else "no DejaVu font: apt-get install fonts-dejavu-core"


def write(document: Document, path: Path) -> Document:
    """Write what stands in a PDF; hidden text is white."""
    kept = document.only(
        *(Heading, Paragraph, Items, Table, Hidden),
        styles=("bold", "superscript", "subscript", "struck", "hidden"),
        furniture=True,
    )
    blocks = tuple(block for block in kept.blocks if not isinstance(block, Paragraph) or block.language in LANGUAGES)
    kept = Document(kept.title, blocks, kept.header, kept.footer)
    pdf = _Pages(kept.header, kept.footer)
    pdf.add_page()
    for block in kept.blocks:
        match block:
            case Heading(level, text):
                pdf.ln(3)
                pdf.text_line([Run(text, "bold")], size=_SIZES[level])
            case Paragraph(runs):
                pdf.text_line(runs)
            case Items():
                _items(pdf, block, 0)
                pdf.ln(2)
            case Table():
                _table(pdf, block)
            case Hidden(text):
                pdf.text_line([Run(text, "hidden")])
    pdf.output(str(path))
    return kept


class _Pages(FPDF):
    def __init__(self, header: str | None, footer: str | None) -> None:
        super().__init__()
        self._header, self._footer = header, footer
        self.add_font("DejaVu", "", _FONTS / "DejaVuSans.ttf")
        self.add_font("DejaVu", "B", _FONTS / "DejaVuSans-Bold.ttf")
        self.set_font("DejaVu", size=11)

    def header(self) -> None:
        if self._header:
            self.set_font("DejaVu", size=9)
            self.cell(0, 8, self._header, new_x="LMARGIN", new_y="NEXT")

    def footer(self) -> None:
        if self._footer:
            self.set_y(-15)
            self.set_font("DejaVu", size=9)
            self.cell(0, 8, f"{self._footer} - {self.page_no()}", align="C")

    def text_line(self, runs: Sequence[Run], *, size: float = 11, indent: float = 0, label: str = "") -> None:
        """Write one paragraph."""
        self.set_left_margin(10 + indent)
        self.set_x(10 + indent)
        if label:
            self.set_font("DejaVu", size=size)
            self.write(6, f"{label} ")
        for run in runs:
            strike = "S" if run.style == "struck" else ""
            self.set_font("DejaVu", ("B" if run.style == "bold" else "") + strike, size)
            self.set_text_color(255 if run.style == "hidden" else 0)
            self.char_vpos = _VPOS.get(run.style, "LINE")
            self.write(size * 0.5, run.text)
        self.char_vpos = "LINE"
        self.set_text_color(0)
        self.set_left_margin(10)
        self.ln(size * 0.5 + 3)


def _items(pdf: _Pages, items: Items, level: int) -> None:
    for number, item in enumerate(items.items, start=1):
        pdf.text_line(item.runs, indent=8 * (level + 1), label=label_of(items.label, number) or "•")
        if item.below:
            _items(pdf, item.below, level + 1)


def _table(pdf: _Pages, table: Table) -> None:
    pdf.set_font("DejaVu", size=9)
    display = TableHeadingsDisplay.ON_TOP_OF_EVERY_PAGE if table.header else TableHeadingsDisplay.NONE
    with pdf.table(
        num_heading_rows=table.header or 0, first_row_as_headings=bool(table.header), repeat_headings=display
    ) as made:
        for row in table.rows:
            line = made.row()
            for cell in row:
                line.cell(cell.text, colspan=cell.columns, rowspan=cell.rows)
    pdf.ln(4)
