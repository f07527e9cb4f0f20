"""Split delimited text (CSV, TSV) into lines of cells. Pure; drops no line that has text but `sep=;`."""

import csv
import io
import re
import sys
from collections.abc import Iterator

DELIMITERS = "\t;|,"
"""In this order where several fit: a comma also stands in numbers and sentences."""
_SAMPLE = 65_536
_ROWS = 50
_FEWEST_ALIKE = 0.4
"""Share of lines that have as many cells as a neighbour, in a table."""
_NO_DELIMITER = "\x1f"
_STATED = re.compile(r"\ufeff?\s*\"?sep=(.)\"?[ \t]*(?:\r\n|\r|\n|$)", re.IGNORECASE)
"""The line by which a file tells a spreadsheet program its delimiter."""


def split_lines(text: str, *, delimiter: str | None = None, default: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield each line's number, counted from 1, and its cells; an empty list for an empty line.

    delimiter: None takes the one that the file states, or else finds it, with `default` before others. A text in which
    none fits has one cell a line. Raises csv.Error when the text is no table.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # the default of 128 KiB rejects long texts
    stated = _STATED.match(text)
    if delimiter is None:
        body = text[stated.end() :] if stated else text
        delimiter = stated[1] if stated else find_delimiter(body, default=default)
    reader = csv.reader(io.StringIO(text.replace("\x00", ""), newline=""), delimiter=delimiter or _NO_DELIMITER)
    line = 1
    for cells in reader:
        if line > 1 or not stated:
            yield line, cells if any(map(str.strip, cells)) else []
        line = reader.line_num + 1


def find_delimiter(text: str, *, default: str = ",") -> str | None:
    """Return the delimiter that splits most lines into as many cells as a neighbouring line has; None if none does.

    Raises csv.Error when the text is no table.
    """
    sample = text[:_SAMPLE]
    if len(text) > _SAMPLE:
        sample = sample[: sample.rfind("\n") + 1] or sample
    best, most = None, 0.0
    for delimiter in dict.fromkeys((default if default != "," else "") + DELIMITERS):
        fit = _fit(sample, delimiter)
        if fit > most:
            best, most = delimiter, fit
    return best


def _fit(sample: str, delimiter: str) -> float:
    """Return the share of lines with as many cells as a neighbour; if there are too few, a little for a first line."""
    rows = zip(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), range(_ROWS), strict=False)
    lines = [cells for cells, _ in rows if any(cell.strip() for cell in cells)]
    widths = [len(cells) for cells in lines]
    if max(widths, default=1) == 1:
        return 0.0
    is_prose = delimiter == "," and _are_sentences(lines)
    if is_prose and widths[0] == 1:
        return 0.0
    alike = sum(
        width > 1 and width in widths[max(0, at - 1) : at] + widths[at + 1 : at + 2] for at, width in enumerate(widths)
    )
    if alike >= _FEWEST_ALIKE * len(widths):
        return alike / len(widths)
    return 0.0 if is_prose else _FEWEST_ALIKE * (1 - 1 / widths[0])


def _are_sentences(lines: list[list[str]]) -> bool:
    """Whether a space follows every comma, as in running text."""
    return all(cell.startswith(" ") for cells in lines for cell in cells[1:])
