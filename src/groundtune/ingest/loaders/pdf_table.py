"""Lines of a PDF page to lines of prose and rows of tables, by how their cells line up. Never guesses a cell's text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from groundtune.ingest.loaders.pdf_layout import Line, Segment, Words, is_marker

_BAND = 6
"""Lines that a table cell may have; more side by side are the columns of a page."""


@dataclass(frozen=True, slots=True)
class Row:
    cells: list[str]
    header: list[str]


def group(lines: Sequence[Line], words: Words) -> Iterator[Line | Row]:
    """Lines of prose as they are; rows for runs of lines whose cells stand in columns."""
    lines = [_without_marker_gap(line) for line in _side_by_side(lines, words)]
    at = 0
    while at < len(lines):
        end = _table_end(lines, at)
        if end - at >= 2:
            yield from _rows(lines[at:end])
            at = end
        else:
            yield lines[at]
            at += 1


def _without_marker_gap(line: Line) -> Line:
    """`1.    Scope` is one text, not two cells."""
    first = line.segments[0]
    if len(line.segments) == 2 and is_marker(first.text):
        second = line.segments[1]
        joined = Segment(f"{first.text} {second.text}", first.left, second.right)
        return Line([joined], line.bottom, line.top, line.size)
    return line


def _side_by_side(lines: Sequence[Line], words: Words) -> list[Line]:
    """Cells that were written one below the other, then back up to the next cell, become one line of cells."""
    out: list[Line] = []
    for line in lines:
        if out and line.top > out[-1].top + 1 or (out and _same_height(out[-1], line)):
            band = _band(out, line)
            if band is not None:
                del out[len(out) - len(band) :]
                out.append(_merged(band, line, words))
                continue
        elif out and _continues_cell(out[-1], line):
            last = out[-1].segments[-1]
            last.text = words.join(last.text, line.text)
            last.right = max(last.right, line.right)
            out[-1].bottom = min(out[-1].bottom, line.bottom)
            continue
        out.append(line)
    return out


def _same_height(before: Line, line: Line) -> bool:
    return abs(before.top - line.top) <= 1 and line.left > before.right


def _band(out: list[Line], line: Line) -> list[Line] | None:
    """The last lines that stand left of `line` and no higher: the cells before it."""
    band: list[Line] = []
    for before in reversed(out):
        if before.top > line.top + 0.3 * line.size or len(band) > _BAND:
            break
        band.insert(0, before)
    if not band or len(band) > _BAND or any(one.right > line.left for one in band):
        return None
    return band if band[0].bottom < line.top else None


def _merged(band: list[Line], line: Line, words: Words) -> Line:
    segments = list(band[0].segments)
    for one in band[1:]:
        last = segments[-1]
        joined = words.join(last.text, one.text)
        segments[-1] = Segment(joined, min(last.left, one.left), max(last.right, one.right))
    return Line(
        [*segments, *line.segments],
        min(band[-1].bottom, line.bottom),
        max(band[0].top, line.top),
        band[0].size,
    )


def _continues_cell(before: Line, line: Line) -> bool:
    """The next line of the last cell of a row: right of all the cells before it, close below."""
    if len(before.segments) < 2 or len(line.segments) > 1:
        return False
    close = 0 <= before.bottom - line.top < 0.5 * line.size or line.top > before.bottom
    return close and line.left > before.segments[-2].right and abs(line.left - before.segments[-1].left) < line.size


def _table_end(lines: Sequence[Line], at: int) -> int:
    """Where the run of lines ends that share columns with the line before them."""
    if len(lines[at].segments) < 2:
        return at
    end = at + 1
    columns = [*lines[at].segments]
    while end < len(lines):
        line = lines[end]
        if lines[end - 1].bottom - line.top > 3 * line.size or line.top > lines[end - 1].top:
            break
        shared = sum(any(_aligned(cell, column, line.size) for column in columns) for cell in line.segments)
        if shared < 2 or shared < 0.5 * len(line.segments):
            break
        columns = _widened(columns, line)
        end += 1
    return end


def _aligned(one: Segment, other: Segment, size: float) -> bool:
    if one.left < other.right and other.left < one.right:
        return True
    return abs(one.left - other.left) < 0.5 * size or abs(one.right - other.right) < 0.5 * size


def _widened(columns: list[Segment], line: Line) -> list[Segment]:
    """The columns with the line's cells in them; cells between columns become columns."""
    found = list(columns)
    for cell in line.segments:
        if not any(_aligned(cell, column, line.size) for column in found):
            found.append(cell)
    return sorted(found, key=lambda one: one.left)


def _rows(lines: Sequence[Line]) -> Iterator[Row]:
    columns = max((line.segments for line in lines), key=len)
    placed = [_place(line, columns) for line in lines]
    header = placed[0] if _is_header(placed) else []
    for cells in placed[1:] if header else placed:
        yield Row(cells, header)


def _place(line: Line, columns: Sequence[Segment]) -> list[str]:
    """Each cell under the column that it overlaps most, in order."""
    cells = [""] * len(columns)
    for cell in line.segments:
        best = max(range(len(columns)), key=lambda index: _nearness(cell, columns[index]))
        cells[best] = f"{cells[best]} {cell.text}".strip()
    return cells


def _nearness(cell: Segment, column: Segment) -> float:
    shared = min(cell.right, column.right) - max(cell.left, column.left)
    edges = min(abs(cell.left - column.left), abs(cell.right - column.right))
    return shared if shared > 0 else shared - edges


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Full, distinct, without digits, over at least one column that is mostly numbers."""
    names = rows[0]
    if not all(names) or len({*names}) < len(names) or any(any(map(str.isdigit, name)) for name in names):
        return False
    body = rows[1:]
    return any(2 * sum(any(map(str.isdigit, row[index])) for row in body) >= len(body) for index in range(len(names)))
