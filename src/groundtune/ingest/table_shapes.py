"""Tell what the rows of a grid are: column names, data, titles. When unsure, no row is named after another one.

A grid is complete: every row has its cells at their columns, and a merged cell is spread over the cells it covers.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import NamedTuple

from groundtune.ingest.cell_kinds import (
    are_years,
    could_be_name,
    counts_up,
    is_code,
    is_period,
    is_placeholder,
    is_series,
    is_value,
    value_form,
)
from groundtune.languages.column_names import names_a_column

Row = Sequence[str]
_SAMPLE = 40
"""Rows that are looked at to tell a header."""
_MOST_LINES_ABOVE = 10
_MANY = 20
"""Values below a word in the second of two columns that no list of labels and values has."""
_SEVERAL = 5
"""Values below a word that are hardly there by chance."""
_FORM = 8
"""The same in every second column, where a form has its values."""
_LABEL_AND_VALUE = 2
"""Columns of a list of labels and values."""
_PROSE = 40
"""Characters that every cell of a column of prose has, and no column name."""


_Values = Mapping[int, frozenset[str]]
"""The columns that hold values only, as far as looked at, and the forms of these values."""


class Across(str):
    """Text of a merged cell in a column that it covers besides its first: it names columns, but is read only once."""

    __slots__ = ()


class MarkedRow(list[str]):
    """A row that looks like column names in its file: bold, frozen, or at the head of a filter."""

    __slots__ = ()


class TableRow(NamedTuple):
    """A row to be read: its cells, each under the name of its column where that is known."""

    cells: Row
    names: Row = ()
    unnamed: bool = False
    """Whether a table begins here whose columns have no names as far as can be told."""


def read_table(rows: Iterable[Row], header: Row | None = None) -> Iterator[TableRow]:
    """Yield the rows of a grid that are not empty, and behind them the names of columns that hold nothing.

    header: the column names, where the file states them; otherwise they are looked for. They are rows only where
    nothing stands below them.
    """
    return with_unused_names(read_rows(rows, header))


def read_rows(rows: Iterable[Row], header: Row | None = None) -> Iterator[TableRow]:
    """Yield the rows alone, where each is a document of its own."""
    return _read(rows) if header is None else (TableRow(_own(row), header) for row in rows if not _is_empty(row))


def mark_first_row(rows: list[list[str]]) -> None:
    """Mark the first row as column names, for a table style that sets it off, as programs do unless told otherwise.

    Of two columns only if values stand below a word, or if they hold no pairs, since pairs often keep that style.
    """
    heads = could_be_name(rows[0][-1].strip()) and _may_head_values(rows)
    if len(rows[0]) > _LABEL_AND_VALUE or heads or not _are_pairs(rows):
        rows[0] = MarkedRow(rows[0])


def join_names(lines: Sequence[Row]) -> list[str]:
    """Return one name per column from several lines of names, the upper before the lower; equal ones once."""
    width = max(map(len, lines), default=0)
    columns = ([line[at].strip() for line in lines if at < len(line)] for at in range(width))
    return [" ".join(dict.fromkeys(filter(None, column))) for column in columns]


def _read(rows: Iterable[Row]) -> Iterator[TableRow]:
    window = _Window(rows)
    last: _Header | None = None
    while (gap := window.skip_empty()) is not None:
        last = yield from _block(window, last if gap <= 1 else None)


def with_unused_names(rows: Iterable[TableRow]) -> Iterator[TableRow]:
    """Yield the rows, and behind those of a table the names of its columns in which no row has a text."""
    names: Row = ()
    unused: list[int] = []
    for row in rows:
        if row.names and row.names is not names:
            yield from _unused(names, unused)
            names, unused = row.names, [at for at, name in enumerate(row.names) if name]
        if unused and row.names:
            cells = row.cells
            unused = [at for at in unused if at >= len(cells) or not cells[at] or cells[at].isspace()]
        yield row
    yield from _unused(names, unused)


def _unused(names: Row, columns: Sequence[int]) -> Iterator[TableRow]:
    told = {name for at, name in enumerate(names) if at not in columns}
    if left := [name for at in columns if (name := names[at]) not in told]:
        yield TableRow(list(dict.fromkeys(left)))


@dataclass(frozen=True, slots=True)
class _Header:
    names: Row
    start: int
    """Index of its first line."""
    lines: int
    values: _Values
    marked: bool = False
    """Whether the file marks the line."""


class _Window:
    """Rows with a look ahead."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = iter(rows)
        self._ahead: deque[Row] = deque()

    def skip_empty(self) -> int | None:
        """Return the number of empty rows passed over; None at the end."""
        passed = 0
        while self._fill(1):
            if not _is_empty(self._ahead[0]):
                return passed
            self._ahead.popleft()
            passed += 1
        return None

    def head(self) -> tuple[Row, Sequence[int]] | None:
        """Return the next row, which stays, and its filled columns; None before an empty one and at the end."""
        if not self._ahead and not self._fill(1):
            return None
        row = self._ahead[0]
        return (row, filled) if (filled := _filled(row)) else None

    def take(self) -> Row:
        """Return the next row, which must be known to be there."""
        return self._ahead.popleft()

    def peek(self, count: int) -> list[Row]:
        """Return up to `count` rows to come before the next empty one."""
        self._fill(count)
        found: list[Row] = []
        for row in self._ahead:
            if len(found) == count or _is_empty(row):
                break
            found.append(row)
        return found

    def _fill(self, count: int) -> bool:
        while len(self._ahead) < count:
            row = next(self._rows, None)
            if row is None:
                break
            self._ahead.append(row)
        return bool(self._ahead)


