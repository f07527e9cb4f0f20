"""Read the paragraphs of a shape as shown: automatic numbers, raised and struck text. Never reads files."""

from collections.abc import Iterator, Sequence
from typing import Any

from groundtune.ingest.list_numbers import format_number
from groundtune.ingest.loaders.office_math import M, linear
from groundtune.ingest.loaders.symbol_fonts import is_tick, write_symbols
from groundtune.ingest.parsed import TextBuilder
from groundtune.ingest.superscripts import subscript, superscript

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_A14 = "{http://schemas.microsoft.com/office/drawing/2010/main}"
_TINY = 200
"""Hundredths of a point up to which text is too small to be seen."""
_BULLETS = (f"{A}buNone", f"{A}buChar", f"{A}buAutoNum", f"{A}buBlip")
_NUMBER_STYLES = {
    "arabic": "decimal",
    "alphaLc": "lower-alpha",
    "alphaUc": "upper-alpha",
    "romanLc": "lower-roman",
    "romanUc": "upper-roman",
    "circleNum": "circled-decimal",
    "ea1JpnChs": "cjk-ideographic",
    "ea1Chs": "cjk-ideographic",
    "ea1Cht": "cjk-ideographic",
    "hindiNum": "devanagari",
    "arabic1": "arabic-alpha",
    "arabic2": "arabic-alpha",
    "arabicDb": "full-width-decimal",
}
_ENDINGS = (("ParenBoth", "(", ")"), ("ParenR", "", ")"), ("Period", "", "."), ("Minus", "", "-"), ("Plain", "", ""))


def placeholder(shape: Any) -> tuple[str | None, str | None]:
    """Return type and index of a placeholder; (None, None) for other shapes."""
    found = shape.find(f"*/{_P}nvPr/{_P}ph")
    if found is None:
        return None, None
    return found.get("type", "obj"), found.get("idx")


def inherited_bodies(shape: Any, layouts: Sequence[Any]) -> list[Any]:
    """Return the elements whose list styles a shape inherits: its placeholders in layout and master, the master's."""
    kind, index = placeholder(shape)
    if kind is None or not layouts:
        return []
    found: list[Any] = []
    for layout in layouts:
        for other in layout.element.iterfind(f"{_P}cSld/{_P}spTree/{_P}sp"):
            other_kind, other_index = placeholder(other)
            if other_kind is not None and (other_index == index if layout is layouts[0] else _alike(other_kind, kind)):
                found += [body.find(f"{A}lstStyle") for body in other.iterchildren(f"{_P}txBody")]
                break
    styles = layouts[-1].element.find(f"{_P}txStyles")
    if styles is not None:
        found.append(styles.find(f"{_P}titleStyle" if "itle" in kind and kind != "subTitle" else f"{_P}bodyStyle"))
    return [element for element in found if element is not None]


def _alike(first: str, second: str) -> bool:
    bodies = ("obj", "body", "subTitle")
    titles = ("title", "ctrTitle")
    return first == second or any(first in kinds and second in kinds for kinds in (bodies, titles))


class TextReader:
    """Reads the text of the shapes of one slide."""

    def __init__(self, builder: TextBuilder, page: int) -> None:
        self._builder = builder
        self._page = page

    def paragraphs(self, body: Any, inherited: Sequence[Any]) -> list[str]:
        """Return the paragraphs of a text body, with their automatic numbers.

        inherited: elements with list styles, the nearest first.
        """
        own = body.find(f"{A}lstStyle")
        styles = [*([own] if own is not None else []), *inherited]
        counter = _Counter()
        texts = []
        for paragraph in body.iterchildren(f"{A}p"):
            text = self.paragraph(paragraph)
            label = counter.label(paragraph, styles) if text.strip() else ""
            texts.append(label + text)
        return texts

    def paragraph(self, paragraph: Any) -> str:
        """Return the text of a paragraph, without its number."""
        out: list[str] = []
        left_out = ""
        for element in paragraph:
            tag = element.tag
            if tag in (f"{A}r", f"{A}fld"):
                text, reason = self._run(element)
                if reason and text.strip():
                    if reason != left_out:  # runs that follow each other are one piece
                        self._builder.note(reason, page=self._page)
                    left_out = reason
                else:
                    out.append(text)
                    left_out = "" if text.strip() else left_out
            elif tag == f"{A}br":
                out.append("\n")
            elif tag == f"{_A14}m":
                out.append(linear(element))
            elif tag == f"{_MC}AlternateContent":
                choice = element.find(f"{_MC}Choice")
                out += [linear(formula) for formula in (choice.iter(f"{M}oMath") if choice is not None else ())]
        return "".join(out)

    def _run(self, run: Any) -> tuple[str, str]:
        """Return the text of a run, and the kind of note if it is left out."""
        text = run.findtext(f"{A}t") or ""
        properties = run.find(f"{A}rPr")
        if properties is None or not text:
            return text, ""
        if properties.get("strike") in ("sngStrike", "dblStrike"):
            return text, "deleted_text"
        if (size := properties.get("sz")) and size.isdecimal() and int(size) <= _TINY:
            return text, "hidden_text"
        font = properties.find(f"{A}sym")
        font = font if font is not None else properties.find(f"{A}latin")
        if font is not None:
            text = write_symbols(text, font.get("typeface"))
        raised = (properties.get("baseline") or "0").rstrip("%")
        if raised.startswith("-") and raised.strip("-0."):
            return subscript(text), ""
        return (superscript(text), "") if raised.strip("0.") else (text, "")


class _Counter:
    """Counts the numbered paragraphs of one text body."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[tuple[str, int], int]] = {}
        """By level: the kind of list with its start, and its last number."""

    def label(self, paragraph: Any, styles: Sequence[Any]) -> str:
        """Count the paragraph and return its number, with a space behind it; empty for other paragraphs."""
        properties = paragraph.find(f"{A}pPr")
        level = int(properties.get("lvl") or 0) if properties is not None else 0
        bullet = next(_bullets(properties, level, styles), None)
        self._open = {key: value for key, value in self._open.items() if key <= level}
        if bullet is None or bullet.tag != f"{A}buAutoNum":
            self._open.pop(level, None)
            return _tick(bullet, properties)
        kind = (bullet.get("type") or "arabicPeriod", int(bullet.get("startAt") or 1))
        before = self._open.get(level)
        number = before[1] + 1 if before is not None and before[0] == kind else kind[1]
        self._open[level] = kind, number
        return f"{_numbered(number, kind[0])} "


def _bullets(properties: Any, level: int, styles: Sequence[Any]) -> Iterator[Any]:
    """Yield what states the bullet of a paragraph, the nearest first."""
    stated = [properties, *(style.find(f"{A}lvl{level + 1}pPr") for style in styles)]
    for element in stated:
        if element is not None:
            yield from (child for child in element if child.tag in _BULLETS)


def _tick(bullet: Any, properties: Any) -> str:
    if bullet is None or bullet.tag != f"{A}buChar":
        return ""
    font = properties.find(f"{A}buFont") if properties is not None else None
    sign = write_symbols(bullet.get("char") or "", font.get("typeface") if font is not None else None)
    return f"{sign} " if is_tick(sign) else ""


def _numbered(number: int, kind: str) -> str:
    for ending, before, behind in _ENDINGS:
        if kind.endswith(ending):
            style = _NUMBER_STYLES.get(kind.removesuffix(ending), "decimal")
            return f"{before}{format_number(number, style)}{behind}"
    return format_number(number, "circled-decimal" if kind.startswith("circleNum") else "decimal")
