"""Tell the menus, headers and footers of a web page from what it says. Anything in the main text is kept."""

from collections.abc import Mapping

from selectolax.lexbor import LexborHTMLParser, LexborNode

_MAIN = "main, article, [role=main]"
_SITE = "nav, main, [role=main], [role=navigation]"
_MENUS = frozenset(("navigation", "search", "menu", "menubar", "toolbar"))
_EDGES = frozenset(("complementary", "contentinfo"))
_PARTS = frozenset(("div", "ul", "ol", "menu", "section", "header", "table", "center", "dl"))
_CONTENT = frozenset(("main", "article", "section", "blockquote", "td", "figure", "details", "dialog"))
_PROSE = "p, h1, h2, h3, article, main, table"
"""A form that contains none of these, and nothing filled in, is a search box or login form."""
_UNSEEN_VALUES = "".join(f":not([type={kind}])" for kind in ("hidden", "search", "submit", "button"))
_FILLED = f"input[value]{_UNSEEN_VALUES}, input[checked], option[selected], textarea"
_CONTROLS = "a, button, select, label"
_MOST_LINKED = 0.5
_FEWEST_LINKS = 3
"""Links that an aside or a footer within the text has at least if it is a menu."""
_MOST_MAINS = 50


class PageParts:
    """Where the main text of a page is, so that its menus can be told from it."""

    def __init__(self, tree: LexborHTMLParser) -> None:
        self._is_site = tree.css_first(_SITE) is not None
        mains = [main for main in tree.css(_MAIN)[:_MOST_MAINS] if main.text().strip()]
        self._around: set[int] = set()
        """Elements that contain the main text."""
        for main in mains:
            parent = main.parent
            while parent is not None and parent.mem_id not in self._around:
                self._around.add(parent.mem_id)
                parent = parent.parent

    def is_furniture(self, node: LexborNode, tag: str, attributes: Mapping[str, str | None], *, inside: bool) -> bool:
        """Whether an element is a menu, header or footer of the page.

        inside: it is in an element that `is_content`.
        """
        role = attributes.get("role")
        if tag == "nav" or role in _MENUS:
            return True
        if tag == "form":
            return not (node.css_first(_PROSE) or node.css_first(_FILLED))
        if tag in ("aside", "footer") or role in _EDGES:
            if "epub:type" in attributes or (role or "").startswith("doc-"):
                return False
            return self._is_site if not inside else _is_linked(node, at_least=_FEWEST_LINKS)
        if not self._around or inside or node.mem_id in self._around:
            return False
        if tag == "a":
            return node.parent is not None and node.parent.mem_id in self._around
        return tag in _PARTS and _is_linked(node, at_least=1) and not node.css_first("h1")


def is_content(tag: str, role: str | None) -> bool:
    """Whether footers and asides in an element belong to what it says, and not to the page."""
    return tag in _CONTENT or role in ("main", "article")


def _is_linked(node: LexborNode, *, at_least: int) -> bool:
    """Whether most of an element's text is that of links and other controls."""
    controls = node.css(_CONTROLS)
    if len(controls) < at_least:
        return False
    length = len("".join(node.text().split()))
    return length > 0 and sum(len("".join(control.text().split())) for control in controls) > _MOST_LINKED * length
