"""Files that cannot be read end in a reason and a fix, and unusual encodings lose no letter."""

import io
import json
import os
import time
import zipfile
from pathlib import Path

import docx
import openpyxl
import pytest
from fpdf import FPDF
from PIL import Image

from groundtune.errors import ParseError
from groundtune.ingest.loaders import load
from groundtune.ingest.loaders.text import decode


def reason(path: Path) -> ParseError:
    with pytest.raises(ParseError) as caught:
        load(path)
    return caught.value


def file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def pdf_bytes(text: str = "Some text on a page", *, password: str | None = None) -> bytes:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=12)
    pdf.cell(0, 10, text)
    if password:
        pdf.set_encryption(owner_password="owner", user_password=password)
    return bytes(pdf.output())


def png_bytes() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), "white").save(buffer, "PNG")
    return buffer.getvalue()


def docx_bytes() -> bytes:
    buffer = io.BytesIO()
    document = docx.Document()
    document.add_paragraph("Some words")
    document.save(buffer)
    return buffer.getvalue()


# --- nothing to index: skipped -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.pdf", "a.docx", "a.csv", "a.json", "a.html", "a.eml"])
def test_empty_file(tmp_path: Path, name: str) -> None:
    error = reason(file(tmp_path / name, b""))
    assert (error.message, error.skip) == ("empty file", True)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.md", b"<!-- only a comment -->\n"),
        ("a.txt", b" \n\n\t"),
        ("a.html", b"<html><script>1</script></html>"),
        ("a.json", b"{}"),
        ("a.jsonl", b"\n\n"),
        ("a.ipynb", b'{"cells": []}'),
    ],
)
def test_no_text(tmp_path: Path, name: str, data: bytes) -> None:
    error = reason(file(tmp_path / name, data))
    assert (error.message, error.skip) == ("contains no text", True)


def test_csv_with_only_a_header(tmp_path: Path) -> None:
    assert reason(file(tmp_path / "a.csv", b"id,text\n")).skip


def test_scan_without_text_layer(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.image(Image.new("RGB", (50, 50), "gray"))
    error = reason(file(tmp_path / "a.pdf", bytes(pdf.output())))
    assert "groundtune[ocr]" in error.message
    assert error.skip


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("a.xls", ".xlsx"),
        ("a.doc", ".docx"),
        ("a.ppt", ".pptx"),
        ("a.zip", "unpack"),
        ("a.PNG", "OCR"),
    ],
)
def test_unsupported_formats_say_what_to_save_as(tmp_path: Path, name: str, hint: str) -> None:
    error = reason(file(tmp_path / name, b"x"))
    assert hint in error.message
    assert error.skip


def test_no_extension(tmp_path: Path) -> None:
    assert reason(file(tmp_path / "Makefile", b"x")).skip


