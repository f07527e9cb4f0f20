"""Tell which rows of a PDF page run from right to left, on a page that has letters of such a script.

Where a row mixes scripts, the paragraph around it decides: a full stop ends a row at its left or its right, and a row
that is not full ends at its left or its right. Never changes what a row holds.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from groundtune.ingest.loaders.pdf_types import Glyph

_FIRST = "\u0590"
"""The first character of a script that runs from right to left."""
_ENDS = ".,:;!?…،؛؟"
_EDGE = 0.5
"""Distance from the edge of a paragraph, in heights of a row, up to which a row reaches it."""
_BESIDE = 0.6
"""Gap before a glyph that is raised or lowered, in its heights, at most."""
_RAISED = 0.1
"""Share of its height that it has in common with the row."""
_CLOSE = 1.0
"""White space between two rows of a paragraph, in heights of a row, at most."""


@dataclass(slots=True)
class Row:
    """Glyphs that stand at one height and were written one after the other."""

    written: list[Glyph]
    """With white space."""
    glyphs: list[Glyph]
    """What is seen of it, from left to right."""

    @property
    def seen(self) -> str:
        return "".join(chr(glyph[1]) for glyph in self.glyphs)

    @property
    def left(self) -> float:
        return self.glyphs[0][2]

    @property
    def right(self) -> float:
        return max(glyph[3] for glyph in self.glyphs)

    @property
    def main(self) -> Glyph:
        """A glyph at the usual height, neither raised nor lowered."""
        usual = Counter((glyph[4], glyph[5]) for glyph in self.glyphs).most_common(1)[0][0]
        return next(glyph for glyph in self.glyphs if (glyph[4], glyph[5]) == usual)

    @property
    def bottom(self) -> float:
        return self.main[4]

    @property
    def top(self) -> float:
        return self.main[5]


def is_right_to_left(character: str) -> bool:
    return unicodedata.bidirectional(character) in ("R", "AL")


def has_right_to_left(text: str) -> bool:
    """Return whether there is a letter of such a script."""
    return any(character >= _FIRST and is_right_to_left(character) for character in {*text})


def is_mostly_right_to_left(text: str) -> bool:
    """Return whether most of the letters are of such a script."""
    letters = [character for character in text if character.isalpha()]
    return 2 * sum(map(is_right_to_left, letters)) > len(letters)


def rows_of(glyphs: Iterable[Glyph]) -> Iterator[Row]:
    """Yield the rows in the order in which they were written."""
    written: list[Glyph] = []
    first = last = None
    for glyph in glyphs:
        if glyph[1] != 32:
            if first is not None and last is not None and not _is_level(first, last, glyph):
                yield _row(written)
                written, first = [], None
            first, last = first or glyph, glyph
        written.append(glyph)
    if first is not None:
        yield _row(written)


def _is_level(first: Glyph, last: Glyph, glyph: Glyph) -> bool:
    """Return whether a glyph stands on the row, or is raised or lowered beside its last glyph."""
    height = min(first[5] - first[4], glyph[5] - glyph[4])
    shared = min(first[5], glyph[5]) - max(first[4], glyph[4])
    beside = min(abs(glyph[2] - last[3]), abs(last[2] - glyph[3])) < _BESIDE * height
    return shared > (_RAISED if beside else 0.5) * height


def _row(written: list[Glyph]) -> Row:
    seen = sorted((glyph for glyph in written if glyph[1] != 32), key=lambda glyph: (glyph[2] + glyph[3], glyph[0]))
    return Row(written, seen)


@dataclass(slots=True)
class Paragraph:
    """Rows close below each other."""

    rows: list[Row]

    @property
    def left(self) -> float:
        return min(row.left for row in self.rows)

    @property
    def right(self) -> float:
        return max(row.right for row in self.rows)

    def directions(self, *, mostly: bool) -> list[bool]:
        """Return for each row whether it runs from right to left. mostly: whether most of the page does."""
        told = [self._told(row) for row in self.rows]
        return [self._runs_from_right(at, told, mostly=mostly) for at in range(len(self.rows))]

    def _runs_from_right(self, at: int, told: Sequence[bool | None], *, mostly: bool) -> bool:
        row = self.rows[at]
        letters = {is_right_to_left(character) for character in row.seen if character.isalpha()}
        if letters == {True, False}:
            found = next((one for one in chain(told[at:], reversed(told[:at])) if one is not None), None)
            return mostly or is_mostly_right_to_left(row.seen) if found is None else found
        if letters == {False}:
            return row.seen[0] in _ENDS and any(has_right_to_left(row.seen) for row in self.rows)
        return mostly or letters == {True}

    def _told(self, row: Row) -> bool | None:
        """Return the direction that a row shows; None if it could be either."""
        seen = row.seen
        if (seen[0] in _ENDS) != (seen[-1] in _ENDS):
            return seen[0] in _ENDS
        reach = _EDGE * (row.top - row.bottom)
        starts, ends = row.left - self.left < reach, self.right - row.right < reach
        return ends if starts != ends else None


def paragraphs(rows: Iterable[Row]) -> list[Paragraph]:
    """Return the rows that were written one below the other, close and not beside each other."""
    found: list[Paragraph] = []
    for row in rows:
        before = found[-1].rows[-1] if found else None
        if before is not None and _is_close(before, row):
            found[-1].rows.append(row)
        else:
            found.append(Paragraph([row]))
    return found


def _is_close(before: Row, row: Row) -> bool:
    height = min(before.top - before.bottom, row.top - row.bottom)
    over = min(before.right, row.right) > max(before.left, row.left)
    return over and -0.5 * height < before.bottom - row.top < _CLOSE * height
