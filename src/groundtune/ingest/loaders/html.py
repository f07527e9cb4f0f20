"""Parse HTML into headings, paragraphs, rows and code, as a browser shows it. Never runs or fetches anything.

Uses one pass with an explicit stack, so that a page nested 100,000 levels deep is as safe as any other.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser, LexborNode

from groundtune.ingest.list_numbers import format_number
from groundtune.ingest.loaders.html_page import PageParts, is_content
from groundtune.ingest.loaders.html_panels import Panels
from groundtune.ingest.loaders.html_styles import Styles, is_hidden, is_struck, list_style
from groundtune.ingest.loaders.html_tables import add_table, is_data
from groundtune.ingest.loaders.mathml import write_formula
from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_line
from groundtune.ingest.superscripts import subscript, superscript
from groundtune.languages.segmentation import unwrap

_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml[^>]*encoding=[\"']([\w.:-]+)", re.IGNORECASE)
_BREAK = "\ufdd8"
"""Stands for a line break that a browser shows, until the other white space is collapsed."""
_UNSEEN = frozenset(
    "script style noscript template head title link meta base datalist map param source track rp colgroup".split()
)
_BLOCKS = frozenset(
    """address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure
    footer form header hgroup hr html legend li main nav optgroup p search section table tbody tfoot thead tr td
    th""".split()
)
_MAY_BE_FURNITURE = frozenset("nav form aside footer".split())
_DECISIVE = frozenset(("hidden", "popover", "aria-hidden"))
"""Attributes that may hide an element."""
_LIST_STYLES = {"a": "lower-alpha", "A": "upper-alpha", "i": "lower-roman", "I": "upper-roman", "1": "decimal"}
_UNNUMBERED = frozenset(("none", "disc", "circle", "square"))
_TYPED = frozenset("text email tel url number date datetime-local month week time".split())
_LINK_SIGN = re.compile(r"header-?link|hash-?link|header-?anchor|perma-?link|anchor|backref|back-?link", re.IGNORECASE)
_NOTE_REFERENCE = re.compile(r"[\[(]?\s*([\w*†‡§]{1,4})\s*[\])]?")
_SMALLEST_PICTURE = 32
"""Pixels; smaller ones are icons."""
_ENDS_ITSELF = tuple(".:;?!…。？！：؟")

Attributes = Mapping[str, str | None]
Leave = Callable[[], None]
"""What is to be done behind the last child of an element."""


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    declared = _CHARSET.search(data[:2048])
    encoding = (declared[1] or declared[2]).decode("ascii") if declared else None
    builder = TextBuilder()
    title = add_blocks(builder, decode(data, declared=encoding), page=True)
    return [builder.build(title=title)]


def add_blocks(builder: TextBuilder, text: str, *, page: bool = False) -> str | None:
    """Add the blocks of an HTML page or fragment. Return its title: <title>, otherwise the first h1.

    page: it is a page of a web site, which may have menus.
    """
    tree = LexborHTMLParser(text)
    root = tree.body or tree.root
    if root is None:
        return None
    walk = _HtmlWalk(builder, Styles(tree, text), Panels(tree, text), PageParts(tree) if page else None)
    walk.read(root)
    stated = tree.css_first("head > title")
    return (clean_line(stated.text()) if stated else "") or walk.title


@dataclass(slots=True)
class _List:
    """An open list: the number and style of its next item; no style without numbers."""

    number: int
    step: int
    style: str | None


class _OneLine:
    """Takes what is otherwise a document as one line: the text of a table cell or of a control."""

    def __init__(self, builder: "TextBuilder | _OneLine") -> None:
        self.parts: list[str] = []
        self._builder = builder

    def paragraph(self, text: str) -> None:
        self.parts.append(text)

    code = open_section = paragraph

    def heading(self, level: int, text: str) -> None:
        self.parts.append(text)

    def close_section(self) -> None:
        pass

    def note(self, kind: str) -> None:
        self._builder.note(kind)


class _HtmlWalk:
    """Collects inline text until a block begins or ends."""

    def __init__(self, builder: TextBuilder | _OneLine, styles: Styles, panels: Panels, page: PageParts | None) -> None:
        self.title: str | None = None
        self._builder = builder
        self._styles = styles
        self._panels = panels
        self._page = page
        self._inside = 0
        """Open elements whose footers and asides belong to them, and not to the page."""
        self._inline: list[str] = []
        self._lists: list[_List] = []
        self._mark = ""
        """Number of the list item that has no text yet."""
        self._terms: list[str] = []
        """Terms of a definition list that have no definition yet."""
        self._details: list[bool] = []
        """Whether each open `<details>` has a summary."""
        self._one_line = 0
        """Open headings, terms and summaries."""

    def read(self, root: LexborNode) -> None:
        """Add what is inside of an element."""
        stack: list[LexborNode | list[Leave]] = [*root.iter(include_text=True)]
        stack.reverse()
        while stack:
            node = stack.pop()
            if isinstance(node, list):
                for leave in node:
                    leave()
            elif node.is_text_node:
                self._inline.append(node.text_content or "")
            else:
                leaves = self._enter(node)
                if leaves is None:
                    continue
                first = node.first_child
                if first is None or (first.is_text_node and first.next is None):
                    if first is not None:
                        self._inline.append(first.text_content or "")
                    for leave in leaves:
                        leave()
                    continue
                if leaves:
                    stack.append(leaves)
                stack += list(node.iter(include_text=True))[::-1]
        self._break_block()

    def _enter(self, node: LexborNode) -> list[Leave] | None:
        """Return what to do behind the element; None if what is inside is not to be read."""
        tag = node.tag or "-"
        if tag in _UNSEEN or tag[0] == "-":
            return None
        attributes = node.attributes
        leaves: list[Leave] = []
        if attributes or self._page or tag == "dialog" or self._styles.has_rules:
            if node.mem_id in self._panels.moved or self._is_left_out(node, tag, attributes):
                return None
            if label := self._panels.labels.get(node.mem_id):
                self._break_block()
                self._builder.open_section(self._text_in(label))
                leaves.append(self._close_section)
            if self._page and is_content(tag, attributes.get("role")):
                self._inside += 1
                leaves.append(self._leave_content)
        enter = _ENTER.get(tag)
        if enter is None and attributes and attributes.get("role") == "heading":
            enter = _HtmlWalk._heading
        if enter is not None:
            more = enter(self, node, attributes)
            if more is None:
                for leave in leaves:
                    leave()
            return None if more is None else more + leaves
        if tag in _BLOCKS:
            self._break_block()
            leaves.insert(0, self._break_block)
        return leaves

    # --- what is left out ---

    def _is_left_out(self, node: LexborNode, tag: str, attributes: Attributes) -> bool:
        style = self._styles.of(node, attributes)
        if style or tag == "dialog" or not _DECISIVE.isdisjoint(attributes):
            closed = "popover" in attributes or (tag == "dialog" and "open" not in attributes)
            hides = attributes.get("hidden", "until-found") != "until-found"
            unseen = closed or hides or is_hidden(style) or self._styles.is_white_on_white(node, style)
            if unseen and not self._panels.opens(node):
                return not _has_formula(node) and self._leave_out(node, "hidden_text")
            if is_struck(style):
                return self._leave_out(node, "deleted_text")
            if "aria-hidden" in attributes and "katex-html" in (attributes.get("class") or ""):
                return True  # drawn beside the same formula in MathML
        if self._page and (not self._inside or tag in _MAY_BE_FURNITURE or "role" in attributes):
            inside = self._inside > 0
            return self._page.is_furniture(node, tag, attributes, inside=inside) and self._leave_out(node, "page_menu")
        return False

    def _is_cell_left_out(self, node: LexborNode, tag: str, attributes: Attributes) -> bool:
        """Whether a row or a cell is left out; one that says nothing about itself is not."""
        return bool(attributes or self._styles.has_rules) and self._is_left_out(node, tag, attributes)

    def _leave_out(self, node: LexborNode, kind: str) -> bool:
        if node.text().strip():
            self._builder.note(kind)
        return True

    def _leave_content(self) -> None:
        self._inside -= 1

    # --- blocks ---

    def _take(self) -> str:
        text = "".join(self._inline)
        self._inline.clear()
        if "\n" in text and not text.isascii():
            text = unwrap(text)
        text = " ".join(text.split())
        return text.replace(_BREAK, "\n").strip() if _BREAK in text else text

    def _break_block(self) -> None:
        """Make a paragraph of the text that was collected."""
        if not self._inline:
            return
        if self._one_line:
            self._inline.append(" ")
            return
        text = self._take()
        if text:
            self._builder.paragraph(self._take_lead() + text)

    def _take_lead(self) -> str:
        """Return the list number and the terms that stand before the next text."""
        lead = self._mark
        if self._terms:
            terms = ", ".join(self._terms)
            lead += terms + (" " if terms.endswith(_ENDS_ITSELF) else ": ")
        self._mark, self._terms = "", []
        return lead

    def _heading(self, node: LexborNode, attributes: Attributes) -> list[Leave]:
        tag = node.tag or ""
        stated = tag[1:] if len(tag) == 2 else attributes.get("aria-level") or "2"
        self._break_block()
        self._one_line += 1
        return [partial(self._leave_heading, int(stated) if stated.isdecimal() and len(stated) < 3 else 2)]

    def _leave_heading(self, level: int) -> None:
        self._one_line -= 1
        if self._one_line:
            return
        text = self._take()
        if not text:
            return
        if level == 1 and self.title is None:
            self.title = clean_line(text)
        self._builder.heading(level, self._take_lead() + text)

    def _close_section(self) -> None:
        self._break_block()
        self._builder.close_section()

    def _details_element(self, node: LexborNode, attributes: Attributes) -> list[Leave]:
        self._break_block()
        self._details.append(False)
        return [self._leave_details]

    def _leave_details(self) -> None:
        self._break_block()
        if self._details.pop():
            self._builder.close_section()

    def _summary(self, node: LexborNode, attributes: Attributes) -> list[Leave]:
        if not self._details or self._details[-1] or self._one_line:
            self._break_block()
            return [self._break_block]
        self._break_block()
        self._one_line += 1
        return [self._leave_summary]

    def _leave_summary(self) -> None:
        self._one_line -= 1
        text = self._take()
        if text:
            self._builder.open_section(self._take_lead() + text)
            self._details[-1] = True

    def _pre(self, node: LexborNode, attributes: Attributes) -> list[Leave] | None:
        if self._one_line:
            return []
        self._break_block()
        if self._mark or self._terms:
            self._builder.paragraph(self._take_lead())
        self._builder.code(self._verbatim(node))
        return None

    def _verbatim(self, root: LexborNode) -> str:
        pieces: list[str] = []
        stack = list(root.iter(include_text=True))[::-1]
        while stack:
            node = stack.pop()
            tag = node.tag
            if node.is_text_node:
                pieces.append(node.text_content or "")
            elif tag == "br":
                pieces.append("\n")
            elif not (
                tag is None
                or tag[0] == "-"
                or tag in _UNSEEN
                or tag == "button"
                or self._is_left_out(node, tag, node.attributes)
            ):
                stack += list(node.iter(include_text=True))[::-1]
        return "".join(pieces)

    def _table(self, node: LexborNode, attributes: Attributes) -> list[Leave] | None:
        self._break_block()
        if isinstance(self._builder, _OneLine) or self._one_line or not is_data(node, attributes):
            return [self._break_block]
        if self._mark or self._terms:
            self._builder.paragraph(self._take_lead())
        add_table(self._builder, node, text_in=self._text_in, is_left_out=self._is_cell_left_out)
        return None

    def _text_in(self, node: LexborNode) -> str:
        """Return the text of an element in one line."""
        first = node.first_child
        if first is None or (first.is_text_node and first.next is None):
            return "" if first is None else first.text_content or ""
        line = _OneLine(self._builder)
        _HtmlWalk(line, self._styles, self._panels, None).read(node)
        return " ".join(line.parts)

    # --- lists ---

    def _ordered_list(self, node: LexborNode, attributes: Attributes) -> list[Leave]:
        style: str | None = list_style(self._styles.of(node, attributes))
        style = style or _LIST_STYLES.get(attributes.get("type") or "1", "decimal")
        is_reversed = "reversed" in attributes
        first = _integer(attributes.get("start"))
        if first is None:
            first = sum(child.tag == "li" for child in node.iter()) if is_reversed else 1
        return self._open_list(_List(first, -1 if is_reversed else 1, None if style in _UNNUMBERED else style))

    def _unordered_list(self, node: LexborNode, attributes: Attributes) -> list[Leave]:
        style = list_style(self._styles.of(node, attributes))
        return self._open_list(_List(1, 1, style if style and style not in _UNNUMBERED else None))

    def _open_list(self, opened: _List) -> list[Leave]:
        self._break_block()
        self._lists.append(opened)
        return [self._break_block, self._leave_list]

    def _leave_list(self) -> None:
        self._lists.pop()

    def _item(self, node: LexborNode, attributes: Attributes) -> list[Leave]:
        self._break_block()
        if self._lists:
            current = self._lists[-1]
            stated = _integer(attributes.get("value"))
            number = current.number if stated is None else stated
            current.number = number + current.step
            style = list_style(self._styles.of(node, attributes)) or current.style
            style = _LIST_STYLES.get(attributes.get("type") or "", style)
            if style is not None and style not in _UNNUMBERED:
                self._mark += f"{style[1:-1]} " if style[0] in "\"'" else f"{format_number(number, style)}. "
        return [self._break_block, self._leave_item]

    def _leave_item(self) -> None:
        self._mark = ""

    def _definitions(self, node: LexborNode, attributes: Attributes) -> list[Leave]:
        self._break_block()
        return [self._leave_definitions]

    def _leave_definitions(self) -> None:
        self._break_block()
        if self._terms:
            self._builder.paragraph(", ".join(self._terms))
            self._terms = []

    def _term(self, node: LexborNode, attributes: Attributes) -> list[Leave]:
        self._break_block()
        self._one_line += 1
        return [self._leave_term]

    def _leave_term(self) -> None:
        self._one_line -= 1
        if not self._one_line and (text := self._take()):
            self._terms.append(clean_line(text))

    # --- inline ---

    def _line_break(self, node: LexborNode, attributes: Attributes) -> list[Leave]:
        self._inline.append(" " if self._one_line else _BREAK)
        return []

    def _deleted(self, node: LexborNode, attributes: Attributes) -> None:
        self._leave_out(node, "deleted_text")

    def _wrapped(self, write: Callable[[str], str]) -> list[Leave]:
        """Return how to rewrite the inline text of an element behind it."""
        start = len(self._inline)

        def leave() -> None:
            text = "".join(self._inline[start:])
            self._inline[start:] = [write(text)]

        return [leave]

    def _superscript(self, node: LexborNode, attributes: Attributes) -> list[Leave]:
        parent = node.parent
        is_link = parent is not None and parent.tag == "a" and _is_internal(parent.attributes)
        return self._wrapped(_note_reference if is_link or node.css_first('a[href^="#"]') else superscript)

    def _subscript(self, node: LexborNode, attributes: Attributes) -> list[Leave]:
        return self._wrapped(subscript)

    def _link(self, node: LexborNode, attributes: Attributes) -> list[Leave] | None:
        kind = f"{attributes.get('epub:type') or ''} {attributes.get('role') or ''}"
        if "noteref" in kind and not node.css_first("sup"):
            return self._wrapped(_note_reference)
        is_sign = self._one_line or _LINK_SIGN.search(attributes.get("class") or "") or "backlink" in kind
        if is_sign and _is_internal(attributes) and not any(map(str.isalnum, node.text())):
            return None
        return []

    def _quote(self, node: LexborNode, attributes: Attributes) -> list[Leave]:
        return self._wrapped(lambda text: f"“{text}”")

    def _reading(self, node: LexborNode, attributes: Attributes) -> list[Leave]:
        return self._wrapped(lambda text: f"({text.strip()})" if text.strip() else "")

    def _picture(self, node: LexborNode, attributes: Attributes) -> None:
        words = attributes.get("class") or ""
        if "math-fallback" in words:
            return
        alternative = attributes.get("alt")
        self._inline.append(f"{alternative or ''} ")
        if alternative is None and not _is_small(attributes):
            self._builder.note("picture")

    def _drawing(self, node: LexborNode, attributes: Attributes) -> None:
        for text in node.css("text, foreignObject, foreignobject"):
            self._inline += [_BREAK, text.text(), _BREAK]

    def _formula(self, node: LexborNode, attributes: Attributes) -> None:
        self._inline.append(write_formula(node))

    def _embedded(self, node: LexborNode, attributes: Attributes) -> None:
        if not _is_small(attributes):
            self._builder.note("embedded_content")

    # --- controls ---

    def _button(self, node: LexborNode, attributes: Attributes) -> list[Leave] | None:
        if self._one_line:
            return []
        if node.mem_id in self._panels.triggers:
            self._break_block()
            return [self._break_block]
        return None

    def _input(self, node: LexborNode, attributes: Attributes) -> None:
        kind = (attributes.get("type") or "text").lower()
        if kind in ("checkbox", "radio"):
            if _has_label(node) and attributes.get("role") != "button":
                self._inline.append(" ☑ " if "checked" in attributes else " ☐ ")
        elif kind in _TYPED:
            self._inline.append(f" {attributes.get('value') or ''} ")

    def _selection(self, node: LexborNode, attributes: Attributes) -> None:
        chosen = [option.text().strip() for option in node.css("option[selected]")]
        self._inline.append(f" {', '.join(chosen)} ")

    def _text_area(self, node: LexborNode, attributes: Attributes) -> None:
        self._inline.append(f" {node.text().strip().replace(chr(10), _BREAK)} ")


def _has_formula(node: LexborNode) -> bool:
    return node.css_first("math") is not None


def _note_reference(text: str) -> str:
    """Return the mark of a note set apart, so that it does not join a number."""
    mark = _NOTE_REFERENCE.fullmatch(text.strip())
    return f" [{mark[1]}]" if mark else superscript(text)


def _is_internal(attributes: Attributes) -> bool:
    return (attributes.get("href") or "").startswith("#")


def _is_small(attributes: Attributes) -> bool:
    sizes = [_integer((attributes.get(name) or "").removesuffix("px")) for name in ("width", "height")]
    return any(size is not None and size < _SMALLEST_PICTURE for size in sizes)


def _has_label(node: LexborNode) -> bool:
    """Whether text stands beside a box to tick, or the box is within its label."""
    sibling = node.next
    if sibling is not None and sibling.is_text_node and not (sibling.text_content or "").strip():
        sibling = sibling.next
    return sibling is not None and (sibling.is_text_node or sibling.tag not in ("input", "div"))


def _integer(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if re.fullmatch(r"-?\d{1,8}", text, re.ASCII) else None


_Enter = Callable[[_HtmlWalk, LexborNode, Attributes], list[Leave] | None]
_ENTER: dict[str, _Enter] = {
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), _HtmlWalk._heading),
    **dict.fromkeys(("pre", "xmp", "listing"), _HtmlWalk._pre),
    **dict.fromkeys(("ul", "menu"), _HtmlWalk._unordered_list),
    **dict.fromkeys(("del", "s", "strike"), _HtmlWalk._deleted),
    **dict.fromkeys(("iframe", "object", "embed", "canvas", "video", "audio"), _HtmlWalk._embedded),
    "table": _HtmlWalk._table,
    "ol": _HtmlWalk._ordered_list,
    "li": _HtmlWalk._item,
    "dl": _HtmlWalk._definitions,
    "dt": _HtmlWalk._term,
    "details": _HtmlWalk._details_element,
    "summary": _HtmlWalk._summary,
    "br": _HtmlWalk._line_break,
    "sup": _HtmlWalk._superscript,
    "sub": _HtmlWalk._subscript,
    "a": _HtmlWalk._link,
    "q": _HtmlWalk._quote,
    "rt": _HtmlWalk._reading,
    "img": _HtmlWalk._picture,
    "svg": _HtmlWalk._drawing,
    "math": _HtmlWalk._formula,
    "button": _HtmlWalk._button,
    "input": _HtmlWalk._input,
    "select": _HtmlWalk._selection,
    "textarea": _HtmlWalk._text_area,
}
