"""Spread the texts of merged cells over the rows and columns that they cover. Knows no file format."""

from collections.abc import Callable
from dataclasses import dataclass

from groundtune.ingest.table_shapes import Across

_WIDEST = 500
"""Columns over which a text is spread."""


@dataclass(frozen=True, slots=True)
class Area:
    """Rows and columns from 1, ends included."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def columns(self) -> range:
        """The columns over which a text is spread."""
        return range(self.left, min(self.right, self.left + _WIDEST) + 1)


class MergedCells:
    """The merged cells that reach into the row that is read, and into those below it."""

    def __init__(self) -> None:
        self._open: list[tuple[Area, str]] = []

    def add(self, area: Area, text: str) -> None:
        """Add a merged cell, at its first row."""
        self._open.append((area, text))

    def joins(self, row: int) -> bool:
        """Whether a merged cell joins a row to the one above, so that there is no gap between them."""
        return any(area.top < row <= area.bottom for area, _ in self._open)

    def spread(self, texts: dict[int, str], row: int, *, is_hidden: Callable[[int], bool]) -> None:
        """Write the texts into the cells of a row by column; a row with nothing else stays empty below the first."""
        if not self._open:
            return
        self._open = [(area, text) for area, text in self._open if area.bottom >= row]
        for column in {at for area, _ in self._open for at in area.columns}:
            texts.pop(column, None)
        alone = not texts
        for area, text in self._open:
            if not text or (alone and row > area.top):
                continue
            shown = [column for column in area.columns if not is_hidden(column)]
            for column in shown:
                texts[column] = text if column == shown[0] else Across(text)
