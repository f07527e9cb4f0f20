"""Group the lines of a PDF page into prose and table rows, by how their cells line up. Never guesses a cell's text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from groundtune.ingest.loaders.pdf_types import Grid, Line, Segment, is_marker
from groundtune.ingest.table_shapes import MarkedRow, TableRow, join_names, read_rows, read_table, with_unused_names

_FEWEST_ROWS = 3
"""Lines that make columns out of narrow gaps."""
_EXACT = 1.5
"""Distance, in points, to which the words of such columns stand below each other."""
_MOST_HEADS = 3
"""Bold rows that a table begins with and that name its columns."""
_SAME = 3.0
"""Distance, in points, up to which the columns of two tables are the same."""


@dataclass(frozen=True, slots=True)
class RuledTable:
    """The table that a grid holds. names: those of its columns; head: the rows that hold them."""

    grid: Grid
    names: Sequence[str]
    head: list[list[str]]


def group_lines(
    lines: Sequence[Line], before: "Table | RuledTable | None" = None, following: Sequence[Line] = ()
) -> tuple[list[Line | TableRow], "Table | RuledTable | None"]:
    """Return lines of prose as they are, and rows for runs of lines whose cells form columns.

    before: the table that the page before ends with, which may go on. following: the lines of the next page. The table
    that this page ends with is returned.
    """
    lines = _with_fine_columns([_without_marker_gap(line) for line in lines])
    parts: list[Line | TableRow] = []
    at = 0
    table = before
    while at < len(lines):
        if (grid := lines[at].grid) is not None:
            goes_on = isinstance(table, RuledTable) and (not parts or (table.grid is grid and any(table.names)))
            is_last = not any(line.grid for line in lines[at + 1 :])
            below = next((line for line in following if line.grid), None) if is_last else None
            rows, table = _read_grid(lines[at], table if goes_on else None, below)
            parts += rows
            at += 1
            continue
        end = _table_end(lines, at)
        if end - at >= 2:
            run = [*_head(lines, at), *lines[at:end]]
            more = table.continued(run) if isinstance(table, Table) and not parts else None
            table = more or Table(run)
            parts += table.rows()
            at = end
            continue
        if at + 1 < len(lines) and _is_head_of(lines, at):
            at += 1  # a header with narrow gaps: it goes into the table that follows
            continue
        if isinstance(table, Table) and table.has(lines[at]):
            parts += table.row(lines[at])
        else:
            parts.append(lines[at])
        at += 1
    return parts, table if parts and isinstance(parts[-1], TableRow) else None


def _read_grid(
    line: Line, before: "Table | RuledTable | None", below: Line | None
) -> tuple[list[TableRow], RuledTable | None]:
    """Return the rows of a ruled table. before: a table that goes on in it if it has the same columns. below: the line
    on the next page in which it may go on itself.
    """
    rows = [row for row in line.rows if any(row)]
    grid = line.grid
    if grid is None or not rows:
        return [], None
    if isinstance(before, RuledTable) and _have_same_columns(before.grid, grid):
        repeated = bool(before.head) and rows[: len(before.head)] == before.head
        if repeated or not isinstance(rows[0], MarkedRow):
            return [*read_table(rows[len(before.head) :] if repeated else rows, before.names)], before
    head = [*takewhile(lambda row: isinstance(row, MarkedRow), rows)]
    if not head and below is not None and below.grid is not None and _have_same_columns(grid, below.grid):
        head = [row for row, _ in takewhile(lambda pair: pair[0] == pair[1], zip(rows, below.rows, strict=False))]
    if 0 < len(head) <= _MOST_HEADS and len(head) < len(rows):
        names: Sequence[str] = join_names(head)
        return [*read_table(rows[len(head) :], names)], RuledTable(grid, names, head)
    read = [*read_rows(rows)]
    names = read[-1].names if read else ()
    return [*with_unused_names(read)], RuledTable(grid, names, rows[: len(rows) - len(read)] if names else [])


def _have_same_columns(grid: Grid, other: Grid) -> bool:
    pairs = zip(grid.xs, other.xs, strict=False)
    return len(grid.xs) == len(other.xs) and all(abs(x - place) <= _SAME for x, place in pairs)


def aligned_cells(cells: Sequence[Segment], others: Sequence[Segment], size: float) -> int:
    """Return how many of the cells stand above or below one of the others."""
    return sum(any(_aligned(cell, other, size) for other in others) for cell in cells)


def _without_marker_gap(line: Line) -> Line:
    """Make `1.    Scope` one text instead of two cells."""
    first = line.segments[0]
    if len(line.segments) == 2 and is_marker(first.text):
        second = line.segments[1]
        joined = Segment(f"{first.text} {second.text}", first.left, second.right)
        return Line([joined], line.bottom, line.top, line.size, bold=line.bold)
    return line


def _with_fine_columns(lines: Sequence[Line]) -> list[Line]:
    """Cut lines at narrow gaps where the words of at least three lines stand exactly below each other."""
    cut = [*lines]
    at = 0
    while at < len(lines):
        end = at
        while end < len(lines) and len(lines[end].pieces) > 1 and (end == at or _follows(lines[end - 1], lines[end])):
            end += 1
        run = lines[at:end]
        rows = run[1:] if run and run[0].bold else run  # the names of columns may be centred above them
        if len(rows) >= _FEWEST_ROWS and any(len(line.pieces) > len(line.segments) for line in run) and _is_exact(rows):
            cut[at:end] = map(_cut_finely, run)
        at = max(end, at + 1)
    return cut


def _follows(before: Line, line: Line) -> bool:
    return 0 <= before.bottom - line.top + 0.5 * line.size < 2 * line.size


def _is_exact(lines: Sequence[Line]) -> bool:
    """Return whether the words of the lines form columns that share their left or right edge or their middle."""
    columns = [[piece] for piece in max((line.pieces for line in lines), key=len)]
    for line in lines:
        for piece in line.pieces:
            over = [column for column in columns if piece.left < column[0].right and column[0].left < piece.right]
            if len(over) != 1:
                return False
            over[0].append(piece)
    edges = (
        lambda piece: piece.left,
        lambda piece: piece.right,
        lambda piece: 0.5 * (piece.left + piece.right),
    )
    return all(any(_is_even(map(edge, column[1:])) for edge in edges) for column in columns)


def _is_even(places: Iterable[float]) -> bool:
    ordered = sorted(places)
    return bool(ordered) and ordered[-1] - ordered[0] <= _EXACT


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
        shared = aligned_cells(line.segments, columns, line.size)
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


class Table:
    """Lines that share columns; the columns are those of the line with the most cells, or of the page before."""

    def __init__(self, lines: Sequence[Line], *, continues: "Table | None" = None) -> None:
        self._lines = lines
        self._columns = max((line.segments for line in lines), key=len)
        self._header: list[str] = []
        self._body: list[list[str]] = []
        if continues is not None:
            self._columns, self._header = continues._columns, continues._header
        placed = [self._place(line) for line in lines]
        if continues is None and _is_header(placed, bold=self._has_bold_head()):
            self._header, placed = placed[0], placed[1:]
        elif placed[0] == self._header:
            placed = placed[1:]
        self._body = placed

    def rows(self) -> list[TableRow]:
        return [self._row(cells) for cells in self._body]

    def continued(self, lines: Sequence[Line]) -> "Table | None":
        """Return the lines at the top of the next page as more rows of this table; None if they are another one."""
        if max(len(line.segments) for line in lines) > len(self._columns):
            return None
        fits = all(aligned_cells(line.segments, self._columns, line.size) == len(line.segments) for line in lines)
        more = Table(lines, continues=self)
        if not fits or not more._body:
            return None
        return None if lines[0].size != self._lines[0].size or self._is_other(more) else more

    def has(self, line: Line) -> bool:
        """Return whether a later line is another row of this table, for example after a note between rows."""
        cells = line.segments
        if len(cells) < 3 or len(cells) < 0.8 * len(self._columns):
            return False
        return aligned_cells(cells, self._columns, line.size) == len(cells)

    def row(self, line: Line) -> list[TableRow]:
        """Return a later line as row; none if it is the header again."""
        cells = self._place(line)
        return [] if cells == self._header else [self._row(cells)]

    def _has_bold_head(self) -> bool:
        return self._lines[0].bold and not all(line.bold for line in self._lines[1:])

    def _is_other(self, more: "Table") -> bool:
        """Return whether lines that fit the columns begin with names of their own."""
        if len(more._body) < len(more._lines):
            return False
        first = more._body[0]
        if more._has_bold_head() and not self._lines[-1].bold:
            return _is_header(more._body, bold=True)
        figures = [at for at in range(len(self._columns)) if _is_figures([row[at] for row in self._body])]
        return any(first[at] and not _is_numeric(first[at]) for at in figures) and _is_header(more._body, bold=False)

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


def _is_figures(cells: Sequence[str]) -> bool:
    """Return whether a column holds figures alone."""
    stated = [cell for cell in cells if cell]
    return bool(stated) and all(map(_is_numeric, stated))


def _is_numeric(text: str) -> bool:
    """Return whether the text is an amount, a date or a code: at least as many digits as letters."""
    digits = sum(map(str.isdigit, text))
    return digits > 0 and digits >= sum(map(str.isalpha, text))
