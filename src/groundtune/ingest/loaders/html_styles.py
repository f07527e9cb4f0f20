"""Say how CSS shows an element: hidden, struck through, with which list numbers. Never loads a style sheet.

Reads style attributes and the `<style>` elements of the page, for screens of any width. Of these, only the rules that
hide, strike through or number something are applied, and those that take it back.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

_DECLARATION = re.compile(
    r"(?<![\w-])(display|visibility|opacity|font-size|mso-hide|clip|clip-path|text-indent|left|top|color"
    r"|text-decoration|text-decoration-line|list-style|list-style-type)\s*:([^;!]*)(!?)",
    re.IGNORECASE,
)
_TELLING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*0*\.?0+\s*(?:[;!]|\Z)|mso-hide"
    r"|c(?<![\w-]c)lip(?:-path)?\s*:|font-size\s*:\s*0|left\s*:\s*-\d{3}|top\s*:\s*-\d{3}|text-indent\s*:\s*-\d{3}"
    r"|line-through|list-style|color\s*:\s*(?:transparent|white|#fff(?:fff)?\b|rgb\(\s*255\s*,\s*255\s*,\s*255\s*\))",
)
"""What hides, strikes through or numbers, in lower case; each begins with a letter, by which it is found fast."""
_SHEET = re.compile(r"<style", re.IGNORECASE)
_ANY_SHEET = re.compile(r"<style|<link\b[^>]*stylesheet", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?\*/|<!--|-->", re.DOTALL)
_SCREEN = re.compile(r"@media\s+(?:only\s+)?(?:screen|all)\s*|@supports\b.*|@layer\b.*", re.IGNORECASE | re.DOTALL)
_STATES = re.compile(r"::|:(?:before|after|hover|focus|active|visited|target|checked|placeholder|selection)\b", re.I)
_COMMA = re.compile(r",(?![^()]*\))")
_ANIMATED = re.compile(r"\banimation\s*:", re.IGNORECASE)
_SPECIFIC = (re.compile(r"#[\w-]+"), re.compile(r"[.:\[][\w-]+"), re.compile(r"(?:^|[\s>+~])[a-z][\w-]*", re.I))
_CONDITION = re.compile(r"\[[^\]]*\]|:[\w-]+(?:\([^)]*\))?")
_ONE_CLASS = re.compile(r"\.[\w-]+")
_NAME = re.compile(r"[.#][\w-]+")
_TAG = re.compile(r"[a-z][\w-]*", re.IGNORECASE)
_SIBLING = re.compile(r"[+~]")
_MAX_RULES = 500
_FEW = 8
"""Elements that are searched one by one rather than the page."""
_WHITE = re.compile(r"white|#fff(?:fff)?|rgb\(\s*255\s*,\s*255\s*,\s*255\s*\)")
_ZERO = re.compile(r"0*\.?0+(?:px|pt|em|rem|%)?")
_FAR_AWAY = re.compile(r"-\d{3,}(?:\.\d+)?(?:px|pt|em|rem)?")
_CLIPPED = re.compile(r"rect\(\s*[01]px[\s,]+[01]px|rect\(\s*0|inset\(\s*(?:50|100)%")

_Declarations = dict[str, tuple[str, bool]]
"""Value by property, and whether it is marked as important."""


class _Block(NamedTuple):
    """Selectors of a style sheet with the text of what they declare."""

    selectors: str
    text: str
    is_telling: bool
    order: int

    def rules(self) -> "Iterator[_Rule]":
        """Yield a rule for each selector that needs no action of the reader."""
        selectors = _COMMA.split(self.selectors) if "(" in self.selectors else self.selectors.split(",")
        for at, selector in enumerate(selectors):
            if ":" not in selector or not _STATES.search(selector):
                yield _Rule(selector.strip(), self.text, (self.order, at))


class _Rule(NamedTuple):
    """One selector with the text of what it declares."""

    selector: str
    text: str
    order: tuple[int, int]

    @property
    def rank(self) -> tuple[int, ...]:
        """Specificity, then order: of two rules for an element, the one of higher rank is applied."""
        return (*(len(pattern.findall(self.selector)) for pattern in _SPECIFIC), *self.order)

    @property
    def declarations(self) -> _Declarations:
        declarations = _declarations(self.text)
        declarations.pop("opacity", None)  # in a style sheet it is where an animation begins
        if _ANIMATED.search(self.text):
            declarations.pop("visibility", None)
        return declarations


class Styles:
    """The declarations of a page by element."""

    def __init__(self, tree: LexborHTMLParser, source: str) -> None:
        self._by_node: dict[int, _Declarations] = {}
        self._is_plain = not _ANY_SHEET.search(source)
        sheets = tree.css("style") if _SHEET.search(source) else []
        css = "\n".join(style.text() for style in sheets if _is_for_screens(style))
        if _TELLING.search(css.lower()):
            self._apply(tree, list(_blocks(css)))

    @property
    def has_rules(self) -> bool:
        """Whether a style sheet of the page hides, strikes through or numbers anything."""
        return bool(self._by_node)

    def of(self, node: LexborNode, attributes: Mapping[str, str | None]) -> dict[str, str]:
        """Return value by property for one element, without what it inherits; empty if nothing is declared."""
        declared = self._by_node.get(node.mem_id) if self._by_node else None
        inline = attributes.get("style")
        own = _declarations(inline) if inline and (declared or _TELLING.search(inline.lower())) else {}
        if not declared and not own:
            return {}
        merged = {**own, **(declared or {})}
        for name, (value, important) in own.items():
            if important or not merged[name][1]:
                merged[name] = (value, important)
        return {name: value for name, (value, _) in merged.items()}

    def is_white_on_white(self, node: LexborNode, style: Mapping[str, str]) -> bool:
        """Whether text is white and nothing of the page can have given it another background."""
        if not self._is_plain or not _WHITE.fullmatch(style.get("color", "")):
            return False
        element: LexborNode | None = node
        while element is not None:
            attributes = element.attributes
            if "bgcolor" in attributes or "background" in f"{attributes.get('style')} {' '.join(attributes)}":
                return False
            element = element.parent
        return True

    def _apply(self, tree: LexborHTMLParser, blocks: list[_Block]) -> None:
        elements = _Elements(tree)
        telling = [rule for block in blocks if block.is_telling for rule in block.rules()]
        telling = [rule for rule in telling if elements.may_match(rule.selector)][:_MAX_RULES]
        matched = {rule: elements.select(rule.selector) for rule in telling}
        touched = {node.mem_id: node for nodes in matched.values() for node in nodes}
        names = {name for node in touched.values() for name in (node.tag or "", *_names(node))}
        properties = {name for rule in telling if matched[rule] for name in rule.declarations}
        declared = re.compile("|".join(rf"{name[0]}(?<![\w-].){name[1:]}\s*:" for name in properties) or r"(?!)")
        may_take_back = (block for block in blocks if declared.search(block.text))
        for rule in chain.from_iterable(map(_Block.rules, may_take_back)):
            if len(matched) >= 2 * _MAX_RULES:
                break
            is_wanted = names.issuperset(_wanted_names(rule.selector)) and rule not in matched
            if is_wanted and elements.may_match(rule.selector):
                matched[rule] = elements.select(rule.selector)
        for rule in sorted((rule for rule, nodes in matched.items() if nodes), key=lambda rule: rule.rank):
            declarations = rule.declarations
            for node in matched[rule]:
                if node.mem_id not in touched:
                    continue
                before = self._by_node.setdefault(node.mem_id, {})
                for name, stated in declarations.items():
                    if stated[1] or not before.get(name, ("", False))[1]:
                        before[name] = stated


class _Elements:
    """The elements of a page by class and id."""

    def __init__(self, tree: LexborHTMLParser) -> None:
        self._tree = tree
        self._selected: dict[str, list[LexborNode]] = {}
        by_name: dict[str, list[LexborNode]] = defaultdict(list)
        for node in tree.css("[class], [id]"):
            for name in _names(node):
                by_name[name].append(node)
        self._by_name = dict(by_name)

    def may_match(self, selector: str) -> bool:
        return all(name in self._by_name for name in _NAME.findall(_without_conditions(selector)))

    def select(self, selector: str) -> list[LexborNode]:
        if _ONE_CLASS.fullmatch(selector):
            return self._by_name.get(selector, [])
        if selector not in self._selected:
            try:
                self._selected[selector] = self._find(selector)
            except SelectolaxError:
                self._selected[selector] = []
        return self._selected[selector]

    def _find(self, selector: str) -> list[LexborNode]:
        """Search the page, or only the few elements with the rarest name that what is selected, or holds it, has."""
        roots = min((self._by_name.get(name, []) for name in _last_names(selector)), key=len, default=[])
        if not 0 < len(roots) <= _FEW:
            return self._tree.css(selector)
        return [*{node.mem_id: node for root in roots for node in root.css(selector)}.values()]


def is_hidden(style: Mapping[str, str]) -> bool:
    """Whether an element with this style, or what is in it, cannot be seen."""
    return (
        style.get("display") == "none"
        or style.get("visibility") in ("hidden", "collapse")
        or style.get("mso-hide") == "all"
        or bool(_ZERO.fullmatch(style.get("opacity", "")))
        or bool(_ZERO.fullmatch(style.get("font-size", "")))
        or style.get("color") == "transparent"
        or any(_FAR_AWAY.fullmatch(style.get(name, "")) for name in ("left", "top", "text-indent"))
        or any(_CLIPPED.match(style.get(name, "")) for name in ("clip", "clip-path"))
    )


def is_struck(style: Mapping[str, str]) -> bool:
    return any("line-through" in style.get(name, "") for name in ("text-decoration", "text-decoration-line"))


def list_style(style: Mapping[str, str]) -> str | None:
    """Return the type of list numbers, such as `lower-alpha`; None if the style does not say."""
    if stated := style.get("list-style-type"):
        return stated
    return next((word for word in style.get("list-style", "").split() if word not in ("inside", "outside")), None)


def _is_for_screens(style: LexborNode) -> bool:
    return (style.attributes.get("media") or "all").strip().lower() in ("all", "screen", "")


def _blocks(css: str) -> Iterator[_Block]:
    """Yield what a screen of any width applies."""
    applies = [True]
    if "/*" in css or "-->" in css or "<!--" in css:
        css = _COMMENT.sub("", css)
    for order, piece in enumerate(css.split("}")[:-1]):
        *openings, text = piece.split("{")
        selectors: str | None = None
        for opening in openings:
            opened = opening.rpartition(";")[2].strip()
            is_group = opened.startswith("@")
            applies.append(applies[-1] and selectors is None and (not is_group or bool(_SCREEN.fullmatch(opened))))
            selectors = None if is_group else opened
        if selectors and applies[-1]:
            yield _Block(selectors, text, bool(_TELLING.search(text.lower())), order)
        if len(applies) > 1:
            applies.pop()


def _declarations(text: str) -> _Declarations:
    declarations = {
        name.lower(): (value.strip().lower(), bool(bang)) for name, value, bang in _DECLARATION.findall(text)
    }
    if "color" in declarations and "background" in text:
        del declarations["color"]  # letters that show the background through them
    return declarations


def _names(node: LexborNode) -> list[str]:
    """Return the classes and the id of an element, as selectors write them."""
    attributes = node.attributes
    names = [f".{name}" for name in classes.split()] if (classes := attributes.get("class")) else []
    if identifier := attributes.get("id"):
        names.append(f"#{identifier}")
    return names


def _wanted_names(selector: str) -> list[str]:
    """Return the classes, the id and the tag that an element must have for this selector."""
    last = _without_conditions(selector)
    for sign in " \n\t>+~":
        last = last.rpartition(sign)[2]
    tag = _TAG.match(last)
    return [*_NAME.findall(last), *([tag[0].lower()] if tag else [])]


def _last_names(selector: str) -> list[str]:
    """Return the classes and the id behind which nothing in the selector has a name; none if siblings matter."""
    parts = [] if _SIBLING.search(selector) else _without_conditions(selector).replace(">", " ").split()
    return next((names for part in reversed(parts) if (names := _NAME.findall(part))), [])


def _without_conditions(selector: str) -> str:
    return _CONDITION.sub("", selector) if ":" in selector or "[" in selector else selector
