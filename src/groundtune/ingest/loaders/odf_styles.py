"""Resolve the styles and lists of an OpenDocument file: hidden and struck text, numbers of lists. Never reads text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from groundtune.ingest.list_numbers import format_number
from groundtune.ingest.loaders.odf_names import FO, LOEXT, OFFICE, STYLE, TEXT, XML, whole
from groundtune.ingest.loaders.symbol_fonts import is_tick, write_symbols

LEVELS = 10
_TINY = 1.0
"""Points up to which text is too small to be seen."""
_FORMATS = {"a": "lower-alpha", "A": "upper-alpha", "i": "lower-roman", "I": "upper-roman", "①": "circled-decimal"}
_FORMATS |= {
    "一": "cjk-ideographic",
    "〇": "cjk-decimal",
    "あ": "hiragana",
    "ア": "hiragana",
    "가": "hangul",
    "１": "full-width-decimal",
}
_LEVEL_OF_FORMAT = re.compile(r"%(\d+)%")


@dataclass(frozen=True, slots=True)
class TextFormat:
    """What decides whether and where text is seen; None where nothing says it."""

    hidden: bool | None = None
    struck: bool | None = None
    position: str | None = None
    """`superscript`, `subscript` or `baseline`."""
    white: bool | None = None
    shaded: bool | None = None
    font: str | None = None

    def over(self, below: "TextFormat") -> "TextFormat":
        """Return this format, with that of `below` where this one does not say."""
        if self is PLAIN or below is PLAIN:
            return below if self is PLAIN else self
        return TextFormat(
            hidden=below.hidden if self.hidden is None else self.hidden,
            struck=below.struck if self.struck is None else self.struck,
            position=below.position if self.position is None else self.position,
            white=below.white if self.white is None else self.white,
            shaded=below.shaded if self.shaded is None else self.shaded,
            font=below.font if self.font is None else self.font,
        )


PLAIN = TextFormat()


class Styles:
    """Styles by family and name: the common ones, and those of one part."""

    def __init__(self, common: Any, part: Any) -> None:
        """common: root of styles.xml, or None; part: root of the part whose own styles count."""
        roots = [common.find(f"{OFFICE}styles")] if common is not None else []
        roots.append(part.find(f"{OFFICE}automatic-styles"))
        self._styles: dict[tuple[str | None, str | None], Any] = {}
        self.lists: dict[str | None, Any] = {}
        self.outline: Any = None
        for root in roots:
            for element in root if root is not None else ():
                if element.tag == f"{STYLE}style":
                    self._styles[element.get(f"{STYLE}family"), element.get(f"{STYLE}name")] = element
                elif element.tag == f"{TEXT}list-style":
                    self.lists[element.get(f"{STYLE}name")] = element
                elif element.tag == f"{TEXT}outline-style":
                    self.outline = element
        self._formats: dict[tuple[str, str | None], TextFormat] = {}

    def chain(self, family: str, name: str | None) -> Iterator[Any]:
        """Yield a style and those that it is based on."""
        seen = set[str | None]()
        while (family, name) in self._styles and name not in seen:
            seen.add(name)
            yield self._styles[family, name]
            name = self._styles[family, name].get(f"{STYLE}parent-style-name")

    def is_title(self, name: str | None) -> bool:
        return any(style.get(f"{STYLE}name") == "Title" for style in self.chain("paragraph", name))

    def stated(self, family: str, name: str | None, attribute: str, properties: str) -> str | None:
        """Return an attribute of a kind of properties, from the nearest style that states it."""
        found = (style.find(f"{STYLE}{properties}") for style in self.chain(family, name))
        return next((value for e in found if e is not None and (value := e.get(attribute)) is not None), None)

    def format(self, family: str, name: str | None) -> TextFormat:
        """Return what text of a style gets."""
        key = family, name
        if key not in self._formats:
            found = PLAIN
            for style in self.chain(family, name):
                found = found.over(_read(style))
            self._formats[key] = found
        return self._formats[key]


def _read(style: Any) -> TextFormat:
    text, paragraph = style.find(f"{STYLE}text-properties"), style.find(f"{STYLE}paragraph-properties")
    shaded = any(
        e is not None and e.get(f"{FO}background-color", "transparent") not in ("transparent", "#ffffff")
        for e in (text, paragraph)
    )
    if text is None:
        return TextFormat(shaded=True) if shaded else PLAIN
    display = text.get(f"{TEXT}display")
    line = text.get(f"{STYLE}text-line-through-style", text.get(f"{STYLE}text-line-through-type"))
    position, size = text.get(f"{STYLE}text-position"), text.get(f"{FO}font-size", "")
    hidden = display == "none" if display is not None else None
    if size.endswith("pt") and _is_tiny(size.removesuffix("pt")):
        hidden = True
    color = text.get(f"{FO}color")
    return TextFormat(
        hidden=hidden,
        struck=line != "none" if line is not None else None,
        position=_position(position) if position else None,
        white=color.lower() == "#ffffff" if color else None,
        shaded=True if shaded else None,
        font=text.get(f"{STYLE}font-name"),
    )


def _is_tiny(size: str) -> bool:
    try:
        return float(size) <= _TINY
    except ValueError:
        return False


def _position(stated: str) -> str:
    first = stated.split()[0]
    if first == "super" or (first.endswith("%") and first[0] not in "-0"):
        return "superscript"
    return "subscript" if first == "sub" or first.startswith("-") else "baseline"


class ListCounter:
    """Counts the items of lists and the headings of one document."""

    def __init__(self, styles: Styles, *, slides: bool) -> None:
        """slides: whether lists are counted as on slides, where a number goes on over the lists of one box."""
        self._styles = styles
        self._slides = slides
        self._counts: dict[str, list[int | None]] = {}
        self._keys: dict[str, str] = {}
        """The key of each list by its id."""
        self._last_of_style: dict[str | None, str] = {}
        self._begun = 0

    def key(self, element: Any, style: str | None) -> str:
        """Return under which key a `text:list` is counted: that of the list which it continues, or a new one."""
        if self._slides:
            return str(self._begun)
        own = element.get(f"{XML}id")
        continued = element.get(f"{TEXT}continue-list")
        if continued in self._keys:
            key = self._keys[continued]
        elif element.get(f"{TEXT}continue-numbering") == "true" and style in self._last_of_style:
            key = self._last_of_style[style]
        else:
            self._begun += 1
            key = str(self._begun)
        if own:
            self._keys[own] = key
        self._last_of_style[style] = key
        return key

    def begin(self) -> None:
        """Begin a text box, or go on behind a paragraph that is in no list: numbers on slides start again."""
        self._begun += self._slides

    def label(self, key: str, style: str | None, level: int, start: str | None = None) -> str:
        """Count an item at a level, from 0, and return its number with the space behind it; empty for a bullet."""
        return self._label(key, self._styles.lists.get(style), min(level, LEVELS - 1), start)

    def heading(self, level: int, start: str | None) -> str:
        """Count a heading of a level, from 0, and return its number with the space behind it."""
        return self._label("outline", self._styles.outline, min(level, LEVELS - 1), start)

    def _label(self, key: str, definition: Any, level: int, start: str | None) -> str:
        counts = self._counts.setdefault(key, [None] * LEVELS)
        levels = {whole(e.get(f"{TEXT}level"), 1) - 1: e for e in definition} if definition is not None else {}
        for upper in range(0 if self._slides else level):
            if counts[upper] is None:
                counts[upper] = _start(levels.get(upper))
        before = counts[level]
        if start is not None:
            counts[level] = whole(start, 1)
        else:
            counts[level] = _start(levels.get(level)) if before is None else before + 1
        counts[level + 1 :] = [None] * (LEVELS - level - 1)
        stated = levels.get(level)
        if stated is None:
            return ""
        if not stated.tag.endswith(("-style-number", "outline-level-style")):
            counts[level] = None if self._slides else counts[level]
            return _tick(stated)
        return _numbered(stated, level, levels, counts)


def _start(level: Any) -> int:
    return whole(level.get(f"{TEXT}start-value"), 1) if level is not None else 1


def _numbered(stated: Any, level: int, levels: dict[int, Any], counts: list[int | None]) -> str:
    def number(at: int) -> str:
        form = levels[at].get(f"{STYLE}num-format", "") if at in levels else ""
        if not form or counts[at] is None:
            return ""
        repeated = levels[at].get(f"{STYLE}num-letter-sync") == "true" and form in ("a", "A")
        style = f"repeated-{_FORMATS[form]}" if repeated else _FORMATS.get(form[0], "decimal")
        return format_number(counts[at] or 0, style)

    if not stated.get(f"{STYLE}num-format"):
        return ""
    form = stated.get(f"{STYLE}num-list-format") or stated.get(f"{LOEXT}num-list-format")
    if form:
        label = _LEVEL_OF_FORMAT.sub(lambda found: number(min(int(found[1]), LEVELS) - 1), form)
    else:
        shown = whole(stated.get(f"{TEXT}display-levels"), 1)
        numbers = filter(None, (number(at) for at in range(max(0, level - shown + 1), level + 1)))
        label = stated.get(f"{STYLE}num-prefix", "") + ".".join(numbers) + stated.get(f"{STYLE}num-suffix", "")
    return f"{label.strip()} " if label.strip() else ""


def _tick(bullet: Any) -> str:
    font = bullet.find(f"{STYLE}text-properties")
    name = font.get(f"{STYLE}font-name") or font.get(f"{FO}font-family") if font is not None else None
    sign = write_symbols(bullet.get(f"{TEXT}bullet-char") or "", (name or "").strip("'\""))
    return f"{sign} " if is_tick(sign) else ""