# --- not what the extension says --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.txt", pdf_bytes(), "is a PDF, but its extension is .txt; rename it"),
        ("a.md", png_bytes(), "is a PNG image, but its extension is .md"),
        ("a.csv", docx_bytes(), "is a DOCX, but its extension is .csv; rename it"),
        (
            "a.pdf",
            b"<!DOCTYPE html><html><body>Not found</body></html>",
            "is HTML, but its extension is .pdf; rename it",
        ),
        ("a.pdf", docx_bytes(), "is a DOCX, but its extension is .pdf; rename it"),
        ("a.pdf", b"just text", "is not a PDF"),
        ("a.xlsx", docx_bytes(), "is a DOCX, but its extension is .xlsx"),
        ("a.docx", b"{\\rtf1 hello}", "is RTF, but its extension is .docx; rename it"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is a pre-2007 Office file"),
        ("a.json", b"\x1f\x8b\x08" + bytes(30), "is a gzip archive"),
        ("a.txt", bytes(range(256)) * 40, "is binary"),
    ],
)
def test_content_that_does_not_match_the_extension(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    error = reason(file(tmp_path / name, data))
    assert words in error.message
    assert not error.skip


def test_markdown_may_begin_with_html(tmp_path: Path) -> None:
    (parsed,) = load(file(tmp_path / "a.md", b'<h1 align="center">Project</h1>\n\nText'))
    assert "Project" in parsed.text


# --- broken --------------------------------------------------------------------------------------------------------


def test_encrypted_pdf(tmp_path: Path) -> None:
    error = reason(file(tmp_path / "a.pdf", pdf_bytes(password="secret")))
    assert error.message == "is encrypted; save it without a password"
    assert not error.skip


def test_pdf_with_only_an_owner_password_is_read(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=12)
    pdf.cell(0, 10, "Open to all readers")
    pdf.set_encryption(owner_password="owner")
    (parsed,) = load(file(tmp_path / "a.pdf", bytes(pdf.output())))
    assert "Open to all readers" in parsed.text


def test_encrypted_office_file(tmp_path: Path) -> None:
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le")
    assert reason(file(tmp_path / "a.xlsx", data)).message == "is encrypted; save it without a password"


def test_truncated_pdf(tmp_path: Path) -> None:
    error = reason(file(tmp_path / "a.pdf", pdf_bytes()[:300]))
    assert "is damaged" in error.message


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx", "a.epub"])
def test_damaged_zip(tmp_path: Path, name: str) -> None:
    error = reason(file(tmp_path / name, docx_bytes()[:2000]))
    assert "damaged ZIP" in error.message
    assert not error.skip


def test_damaged_part_inside_a_docx(tmp_path: Path) -> None:
    source = zipfile.ZipFile(io.BytesIO(docx_bytes()))
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as target:
        for name in source.namelist():
            target.writestr(name, b"<broken" if name == "word/document.xml" else source.read(name))
    assert "cannot be parsed" in reason(tmp_path / "a.docx").message


def test_zip_bombs(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.docx", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", bytes(100 << 20))
    started = time.process_time()
    assert "bomb" in reason(tmp_path / "a.docx").message
    assert time.process_time() - started < 1


def test_xml_entities_are_not_expanded(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("top secret")
    evil = f'<!DOCTYPE p [<!ENTITY x SYSTEM "file://{tmp_path}/secret.txt">]>'
    with zipfile.ZipFile(tmp_path / "a.epub", "w") as book:
        container = "<container><rootfiles><rootfile full-path='p.opf'/></rootfiles></container>"
        book.writestr("META-INF/container.xml", container)
        book.writestr(
            "p.opf",
            f"{evil}<package><metadata><title>&x;</title></metadata><manifest>"
            "<item id='a' href='a.xhtml' media-type='application/xhtml+xml'/></manifest>"
            "<spine><itemref idref='a'/></spine></package>",
        )
        book.writestr("a.xhtml", "<p>Chapter text</p>")
    (parsed,) = load(tmp_path / "a.epub")
    assert parsed.text == "Chapter text"
    assert "secret" not in (parsed.title or "")


def test_epub_with_drm(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.epub", "w") as book:
        book.writestr("META-INF/container.xml", "<container/>")
        book.writestr("META-INF/encryption.xml", "<e><EncryptionMethod Algorithm='aes'/></e>")
    assert "DRM" in reason(tmp_path / "a.epub").message


def test_bad_json_lines_are_quoted(tmp_path: Path) -> None:
    error = reason(file(tmp_path / "a.jsonl", b'{"text": "x"}\n{bad\n\n[1]\n"s"\n{worse\n'))
    assert error.message.startswith("not every line is a JSON object (line 2: invalid JSON")
    assert "line 4: not an object; line 5: not an object and 1 more" in error.message
    assert reason(file(tmp_path / "b.jsonl", b"no\nno\n")).message.startswith("no line is a JSON object (line 1")


def test_invalid_and_deeply_nested_json(tmp_path: Path) -> None:
    assert "line 2" in reason(file(tmp_path / "a.json", b'{"a": 1,\n b}')).message
    assert "too deeply" in reason(file(tmp_path / "b.json", b"[" * 100_000 + b"]" * 100_000)).message
    assert "too deeply" in reason(file(tmp_path / "c.jsonl", b'{"a":' * 100_000 + b"}" * 100_000)).message
    value: object = "deep"
    for _ in range(400):
        value = {"k": value}
    (parsed,) = load(file(tmp_path / "d.json", json.dumps(value).encode()))
    assert parsed.text.endswith("deep")


def test_deeply_nested_html_and_markdown(tmp_path: Path) -> None:
    (parsed,) = load(file(tmp_path / "a.html", b"<div>" * 10_000 + b"core" + b"</div>" * 10_000))
    assert parsed.text == "core"
    (parsed,) = load(file(tmp_path / "a.md", b">" * 60 + b" core\n\n" + b"[" * 300))
    assert parsed.text.startswith("core")
    assert "too deeply" in reason(file(tmp_path / "b.md", b">" * 5_000 + b" core")).message


def test_not_an_email_and_not_a_notebook(tmp_path: Path) -> None:
    assert "not an email" in reason(file(tmp_path / "a.eml", b"hello world\n")).message
    assert "not a notebook" in reason(file(tmp_path / "a.ipynb", b"[1]")).message


def test_missing_file_folder_and_forbidden_file(tmp_path: Path) -> None:
    assert "disappeared" in reason(tmp_path / "gone.md").message
    (tmp_path / "d.md").mkdir()
    assert reason(tmp_path / "d.md").skip
    forbidden = file(tmp_path / "f.md", b"x")
    forbidden.chmod(0)
    if os.access(forbidden, os.R_OK):
        pytest.skip("this user can read everything")
    assert "permission denied" in reason(forbidden).message


# --- encodings -----------------------------------------------------------------------------------------------------

GERMAN = "Größe, Maße und Gewährleistung: für übermäßig schöne Räder – „ungefähr“ 30 Tage, sagt Zoë über den Čapek."
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_unicode_encodings(tmp_path: Path, encoding: str) -> None:
    (parsed,) = load(file(tmp_path / "a.txt", GERMAN.encode(encoding)))
    assert parsed.text == GERMAN


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("latin-1", "Größe und Maße: für übermäßig schöne Räder ungefähr 30 Tage Gewähr. Café, naïve, señor."),
        ("cp1252", "Größe – „für“ Räder… Der Preis beträgt 30 €, zahlbar später; über 100 € in Raten."),
        ("cp1251", "Возврат возможен в течение тридцати дней после доставки велосипеда, если он не был повреждён."),
        ("shift_jis", "返品は配達から三十日以内に可能です。自転車は清潔で、部品が揃っている必要があります。"),
        ("gb18030", "自行车送达后三十天内可以退货。自行车必须干净、完整，并附上两把钥匙和充电器。"),
        ("euc_kr", "자전거는 배송 후 삼십일 이내에 반품할 수 있습니다. 자전거는 깨끗하고 완전해야 합니다."),
    ],
)
def test_legacy_encodings(encoding: str, text: str) -> None:
    assert decode((text + "\n").encode(encoding) * 5) == (text + "\n") * 5


def test_one_invalid_byte_does_not_change_the_rest() -> None:
    data = (GERMAN + "\n").encode() * 50
    broken = data[:1000] + b"\xff" + data[1000:]
    assert decode(broken).count("Gewährleistung") == 50


def test_declared_encoding_of_html(tmp_path: Path) -> None:
    page = '<meta charset="iso-8859-2"><p>Žluťoučký kůň</p>'
    (parsed,) = load(file(tmp_path / "a.html", page.encode("iso-8859-2")))
    assert parsed.text == "Žluťoučký kůň"


def test_line_endings_and_nul_bytes(tmp_path: Path) -> None:
    (parsed,) = load(file(tmp_path / "a.txt", b"One\x00 line\r\n\r\nTwo\rThree\r\n"))
    assert parsed.text == "One line\n\nTwo\nThree"
    (row,) = load(file(tmp_path / "a.csv", b"text,n\nw\x00ord,1\n"))
    assert row.text == "word\n\nn: 1"


# --- odd tables ----------------------------------------------------------------------------------------------------


def test_ragged_rows_keep_every_cell(tmp_path: Path) -> None:
    rows = load(file(tmp_path / "a.csv", b"a,b,b\n1x\n1x,2x,3x,4x\n\n,,\n"))
    assert [row.text for row in rows] == ["a: 1x", "a: 1x; b: 2x; b: 3x; 4x"]
    assert rows[1].metadata == {"a": "1x", "b": "2x", "b 3": "3x"}


def test_huge_cells(tmp_path: Path) -> None:
    (row,) = load(file(tmp_path / "a.csv", b'id,text\n1,"' + b"word " * 400_000 + b'"\n'))
    assert len(row.text) == 5 * 400_000 - 1
    book = openpyxl.Workbook()
    book.active.append(["name", "text"])
    book.active.append(["a", "x" * 32_000])
    book.save(tmp_path / "a.xlsx")
    (parsed,) = load(tmp_path / "a.xlsx")
    assert len(parsed.text) > 32_000


def test_unclosed_quote_in_csv_loses_nothing(tmp_path: Path) -> None:
    rows = load(file(tmp_path / "a.csv", b'a,b\n1x,"open\n2x,3x\n'))
    assert "3x" in rows[-1].text
