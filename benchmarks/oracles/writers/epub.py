"""Write a document as a book: a chapter per heading of level 1, with a table of contents."""

import re
import zipfile
from html import escape
from pathlib import Path

from benchmarks.oracles.structures import Block, Document, Heading
from benchmarks.oracles.writers import html

_CONTAINER = """<?xml version="1.0"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="book/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""


def write(document: Document, path: Path) -> Document:
    """Write what an HTML page of the document has, without form fields."""
    kept = html.write(document, path)
    blocks = tuple(block for block in kept.blocks if not isinstance(block, html.Field))
    kept = Document(kept.title, blocks)
    chapters: list[list[Block]] = []
    for block in kept.blocks:
        if not chapters or (isinstance(block, Heading) and block.level == 1):
            chapters.append([])
        chapters[-1].append(block)
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr("META-INF/container.xml", _CONTAINER)
        book.writestr("book/content.opf", _package(document.title, len(chapters)))
        links = "".join(f'<li><a href="c{n}.xhtml">Chapter {n}</a></li>' for n in range(len(chapters)))
        nav = f'<nav epub:type="toc" xmlns:epub="http://www.idpf.org/2007/ops"><ol>{links}</ol></nav>'
        book.writestr("book/nav.xhtml", _xhtml(document.title, nav))
        for number, blocks_ in enumerate(chapters):
            notes: list[str] = []
            body = "\n".join(html.blocks(blocks_, notes))
            if notes:
                asides = (f'<li id="n{n}">{escape(note)}</li>' for n, note in enumerate(notes, start=1))
                body += f"<ol>{''.join(asides)}</ol>"
            book.writestr(f"book/c{number}.xhtml", _xhtml(document.title, body))
    return kept


def _xhtml(title: str, body: str) -> str:
    body = re.sub(r"<(img|input|hr)([^>]*)>", r"<\1\2/>", body)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><head>'
        f"<title>{escape(title)}</title></head><body>{body}</body></html>"
    )


def _package(title: str, chapters: int) -> str:
    items = "".join(f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(chapters))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(chapters))
    return (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">1</dc:identifier>'
        f"<dc:title>{escape(title)}</dc:title><dc:language>en</dc:language></metadata>"
        f'<manifest><item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>{items}'
        f"</manifest><spine>{spine}</spine></package>"
    )
