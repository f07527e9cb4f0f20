"""Group the lines of a PDF page into prose and table rows, by how their cells line up. Never guesses a cell's text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from groundtune.ingest.loaders.pdf_types import Line, Segment, is_marker


@dataclass(frozen=True, slots=True)
class TableRow:
    cells: list[str]
    header: list[str]


def group_lines(lines: Sequence[Line]) -> Iterator[Line | TableRow]:
    """Yield lines of prose as they are, and rows for runs of lines whose cells form columns."""
    lines = [_without_marker_gap(line) for line in lines]
    at = 0
    last: _Table | None = None
    while at < len(lines):
        start, end = at, _table_end(lines, at)
        if end - at >= 2:
            last = _Table([*_head(lines, at), *lines[at:end]])
            yield from last.rows()
            at = end
            continue
        if at + 1 < len(lines) and _is_head_of(lines, at):
            at += 1  # a header with narrow gaps: it goes into the table that follows
            continue
        if last is not None and last.has(lines[at]):
            yield last.row(lines[at])
        else:
            yield lines[start]
        at += 1


def _without_marker_gap(line: Line) -> Line:
    """Make `1.    Scope` one text instead of two cells."""
    first = line.segments[0]
    if len(line.segments) == 2 and is_marker(first.text):
        second = line.segments[1]
        joined = Segment(f"{first.text} {second.text}", first.left, second.right)
        return Line([joined], line.bottom, line.top, line.size, bold=line.bold)
    return line


def _head(lines: Sequence[Line], at: int) -> list[Line]:
    return [_cut_finely(lines[at - 1])] if at and _is_head_of(lines, at - 1) else []


def _is_head_of(lines: Sequence[Line], at: int) -> bool:
    """Return whether the words of a line stand above the columns of a table that starts on the next line."""
    line = lines[at]
    if len(line.pieces) < 2 or len(line.pieces) == len(line.segments) or _table_end(lines, at + 1) - at < 3:
        return False
    below = lines[at + 1]
    near = 0 <= line.bottom - below.top < 1.5 * below.size
    shared = {index for piece in line.pieces for index, cell in enumerate(below.segments) if _aligned(piece, cell, 8.0)}
    return near and len(shared) >= max(2, len(line.pieces) - 1)


def _cut_finely(line: Line) -> Line:
    return Line(line.pieces, line.bottom, line.top, line.size, bold=line.bold)


def _table_end(lines: Sequence[Line], at: int) -> int:
    """Return the end of the run of lines that share columns with the lines before them."""
    if len(lines[at].segments) < 2:
        return at
    end = at + 1
    columns = [*lines[at].segments]
    while end < len(lines):
        line, before = lines[end], lines[end - 1]
        if before.bottom - line.top > 3 * line.size or line.top > before.top:
            break
        shared = sum(any(_aligned(cell, column, line.size) for column in columns) for cell in line.segments)
        if shared < 2 or shared < 0.5 * len(line.segments):
            break
        columns = _widened(columns, line)
        end += 1
    return end


def _aligned(cell: Segment, other: Segment, size: float) -> bool:
    if cell.left < other.right and other.left < cell.right:
        return True
    return abs(cell.left - other.left) < 0.5 * size or abs(cell.right - other.right) < 0.5 * size


def _widened(columns: list[Segment], line: Line) -> list[Segment]:
    """Return the columns with those cells of the line that match none of them as new columns."""
    widened = list(columns)
    for cell in line.segments:
        if not any(_aligned(cell, column, line.size) for column in widened):
            widened.append(cell)
    return sorted(widened, key=lambda column: column.left)


class _Table:
    """Lines that share columns; the columns are those of the line with the most cells."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._columns = max((line.segments for line in lines), key=len)
        self._header: list[str] = []

    def rows(self) -> Iterator[TableRow]:
        placed = [self._place(line) for line in self._lines]
        body = placed
        bold = self._lines[0].bold and not all(line.bold for line in self._lines[1:])
        if _is_header(placed, bold=bold):
            self._header, body = placed[0], placed[1:]
        for cells in body:
            yield self._row(cells)

    def has(self, line: Line) -> bool:
        """Return whether a later line is another row of this table, for example after a note between rows."""
        cells = line.segments
        if len(cells) < 3 or len(cells) < 0.8 * len(self._columns):
            return False
        return all(any(_aligned(cell, column, line.size) for column in self._columns) for cell in cells)

    def row(self, line: Line) -> TableRow:
        return self._row(self._place(line))

    def _row(self, cells: list[str]) -> TableRow:
        return TableRow(cells, self._header) if self._header else _labelled(cells)

    def _place(self, line: Line) -> list[str]:
        """Put each cell under the column that it overlaps most, in order."""
        cells = [""] * len(self._columns)
        for cell in line.segments:
            best = max(range(len(cells)), key=lambda index: _nearness(cell, self._columns[index]))
            cells[best] = f"{cells[best]} {cell.text}".strip()
        return cells


def _labelled(cells: list[str]) -> TableRow:
    """Use `Name:` before a cell as the name of that cell."""
    values, names = [], []
    label = ""
    for cell in filter(None, cells):
        if cell.endswith(":") and not label:
            label = cell[:-1]
        else:
            values.append(cell)
            names.append(label)
            label = ""
    if label:
        values.append(f"{label}:")
        names.append("")
    return TableRow(values, names)


def _nearness(cell: Segment, column: Segment) -> float:
    shared = min(cell.right, column.right) - max(cell.left, column.left)
    edges = min(abs(cell.left - column.left), abs(cell.right - column.right))
    return shared if shared > 0 else shared - edges


def _is_header(rows: Sequence[Sequence[str]], *, bold: bool) -> bool:
    """Return whether the first row is a header.

    Its cells are distinct names for all columns (except possibly the first), and are bold or head at least one numeric
    column.
    """
    names, body = rows[0], rows[1:]
    stated = [name for name in names if name]
    if not body or len(stated) < 2 or not all(names[1:]) or len({*stated}) < len(stated):
        return False
    if any(_is_numeric(name) or name.endswith(":") for name in stated):
        return False
    return bold or any(
        names[at] and 2 * sum(_is_numeric(row[at]) for row in body) >= len(body) for at in range(len(names))
    )


def _is_numeric(text: str) -> bool:
    """Return whether the text is an amount, a date or a code: at least as many digits as letters."""
    digits = sum(map(str.isdigit, text))
    return digits > 0 and digits >= sum(map(str.isalpha, text))