def _block(window: _Window, last: _Header | None) -> Generator[TableRow, None, _Header | None]:
    """Yield the rows up to the next empty one; return the column names in force at the end."""
    sample = window.peek(_SAMPLE + 1)
    if len(sample) <= _SAMPLE and (parts := _side_by_side(sample)):
        for _ in sample:
            window.take()
        for part in parts:
            yield from _read(part)
        return None
    header = _find_header(sample)
    if header is None and last is not None and _continues(sample, last):
        header = replace(last, start=0, lines=0)
    while window.head() is not None:
        if header is None:
            header = yield from _without_names(window)
            continue
        for _ in range(header.start):
            yield _line_above(window.take())
        for _ in range(header.lines):
            window.take()
        header = yield from _body(window, header)
    return header


def _body(window: _Window, header: _Header) -> Generator[TableRow, None, _Header | None]:
    """Yield the rows below column names as long as these hold; return the names that follow, if any are found."""
    below_line = False
    while (head := window.head()) is not None:
        row, filled = head
        if len(filled) == 1 and _is_title(window, filled[0], header):
            below_line = True
            yield TableRow([row[filled[0]]])
        elif below_line or _looks_new(row, filled, header):
            ahead = window.peek(_SAMPLE)
            if (found := _header_at(ahead, sure=not below_line)) is not None:
                return found
            if not (_continues(_up_to_line(ahead), header, most=True) if below_line else _holds(ahead, filled, header)):
                return None
            below_line = False
            yield TableRow(_own(row), header.names)
        elif not _repeats(row, header):
            yield TableRow(row if len(filled) == len(row) else _own(row), header.names)
        window.take()
    return header


def _is_title(window: _Window, column: int, header: _Header) -> bool:
    """Whether the next row, with one cell filled, is a title between rows, rather than one with little data."""
    if column != 0 and column not in header.values:
        return False
    row, *behind = window.peek(2)
    if len(header.names) == _LABEL_AND_VALUE and _lacks_value(row):
        return False
    is_plain = header.marked and not any(isinstance(one, MarkedRow) for one in (row, *behind))
    text = row[column].strip()
    return not is_plain and not is_value(text) and not is_placeholder(text)


def _looks_new(row: Row, filled: Sequence[int], header: _Header) -> bool:
    """Whether a row below column names may be a line of other names: words where values stood."""
    has_value = False
    for at in filled:
        if at in header.values:
            if any(map(str.isdigit, row[at])):
                return False
            has_value = True
    if isinstance(row, MarkedRow):
        return not _repeats(row, header)
    if not has_value and filled[-1] < len(header.names) + 1:
        return len(row[filled[0]]) < _PROSE and _lists_names(row, filled) and not _repeats(row, header)
    texts = [row[at].strip() for at in filled]
    return len({*texts}) == len(texts) and all(map(could_be_name, texts)) and not _repeats(row, header)


def _up_to_line(ahead: Sequence[Row]) -> list[Row]:
    """Return the rows up to one with a single cell."""
    return [*takewhile(lambda row: len(_filled(row)) > 1, ahead)]


