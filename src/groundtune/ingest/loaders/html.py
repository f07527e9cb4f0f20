"""Parse HTML into headings, paragraphs, rows and code. Leaves out menus and scripts; never runs or fetches anything.

Uses one pass with an explicit stack, so that a page nested 100,000 levels deep is as safe as any other.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser, LexborNode

from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_line

_DROPPED = frozenset(
    """script style nav footer aside noscript template svg iframe object embed canvas audio video head title button
    select input textarea datalist map annotation dialog""".split()
)
_BLOCKS = frozenset(
    """address article blockquote body center dd details dialog div dl dt fieldset figcaption figure form h1 h2 h3 h4 h5
    h6 header hgroup hr html legend li main menu ol optgroup option p pre search section summary table tbody tfoot
    thead tr td th caption ul""".split()
)
_SPACES = re.compile(r"\s+")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml[^>]*encoding=[\"']([\w.:-]+)", re.IGNORECASE)
_MAIN = "main, article, [role=main]"
_PROSE = "p, h1, h2, h3, article, main, table"
"""A form that contains none of these is a search box or login form; otherwise it wraps the page content."""
_MAIN_SHARE = 0.5
_MAX_SPAN = 100


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    declared = _CHARSET.search(data[:2048])
    encoding = (declared[1] or declared[2]).decode("ascii") if declared else None
    builder = TextBuilder()
    title = add_blocks(builder, decode(data, declared=encoding))
    return [builder.build(title=title)]


def add_blocks(builder: TextBuilder, text: str) -> str | None:
    """Add the blocks of an HTML page or fragment. Return its title: <title>, otherwise the first h1."""
    tree = LexborHTMLParser(text)
    root = tree.body or tree.root
    if root is None:
        return None
    walk = _HtmlWalk(builder)
    walk.read(_content(tree, root))
    stated = tree.css_first("head > title")
    return (clean_line(stated.text()) if stated else "") or walk.title


def _content(tree: LexborHTMLParser, root: LexborNode) -> LexborNode:
    """Return the element that holds most of the page's text, otherwise the page."""
    candidates = tree.css(_MAIN)
    if not candidates or len(candidates) > 50:
        return root
    best = max(candidates, key=_length)
    return best if _length(best) > _MAIN_SHARE * _length(root) else root


def _length(node: LexborNode) -> int:
    return sum(len(child.text_content or "") for child, entering in _events(node) if entering and child.is_text_node)


def _never(node: LexborNode) -> bool:
    return False


def _events(root: LexborNode, *, atomic: Callable[[LexborNode], bool] = _never) -> Iterator[tuple[LexborNode, bool]]:
    """Yield each visible node on entry (True) and each element on exit (False), in reading order.

    An element for which `atomic` is true is entered, but its children are not.
    """
    stack: list[tuple[LexborNode, bool]] = [(root, True)]
    while stack:
        node, entering = stack.pop()
        yield node, entering
        if not entering or node.is_text_node:
            continue
        stack.append((node, False))
        if atomic(node):
            continue
        children = [(child, True) for child in node.iter(include_text=True) if not _is_hidden(child)]
        stack.extend(reversed(children))


def _is_hidden(node: LexborNode) -> bool:
    if node.is_text_node:
        return False
    tag = node.tag
    if tag is None or tag.startswith("-") or tag in _DROPPED:
        return True
    if tag == "form" and not node.css_first(_PROSE):
        return True
    attributes = node.attributes
    if not attributes:
        return False
    if "hidden" in attributes or attributes.get("role") in ("navigation", "search"):
        return True
    style = attributes.get("style")
    return bool(style and _HIDDEN_STYLE.search(style))


class _HtmlWalk:
    """Collects inline text until a block begins or ends."""

    def __init__(self, builder: TextBuilder) -> None:
        self.builder = builder
        self.title: str | None = None
        self._inline: list[str] = []
        self._numbers: list[int | None] = []
        self._mark = ""
        self._term = ""

    def read(self, root: LexborNode) -> None:
        for node, entering in _events(root, atomic=_is_atomic):
            if node.is_text_node:
                self._inline.append(_SPACES.sub(" ", node.text_content or ""))
                continue
            tag = node.tag or ""
            if tag == "br" and entering:
                self._inline.append("\n")
            elif tag == "img" and entering:
                self._inline.append((node.attributes.get("alt") or "") + " ")
            elif tag in _BLOCKS:
                self._flush("" if entering else tag)
                if entering:
                    self._enter(node, tag)
                else:
                    self._leave(tag)
        self._flush("")

    def _enter(self, node: LexborNode, tag: str) -> None:
        if tag == "pre":
            self.builder.code(_verbatim(node))
        elif tag == "table" and _is_atomic(node):
            _table(self.builder, node)
        elif tag == "ol":
            start = node.attributes.get("start") or "1"
            self._numbers.append(int(start) - 1 if start.isdecimal() and len(start) < 9 else 0)
        elif tag in ("ul", "menu"):
            self._numbers.append(None)
        elif tag == "li":
            number = self._numbers[-1] if self._numbers else None
            if number is not None:
                self._numbers[-1] = number + 1
                self._mark = f"{number + 1}. "

    def _leave(self, tag: str) -> None:
        if tag in ("ol", "ul", "menu") and self._numbers:
            self._numbers.pop()
        elif tag == "li":
            self._mark = ""
        elif tag == "dl":
            self._term = ""

    def _flush(self, closing: str) -> None:
        """Turn the collected text into a block; `closing` is the tag that ends here."""
        text = "".join(self._inline).strip()
        self._inline.clear()
        if not text:
            return
        if len(closing) == 2 and closing[0] == "h" and closing[1].isdecimal():
            if closing == "h1" and self.title is None:
                self.title = clean_line(text)
            self.builder.heading(int(closing[1]), text)
        elif closing == "dt":
            self._term = clean_line(text)
        else:
            if closing == "dd" and self._term:
                text = f"{self._term.rstrip(':')}: {text}"
            self.builder.paragraph(self._mark + text)
            self._mark = ""


