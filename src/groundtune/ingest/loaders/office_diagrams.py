"""Read the texts of a SmartArt diagram in the order of its outline. Never reads its drawing."""

from collections.abc import Iterator
from typing import Any

from groundtune.ingest.loaders.office_parts import read_xml

_D = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"


def diagram_paragraphs(xml: bytes) -> list[Any]:
    """Return the `a:p` elements of a diagram's data part, parents before children."""
    root = read_xml(xml)
    points = {point.get("modelId"): point for point in root.iterfind(f"{_D}ptLst/{_D}pt")}
    children: dict[str, list[tuple[int, str]]] = {}
    for link in root.iterfind(f"{_D}cxnLst/{_D}cxn"):
        if link.get("type", "parOf") == "parOf":
            order = int(link.get("srcOrd") or 0)
            children.setdefault(link.get("srcId"), []).append((order, link.get("destId")))
    top = [key for key, point in points.items() if point.get("type") == "doc"]
    outline = list(_outline(top, children))
    shown = [key for key in outline if key in points]
    reached = set(outline)
    rest = [key for key, point in points.items() if key not in reached and point.get("type", "node") == "node"]
    return [paragraph for key in (*shown, *rest) for paragraph in points[key].iterfind(f"{_D}t/{_A}p")]


def _outline(top: list[str], children: dict[str, list[tuple[int, str]]]) -> Iterator[str]:
    stack, seen = top[::-1], set[str]()
    while stack:
        key = stack.pop()
        if key not in seen:
            seen.add(key)
            yield key
            stack.extend(child for _, child in sorted(children.get(key, ()), reverse=True))
