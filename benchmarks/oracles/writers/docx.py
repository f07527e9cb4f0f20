"""Write a document as Word does: numbering, merged cells, footnotes, content controls, page header and footer."""

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import docx
from benchmarks.oracles.sentences import RIGHT_TO_LEFT
from benchmarks.oracles.structures import (
    Document,
    Field,
    Heading,
    Items,
    Paragraph,
    Picture,
    Run,
    Table,
)
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from docx.shared import Cm

_FORMATS = {
    None: ("bullet", "•"),
    "decimal": ("decimal", ""),
    "letter": ("lowerLetter", ""),
    "roman": ("lowerRoman", ""),
}


def write(document: Document, path: Path) -> Document:
    """Write all of the document but whole hidden parts, which Word does not have."""
    kept = document.only(
        *(Heading, Paragraph, Items, Table, Field, Picture),
        styles=("bold", "superscript", "subscript", "struck", "hidden", "link"),
        furniture=True,
        notes=True,
    )
    writer = _Writer()
    writer.furniture(kept)
    for block in kept.blocks:
        writer.block(block)
    writer.save(path)
    return kept


class _Writer:
    def __init__(self) -> None:
        self.file: Any = docx.Document()
        self._notes: list[str] = []
        self._abstract = 100

    def furniture(self, document: Document) -> None:
        section = self.file.sections[0]
        if document.header:
            section.header.paragraphs[0].text = document.header
        if document.footer:
            section.footer.paragraphs[0].text = document.footer

    def block(self, block: Any) -> None:
        match block:
            case Heading(level, text):
                self.file.add_heading(text, level)
            case Paragraph(runs, language):
                paragraph = self.file.add_paragraph()
                if language in RIGHT_TO_LEFT:
                    paragraph._p.get_or_add_pPr().append(parse_xml(f"<w:bidi {nsdecls('w')}/>"))
                self._runs(paragraph, runs)
            case Items():
                self._items(block, 0)
            case Table():
                self._table(block)
            case Field(label, value):
                self._field(label, value)
            case Picture(description):
                self.file.add_picture(io.BytesIO(dot()), width=Cm(1))
                self.file.inline_shapes[-1]._inline.docPr.set("descr", description)

    def _runs(self, paragraph: Any, runs: Sequence[Run]) -> None:
        for piece in runs:
            run = paragraph.add_run(piece.text)
            match piece.style:
                case "bold":
                    run.bold = True
                case "superscript":
                    run.font.superscript = True
                case "subscript":
                    run.font.subscript = True
                case "struck":
                    run.font.strike = True
                case "hidden":
                    run.font.hidden = True
                case "link":
                    relation = self.file.part.relate_to(
                        "https://example.com/", RELATIONSHIP_TYPE.HYPERLINK, is_external=True
                    )
                    link = parse_xml(f'<w:hyperlink {nsdecls("w", "r")} r:id="{relation}"/>')
                    paragraph._p.append(link)
                    link.append(run._r)
            if piece.note:
                self._notes.append(piece.note)
                mark = (
                    f'<w:r {nsdecls("w")}><w:rPr><w:vertAlign w:val="superscript"/></w:rPr>'
                    f'<w:footnoteReference w:id="{len(self._notes) + 1}"/></w:r>'
                )
                paragraph._p.append(parse_xml(mark))

    def _items(self, items: Items, level: int) -> None:
        number = self._numbering(items)
        for item in items.items:
            paragraph = self.file.add_paragraph()
            self._runs(paragraph, item.runs)
            properties = paragraph._p.get_or_add_pPr()
            properties.append(
                parse_xml(f'<w:numPr {nsdecls("w")}><w:ilvl w:val="0"/><w:numId w:val="{number}"/></w:numPr>')
            )
            properties.append(parse_xml(f'<w:ind {nsdecls("w")} w:left="{720 * (level + 1)}" w:hanging="360"/>'))
            if item.below:
                self._items(item.below, level + 1)

    def _numbering(self, items: Items) -> int:
        """Add a numbering definition for one list, so that each list begins at 1."""
        self._abstract += 1
        form, text = _FORMATS[items.label]
        numbering = self.file.part.numbering_part.element
        abstract = parse_xml(
            f'<w:abstractNum {nsdecls("w")} w:abstractNumId="{self._abstract}"><w:lvl w:ilvl="0"><w:start w:val="1"/>'
            f'<w:numFmt w:val="{form}"/><w:lvlText w:val="{text or "%1."}"/></w:lvl></w:abstractNum>'
        )
        numbering.insert(0, abstract)
        numbering.append(
            parse_xml(
                f'<w:num {nsdecls("w")} w:numId="{self._abstract}"><w:abstractNumId w:val="{self._abstract}"/></w:num>'
            )
        )
        return self._abstract

    def _table(self, table: Table) -> None:
        cells = table.cells()
        made = self.file.add_table(rows=len(cells), cols=len(cells[0]), style="Table Grid")
        for number, row in enumerate(cells):
            for column, cell in enumerate(row):
                place = made.cell(number, column)
                begins = (number == 0 or cells[number - 1][column] is not cell) and (
                    column == 0 or row[column - 1] is not cell
                )
                if begins:
                    if cell.rows > 1 or cell.columns > 1:
                        place.merge(made.cell(number + cell.rows - 1, column + cell.columns - 1))
                    place.text = cell.text
            if number < table.header:
                made.rows[number]._tr.get_or_add_trPr().append(parse_xml(f"<w:tblHeader {nsdecls('w')}/>"))
        self.file.add_paragraph()

    def _field(self, label: str, value: str | bool) -> None:
        paragraph = self.file.add_paragraph()
        if isinstance(value, bool):
            sign = "☒" if value else "☐"
            box = (
                f'<w:sdt {nsdecls("w", "w14")}><w:sdtPr><w14:checkbox><w14:checked w14:val="{int(value)}"/>'
                f"</w14:checkbox></w:sdtPr><w:sdtContent><w:r><w:t>{sign}</w:t></w:r></w:sdtContent></w:sdt>"
            )
            paragraph._p.append(parse_xml(box))
            paragraph.add_run(f" {label}")
            return
        paragraph.add_run(f"{label} ")
        control = (
            f"<w:sdt {nsdecls('w')}><w:sdtPr><w:text/></w:sdtPr><w:sdtContent><w:r><w:t>{escape(value)}</w:t></w:r>"
            f"</w:sdtContent></w:sdt>"
        )
        paragraph._p.append(parse_xml(control))

    def save(self, path: Path) -> None:
        if self._notes:
            self._add_notes()
        self.file.save(str(path))

    def _add_notes(self) -> None:
        notes = [
            f'<w:footnote w:type="{kind}" w:id="{number}"><w:p><w:r><w:{kind}/></w:r></w:p></w:footnote>'
            for number, kind in enumerate(("separator", "continuationSeparator"))
        ]
        notes += [
            f'<w:footnote w:id="{number}"><w:p><w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr>'
            "<w:footnoteRef/></w:r>"
            f'<w:r><w:t xml:space="preserve"> {escape(note)}</w:t></w:r></w:p></w:footnote>'
            for number, note in enumerate(self._notes, start=2)
        ]
        xml = f'<?xml version="1.0" encoding="UTF-8"?><w:footnotes {nsdecls("w")}>{"".join(notes)}</w:footnotes>'
        kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
        package = self.file.part.package
        part = Part(PackURI("/word/footnotes.xml"), kind, xml.encode(), package)
        self.file.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)


def dot() -> bytes:
    """Return a PNG picture of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
