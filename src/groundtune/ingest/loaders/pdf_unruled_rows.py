"""Tell the rows that a reader sees within one ruled row, as in a frame with rules between its columns alone.

A ruled row whose cells hold several lines is one row of many-lined cells, or many rows. It is many where it was written
row by row, or where values stand below each other beside lines at the same heights. Never reads a file.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from groundtune.ingest.cell_kinds import is_placeholder, is_value
from groundtune.ingest.loaders.pdf_types import Line, Segment

_LEVEL = 0.4
"""Distance, in font sizes, up to which two texts stand at the same height."""
_LOOSER = 0.08
"""Distance between rows beyond that between the lines of a text, in font sizes."""


@dataclass(frozen=True, slots=True)
class Part:
    """A text on one line of a cell."""

    column: int
    segment: Segment
    line: Line
    right: float
    """Where the text of its cell may end."""
    order: int
    """When it was written."""

    @property
    def is_value(self) -> bool:
        return is_value(self.segment.text) or is_placeholder(self.segment.text)

    def is_below(self, other: "Part") -> bool:
        return self.line.bottom < other.line.bottom - _LEVEL * self.line.size


Item = list[Part]
"""The lines of one text."""


def rows_within(parts: Sequence[Part]) -> list[list[Part]]:
    """Return the rows of a ruled row, from the top; one if its cells are those of one row.

    parts: in the order in which they were written.
    """
    columns = defaultdict(list)
    for part in parts:
        columns[part.column].append(part)
    if len(columns) < 2 or not any(column[-1].is_below(column[0]) for column in columns.values()):
        return [[*parts]]
    values = [part for part in parts if part.is_value]
    step = min(_steps(columns.values()))
    items = [item for column in columns.values() for item in _items(column, values, step)]
    rows = _rows(items)
    shared = sum(len({item[0].column for item in row}) > 1 for row in rows)
    if shared < 2 or not (_is_written_by_rows(parts, len(rows)) or _has_column_of_values(rows)):
        return [[*parts]]
    return [sorted((part for item in row for part in item), key=lambda part: part.order) for row in rows]


def _steps(columns: Iterable[Iterable[Part]]) -> Iterator[float]:
    """Yield the distances between the lines of each column."""
    for column in columns:
        for before, part in pairwise(sorted(column, key=lambda part: -part.line.bottom)):
            if part.is_below(before):
                yield before.line.bottom - part.line.bottom


def _items(column: Iterable[Part], values: Sequence[Part], step: float) -> list[Item]:
    """Return the texts of a column, each with the lines over which it is wrapped. step: between lines, at least."""
    items: list[Item] = []
    for part in sorted(column, key=lambda part: -part.line.middle):
        before = items[-1][-1] if items else None
        if before and (not part.is_below(before) or _goes_on(before, part, values, step)):
            items[-1].append(part)
        else:
            items.append([part])
    return items


def _goes_on(before: Part, part: Part, values: Sequence[Part], step: float) -> bool:
    """Return whether a line is the next one of a wrapped text."""
    if before.is_value or part.is_value or before.line.bottom - part.line.bottom > step + _LOOSER * part.line.size:
        return False
    letter = (before.segment.right - before.segment.left) / max(1, len(before.segment.text))
    if before.segment.right + letter * (len(part.segment.text.split(" ", 1)[0]) + 1) < before.right:
        return False  # there was room for its first word
    if part.segment.text[0].islower():
        return True
    beside = [{value.column for value in values if _is_level(value, other)} for other in (before, part)]
    return part.order == before.order + 1 and not beside[0] & beside[1]


def _is_level(part: Part, other: Part) -> bool:
    return not part.is_below(other) and not other.is_below(part)


def _rows(items: Iterable[Item]) -> list[list[Item]]:
    """Return rows of the texts that stand beside each other, in whole or in part."""
    rows: list[list[Item]] = []
    lowest = 0.0
    for item in sorted(items, key=lambda item: -item[0].line.middle):
        if rows and item[0].line.middle > lowest - _LEVEL * item[0].line.size:
            rows[-1].append(item)
            lowest = min(lowest, item[-1].line.middle)
        else:
            rows.append([item])
            lowest = item[-1].line.middle
    return rows


def _is_written_by_rows(parts: Sequence[Part], rows: int) -> bool:
    """Return whether the columns were written in turns rather than each cell as a whole."""
    turns = sum(part.column < before.column and part.is_below(before) for before, part in pairwise(parts))
    return 2 * turns >= rows - 1


def _has_column_of_values(rows: Sequence[Sequence[Item]]) -> bool:
    """Return whether a column holds values alone: in most rows, and in the last one."""
    return any(
        all(item[0].is_value for row in rows for item in row if item[0].column == column)
        and 2 * sum(any(item[0].column == column for item in row) for row in rows) > len(rows)
        for column in {item[0].column for item in rows[-1]}
    )
