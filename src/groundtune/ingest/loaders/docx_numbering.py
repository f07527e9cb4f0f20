"""Count the numbered paragraphs of a Word document and write their numbers as shown: 2., b), 1.1. Never reads text."""

import re
from dataclasses import dataclass
from typing import Any

from groundtune.ingest.list_numbers import format_number
from groundtune.ingest.loaders.docx_names import VAL, W, is_on, value, whole
from groundtune.ingest.loaders.docx_styles import Styles
from groundtune.ingest.loaders.symbol_fonts import is_tick, write_symbols

LEVELS = 9
_COUNTER = re.compile(r"%([1-9])")
_STYLES = {
    "decimalZero": "decimal-leading-zero",
    "lowerLetter": "repeated-lower-alpha",
    "upperLetter": "repeated-upper-alpha",
    "lowerRoman": "lower-roman",
    "upperRoman": "upper-roman",
    "russianLower": "repeated-lower-russian",
    "russianUpper": "repeated-upper-russian",
    "decimalEnclosedCircle": "circled-decimal",
    "decimalEnclosedCircleChinese": "circled-decimal",
    "decimalFullWidth": "full-width-decimal",
    "chineseCounting": "cjk-ideographic",
    "chineseCountingThousand": "cjk-ideographic",
    "japaneseCounting": "cjk-ideographic",
    "taiwaneseCounting": "cjk-ideographic",
    "taiwaneseCountingThousand": "cjk-ideographic",
    "ideographDigital": "cjk-decimal",
    "ganada": "hangul",
    "aiueo": "hiragana",
    "aiueoFullWidth": "hiragana",
    "hindiNumbers": "devanagari",
    "arabicAlpha": "arabic-alpha",
    "ordinal": "english-ordinal",
    "chicago": "repeated-symbols",
}
"""Formats of Word by the names of `list_numbers`; all others are written in digits."""
_SILENT = {"none", "bullet"}


@dataclass(frozen=True, slots=True)
class _Level:
    style: str
    text: str
    start: int
    space: str
    legal: bool
    """Whether all numbers of the label are written in digits."""
    restarts_after: int | None
    """The level whose numbers restart this one and deeper ones, from 1; 0 for none, None for every level above."""
    tick: str = ""
    """A bullet that says something: ☐, ✓."""


