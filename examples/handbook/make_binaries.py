"""Build the PDF, DOCX, PPTX and XLSX files of docs/ from sources/: python make_binaries.py [FOLDER]

FOLDER is an example project; without it, the one that this file is in.

The path of a source says what it becomes: `sources/hr/guide.pdf.md` is written to
`docs/hr/guide.pdf`, and the folder `sources/x/rates.xlsx/` with one CSV file a sheet
(`1-Name of the sheet.csv`) to `docs/x/rates.xlsx`. A text source starts with a head of
`key: value` lines; after the first blank line come headings (`#`, `##`), paragraphs,
lists (`- ` or `1. `), tables (rows of cells between `|`, the first one is the header) and
text between fences that is drawn: in a PDF a scanned page, in a Word file a picture.
In a slide deck `Subtitle:` belongs to the title slide and `Note:` to the speaker notes.

The files carry a fixed date, so that two runs write the same bytes.
"""

from __future__ import annotations

import csv
import io
import re
import sys
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from docx import Document as WordDocument
from docx.shared import Mm
from fpdf import FPDF
from fpdf.fonts import FontFace
from openpyxl import Workbook
from openpyxl.styles import Font
from PIL import Image, ImageDraw, ImageFont
from pptx import Presentation
from pptx.util import Inches

HERE = Path(__file__).resolve().parent
COMPANY = "Ternhill Cargo Cycles"
STAMP = datetime(2025, 6, 2, 9, 0, 0)


@dataclass
class Block:
    """A piece of a source text: kind is h1, h2, text, bullet, number, table or drawn."""

    kind: str
    text: str = ""
    rows: list[list[str]] = field(default_factory=list)


@dataclass
class Source:
    """A parsed source text: the head and the blocks in their order."""

    head: dict[str, str]
    blocks: list[Block]


def parse(path: Path) -> Source:
    """Read a source text."""
    top, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    pairs = (line.partition(":") for line in top.splitlines())
    head = {key.strip(): value.strip() for key, _, value in pairs}
    blocks: list[Block] = []
    fenced = False
    for whole in body.splitlines():
        line = whole.strip()
        if line.startswith("```"):
            fenced = not fenced
            blocks += [Block("drawn")] if fenced else []
            continue
        if fenced:
            blocks[-1].text += f"{whole}\n"
            continue
        if not line:
            continue
        if line.startswith("|"):
            row = [cell.strip() for cell in line.strip("|").split("|")]
            if blocks and blocks[-1].kind == "table":
                blocks[-1].rows.append(row)
            else:
                blocks.append(Block("table", rows=[row]))
            continue
        for kind, mark in (("h1", "# "), ("h2", "## "), ("bullet", "- "), ("number", r"\d+\. ")):
            if match := re.match(mark, line):
                blocks.append(Block(kind, line[match.end() :]))
                break
        else:
            blocks.append(Block("text", line))
    return Source(head, blocks)


def drawn(text: str, size: tuple[int, int]) -> Image.Image:
    """Draw text, a line below the other, on white paper; size in pixels."""
    image = Image.new("L", size, 255)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(26)
    for number, line in enumerate(text.splitlines()):
        for words in re.finditer(r"[-+|]|[^\s+|-]+(?: [^\s+|-]+)*", line):  # each in its column
            pen.text((60 + 15 * words.start(), 60 + 40 * number), words[0], font=font, fill=40)
    return image


class Handout(FPDF):
    """An A4 document with a running header and a footer that has the page numbers."""

    def __init__(self, running: str) -> None:
        super().__init__()
        self.running = running
        self.scanned: set[int] = set()
        """Pages without header and footer."""
        self.set_margins(22, 18)
        self.set_auto_page_break(True, margin=22)

    def header(self) -> None:
        if self.page_no() in self.scanned:
            return
        self.set_font("Helvetica", size=8)
        self.cell(0, 6, self.running, align="R", new_x="LMARGIN", new_y="NEXT")
        self.ln(4)

    def footer(self) -> None:
        if self.page_no() in self.scanned:
            return
        self.set_y(-15)
        self.set_font("Helvetica", size=8)
        self.cell(0, 6, f"{COMPANY}, Marrowby - page {self.page_no()} of {{nb}}", align="C")


def write_pdf(source: Source, target: Path) -> None:
    """Write a PDF file."""
    pdf = Handout(source.head["running"])
    pdf.set_title(source.head["title"])
    pdf.set_author(COMPANY)
    pdf.set_creation_date(STAMP.replace(tzinfo=UTC))
    pdf.add_page()
    number = 0
    for block in source.blocks:
        number = number + 1 if block.kind == "number" else 0
        if block.kind == "drawn":
            pdf.scanned.add(pdf.page_no() + 1)
            pdf.add_page()
            pdf.image(drawn(block.text, (1240, 1754)), 0, 0, pdf.w, pdf.h)
        elif block.kind == "table":
            pdf.set_font("Helvetica", size=10)
            with pdf.table(block.rows, line_height=6, align="LEFT", headings_style=FontFace(emphasis="B")):
                pass
            pdf.ln(4)
        elif block.kind in ("h1", "h2"):
            size = 18 if block.kind == "h1" else 13
            if pdf.will_page_break(30):
                pdf.add_page()
            pdf.ln(2)
            pdf.start_section(block.text, level=int(block.kind[1]) - 1)
            pdf.set_font("Helvetica", style="B", size=size)
            pdf.multi_cell(0, size * 0.5, block.text, new_x="LMARGIN", new_y="NEXT")
            pdf.ln(2)
        else:
            mark = {"bullet": "\u00b7 ", "number": f"{number}. "}.get(block.kind, "")
            pdf.set_font("Helvetica", size=11)
            pdf.multi_cell(0, 5.6, mark + block.text, align="L", new_x="LMARGIN", new_y="NEXT")
            pdf.ln(1 if mark else 2.4)
    pdf.output(str(target))


