"""Name the elements of Word documents, for the modules that read them. Never reads files."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
VAL = f"{W}val"
PARAGRAPH, RUN, TEXT, ROW, CELL, TABLE = (f"{W}{name}" for name in ("p", "r", "t", "tr", "tc", "tbl"))
P_PR, R_PR, P_STYLE, R_STYLE = (f"{W}{name}" for name in ("pPr", "rPr", "pStyle", "rStyle"))
Properties = Mapping[str, Any]
_NONE: Properties = MappingProxyType({})
_OFF = {"0", "false", "off", "none"}


def is_on(element: Any) -> bool | None:
    """Whether a property is on: `<w:strike/>` is, `<w:strike w:val="0"/>` is not; None without the element."""
    return None if element is None else element.get(VAL) not in _OFF


def value(parent: Any, path: str) -> str | None:
    """Return the `w:val` of the element at a path of local names such as `numPr/numId`; None if there is none."""
    element = parent.find(_path(path)) if parent is not None else None
    return element.get(VAL) if element is not None else None


@cache
def _path(names: str) -> str:
    return "/".join(f"{W}{name}" for name in names.split("/"))


def paragraph_properties(paragraph: Any) -> Properties:
    """Return what a paragraph states of itself, by tag."""
    first = paragraph[0] if len(paragraph) else None
    return {child.tag: child for child in first} if first is not None and first.tag == P_PR else _NONE


def whole(text: str | None) -> int | None:
    """Return a number of the file; None if it is none."""
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None
