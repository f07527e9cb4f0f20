"""Parse XML: titled parts as sections, records as rows, text as paragraphs. Never follows an entity or a link.

Names of elements are kept where they say what a value is (`price: 3,200`), and dropped where they only mark text up.
"""

import re
from collections.abc import Iterator
from html.entities import name2codepoint
from pathlib import Path
from typing import Any

from lxml import etree

from groundtune.errors import ParseError
from groundtune.ingest.loaders import html
from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_line

_TITLES = frozenset(("title", "heading", "head", "titleabbrev", "caption"))
_TEXT = frozenset(
    """abstract blockquote body bridgehead cell cite cmd codeblock content dd description desc dlentry dt emphasis entry
    example figure footnote glossdef glossentry glossterm important info item itemizedlist legend li line listitem lq
    member note ol orderedlist p para paragraph para.g ph postreq prereq programlisting q quote result row screen
    section sect1 sect2 sect3 sect4 seg shortdesc simpara step stepresult steps subtitle summary table tbody td text
    tgroup th thead tip title tr ul variablelist varlistentry verse warning""".split()
)
"""Elements whose names say nothing about a value."""
_CODE = frozenset(("programlisting", "screen", "codeblock", "literallayout", "verbatim"))
_PARAGRAPHS = frozenset(("p", "para", "simpara", "paragraph", "cmd", "shortdesc", "li", "dt", "dd", "term"))
_ROWS = frozenset(("row", "tr", "strow", "sthead"))
_UNSEEN = frozenset(("script", "style", "indexterm", "prolog", "remark", "comment"))
_TABLES = frozenset(("tgroup", "simpletable"))
_HEADS = frozenset(("thead", "sthead"))
_FRAMES = frozenset(("table", "figure", "fig", "example", "informalfigure"))
"""Elements whose title is not a heading of what follows them."""
_ENTITY = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos);)([a-zA-Z][a-zA-Z0-9]*);")
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>|&(?:\w+|#\d+);")
_LONG = 200
"""Characters from which a value is a paragraph of its own."""


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    builder = TextBuilder()
    data = _ENTITY.sub(_character, data)
    try:
        root = etree.fromstring(data, _parser())
    except etree.XMLSyntaxError as error:
        if (
            error.code != etree.ErrorTypes.ERR_UNDECLARED_ENTITY
            and error.code != etree.ErrorTypes.WAR_UNDECLARED_ENTITY
        ):
            raise ParseError(f"is not valid XML: {error.msg}") from error
        root = etree.fromstring(data, _parser(recover=True))
        builder.note("not_included", place="an entity that the file does not define")
    _Reader(builder).read(root)
    title = next((clean_line(_text(child)) for child in _titled(root)), None)
    return [builder.build(title=title)]


def _parser(*, recover: bool = False) -> Any:
    options = {"no_network": True, "load_dtd": False, "remove_comments": True, "remove_pis": True}
    return etree.XMLParser(resolve_entities="internal", recover=recover, **options)


def _character(found: re.Match[bytes]) -> bytes:
    """Return the character of an entity of HTML, which files use without declaring it, such as `&nbsp;`."""
    code = name2codepoint.get(found[1].decode("ascii"))
    return found[0] if code is None else b"&#%d;" % code


class _Reader:
    """Adds elements in document order, with an explicit stack."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder

    def read(self, root: Any) -> None:
        stack: list[tuple[Any, int]] = [(root, 1)]
        while stack:
            element, level = stack.pop()
            name = _name(element)
            if name in _UNSEEN:
                continue
            if name in _CODE:
                self._builder.code(_text(element))
                continue
            children = [child for child in element if isinstance(child.tag, str)]
            title = next((child for child in children if _name(child) in _TITLES), None)
            if name in _TABLES:
                self._table(element)
            elif name in _ROWS:
                self._builder.row([_text(child) for child in children])
            elif title is not None:
                self._title(name, title, level)
                rest = [child for child in children if child is not title]
                self._values(None, [child for child in rest if _is_value(child)])
                stack += reversed([(child, level + 1) for child in rest if not _is_value(child)])
            elif name in _PARAGRAPHS or _is_mixed(element) or not children:
                self._leaf(element, name)
            else:
                record = None if name in _TEXT else element
                self._values(record, [child for child in children if _is_value(child)])
                stack += reversed([(child, level) for child in children if not _is_value(child)])

    def _title(self, name: str, title: Any, level: int) -> None:
        if name in _FRAMES:
            self._builder.paragraph(_text(title))
        else:
            self._builder.heading(min(level, 6), _text(title))

    def _table(self, element: Any) -> None:
        header: list[str] | None = None
        rows: list[list[str]] = []
        for row in (part for part in element.iter() if isinstance(part.tag, str) and _name(part) in _ROWS):
            cells = [_text(cell) for cell in row if isinstance(cell.tag, str)]
            if header is None and not rows and (_name(row) in _HEADS or _name(row.getparent()) in _HEADS):
                header = cells
            else:
                rows.append(cells)
        self._builder.table(rows, header=header)

    def _values(self, record: Any, values: list[Any]) -> None:
        """Add the attributes of a record, and its short values, as one row."""
        pairs = [] if record is None else [*_attributes(record)]
        for value in values:
            name = _name(value)
            pairs += [(name, _text(value)), *((f"{name} {key}", text) for key, text in _attributes(value))]
        merged: dict[str, list[str]] = {}
        for name, text in pairs:
            if cleaned := clean_line(text):
                merged.setdefault(name, []).append(cleaned)
        self._builder.row([", ".join(texts) for texts in merged.values()], list(merged))

    def _leaf(self, element: Any, name: str) -> None:
        text = _text(element)
        if _MARKUP.search(text):
            html.add_blocks(self._builder, text)
        elif name in _TEXT or _is_mixed(element):
            self._builder.paragraph(text)
        elif text.strip():
            self._builder.row([text], [name])
        if not text.strip():
            self._values(element, [])


def _is_value(element: Any) -> bool:
    """Whether an element is a short value with a name that says what it is."""
    if len(element) or _name(element) in _TEXT or _name(element) in _UNSEEN:
        return False
    text = element.text or ""
    return len(text) < _LONG and not _MARKUP.search(text)


def _is_mixed(element: Any) -> bool:
    """Whether text and elements stand beside each other."""
    if not len(element):
        return False
    return bool((element.text or "").strip()) or any((child.tail or "").strip() for child in element)


def _attributes(element: Any) -> Iterator[tuple[str, str]]:
    """Yield the attributes that hold data rather than how to show it."""
    for name, value in element.attrib.items():
        if not name.startswith("{") and name not in ("class", "style", "xmlns", "version", "encoding", "href"):
            yield name, value


def _titled(root: Any) -> Iterator[Any]:
    for element in [root, *root]:
        yield from (child for child in element if isinstance(child.tag, str) and _name(child) in _TITLES)


def _name(element: Any) -> str:
    return str(etree.QName(element).localname)


def _text(element: Any) -> str:
    return "".join(element.itertext())
