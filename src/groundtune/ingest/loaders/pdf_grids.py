"""Find the grids of ruled tables among the lines that are drawn on a PDF page, and fill their cells with its text."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

from groundtune.ingest.loaders.pdf_types import Box, Grid, Line, Vocabulary
from groundtune.ingest.table_shapes import Across, MarkedRow

_NEAR = 2.0
"""Distance, in points, up to which two rules are the same."""
_SHORTEST = 4.0
"""Length of a rule, in points."""
_MOST_RULES = 4_000
"""Rules of a page beyond which it is a drawing."""
_COVERED = 0.6
"""Share of the side of a cell that a rule covers."""
_FEWEST_CELLS = 4
_Rule = tuple[float, float, float]
"""Where it stands, and from where to where it goes."""


def find_grids(strokes: Iterable[Box], frames: Iterable[Box]) -> list[Grid]:
    """Return the grids of at least two rows and two columns. frames: rectangles of which the outline is drawn."""
    across: list[_Rule] = []
    upright: list[_Rule] = []
    for left, bottom, right, top in strokes:
        if right - left > max(top - bottom, _SHORTEST):
            across.append((0.5 * (bottom + top), left, right))
        elif top - bottom > max(right - left, _SHORTEST):
            upright.append((0.5 * (left + right), bottom, top))
    for left, bottom, right, top in frames:
        across += [(bottom, left, right), (top, left, right)]
        upright += [(left, bottom, top), (right, bottom, top)]
    if len(across) + len(upright) > _MOST_RULES:
        return []
    across, upright = _joined(across), _joined(upright)
    return [grid for rules in _touching(across, upright) if (grid := _grid(*rules)) is not None]


def _joined(rules: Iterable[_Rule]) -> list[_Rule]:
    """Return rules with those joined that go on in one another."""
    lanes: list[list[_Rule]] = []
    for rule in sorted(rules):
        if lanes and rule[0] - lanes[-1][0][0] <= _NEAR:
            lanes[-1].append(rule)
        else:
            lanes.append([rule])
    joined: list[_Rule] = []
    for lane in lanes:
        at = lane[0][0]
        start, end = None, 0.0
        for _, first, last in sorted(lane, key=lambda rule: rule[1]):
            if start is None or first > end + _NEAR:
                if start is not None:
                    joined.append((at, start, end))
                start, end = first, last
            end = max(end, last)
        if start is not None:
            joined.append((at, start, end))
    return joined


def _touching(across: Sequence[_Rule], upright: Sequence[_Rule]) -> list[tuple[list[_Rule], list[_Rule]]]:
    """Return groups of rules that cross or touch each other."""
    parents = [*range(len(across) + len(upright))]

    def group(rule: int) -> int:
        while parents[rule] != rule:
            parents[rule] = rule = parents[parents[rule]]
        return rule

    for first, (y, left, right) in enumerate(across):
        for second, (x, bottom, top) in enumerate(upright, start=len(across)):
            if left - _NEAR <= x <= right + _NEAR and bottom - _NEAR <= y <= top + _NEAR:
                parents[group(second)] = group(first)
    groups: dict[int, tuple[list[_Rule], list[_Rule]]] = {}
    for at, rule in enumerate([*across, *upright]):
        groups.setdefault(group(at), ([], []))[at >= len(across)].append(rule)
    return list(groups.values())


def _grid(across: Sequence[_Rule], upright: Sequence[_Rule]) -> Grid | None:
    xs = _places(rule[0] for rule in upright)
    ys = _places(rule[0] for rule in across)[::-1]
    if len(xs) < 3 or len(ys) < 3:
        return None
    across_at = [[rule for rule in across if abs(rule[0] - y) <= _NEAR] for y in ys]
    upright_at = [[rule for rule in upright if abs(rule[0] - x) <= _NEAR] for x in xs]
    columns, rows = len(xs) - 1, len(ys) - 1
    cells = [[0] * columns for _ in range(rows)]
    count = 0
    for row in range(rows):
        for column in range(columns):
            above = row and not _is_ruled(across_at[row], xs[column], xs[column + 1])
            beside = column and not _is_ruled(upright_at[column], ys[row + 1], ys[row])
            if beside and not (above and cells[row][column - 1] != cells[row - 1][column]):
                cells[row][column] = cells[row][column - 1]
            elif above:
                cells[row][column] = cells[row - 1][column]
            else:
                cells[row][column] = count
                count += 1
    return Grid(tuple(xs), tuple(ys), cells) if count >= _FEWEST_CELLS else None


def _places(places: Iterable[float]) -> list[float]:
    """Return distinct places, from the smallest."""
    distinct: list[float] = []
    for place in sorted(places):
        if not distinct or place - distinct[-1] > _NEAR:
            distinct.append(place)
    return distinct


def _is_ruled(rules: Iterable[_Rule], start: float, end: float) -> bool:
    """Return whether rules cover the side of a cell."""
    covered = sum(max(0.0, min(end, last) - max(start, first)) for _, first, last in rules)
    return covered >= _COVERED * (end - start)


def with_grids(lines: Sequence[Line], grids: Sequence[Grid], vocabulary: Vocabulary) -> list[Line]:
    """Return the lines in content order, with those within a grid replaced by one line that holds its rows."""
    if not grids:
        return [*lines]
    placed: list[Line | int] = []
    inside: dict[int, list[Line]] = {}
    for line in lines:
        for part, at in _parts(line, grids):
            if at is None:
                placed.append(part)
                continue
            if at not in inside:
                placed.append(at)
            inside.setdefault(at, []).append(part)
    return [one if isinstance(one, Line) else _filled(grids[one], inside[one], vocabulary) for one in placed]


def _parts(line: Line, grids: Sequence[Grid]) -> Iterator[tuple[Line, int | None]]:
    """Yield the parts of a line that stand in different tables or beside them, with the number of the table."""
    near = [at for at, grid in enumerate(grids) if grid.row_at(line.middle) is not None]
    if not near:
        yield line, None
        return
    where = [next((at for at in near if grids[at].spans(cell)), None) for cell in line.segments]
    for at, group in groupby(zip(where, line.segments, strict=True), key=itemgetter(0)):
        segments = [segment for _, segment in group]
        whole = len(segments) == len(line.segments)
        yield line if whole else replace(line, segments=segments, pieces=[*segments]), at


def _filled(grid: Grid, lines: Sequence[Line], vocabulary: Vocabulary) -> Line:
    """Return a line in the place of a grid. It has one segment, so that it is no row of another table."""
    first = lines[0]
    place = replace(first.segments[0], left=grid.xs[0], right=grid.xs[-1])
    return Line([place], grid.ys[-1], grid.ys[0], first.size, grid=grid, rows=_rows(grid, lines, vocabulary))


def _rows(grid: Grid, lines: Sequence[Line], vocabulary: Vocabulary) -> list[list[str]]:
    """Return the texts of the cells, row by row; a merged cell is in each place that it covers."""
    texts: dict[int, str] = {}
    plain: set[int] = set()
    for line in sorted(lines, key=lambda line: -line.top):
        for segment in line.segments:
            cell = grid.cell_at(0.5 * (segment.left + segment.right), line.middle)
            if cell is None:
                continue
            texts[cell] = vocabulary.join_lines(texts[cell], segment.text) if cell in texts else segment.text
            if not line.bold:
                plain.add(cell)
    rows = []
    for row in grid.cells:
        own = [texts.get(cell, "") for cell in row]
        spread = [Across(text) if at and row[at - 1] == row[at] else text for at, text in enumerate(own)]
        marked = any(own) and not any(cell in plain for cell in row)
        rows.append(MarkedRow(spread) if marked else spread)
    return rows
