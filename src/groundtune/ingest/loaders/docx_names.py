"""Name the elements of Word documents, for the modules that read them. Never reads files."""

from typing import Any

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
VAL = f"{W}val"
_OFF = {"0", "false", "off", "none"}


def is_on(element: Any) -> bool | None:
    """Whether a property is on: `<w:strike/>` is, `<w:strike w:val="0"/>` is not; None without the element."""
    return None if element is None else element.get(VAL) not in _OFF


def value(parent: Any, path: str) -> str | None:
    """Return the `w:val` of the element at a path of local names such as `numPr/numId`; None if there is none."""
    element = parent.find("/".join(f"{W}{name}" for name in path.split("/"))) if parent is not None else None
    return element.get(VAL) if element is not None else None


def whole(text: str | None) -> int | None:
    """Return a number of the file; None if it is none."""
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None