def _is_atomic(node: LexborNode) -> bool:
    """Return whether an element is read in one go: preformatted text, and tables of data rather than page layout."""
    if node.tag == "pre":
        return True
    if node.tag != "table" or node.attributes.get("role") in ("presentation", "none"):
        return False
    return not node.css_first("tr table, tr h1, tr h2, tr h3, tr pre") and bool(
        node.css_first("td + td, th + td, th + th")
    )


def _verbatim(node: LexborNode) -> str:
    pieces = []
    for child, entering in _events(node):
        if child.is_text_node:
            pieces.append(child.text_content or "")
        elif child.tag == "br" and entering:
            pieces.append("\n")
    return "".join(pieces)


def _table(builder: TextBuilder, table: LexborNode) -> None:
    """Add the rows of a data table; header cells repeat over their columns, spanning cells over their rows."""
    header: list[str] = []
    rows = 0
    spans: dict[int, tuple[int, str]] = {}
    for row in _rows(table):
        if row.tag == "caption":
            builder.paragraph(_cell_text(row))
            continue
        cells = [cell for cell in row.iter() if cell.tag in ("td", "th")]
        if not cells:
            continue
        values = _spread(cells, spans)
        heads = all(cell.tag == "th" for cell in cells) or (row.parent is not None and row.parent.tag == "thead")
        if heads and len(cells) == 1 and not header:
            builder.paragraph(values[0])
        elif heads and not rows:
            header = (
                [f"{upper} {lower}".strip() for upper, lower in _header_pairs(header, values)] if header else values
            )
        else:
            rows += 1
            _row(builder, cells, values, header)
    if header and not rows:
        builder.row(header)


def _row(builder: TextBuilder, cells: list[LexborNode], values: list[str], header: list[str]) -> None:
    if header:
        builder.row(values, header)
    elif len(cells) == 2 and cells[0].tag == "th" and values[0] and values[-1]:
        builder.row([values[-1]], [values[0]])
    else:
        builder.row(values)


def _header_pairs(upper: list[str], lower: list[str]) -> Iterator[tuple[str, str]]:
    for index, name in enumerate(lower):
        above = upper[index] if index < len(upper) else ""
        yield ("" if above == name else above), name


def _rows(table: LexborNode) -> Iterator[LexborNode]:
    for part in table.iter():
        if part.tag in ("tr", "caption"):
            yield part
        elif part.tag in ("thead", "tbody", "tfoot"):
            yield from (row for row in part.iter() if row.tag == "tr" and not _is_hidden(row))


def _spread(cells: list[LexborNode], spans: dict[int, tuple[int, str]]) -> list[str]:
    """Return values by column. `spans` carries cells that reach into the rows below: column -> (rows left, text)."""
    values: list[str] = []
    for cell in cells:
        _fill(values, spans)
        text = _cell_text(cell)
        wide, tall = _span(cell, "colspan"), _span(cell, "rowspan")
        for offset in range(wide):
            if tall > 1:
                spans[len(values)] = (tall - 1, text)
            values.append(text if offset == 0 or cell.tag == "th" else "")
    _fill(values, spans)
    return values


def _fill(values: list[str], spans: dict[int, tuple[int, str]]) -> None:
    while len(values) in spans:
        left, text = spans.pop(len(values))
        if left > 1:
            spans[len(values)] = (left - 1, text)
        values.append(text)


def _span(cell: LexborNode, name: str) -> int:
    value = cell.attributes.get(name) or "1"
    return max(1, min(int(value), _MAX_SPAN)) if value.isdecimal() and len(value) < 6 else 1


def _cell_text(cell: LexborNode) -> str:
    pieces = []
    for node, entering in _events(cell):
        if node.is_text_node:
            pieces.append(node.text_content or "")
        elif node.tag in _BLOCKS or node.tag == "br":
            pieces.append(" ")
        elif node.tag == "img" and entering:
            pieces.append(node.attributes.get("alt") or "")
    return clean_line("".join(pieces))