class Numbering:
    """The lists of one document, and how far each has been counted."""

    def __init__(self, root: Any, styles: Styles) -> None:
        """root: the `w:numbering` element; None for a document without lists."""
        self._styles = styles
        found = root if root is not None else ()
        self._abstracts = {e.get(f"{W}abstractNumId"): e for e in found if e.tag == f"{W}abstractNum"}
        self._numbers = {e.get(f"{W}numId"): e for e in found if e.tag == f"{W}num"}
        self._levels: dict[tuple[str, int], _Level | None] = {}
        self._found: dict[str, Any] = {}
        self._style_levels: dict[tuple[str, str], int | None] = {}
        self._counts: dict[str, list[int | None]] = {}
        self._restarted = set[tuple[str, int]]()

    def level_of_style(self, number_id: str, style_id: str | None) -> int | None:
        """Return the level of a list that is linked to a paragraph style."""
        abstract = self._abstract(number_id)
        if abstract is None or style_id is None:
            return None
        key = number_id, style_id
        if key not in self._style_levels:
            linked = (e for e in abstract.iterchildren(f"{W}lvl") if value(e, "pStyle") == style_id)
            levels = (level for e in linked if (level := whole(e.get(f"{W}ilvl"))) is not None)
            self._style_levels[key] = next(levels, None)
        return self._style_levels[key]

    def label(self, number_id: str, level: int) -> str:
        """Count a paragraph and return what stands before its text, with the space behind it; empty for a bullet."""
        level = min(max(level, 0), LEVELS - 1)
        definition = self._level(number_id, level)
        abstract = self._abstract(number_id)
        if definition is None or abstract is None:
            return ""
        counts = self._counts.setdefault(abstract.get(f"{W}abstractNumId"), [None] * LEVELS)
        for upper in range(level):
            if counts[upper] is None:
                counts[upper] = self._start(number_id, upper)
        restart = self._override(number_id, level)
        if restart is not None and (number_id, level) not in self._restarted:
            self._restarted.add((number_id, level))
            counts[level] = restart
        else:
            before = counts[level]
            counts[level] = definition.start if before is None else before + 1
        for deeper in range(level + 1, LEVELS):
            if counts[deeper] is None:
                continue
            below = self._level(number_id, deeper)
            after = below.restarts_after if below else None
            if after is None or (after and level < after):
                counts[deeper] = None
        if definition.style in _SILENT and not definition.tick:
            return ""
        label = definition.tick or _COUNTER.sub(
            lambda found: self._number(number_id, int(found[1]) - 1, counts, definition.legal), definition.text
        )
        return f"{label}{definition.space}" if label.strip() else ""

    def _number(self, number_id: str, level: int, counts: list[int | None], legal: bool) -> str:
        definition = self._level(number_id, level)
        count = counts[level]
        if count is None or definition is None or definition.style in _SILENT:
            return ""
        return format_number(count, "decimal" if legal else _STYLES.get(definition.style, "decimal"))

    def _start(self, number_id: str, level: int) -> int:
        definition = self._level(number_id, level)
        override = self._override(number_id, level)
        return override if override is not None else definition.start if definition else 1

    def _override(self, number_id: str, level: int) -> int | None:
        for override in self._numbers[number_id].iterchildren(f"{W}lvlOverride"):
            if whole(override.get(f"{W}ilvl")) == level:
                stated = whole(value(override, "startOverride"))
                return stated if stated is not None else whole(value(override, "lvl/start"))
        return None

    def _abstract(self, number_id: str) -> Any:
        if number_id not in self._found:
            self._found[number_id] = self._find_abstract(number_id)
        return self._found[number_id]

    def _find_abstract(self, number_id: str) -> Any:
        """Return the definition of a list; a list that is made by a style has that of the style."""
        seen = set[str | None]()
        current: str | None = number_id
        while current in self._numbers and current not in seen:
            seen.add(current)
            abstract = self._abstracts.get(value(self._numbers[current], "abstractNumId"))
            link = value(abstract, "numStyleLink")
            if link is None:
                return abstract
            current = self._styles.number_of_list(link) or next(
                (
                    key
                    for key, number in self._numbers.items()
                    if value(self._abstracts.get(value(number, "abstractNumId")), "styleLink") == link
                ),
                None,
            )
        return None

    def _level(self, number_id: str, level: int) -> _Level | None:
        key = (number_id, level)
        if key not in self._levels:
            self._levels[key] = self._read_level(number_id, level)
        return self._levels[key]

    def _read_level(self, number_id: str, level: int) -> _Level | None:
        abstract = self._abstract(number_id)
        if abstract is None:
            return None
        overrides = self._numbers[number_id].iterchildren(f"{W}lvlOverride")
        own = [o.find(f"{W}lvl") for o in overrides if whole(o.get(f"{W}ilvl")) == level]
        stated = [e for e in abstract.iterchildren(f"{W}lvl") if whole(e.get(f"{W}ilvl")) == level]
        element = next((e for e in (*own, *stated) if e is not None), None)
        return _read(element) if element is not None else None


def _read(element: Any) -> _Level:
    form = next((e for e in element.iter(f"{W}numFmt")), None)
    style = (form.get(VAL) if form is not None else None) or "decimal"
    text = value(element, "lvlText") or ""
    suffix = value(element, "suff")
    start = whole(value(element, "start"))
    bullet = ""
    if style == "bullet":
        fonts = element.find(f"{W}rPr/{W}rFonts")
        bullet = write_symbols(text, fonts.get(f"{W}ascii") if fonts is not None else None)
    return _Level(
        style=style,
        text=text,
        start=start if start is not None else 0,
        space="" if suffix == "nothing" else " ",
        legal=bool(is_on(element.find(f"{W}isLgl"))),
        restarts_after=whole(value(element, "lvlRestart")),
        tick=bullet if is_tick(bullet) else "",
    )
