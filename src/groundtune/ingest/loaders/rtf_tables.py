"""Collect the rows of an RTF table and spread its merged cells. Never reads text outside of it."""

from bisect import bisect_left
from dataclasses import dataclass, field

from groundtune.ingest.parsed import TextBuilder
from groundtune.ingest.table_shapes import Across, MarkedRow, join_names

_MOST_CELLS = 200


@dataclass(slots=True)
class _Cell:
    """How a cell is defined."""

    end: int = 0
    """Its right border."""
    goes_on: bool = False
    """Whether it is part of the cell above."""
    joins: bool = False
    """Whether it is part of the cell before."""


@dataclass(slots=True)
class Row:
    """A row of texts."""

    texts: list[str] = field(default_factory=list)
    cells: list[_Cell] = field(default_factory=list)
    header: bool = False
    plain: bool = False
    """Whether some of its text is not bold."""


class RtfTable:
    """The rows of one table; those of the definition that is being read come last."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._row = Row()
        self._next = _Cell()

    def new_definition(self) -> None:
        self._row.cells, self._row.header, self._next = [], False, _Cell()

    def add_cell(self, text: str) -> None:
        if len(self._row.texts) < _MOST_CELLS:
            self._row.texts.append(text)

    def note_plain_text(self) -> None:
        self._row.plain = True

    def end_row(self) -> None:
        """End a row. Its definition holds for the next one too, unless that has its own."""
        if self._row.texts:
            self.rows.append(self._row)
        self._row = Row(cells=list(self._row.cells), header=self._row.header)

    def define(self, word: str, number: int | None) -> None:
        """Take a word of a definition."""
        if word == "trhdr":
            self._row.header = True
        elif word == "clvmrg":
            self._next.goes_on = True
        elif word == "clmrg":
            self._next.joins = True
        elif word == "cellx" and len(self._row.cells) < _MOST_CELLS:
            self._next.end = number or 0
            self._row.cells.append(self._next)
            self._next = _Cell()

    def add_to(self, builder: TextBuilder) -> None:
        """Add the table: one column as paragraphs, others as rows."""
        grid = self._grid()
        if all(len(cells) == 1 for cells in grid):
            for cells in grid:
                builder.paragraph(cells[0])
            return
        heads = next((at for at, row in enumerate(self.rows) if not row.header), len(grid))
        if 0 < heads < len(grid):
            builder.table(grid[heads:], header=join_names(grid[:heads]))
        else:
            builder.table(grid)

    def _grid(self) -> list[list[str]]:
        """Return the rows with one cell per column of the table."""
        borders = sorted({cell.end for row in self.rows for cell in row.cells[: len(row.texts)]})
        grid: list[list[str]] = []
        for row in self.rows:
            cells: list[str] = []
            for at, text in enumerate(row.texts):
                cell = row.cells[at] if at < len(row.cells) else _Cell()
                if cell.joins and cells:
                    text = Across(cells[-1])
                elif cell.goes_on and grid and len(cells) < len(grid[-1]):
                    text = grid[-1][len(cells)]
                until = bisect_left(borders, cell.end) + 1 if cell.end else 0
                cells += [text, *[Across(text)] * max(0, until - len(cells) - 1)]
            grid.append(cells if row.plain or not any(cells) else MarkedRow(cells))
        return grid