def _holds(ahead: Sequence[Row], filled: Sequence[int], header: _Header) -> bool:
    """Whether the names hold for a row that looks new and for those below it."""
    values = [at for at in filled if at in header.values]
    if filled[-1] > len(header.names) or len(values) != 1:
        return False
    below = [row[values[0]].strip() for row in ahead[1 : _SEVERAL + 1] if len(row) > values[0]]
    return not below or any(map(is_value, below))


def _repeats(row: Row, header: _Header) -> bool:
    names = header.names
    return row[0].strip() == names[0] and [cell.strip() for cell in row[: len(names)]] == [*names]


def _continues(sample: Sequence[Row], header: _Header, *, most: bool = False) -> bool:
    """Whether the rows below an empty one or a title fill the same columns with values like those above.

    most: half of the rows may lack a value.
    """
    if len(header.names) < 3 or not sample:
        return False
    valued = 0
    for row in sample:
        texts = {at: text for at in _filled(row) if not is_placeholder(text := row[at].strip())}
        values = [at for at in texts if at in header.values]
        others = any((at in header.values) != is_value(text) for at, text in texts.items())
        if others or max(texts, default=0) >= len(header.names):
            return False
        alike = sum(value_form(texts[at]) in header.values[at] for at in values)
        valued += bool(values) and 2 * alike >= len(values)
    reaches = max(_filled(row)[-1] for row in sample) == len(header.names) - 1
    return reaches and (2 * valued >= len(sample) if most else valued == len(sample))


def _without_names(window: _Window) -> Generator[TableRow, None, _Header | None]:
    """Yield rows as they are, labels as names of their values, until a line of column names is found below a title."""
    sample = window.peek(_SAMPLE)
    pairs = _are_pairs(sample)
    several = sum(len(_filled(row)) > 1 for row in sample) > 1
    told = not _may_head_values(sample) if pairs else not several
    below_line = False
    while (head := window.head()) is not None:
        row, filled = head
        if below_line and len(filled) > 1 and (found := _find_header(window.peek(_SAMPLE))) is not None:
            return found
        below_line = len(filled) == 1
        if pairs and len(filled) == 2:
            yield TableRow([row[filled[1]]], [row[filled[0]]], not told)
            told = True
        else:
            shown = _labelled(row)
            unnamed = not told and len(filled) > 1 and not shown.names
            yield TableRow(shown.cells, shown.names, unnamed)
            told = told or unnamed
        window.take()
    return None


def _are_pairs(sample: Sequence[Row]) -> bool:
    """Whether the rows are labels with one value each: two columns, the first with words that do not repeat."""
    rows = [(row, filled) for row in sample if len(filled := _filled(row)) > 1]
    columns = {at for _, filled in rows for at in filled}
    if len(rows) < 2 or len(columns) != 2:
        return False
    labels = [row[min(columns)].strip() for row, _ in rows]
    return len({*labels}) == len(labels) and all(map(could_be_name, labels))


def _may_head_values(rows: Sequence[Row]) -> bool:
    """Whether the first of labels and values may as well be two column names: a word or a year above values only."""
    label, value = (text.strip() for text in (rows[0][0], rows[0][-1]))
    below = [text for row in rows[1:] if (text := row[-1].strip()) and not is_placeholder(text)]
    heads = could_be_name(value) or (is_period(value) and not any(map(is_period, below)))
    return could_be_name(label) and heads and bool(below) and all(map(is_value, below))


def _line_above(row: Row) -> TableRow:
    """Return a line above column names: a title, a comment, or a label with its value."""
    filled = _filled(row)
    if len(filled) == 2 and could_be_name(row[filled[0]].strip()):
        return TableRow([row[filled[1]]], [row[filled[0]]])
    return _labelled(row)


def _labelled(row: Row) -> TableRow:
    """Return a row without column names; a cell that ends with a colon names the next one."""
    own = [cell.strip() for cell in _own(row) if cell.strip()]
    cells: list[str] = []
    names: list[str] = []
    for cell in own:
        if cells and cells[-1].endswith(":") and len(cells[-1]) > 1 and not names[-1]:
            cells[-1], names[-1] = cell, cells[-1]
        else:
            cells.append(cell)
            names.append("")
    return TableRow(cells, names if any(names) else ())


# --- column names --------------------------------------------------------------------------------------------------


