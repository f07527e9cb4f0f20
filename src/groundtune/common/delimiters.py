"""Guess the delimiter of a table in plain text. Pure; never changes the text."""

import csv
import io

DELIMITERS = ",;\t|"
_SAMPLE = 65_536
_ROWS = 50


def guess_delimiter(text: str, *, default: str = ",") -> str:
    """Return the delimiter that splits the first rows into equally many cells, at least two; else the default.

    Raises csv.Error when the text is no table.
    """
    sample = text[:_SAMPLE]
    if len(text) > _SAMPLE:
        sample = sample[: sample.rfind("\n") + 1] or sample
    best, score = default, 0.0
    for delimiter in dict.fromkeys(default + DELIMITERS):
        rows = zip(csv.reader(io.StringIO(sample), delimiter=delimiter), range(_ROWS), strict=False)
        widths = [len(row) for row, _ in rows if row]
        if not widths or widths[0] < 2:
            continue
        share = sum(width == widths[0] for width in widths) / len(widths)
        if share > score:
            best, score = delimiter, share
    return best
