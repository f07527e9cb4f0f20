"""Parse OpenDocument texts into headings, paragraphs and rows. Leaves out comments and deleted text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from groundtune.ingest.loaders.odf_names import OFFICE, STYLE, Package
from groundtune.ingest.loaders.odf_text import OdfReader
from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_line, render_row

_FURNITURE = tuple(
    f"{STYLE}{name}" for name in ("header", "header-first", "header-left", "footer", "footer-first", "footer-left")
)
_NUMBER_WORDS = 2
"""Words around a page number, such as "Page 3 of 9"; a line with more says something else too."""


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    package = Package(data)
    builder = TextBuilder()
    lines = dict.fromkeys(_furniture(package)) if package.styles is not None else {}
    for line in lines:
        builder.paragraph(line)
    if lines and (_pages(package) or 2) > 1:
        builder.note("page_furniture", count=len(lines))
    reader = OdfReader(builder, package, package.content)
    body = package.content.find(f"{OFFICE}body")
    for text in body if body is not None else ():
        reader.body(text)
    return [builder.build(title=reader.headings.title)]


def _furniture(package: Package) -> Iterator[str]:
    """Yield the lines of headers and footers of the pages, without those that only number the pages."""
    reader = OdfReader(TextBuilder(), package, package.styles, skip_page_numbers=True)
    used = _used_pages(package.content)
    for page in package.styles.iter(f"{STYLE}master-page"):
        if page.get(f"{STYLE}name") not in used:
            continue
        for region in page.iterchildren(*_FURNITURE):
            if region.get(f"{STYLE}display") == "false":
                continue
            for element in region:
                before = reader.page_numbers
                text = clean_line(render_row(reader.lines([element])))
                only_numbers = len(text.split()) <= _NUMBER_WORDS and not any(map(str.isdigit, text))
                if text and not (reader.page_numbers > before and only_numbers):
                    yield text


def _used_pages(content: Any) -> set[str | None]:
    """Return the names of the page styles that the text uses."""
    stated = {style.get(f"{STYLE}master-page-name") for style in content.iter(f"{STYLE}style")}
    return {"Standard", *stated} - {None, ""}


def _pages(package: Package) -> int | None:
    """Return how many pages the program counted when it saved the file."""
    meta = package.part("meta.xml")
    counted = next(meta.iter("{*}document-statistic"), None) if meta is not None else None
    pages = next((v for k, v in counted.attrib.items() if k.endswith("}page-count")), "") if counted is not None else ""
    return int(pages) if pages.isdecimal() else None