def _find_header(sample: Sequence[Row]) -> _Header | None:
    """Return the first line of column names, below lines with fewer cells."""
    widths = [len(_filled(row)) for row in sample]
    for start in range(min(len(sample) - 1, _MOST_LINES_ABOVE)):
        if widths[start] < 2:
            continue
        if (found := _header_at(sample[start:], sure=False)) is not None:
            if max(widths[:start], default=0) >= widths[start]:
                return None
            return replace(found, start=start)
        if widths[start] > max(2, max(widths) // 2) or widths[start] == max(widths):
            return None
    return None


def _header_at(rows: Sequence[Row], *, sure: bool) -> _Header | None:
    """Return the one or two lines of column names that the rows begin with. sure: only where words or marks say so."""
    if len(rows) > 2 and (names := _two_lines(rows[0], rows[1])) is not None:
        marked = isinstance(rows[0], MarkedRow) and (
            isinstance(rows[1], MarkedRow) or _is_merged_into(rows[0], rows[1])
        )
        joined = (below or above for above, below in zip(*_same_width(rows[0], rows[1]), strict=True))
        lower = MarkedRow(joined) if marked else [*joined]
        values = _value_columns(lower, rows[2:], sure=sure, repeated=True)
        if values is not None:
            return _Header(names, 0, 2, values, marked)
    if len(rows) > 1 and (values := _value_columns(rows[0], rows[1:], sure=sure)) is not None:
        return _Header([cell.strip() for cell in rows[0]], 0, 1, values, isinstance(rows[0], MarkedRow))
    return None


def _two_lines(upper: Row, lower: Row) -> list[str] | None:
    """Return the joined names of two lines, of which the upper spans columns of the lower; None if it does not."""
    upper, lower = _same_width(upper, lower)
    names = [cell for cell in lower if cell]
    if not all(could_be_name(cell) or is_period(cell) for cell in (*filter(None, upper), *names)):
        return None
    if not any(isinstance(cell, Across) for cell in upper):
        gaps = [at for at, cell in enumerate(upper) if at and not cell and lower[at]]
        if len({*names}) == len(names) or len(_filled(upper)) < 2 or not gaps:
            return None
        for at, name in enumerate(lower):
            if at and name and not upper[at] and upper[at - 1]:
                upper[at] = upper[at - 1]
    joined = join_names([upper, lower])
    named = [name for name in joined if name]
    return joined if len(names) > 1 and len({*named}) == len(named) else None


def _is_merged_into(upper: Row, lower: Row) -> bool:
    """Whether all cells of a line that are not merged across are merged with those below, so that both are one head."""
    width = len(upper)
    single = [at for at in range(width) if Across not in map(type, upper[at : at + 2])]
    return 0 < len(single) < width == len(lower) and all(upper[at] == lower[at] for at in single)


def _same_width(upper: Row, lower: Row) -> tuple[list[str], list[str]]:
    width = max(len(upper), len(lower))

    def padded(row: Row) -> list[str]:
        return [cell if isinstance(cell, Across) else cell.strip() for cell in row] + [""] * (width - len(row))

    return padded(upper), padded(lower)


def _value_columns(row: Row, below: Sequence[Row], *, sure: bool, repeated: bool = False) -> _Values | None:
    """Return the columns that hold values below a line of column names; None if the line need not be one.

    repeated: names may repeat, since they are the lower of two lines.
    """
    body = _table_below(below)
    looked = _Columns.of(row, body)
    if looked is None or not body:
        return None
    if isinstance(row, MarkedRow) and not isinstance(below[0], MarkedRow):
        return looked.values
    own = [looked.names[at] for at in looked.named if not isinstance(row[at], Across)]
    distinct = repeated or len({*own}) == len(own) or len(looked.contrasts) > 1
    if not distinct or looked.recurs or not looked.covers:
        return None
    worded = _lists_names(row, looked.named) and _are_columns_worded(looked, body)
    said = worded or _is_identifiers(own, body) or (not sure and _has_empty_corner(looked, body))
    if said or (not sure and _is_contrast(looked, len(body))):
        return looked.values
    return None


def _table_below(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the same table: those with several cells, up to a title or another line of column names."""
    found: list[Row] = []
    for row in rows:
        filled = _filled(row)
        if len(filled) < 2:
            if found and not _lacks_value(row):
                break
            continue
        if found and (isinstance(row, MarkedRow) or _lists_names(row, filled)) and _all_names(row, filled):
            break
        found.append(row)
    return found


def _lacks_value(row: Row) -> bool:
    """Whether a row of two cells has no text in the second; a title has no second cell, or covers it."""
    return len(row) == _LABEL_AND_VALUE and not row[1].strip() and not isinstance(row[1], Across)


def _all_names(row: Row, filled: Sequence[int]) -> bool:
    return all(could_be_name(row[at].strip()) for at in filled)


def _lists_names(row: Row, filled: Sequence[int]) -> bool:
    """Whether at least two cells, and half of them, have words that name columns; both of two."""
    texts = [row[at].strip() for at in filled]
    if len(texts) < 2:
        return False
    return 2 * sum(map(names_a_column, texts)) >= max(4, len(texts))


def _are_columns_worded(looked: "_Columns", body: Sequence[Row]) -> bool:
    """Whether words for columns stand in the line rather than in all lines, or to the left of values as in a form."""
    worded = [at for at in looked.named if names_a_column(looked.names[at])]
    if len(looked.used) % 2 == 0 and not {*worded}.intersection(looked.used[1::2]):
        return False
    if len(looked.used) == 2 and 10 * looked.first_below_worded > len(body):
        return False
    below = (cell.strip() for row in body for cell in row if not any(map(str.isdigit, cell)))
    return 3 * sum(map(names_a_column, below)) < len(worded) * len(body)


@dataclass(frozen=True, slots=True)
class _Columns:
    """How a line of possible names stands to the cells below it."""

    names: Sequence[str]
    named: Sequence[int]
    """Columns with a name."""
    used: Sequence[int]
    values: _Values
    contrasts: frozenset[int]
    """Columns with a word above values, codes or prose."""
    recurs: bool
    """Whether a name stands below itself."""
    repeated_labels: bool
    """Whether a text of the first column stands there twice."""
    first_below_worded: int
    """Cells of the first column that could name a column themselves."""

    @classmethod
    def of(cls, row: Row, body: Sequence[Row]) -> "_Columns | None":
        """Return what is seen; None if the line cannot be one of names."""
        names = [cell.strip() for cell in row]
        named = [at for at, name in enumerate(names) if name]
        columns: dict[int, list[str]] = {}
        for line in body:
            for at, cell in enumerate(line):
                if (text := cell.strip()) and not is_placeholder(text):
                    columns.setdefault(at, []).append(text)
        figures = [at for at in named if is_value(names[at])]
        words = [at for at in named if at not in figures]
        corner = not names[0] or 0 in words
        if len(named) < 2 or not corner or not all(could_be_name(names[at]) for at in words):
            return None
        if any(names[at].endswith(":") for at in words) and not all(names[at].endswith(":") for at in words):
            return None
        values = {at: frozenset(map(value_form, cells)) for at, cells in columns.items() if _are_values(cells)}
        years = are_years([names[at] for at in figures]) and (len(figures) > 2 or not values.keys().isdisjoint(figures))
        certain = isinstance(row, MarkedRow) or values.keys() >= {*figures} or years
        if figures and not (certain and _are_periods(row, named, figures, columns, body)):
            return None
        contrasts = {at for at in named if at in values}
        contrasts |= {at for at in words if at in columns and _is_unlike(names[at], columns[at])}
        used = sorted({*named, *columns})
        labels = columns.get(used[0], ())
        return cls(
            names=names,
            named=named,
            used=used,
            values=values,
            contrasts=frozenset(contrasts),
            recurs=any(names[at] in columns.get(at, ()) for at in named),
            repeated_labels=len({*labels}) < len(labels),
            first_below_worded=sum(map(names_a_column, labels)),
        )

    @property
    def covers(self) -> bool:
        """Whether all columns but the first have a name; with good reasons, most of them."""
        missing = len({*self.used[1:]}.difference(self.named))
        return missing == 0 or (len(self.contrasts) > 1 and 5 * missing <= 2 * len(self.used))


def _are_values(cells: Sequence[str]) -> bool:
    """Whether the cells of a column are values; of five or more, a fifth may be words."""
    return is_value(cells[0]) and 5 * sum(map(is_value, cells)) >= (4 if len(cells) >= _SEVERAL else 5) * len(cells)


def _is_unlike(name: str, cells: Sequence[str]) -> bool:
    """Whether a name without digits stands above codes, or a short one above prose."""
    if len(cells) < 3:
        return False
    if all(map(is_code, cells)):
        return not any(map(str.isdigit, name))
    return len(name) < _PROSE // 2 and all(len(cell) >= _PROSE for cell in cells)


def _are_periods(
    names: Row,
    named: Sequence[int],
    figures: Sequence[int],
    columns: dict[int, list[str]],
    body: Sequence[Row],
) -> bool:
    """Whether figures among the names are years, other periods or 1, 2, 3, and those below are not."""
    texts = [names[at].strip() for at in figures]
    for at in figures:
        cells = columns.get(at, [])
        if cells and 2 * sum(map(is_period, cells)) >= len(cells):
            return False
    if len(figures) > 1 and any(counts_up([row[at].strip() for at in figures if at < len(row)]) for row in body):
        return False
    if isinstance(names, MarkedRow):
        return all(map(is_period, texts)) or is_series(texts)
    if len(texts) == 1:
        return is_period(texts[0]) and len(named) > 2 and (len(body) > 1 or _lists_names(names, named))
    return is_series(texts)


def _is_contrast(looked: _Columns, rows: int) -> bool:
    """Whether words stand above values in so many columns, or above so many, that the line names columns."""
    used, contrasts = looked.used, looked.contrasts
    worded = [at for at in contrasts if names_a_column(looked.names[at])]
    if len(used) == 2:
        first, second = used
        if first in contrasts:
            return second in contrasts or rows > 1
        many = rows >= (_SEVERAL if looked.repeated_labels else _MANY)
        return second in contrasts and (many or (bool(worded) and looked.first_below_worded == 0))
    if len(used) % 2 == 0 and contrasts <= {*used[1::2]}:  # a form: label, value, label, value
        return len(contrasts) > 0 and (rows >= _FORM or all(names_a_column(looked.names[at]) for at in used[1::2]))
    if len(contrasts) > 1:
        return True
    return len(contrasts) == 1 and (rows >= _SEVERAL or bool(worded))


def _has_empty_corner(looked: _Columns, body: Sequence[Row]) -> bool:
    """Whether the first cell of the line is the only empty one of a table with names to the left as well."""
    used = looked.used
    full = len(body) > 1 and all(_filled(row) == list(used) for row in body)
    return full and len(used) > 2 and list(looked.named) == list(used[1:])


def _is_identifiers(names: Sequence[str], body: Sequence[Row]) -> bool:
    """Whether all names are written as in a program (`first_name`, `unitPrice`) and hardly any cell below is."""
    if not all(map(_is_identifier, names)) or not any("_" in name or not name.islower() for name in names):
        return False
    cells = [cell.strip() for row in body for cell in row if cell.strip()]
    return 5 * sum(map(_is_identifier, cells)) < len(cells)


def _is_identifier(text: str) -> bool:
    return text.isascii() and text.isidentifier() and text[0].islower()


# --- side by side --------------------------------------------------------------------------------------------------


def _side_by_side(sample: Sequence[Row]) -> list[list[Row]]:
    """Return the tables that stand beside each other, each with column names of its own; empty if it is one table.

    Two halves of one table have as many rows and other names; two tables end at different rows or have the same names.
    """
    used = sorted({at for row in sample for at in _filled(row)})
    starts = [at for before, at in zip([-2, *used], used, strict=False) if at != before + 1]
    if len(starts) < 2:
        return []
    ends = [*starts[1:], used[-1] + 1]
    parts: list[list[Row]] = [[row[start:end] for row in sample] for start, end in zip(starts, ends, strict=True)]
    heights = [_height(part) for part in parts]
    if not all(heights) or any(
        _find_header(part[:height]) is None for part, height in zip(parts, heights, strict=True)
    ):
        return []
    heads = [tuple(filter(None, (cell.strip() for cell in part[0]))) for part in parts]
    if len({*heights}) == 1 and len({*heads}) == len(heads):
        return []
    return parts


def _height(part: Sequence[Row]) -> int:
    """Return how many rows of the part are filled, 0 if there are gaps between them."""
    filled = [index for index, row in enumerate(part) if not _is_empty(row)]
    return len(filled) if filled == list(range(len(filled))) else 0


# --- cells ---------------------------------------------------------------------------------------------------------


def _is_empty(row: Row) -> bool:
    """Whether a row has no text of its own."""
    return not any(map(str.strip, _own(row)))


def _filled(row: Row) -> list[int]:
    """Return the columns with a text of their own."""
    return [at for at, cell in enumerate(row) if cell and not isinstance(cell, Across) and not cell.isspace()]


def _own(row: Row) -> Row:
    """Return the cells without the repeated text of merged ones."""
    if Across in map(type, row):
        return ["" if isinstance(cell, Across) else cell for cell in row]
    return row
