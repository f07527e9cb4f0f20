"""Parse the chapters of an EPUB, in spine order, into headings and paragraphs. Never follows a link or an entity."""

import io
import posixpath
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lxml import etree

from groundtune.errors import ParseError
from groundtune.ingest.loaders import html
from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument, TextBuilder

_FONT_SCRAMBLING = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        names = {*book.namelist()}
        if "META-INF/encryption.xml" in names and _is_locked(book):
            raise ParseError("is protected by DRM; use a copy without DRM")
        package_name = _package_name(book)
        package = _xml(book.read(package_name))
        folder = posixpath.dirname(package_name)
        builder = TextBuilder()
        for chapter in _spine(package):
            name = posixpath.normpath(posixpath.join(folder, unquote(chapter)))
            if name not in names:
                raise ParseError(f"is damaged: chapter {name} is missing")
            html.add_blocks(builder, decode(book.read(name)))
    titles = package.xpath("//*[local-name()='metadata']/*[local-name()='title']/text()")
    return [builder.build(title=titles[0] if titles else None)]


def _xml(data: bytes) -> Any:
    return etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))


def _is_locked(book: zipfile.ZipFile) -> bool:
    methods = _xml(book.read("META-INF/encryption.xml")).xpath("//*[local-name()='EncryptionMethod']/@Algorithm")
    return any(method not in _FONT_SCRAMBLING for method in methods)


def _package_name(book: zipfile.ZipFile) -> str:
    paths = _xml(book.read("META-INF/container.xml")).xpath("//*[local-name()='rootfile']/@full-path")
    if not paths:
        raise ParseError("is damaged: its container.xml does not name a package document")
    return str(paths[0])


def _spine(package: Any) -> list[str]:
    """Return the chapter files in reading order, without the table of contents."""
    items = {
        item.get("id"): item.get("href")
        for item in package.xpath("//*[local-name()='manifest']/*[local-name()='item']")
        if "nav" not in (item.get("properties") or "").split() and "html" in (item.get("media-type") or "")
    }
    references = package.xpath("//*[local-name()='spine']/*[local-name()='itemref']/@idref")
    return [items[reference] for reference in references if items.get(reference)]
