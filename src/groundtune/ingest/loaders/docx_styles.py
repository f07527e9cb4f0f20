"""Resolve the styles of a Word document: heading levels, numbering, hidden and struck text. Never reads text."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from groundtune.ingest.loaders.docx_names import VAL, W, is_on, value, whole

MAX_LEVEL = 9
_TINY = 2
"""Half points up to which text is too small to be seen."""
_WHITE = {"FFFFFF", "WHITE"}
_UNSHADED = {None, "auto", "FFFFFF"}


@dataclass(frozen=True, slots=True)
class RunFormat:
    """What decides whether and where a run is seen; None where neither the run nor its styles say it."""

    hidden: bool | None = None
    struck: bool | None = None
    position: str | None = None
    """`superscript`, `subscript` or `baseline`."""
    white: bool | None = None
    shaded: bool | None = None
    tiny: bool | None = None
    font: str | None = None
    bold: bool | None = None

    def over(self, below: "RunFormat") -> "RunFormat":
        """Return this format, with that of `below` where this one does not say."""
        if self is PLAIN or below is PLAIN:
            return below if self is PLAIN else self
        return RunFormat(
            hidden=below.hidden if self.hidden is None else self.hidden,
            struck=below.struck if self.struck is None else self.struck,
            position=below.position if self.position is None else self.position,
            white=below.white if self.white is None else self.white,
            shaded=below.shaded if self.shaded is None else self.shaded,
            tiny=below.tiny if self.tiny is None else self.tiny,
            font=below.font if self.font is None else self.font,
            bold=below.bold if self.bold is None else self.bold,
        )


PLAIN = RunFormat()


@dataclass(frozen=True, slots=True)
class ParagraphStyle:
    """What a paragraph gets from its style and those that it is based on."""

    level: int | None = None
    """0 for Title, 1 to 9 for headings."""
    number_id: str | None = None
    number_level: int | None = None
    run: RunFormat = PLAIN


class Styles:
    """The styles of one document by id."""

    def __init__(self, root: Any) -> None:
        self._elements = {style.get(f"{W}styleId"): style for style in root.iterchildren(f"{W}style")}
        defaults = root.find(f"{W}docDefaults/{W}rPrDefault/{W}rPr")
        self._defaults = read_run(defaults) if defaults is not None else PLAIN
        self._default_paragraph = next(
            (
                key
                for key, style in self._elements.items()
                if style.get(f"{W}type") == "paragraph" and style.get(f"{W}default") in ("1", "true", "on")
            ),
            None,
        )
        self._paragraphs: dict[str | None, ParagraphStyle] = {}
        self._runs: dict[str, RunFormat] = {}

    def paragraph(self, style_id: str | None) -> ParagraphStyle:
        """Return what a paragraph of a style gets; of the default style without an id."""
        found = self._paragraphs.get(style_id)
        if found is None:
            found = self._paragraphs[style_id] = self._resolve(style_id if style_id else self._default_paragraph)
        return found

    def run(self, style_id: str | None) -> RunFormat:
        """Return what a run of a character style gets."""
        if style_id is None:
            return PLAIN
        found = self._runs.get(style_id)
        if found is None:
            found = PLAIN
            for style in self._chain(style_id):
                found = found.over(read_run(style.find(f"{W}rPr")))
            self._runs[style_id] = found
        return found

    def number_of_list(self, style_id: str) -> str | None:
        """Return the numbering of a list style."""
        return next((number for style in self._chain(style_id) if (number := value(style, "pPr/numPr/numId"))), None)

    def sets_off_first_row(self, style_id: str | None) -> bool:
        """Whether a table style gives the first row a look of its own."""
        parts = (part for style in self._chain(style_id) for part in style.iterchildren(f"{W}tblStylePr"))
        return any(part.get(f"{W}type") == "firstRow" for part in parts)

    def _resolve(self, style_id: str | None) -> ParagraphStyle:
        found = ParagraphStyle()
        run = PLAIN
        for style in self._chain(style_id):
            properties = style.find(f"{W}pPr")
            found = replace(
                found,
                level=found.level if found.level is not None else _stated_level(style),
                number_id=found.number_id or value(properties, "numPr/numId"),
                number_level=found.number_level
                if found.number_level is not None
                else whole(value(properties, "numPr/ilvl")),
            )
            run = run.over(read_run(style.find(f"{W}rPr")).over(_shading(properties)))
        level = found.level if found.level is not None and found.level <= MAX_LEVEL else None
        return replace(found, level=level, run=run.over(self._defaults))

    def _chain(self, style_id: str | None) -> Iterator[Any]:
        """Yield a style and those that it is based on."""
        seen = set[str | None]()
        while style_id in self._elements and style_id not in seen:
            seen.add(style_id)
            yield self._elements[style_id]
            style_id = value(self._elements[style_id], "basedOn")


def _stated_level(style: Any) -> int | None:
    """Return the level that a style states; more than MAX_LEVEL for body text."""
    name = (value(style, "name") or "").lower()
    if name == "title":
        return 0
    if name.startswith("heading ") and name[8:].isdecimal():
        return int(name[8:])
    outline = whole(value(style, "pPr/outlineLvl"))
    return outline + 1 if outline is not None else None


def read_run(properties: Any) -> RunFormat:
    """Return what a `w:rPr` states."""
    stated: dict[str, Any] = {}
    for element in properties if properties is not None else ():
        if element.tag in _READ:
            name, read = _READ[element.tag]
            stated[name] = stated.get(name) or read(element)
    return RunFormat(**stated) if stated else PLAIN


_READ: dict[str, tuple[str, Callable[[Any], Any]]] = {
    f"{W}vanish": ("hidden", is_on),
    f"{W}b": ("bold", is_on),
    f"{W}strike": ("struck", is_on),
    f"{W}dstrike": ("struck", is_on),
    f"{W}vertAlign": ("position", lambda element: element.get(VAL)),
    f"{W}color": ("white", lambda element: (element.get(VAL) or "").upper() in _WHITE),
    f"{W}shd": ("shaded", lambda element: element.get(f"{W}fill") not in _UNSHADED or None),
    f"{W}highlight": ("shaded", lambda element: element.get(VAL) not in ("none", "white") or None),
    f"{W}sz": ("tiny", lambda element: (whole(element.get(VAL)) or _TINY + 1) <= _TINY),
    f"{W}rFonts": ("font", lambda element: element.get(f"{W}ascii") or element.get(f"{W}hAnsi")),
}
"""Elements of a `w:rPr`: the field of `RunFormat` that they state, and how."""


def _shading(properties: Any) -> RunFormat:
    """Return what the shading of a paragraph means for its runs."""
    shading = properties.find(f"{W}shd") if properties is not None else None
    return RunFormat(shaded=True) if shading is not None and shading.get(f"{W}fill") not in _UNSHADED else PLAIN
