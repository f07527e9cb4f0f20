"""Find the grids of ruled tables among the lines that are drawn on a PDF page, and fill their cells with its text."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import groupby, pairwise, starmap
from operator import itemgetter

from groundtune.ingest.loaders.pdf_types import Box, Grid, Line, Vocabulary
from groundtune.ingest.loaders.pdf_unruled_rows import Part, rows_within
from groundtune.ingest.table_shapes import Across, MarkedRow

_NEAR = 2.0
"""Distance, in points, up to which two rules are the same."""
_SHORTEST = 2.5
"""Length of a rule, in points."""
_MOST_RULES = 4_000
"""Rules of a page beyond which it is a drawing."""
_COVERED = 0.6
"""Share of the side of a cell that a rule covers."""
_FEWEST_CELLS = 4
_LARGER = 1.12
"""Font size of a title, relative to the lines below it."""
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
    return [
        grid for rules in _touching(across, upright) for table in _tables(*rules) if (grid := _grid(*table)) is not None
    ]


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


def _tables(across: Sequence[_Rule], upright: Sequence[_Rule]) -> Iterator[tuple[list[_Rule], list[_Rule]]]:
    """Yield the rules of each of the tables that touch each other."""
    ys = _places(rule[0] for rule in across)[::-1]
    start = 0
    before: list[float] = []
    for row in range(len(ys) - 1):
        middle = 0.5 * (ys[row] + ys[row + 1])
        xs = _places(x for x, bottom, top in upright if bottom < middle < top)
        if len(xs) > 2 and before and _are_of_two_tables(before, xs):
            yield _between(across, upright, ys[row], ys[start])
            start = row
        before = xs if len(xs) > 2 else before
    if ys:
        yield _between(across, upright, ys[-1], ys[start])


def _are_of_two_tables(above: Sequence[float], below: Sequence[float]) -> bool:
    """Return whether two rows have no rule between columns in common, or others and other edges."""
    common = {x for x in below for other in above if abs(x - other) <= _NEAR}
    if common.isdisjoint(below[1:-1]):
        return True
    edges = abs(above[0] - below[0]) > _NEAR or abs(above[-1] - below[-1]) > _NEAR
    return edges and len(common) < min(len(above), len(below))


def _between(
    across: Sequence[_Rule], upright: Sequence[_Rule], bottom: float, top: float
) -> tuple[list[_Rule], list[_Rule]]:
    """Return the rules between two heights."""
    level = [rule for rule in across if bottom - _NEAR <= rule[0] <= top + _NEAR]
    return level, [
        (x, max(start, bottom), min(end, top))
        for x, start, end in upright
        if min(end, top) - max(start, bottom) > _NEAR
    ]


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
    """Return the lines in content order, with those within a grid replaced by lines that hold its rows.

    Lines that a grid only frames stay as they are.
    """
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
    read: list[Line] = []
    for one in placed:
        read += [one] if isinstance(one, Line) else _read(grids[one], inside[one], vocabulary)
    return read


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


def _read(grid: Grid, lines: Iterable[Line], vocabulary: Vocabulary) -> Iterator[Line]:
    """Yield the lines of a grid: one for each run of its rows, and those that it only frames."""
    by_row: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        by_row[grid.row_at(line.middle) or 0].append(line)
    bands = [*_bands(grid)]
    frames = [_is_frame(grid, rows, by_row) for rows in bands]
    run: list[int] = []
    for rows, is_frame in zip(bands, frames, strict=True):
        if not is_frame and not (any(frames) and _is_one_cell(grid, rows)):
            run += rows
            continue
        yield from _filled(grid, run, by_row, vocabulary)
        run = []
        yield from (line for row in rows for line in by_row[row])
    yield from _filled(grid, run, by_row, vocabulary)


def _bands(grid: Grid) -> Iterator[range]:
    """Yield the rows that have cells in common."""
    start = 0
    for end in range(1, len(grid.cells) + 1):
        if end == len(grid.cells) or {*grid.cells[end - 1]}.isdisjoint(grid.cells[end]):
            yield range(start, end)
            start = end


def _is_one_cell(grid: Grid, rows: range) -> bool:
    return len({cell for row in rows for cell in grid.cells[row]}) == 1


def _is_frame(grid: Grid, rows: range, by_row: Mapping[int, Sequence[Line]]) -> bool:
    """Return whether rules only surround lines: those have columns of their own, or are a title and what it heads."""
    lines = [line for row in rows for line in by_row[row]]
    if _is_one_cell(grid, rows):
        sizes = [line.size for line in lines] or [0.0]
        return sum(len(line.segments) > 1 for line in lines) > 1 or max(sizes) > _LARGER * min(sizes)
    if len(rows) > 1:
        return not _are_rectangles(grid, rows) and sum(len(line.segments) > 1 for line in lines) > 1
    within = rows_within([*_parts_of(grid, rows[0], lines)])
    return len(within) > 1 and sum(any(starmap(_are_in_one_cell, pairwise(row))) for row in within) > 1


def _are_rectangles(grid: Grid, rows: range) -> bool:
    """Return whether each cell fills the rows and columns that it reaches; others only lack a rule."""
    places: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in rows:
        for column, cell in enumerate(grid.cells[row]):
            places[cell].append((row, column))
    return all(len({*map(itemgetter(0), own)}) * len({*map(itemgetter(1), own)}) == len(own) for own in places.values())


def _are_in_one_cell(before: Part, part: Part) -> bool:
    return part.column == before.column and part.line is before.line


def _parts_of(grid: Grid, row: int, lines: Iterable[Line]) -> Iterator[Part]:
    """Yield the texts of a row as they were written."""
    cells = grid.cells[row]
    written = [(line, segment) for line in lines for segment in line.segments]
    for order, (owner, segment) in enumerate(written):
        cell = grid.cell_at(0.5 * (segment.left + segment.right), owner.middle)
        if cell is not None:
            column = cells.index(cell)
            yield Part(column, segment, owner, grid.xs[column + cells.count(cell)] - _NEAR, order)


def _filled(
    grid: Grid, rows: Sequence[int], by_row: Mapping[int, Sequence[Line]], vocabulary: Vocabulary
) -> Iterator[Line]:
    """Yield a line in the place of rows of a grid. It has one segment, so that it is no row of another table."""
    first = next((line for row in rows for line in by_row[row]), None)
    if first is None:
        return
    place = replace(first.segments[0], left=grid.xs[0], right=grid.xs[-1])
    bottom, top = grid.ys[rows[-1] + 1], grid.ys[rows[0]]
    texts = [*_texts(grid, rows, by_row, vocabulary)]
    yield Line([place], bottom, top, first.size, grid=grid, rows=texts)


def _texts(
    grid: Grid, rows: Iterable[int], by_row: Mapping[int, Sequence[Line]], vocabulary: Vocabulary
) -> Iterator[list[str]]:
    """Yield the texts of the cells, row by row; a merged cell is in each place that it covers."""
    tall = {cell for above, below in pairwise(grid.cells) for cell in {*above} & {*below}}
    parts = {row: [*_parts_of(grid, row, by_row[row])] for row in rows}
    merged = defaultdict(list)
    for row, inside in parts.items():
        for part in inside:
            if (cell := grid.cells[row][part.column]) in tall:
                merged[cell].append(part)
    for row, inside in parts.items():
        cells = grid.cells[row]
        for own in rows_within([part for part in inside if cells[part.column] not in tall]):
            columns: dict[int, list[Part]] = {at: merged[cell] for at, cell in enumerate(cells) if cell in tall}
            for part in own:
                columns.setdefault(part.column, []).append(part)
            spread = [_text(columns.get(cells.index(cell), ()), vocabulary) for cell in cells]
            texts = [Across(text) if at and cells[at - 1] == cells[at] else text for at, text in enumerate(spread)]
            inside_row = [part for column in columns.values() for part in column]
            is_marked = bool(inside_row) and all(part.line.bold for part in inside_row)
            yield MarkedRow(texts) if is_marked else texts


def _text(parts: Iterable[Part], vocabulary: Vocabulary) -> str:
    ordered = sorted(parts, key=lambda part: -part.line.top)
    return reduce(vocabulary.join_lines, (part.segment.text for part in ordered)) if ordered else ""