def write_docx(source: Source, target: Path) -> None:
    """Write a Word file with heading, list and table styles."""
    document = WordDocument()
    document.sections[0].header.paragraphs[0].text = COMPANY
    styles = {"text": "Normal", "bullet": "List Bullet", "number": "List Number"}
    for block in source.blocks:
        if block.kind == "drawn":
            picture = io.BytesIO()
            drawn(block.text, (900, 460)).save(picture, "PNG")
            document.add_picture(picture, Mm(150))
        elif block.kind == "table":
            table = document.add_table(len(block.rows), len(block.rows[0]), style="Table Grid")
            for row, cells in zip(table.rows, block.rows, strict=True):
                for cell, text in zip(row.cells, cells, strict=True):
                    cell.text = text
            document.add_paragraph()
        elif block.kind in ("h1", "h2"):
            document.add_heading(block.text, level=int(block.kind[1]))
        else:
            document.add_paragraph(block.text, style=styles[block.kind])
    stamp_properties(document.core_properties, source.head["title"])
    document.save(str(target))
    normalise_zip(target)


def write_pptx(source: Source, target: Path) -> None:
    """Write a slide deck: each h2 opens a slide."""
    deck = Presentation()
    slide = None
    bullets: list[str] = []
    for block in source.blocks:
        if block.kind in ("h1", "h2"):
            bullets = []
            slide = deck.slides.add_slide(deck.slide_layouts[0 if block.kind == "h1" else 1])
            slide.shapes.title.text = block.text
        elif slide is None:
            raise ValueError(f"{target.name}: text before the first heading")
        elif block.kind == "table":
            body = slide.placeholders[1]
            body.element.getparent().remove(body.element)
            size = (len(block.rows), len(block.rows[0]))
            frame = slide.shapes.add_table(*size, Inches(0.6), Inches(1.8), Inches(8.8), Inches(3))
            for y, cells in enumerate(block.rows):
                for x, text in enumerate(cells):
                    frame.table.cell(y, x).text = text
        elif block.text.startswith("Note: "):
            slide.notes_slide.notes_text_frame.text = block.text.removeprefix("Note: ")
        elif block.text.startswith("Subtitle: "):
            slide.placeholders[1].text = block.text.removeprefix("Subtitle: ")
        else:
            bullets += [block.text]
            slide.placeholders[1].text = "\n".join(bullets)
    stamp_properties(deck.core_properties, source.head["title"])
    deck.save(str(target))
    normalise_zip(target)


def write_xlsx(folder: Path, target: Path) -> None:
    """Write a workbook with one sheet for each CSV file of the folder."""
    book = Workbook()
    del book[book.sheetnames[0]]
    for path in sorted(folder.glob("*.csv")):
        sheet = book.create_sheet(path.stem.partition("-")[2])
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.reader(lines):
                sheet.append([number_or_text(cell) for cell in row])
        for cell in sheet[1]:
            cell.font = Font(bold=True)
        for column in sheet.columns:
            widest = max(len(str(cell.value or "")) for cell in column)
            sheet.column_dimensions[column[0].column_letter].width = widest + 2
    book.properties.creator, book.properties.created = COMPANY, STAMP
    book.save(target)
    normalise_zip(target)


def number_or_text(cell: str) -> int | float | str:
    """Give a cell its type."""
    whole = re.fullmatch(r"-?\d+(\.\d+)?", cell)
    return cell if not whole else float(cell) if whole[1] else int(cell)


def stamp_properties(properties: Any, title: str) -> None:
    """Set author, title and dates of an office file."""
    properties.author, properties.title = COMPANY, title
    properties.created = properties.modified = STAMP


def normalise_zip(path: Path) -> None:
    """Rewrite an office file with fixed times, which the libraries take from the clock."""
    fixed = STAMP.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    pattern = rb"(<dcterms:modified[^>]*>)[^<]*"
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w") as new:
        for item in old.infolist():
            data = old.read(item)
            if item.filename == "docProps/core.xml":
                data = re.sub(pattern, lambda match: match.group(1) + fixed, data)
            entry = zipfile.ZipInfo(item.filename, date_time=STAMP.timetuple()[:6])
            new.writestr(entry, data, compress_type=zipfile.ZIP_DEFLATED)
    path.write_bytes(buffer.getvalue())


WRITERS = {".pdf": write_pdf, ".docx": write_docx, ".pptx": write_pptx}


def main(folder: Path) -> None:
    """Write every file of an example project and print its path."""
    sources = folder / "sources"
    for path in sorted(sources.rglob("*.md")) + sorted(sources.rglob("*.xlsx")):
        target = folder / "docs" / path.relative_to(sources)
        if path.suffix == ".md":
            target = target.with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".xlsx":
            write_xlsx(path, target)
        else:
            WRITERS[target.suffix](parse(path), target)
        print(target.relative_to(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
