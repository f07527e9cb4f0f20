"""What is visible of each file in its usual program, by format."""

import csv
import email
import email.policy
import html
import io
import json
import posixpath
import re
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from benchmarks.oracles import browser, libreoffice, markdown_pages, messages, pdf_readers
from benchmarks.oracles.exceptions import exceptions_of
from lxml import etree


@dataclass(frozen=True, slots=True)
class Seen:
    """Texts of one file as programs show it."""

    certain: tuple[str, ...]
    """What is not in each of these need not be read."""
    perhaps: tuple[str, ...] = ()
    """Further views; what is in one of them may be read."""
    reduced: tuple[str, ...] | None = None
    """`certain` without what exceptions take out; None if only lines are taken out of it."""


PAGED = (".docx", ".pptx", ".odt", ".odp", ".rtf", ".doc", ".ppt")
SLIDES = (".pptx", ".odp", ".ppt")
SHEETS = (".xlsx", ".xlsm", ".ods", ".xls")
WEB = (".html", ".htm", ".xhtml")
MAIL = (".eml", ".msg")
MARKDOWN = (".md", ".markdown")


def see(paths: Sequence[Path]) -> dict[Path, Seen | None]:
    """Return what programs show of each file; None for those that no program here opens."""
    seen: dict[Path, Seen | None] = dict.fromkeys(paths)
    with tempfile.TemporaryDirectory(prefix="groundtune-oracle-") as name:
        scratch = Path(name)
        paged = [path for path in paths if path.suffix.lower() in PAGED]
        for path, pdf in zip(paged, libreoffice.convert(paged, "pdf", scratch / "pdf"), strict=True):
            seen[path] = None
            if pdf:
                shown = _see_pdf(pdf, slides=path.suffix.lower() in SLIDES)
                seen[path] = replace(shown, perhaps=tuple(f"{view}\n{_descriptions(path)}" for view in shown.perhaps))
        workbooks = [path for path in paths if path.suffix.lower() in SHEETS]
        for path, cells in zip(workbooks, libreoffice.sheets(workbooks, scratch / "sheets"), strict=True):
            seen[path] = None if cells is None else Seen((cells,))
        rest = [path for path in paths if path.suffix.lower() in (*WEB, *MAIL, *MARKDOWN, ".epub")]
        if rest:
            with browser.open_browser() as chromium:
                for path in rest:
                    seen[path] = _see_web(chromium, path, scratch)
    for path in paths:
        match path.suffix.lower():
            case ".pdf":
                seen[path] = _see_pdf(path)
            case ".csv" | ".tsv":
                seen[path] = Seen((_cells(path),))
            case ".txt" | ".text" | ".log":
                seen[path] = Seen((_decoded(path),))
            case ".json":
                seen[path] = Seen(("\n".join(_strings(json.loads(path.read_text("utf-8")))),))
            case ".jsonl" | ".ndjson":
                seen[path] = Seen(("\n".join(map(_values, path.read_text("utf-8").splitlines())),))
            case ".ipynb":
                seen[path] = Seen(("\n".join(_notebook(json.loads(path.read_text("utf-8")))),))
    return seen


def _descriptions(path: Path) -> str:
    """Return the alternative texts of the pictures in an Office file."""
    if not zipfile.is_zipfile(path):
        return ""
    with zipfile.ZipFile(path) as archive:
        parts = [archive.read(name).decode("utf-8", "replace") for name in archive.namelist() if name.endswith(".xml")]
    return html.unescape("\n".join(text for part in parts for text in re.findall(r'\sdescr="([^"]*)"', part)))


def _see_pdf(path: Path, *, slides: bool = False) -> Seen:
    """Return what is on the pages; slides have no page furniture, but may have the same title."""
    whole = [pdf_readers.poppler_pages(path), pdf_readers.pdfium_pages(path)]
    once = ["\n".join(pages if slides else pdf_readers.without_furniture(pages)) for pages in whole]
    return Seen(tuple(once), tuple("\n".join(pages) for pages in whole))


def _cells(path: Path) -> str:
    """Return the cells of a file of delimited values, one a line."""
    text = _decoded(path)
    lines = text.splitlines()
    delimiter = max(
        ",;\t|", key=lambda sign: (sum(sign in line for line in lines), lines[0].count(sign) if lines else 0)
    )
    return "\n".join(cell for row in csv.reader(io.StringIO(text), delimiter=delimiter) for cell in row)


def _see_web(chromium: browser.Browser, path: Path, scratch: Path) -> Seen:
    if path.suffix.lower() == ".epub":
        pages = _chapters(path, scratch / "book")
    elif path.suffix.lower() in MAIL:
        return _see_mail(chromium, path, scratch / "message.html")
    elif path.suffix.lower() in MARKDOWN:
        pages = [scratch / "markdown.html"]
        pages[0].write_text(markdown_pages.page_of(path), "utf-8")
    else:
        pages = [path]
    selectors = exceptions_of(path.suffix.lower()).selectors
    views = [chromium.views(page, left_out=selectors) for page in pages]
    return Seen(
        certain=("\n".join(view.tree for view in views),),
        perhaps=("\n".join(view.inner for view in views),),
        reduced=("\n".join(view.reduced for view in views),),
    )


def _chapters(path: Path, folder: Path) -> list[Path]:
    """Unpack a book and return its chapters in the order of the spine."""
    with zipfile.ZipFile(path) as book:
        book.extractall(folder)
        container = etree.fromstring(book.read("META-INF/container.xml"))
        package_path = container.xpath("string(//*[local-name()='rootfile']/@full-path)")
        package = etree.fromstring(book.read(package_path))
    hrefs = {each.get("id"): each.get("href") for each in package.xpath("//*[local-name()='item']")}
    spine = [each.get("idref") for each in package.xpath("//*[local-name()='itemref'][not(@linear='no')]")]
    base = posixpath.dirname(package_path)
    return [folder / posixpath.join(base, unquote(hrefs[each])) for each in spine if each in hrefs]


def _see_mail(chromium: browser.Browser, path: Path, target: Path) -> Seen:
    """Return the subject, the best of the bodies and the names of attachments, as two libraries take them apart."""
    pages = [messages.page_of(path)]
    if path.suffix.lower() == ".eml":
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        subject = f"<h1>{html.escape(str(message['Subject'] or ''))}</h1>"
        pages.append("<meta charset=utf-8>" + "\n".join([subject, *_bodies(message)]))
    views = []
    for page in pages:
        target.write_text(page, "utf-8")
        views.append(chromium.views(target))
    return Seen(tuple(view.tree for view in views), tuple(view.inner for view in views))


def _bodies(part: Any) -> Iterable[str]:
    kind = part.get_content_type()
    if part.get_content_disposition() == "attachment":
        yield f"<p>{html.escape(part.get_filename() or '')}</p>"
    elif kind == "multipart/alternative":
        options = list(part.iter_parts())
        yield from _bodies(options[-1])
    elif part.is_multipart():
        for child in part.iter_parts():
            yield from _bodies(child)
    elif kind == "text/html":
        yield part.get_content()
    elif part.get_content_maintype() == "text":
        yield f"<pre>{html.escape(part.get_content())}</pre>"


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "cp932", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
    elif value is not None:
        yield str(value)


def _values(line: str) -> str:
    """Return the keys and values of a line of JSON, one a line."""
    return "\n".join(_strings(json.loads(line))) if line.strip() else ""


def _notebook(book: Any) -> Iterable[str]:
    for cell in book["cells"]:
        yield "".join(cell["source"])
        for output in cell.get("outputs", ()):
            yield "".join(output.get("text", output.get("data", {}).get("text/plain", "")))
