"""Read the numbers of a chart that an Office document embeds, one row per category. Never draws or computes."""

from collections.abc import Iterator, Sequence
from typing import Any

from groundtune.ingest.loaders.office_parts import read_xml
from groundtune.ingest.parsed import TextBuilder

C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
CX = "{http://schemas.microsoft.com/office/drawing/2014/chartex}"
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_MOST_POINTS = 100_000


def add_chart(builder: TextBuilder, xml: bytes) -> None:
    """Add title, axis titles and values of a chart part. Raises ValueError if there are no values to read."""
    root = read_xml(xml)
    extended = root.tag.startswith(CX)
    for title in root.iter(f"{CX}title" if extended else f"{C}title"):
        builder.paragraph(_title(title))
    rows = list(_extended_rows(root) if extended else _rows(root))
    if not rows:
        raise ValueError("the chart has no stored values")
    for cells, names in rows:
        builder.row(cells, names)


def _title(title: Any) -> str:
    lines = ["".join(t.text or "" for t in p.iter(f"{A}t")) for p in title.iter(f"{A}p")]
    stored = [v.text or "" for v in title.iterfind(f"{C}tx/{C}strRef/{C}strCache/{C}pt/{C}v")]
    return "\n".join(filter(str.strip, lines)) or " ".join(stored)


def _rows(root: Any) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the rows of all series that share their categories, then those of the next ones."""
    groups: list[tuple[list[str], list[tuple[str, list[str]]]]] = []
    for series in root.iter(f"{C}ser"):
        name = " ".join(v.text or "" for v in series.iterfind(f"{C}tx//{C}v"))
        categories = _points(series.find(f"{C}cat")) or _points(series.find(f"{C}xVal"))
        columns = [(name, _points(series.find(f"{C}val")) or _points(series.find(f"{C}yVal")))]
        if sizes := _points(series.find(f"{C}bubbleSize")):
            columns.append((f"{name} (size)" if name else "size", sizes))
        if not any(values for _, values in columns):
            continue
        if groups and (not categories or categories == groups[-1][0]):
            groups[-1][1].extend(columns)
        else:
            groups.append((categories, columns))
    for categories, columns in groups:
        yield from _table(categories, columns)


def _table(
    categories: Sequence[str], columns: Sequence[tuple[str, Sequence[str]]]
) -> Iterator[tuple[list[str], list[str]]]:
    names = ["", *(name for name, _ in columns)]
    length = max(len(categories), *(len(values) for _, values in columns))
    for at in range(length):
        cells = [values[at] if at < len(values) else "" for values in (categories, *(v for _, v in columns))]
        if any(cells[1:]):
            yield cells, names


def _points(element: Any) -> list[str]:
    """Return the stored values by index; those of several levels are joined: `2024 Q1`."""
    if element is None:
        return []
    caches = (f"{C}strCache", f"{C}numCache", f"{C}strLit", f"{C}numLit")
    levels = list(element.iter(f"{C}lvl")) or list(element.iter(*caches))
    columns = [_level(level) for level in levels[::-1]]
    width = max(map(len, columns), default=0)
    for column in columns[:-1]:  # an outer category stands once, at its first point
        for at in range(1, width):
            if at >= len(column):
                column.append("")
            column[at] = column[at] or column[at - 1]
    return [" ".join(filter(None, (c[at] if at < len(c) else "" for c in columns))) for at in range(width)]


def _level(cache: Any) -> list[str]:
    code = cache.findtext(f"{C}formatCode") or ""
    values: dict[int, str] = {}
    for point in cache.iterchildren(f"{C}pt"):
        at, text = int(point.get("idx") or 0), point.findtext(f"{C}v") or ""
        if 0 <= at < _MOST_POINTS:
            values[at] = _number(text, point.get("formatCode") or code) if cache.tag.startswith(f"{C}num") else text
    return [values.get(at, "") for at in range(max(values, default=-1) + 1)]


def _number(text: str, code: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return text
    return f"{number * 100:.10g}%" if "%" in code else f"{number:.15g}"


def _extended_rows(root: Any) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the rows of a waterfall, treemap, funnel, …"""
    names = {
        series.find(f"{CX}dataId").get("val"): "".join(v.text or "" for v in series.iterfind(f"{CX}tx//{CX}v"))
        for series in root.iter(f"{CX}series")
        if series.find(f"{CX}dataId") is not None
    }
    for data in root.iter(f"{CX}data"):
        texts = [_extended_level(level) for dimension in data.iterchildren(f"{CX}strDim") for level in dimension[::-1]]
        texts = [level for level in texts if level]
        categories = [" ".join(filter(None, parts)) for parts in zip(*texts, strict=False)]
        values = [_extended_level(level) for level in data.iterfind(f"{CX}numDim/{CX}lvl")]
        yield from _table(categories, [(names.get(data.get("id")) or "", column) for column in values])


def _extended_level(level: Any) -> list[str]:
    values = {int(point.get("idx") or 0): point.text or "" for point in level.iterchildren(f"{CX}pt")}
    return [values.get(at, "") for at in range(min(max(values, default=-1) + 1, _MOST_POINTS))]
