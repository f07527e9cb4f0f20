"""Find what a reader opens by a click: accordions, tabs, pop-ups. The control is the heading of its panel."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

_REFERENCES = ("aria-controls", "data-bs-target", "data-target", "popovertarget", "commandfor", "href")
_CONTROLS = """[aria-controls], [aria-expanded], [data-bs-target], [data-target], [popovertarget], [commandfor],
[role=tab], button, [role=button]"""
_SIGNS = ("aria-", "data-", "popover", "command", "role", "<button")
"""A page without any of these in its source has no controls."""
_FIELDS = frozenset(("input", "select", "textarea", "form", "body", "html"))
_TRIGGER_CLASS = re.compile(r"accordion|collaps|disclosure|expand|faq|question|toggle|trigger", re.IGNORECASE)
_QUESTION = re.compile(r"[?？؟;]\s*\Z")
_WRAPPERS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6", "dt", "div", "p", "span", "header"))


class Panels:
    """The panels of a page by the elements that open them."""

    def __init__(self, tree: LexborHTMLParser, source: str) -> None:
        self.labels: dict[int, LexborNode] = {}
        """The control whose text is the heading of a panel, by the panel's `mem_id`."""
        self.moved: set[int] = set()
        """Controls whose text stands at the head of their panel."""
        self.triggers: set[int] = set()
        """Controls that open something, without a panel of their own."""
        self._tree = tree
        self._opened: set[int] = set()
        self._links: set[str] | None = None
        may_have = any(sign in source for sign in _SIGNS) or any(sign in source.lower() for sign in _SIGNS)
        found = tree.css(_CONTROLS) if may_have else []
        controls = {control.mem_id: control for control in found if control.tag not in _FIELDS}
        if controls:
            self._connect([*controls.values()])

    def opens(self, node: LexborNode) -> bool:
        """Whether a reader can open this hidden element."""
        return node.mem_id in self._opened or bool(node.id and node.id in self._linked())

    def _connect(self, controls: list[LexborNode]) -> None:
        targets = {control.mem_id: _target(control) for control in controls}
        wanted = {target for target in targets.values() if target}
        by_id = {str(node.id): node for node in self._tree.css("[id]") if node.id in wanted} if wanted else {}
        openers: dict[int, list[LexborNode]] = {}
        for control in controls:
            panel = by_id.get(targets[control.mem_id] or "") or self._beside(control)
            if panel is not None and not _is_inside(control, panel):
                self._opened.add(panel.mem_id)
                openers.setdefault(panel.mem_id, []).append(control)
        for panel_id, found in openers.items():
            label = found[0] if len(found) == 1 else next(filter(_is_opener, found), None)
            if label is not None and label.text().strip():
                self.labels[panel_id] = label
                self.moved.add(label.mem_id)

    def _beside(self, control: LexborNode) -> LexborNode | None:
        """Return the element behind a control that says that it opens something, but not what."""
        attributes = control.attributes
        text = control.text()
        says_so = (
            "aria-expanded" in attributes
            or _TRIGGER_CLASS.search(attributes.get("class") or "")
            or _QUESTION.search(text)
        )
        if not says_so or not text.strip():
            return None
        self.triggers.add(control.mem_id)
        node = control
        while (parent := node.parent) is not None and parent.tag in _WRAPPERS and not _behind(node):
            if parent.text().strip() != text.strip():
                return None
            node = parent
        panel = _behind(node)
        return None if panel is None or panel.tag in ("button", *_FIELDS) else panel

    def _linked(self) -> set[str]:
        if self._links is None:
            links = self._tree.css('a[href^="#"]')
            self._links = {(link.attributes.get("href") or "")[1:] for link in links}
        return self._links


def _target(control: LexborNode) -> str | None:
    for name in _REFERENCES:
        value = (control.attributes.get(name) or "").strip()
        if value and (name != "href" or value.startswith("#")):
            return value.split()[0].removeprefix("#")
    return None


def _is_opener(control: LexborNode) -> bool:
    attributes = control.attributes
    return attributes.get("role") == "tab" or "aria-expanded" in attributes


def _is_inside(node: LexborNode, panel: LexborNode) -> bool:
    return any(ancestor.mem_id == panel.mem_id for ancestor in _ancestors(node))


def _ancestors(node: LexborNode) -> Iterator[LexborNode]:
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent


def _behind(node: LexborNode) -> LexborNode | None:
    """Return the element that follows, if no text stands between."""
    sibling = node.next
    while sibling is not None and not sibling.is_element_node:
        if sibling.is_text_node and (sibling.text_content or "").strip():
            return None
        sibling = sibling.next
    return sibling
