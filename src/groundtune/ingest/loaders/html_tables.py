"""Read the tables of HTML as rows that can be read alone; tables that only lay out a page are not for this module."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from selectolax.lexbor import LexborNode

from groundtune.ingest.parsed import TextBuilder, clean_line

_MAX_SPAN = 100

TextIn = Callable[[LexborNode], str]
IsLeftOut = Callable[[LexborNode, str, Mapping[str, str | None]], bool]


def is_data(table: LexborNode, attributes: Mapping[str, str | None]) -> bool:
    """Whether a table holds data rather than the parts of a page."""
    if attributes.get("role") in ("presentation", "none"):
        return False
    if not table.css_first("td + td, th + td, th + th, td + th"):
        return False
    return _has_own_header(table) or not table.css_first("tr table, tr h1, tr h2, tr h3, tr pre")


def _has_own_header(table: LexborNode) -> bool:
    return any(cell.tag == "th" for row in _rows(table) for cell in row.iter())


def add_table(builder: TextBuilder, table: LexborNode, *, text_in: TextIn, is_left_out: IsLeftOut) -> None:
    """Add the rows; header cells repeat over their columns, spanning cells over their rows."""
    header: list[str] = []
    rows: list[list[str]] = []
    below_header = False
    spans: dict[int, tuple[int, str]] = {}
    for row in _rows(table):
        if is_left_out(row, "tr", row.attributes):
            continue
        if row.tag == "caption":
            builder.paragraph(text_in(row))
            continue
        cells = _cells(row, is_left_out)
        if not cells:
            continue
        values = _spread(cells, spans, text_in)
        heads = all(cell.tag == "th" for cell in cells) or (row.parent is not None and row.parent.tag == "thead")
        is_whole = len(cells) == 1 and cells[0].wide >= len(values)
        if is_whole and (len(values) > 1 or (heads and not header)):
            _add_rows(builder, rows, header)
            builder.paragraph(values[0])
        elif heads:
            _add_rows(builder, rows, header)
            header = [f"{above} {name}".strip() for above, name in _pairs(header, values)] if below_header else values
            below_header = True
            continue
        elif not header and cells[0].tag == "th" and cells[-1].tag == "td":
            _add_rows(builder, rows, header)
            _add_labelled(builder, values)
        else:
            rows.append(values)
        below_header = False
    if below_header:
        builder.row(header)
    _add_rows(builder, rows, header)


def _add_rows(builder: TextBuilder, rows: list[list[str]], header: list[str]) -> None:
    builder.table(rows, header=header or None)
    rows.clear()


def _add_labelled(builder: TextBuilder, values: list[str]) -> None:
    """Add a row that begins with its name: `Founded: 1975`."""
    filled = [value for value in values[1:] if clean_line(value)]
    if values[0] and len(filled) == 1:
        builder.row(filled, [values[0]])
    else:
        builder.row(values)


def _pairs(upper: list[str], lower: list[str]) -> Iterator[tuple[str, str]]:
    for index, name in enumerate(lower):
        above = upper[index] if index < len(upper) else ""
        yield ("" if above == name else above), name


def _rows(table: LexborNode) -> Iterator[LexborNode]:
    for part in table.iter():
        if part.tag in ("tr", "caption"):
            yield part
        elif part.tag in ("thead", "tbody", "tfoot"):
            yield from (row for row in part.iter() if row.tag == "tr")


class _Cell(NamedTuple):
    node: LexborNode
    tag: str
    wide: int
    tall: int


def _cells(row: LexborNode, is_left_out: IsLeftOut) -> list[_Cell]:
    cells = []
    for node in row.iter():
        tag = node.tag
        if tag in ("td", "th"):
            attributes = node.attributes
            if not is_left_out(node, tag, attributes):
                spans = (_span(attributes, "colspan"), _span(attributes, "rowspan")) if attributes else (1, 1)
                cells.append(_Cell(node, tag, *spans))
    return cells


def _spread(cells: list[_Cell], spans: dict[int, tuple[int, str]], text_in: TextIn) -> list[str]:
    """Return values by column. `spans` carries cells that reach into the rows below: column -> (rows left, text)."""
    values: list[str] = []
    for cell in cells:
        _fill(values, spans)
        text = text_in(cell.node)
        for offset in range(cell.wide):
            if cell.tall > 1:
                spans[len(values)] = (cell.tall - 1, text)
            values.append(text if offset == 0 or cell.tag == "th" else "")
    _fill(values, spans)
    return values


def _fill(values: list[str], spans: dict[int, tuple[int, str]]) -> None:
    while len(values) in spans:
        left, text = spans.pop(len(values))
        if left > 1:
            spans[len(values)] = (left - 1, text)
        values.append(text)


def _span(attributes: Mapping[str, str | None], name: str) -> int:
    value = attributes.get(name)
    return max(1, min(int(value), _MAX_SPAN)) if value and value.isdecimal() and len(value) < 6 else 1
