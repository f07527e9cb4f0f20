"""Define the types of the PDF loader: segments, lines, pages, and the words that resolve hyphens. Reads no file."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import neg

from groundtune.languages.segmentation import unwrap

_BULLET = re.compile(r"[•‣▪◦●○■·]\s*")
_MARKER = re.compile(r"([-*•‣▪◦●○■–—·]|\(?[\dA-Za-z]{1,3}[.)]|\d{1,2}(\.\d{1,2}){0,3}\.?)")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_HYPHENATED = re.compile(r"([^\W\d_]+)-$")


CELL_GAP = 1.1
"""Gap between words, in font sizes, above which they are cells of a row; justified prose stays below it."""
WORD_GAP = 0.55
"""Gap, in font sizes, above which words are cells if the rows around them have columns there."""
Glyph = tuple[int, int, float, float, float, float]
"""Index, code, left, right, bottom and top on the displayed page, in points."""
Box = tuple[float, float, float, float]
"""Left, bottom, right, top, in points."""


def contains(box: Box, x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


Strike = tuple[float, float, float]
"""A line through text: left, right, height."""


def runs_through(height: float, bottom: float, top: float) -> bool:
    """Return whether a line at a height strikes text through; boxes may end with small letters or with tall ones."""
    return bottom + 0.28 * (top - bottom) < height < bottom + 0.72 * (top - bottom)


@dataclass(frozen=True, slots=True)
class View:
    """How a page is displayed: turned clockwise by degrees, its size after that, its lower left corner before that."""

    turn: int
    width: float
    height: float
    left: float = 0.0
    bottom: float = 0.0

    def shown(self, boxes: Iterable[Box]) -> list[Box]:
        """Return boxes of the page that is not turned as they stand on the displayed page."""
        x, y, width, height = self.left, self.bottom, self.width, self.height
        match self.turn:
            case 0:
                return [(left - x, bottom - y, right - x, top - y) for left, bottom, right, top in boxes]
            case 90:
                return [
                    (bottom - y, height - right + x, top - y, height - left + x) for left, bottom, right, top in boxes
                ]
            case 180:
                return [
                    (width - right + x, height - top + y, width - left + x, height - bottom + y)
                    for left, bottom, right, top in boxes
                ]
        return [(width - top + y, left - x, width - bottom + y, right - x) for left, bottom, right, top in boxes]


@dataclass(slots=True)
class Segment:
    """Text without a wide gap: a line of prose, or a cell."""

    text: str
    left: float
    right: float


@dataclass(slots=True)
class Line:
    """One line of a page; coordinates in points from the bottom left."""

    segments: list[Segment]
    bottom: float
    top: float
    size: float
    pieces: list[Segment] = field(default_factory=list)
    """The same text split at narrower gaps: cells if the rows around it have columns there."""
    bold: bool = False
    """Whether its first and its last glyph are bold."""
    mirror: float | None = None
    """Left and right edge, added up, of a paragraph that runs against the direction of its page."""
    grid: "Grid | None" = None
    """The ruled table that stands here, for a line that holds one."""
    rows: list[list[str]] = field(default_factory=list)
    """Its cells."""

    @property
    def left(self) -> float:
        return self.segments[0].left

    @property
    def right(self) -> float:
        return self.segments[-1].right

    @property
    def text(self) -> str:
        if len(self.segments) == 1:
            return self.segments[0].text
        return " ".join(segment.text for segment in self.segments)

    @property
    def middle(self) -> float:
        return 0.5 * (self.bottom + self.top)


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a ruled table."""

    xs: tuple[float, ...]
    """Where its columns begin and the last one ends, from the left."""
    ys: tuple[float, ...]
    """Where its rows begin and the last one ends, from the top."""
    cells: list[list[int]]
    """Number of the cell at each row and column; a merged cell has several places."""

    def spans(self, segment: Segment) -> bool:
        """Return whether the middle of a text is between its first and its last rule."""
        return self.xs[0] < 0.5 * (segment.left + segment.right) < self.xs[-1]

    def row_at(self, y: float) -> int | None:
        row = bisect_right(self.ys, -y, key=neg) - 1
        return row if 0 <= row < len(self.cells) else None

    def cell_at(self, x: float, y: float) -> int | None:
        """Return the number of the cell at a place."""
        row = self.row_at(y)
        column = min(max(bisect_right(self.xs, x) - 1, 0), len(self.xs) - 2)
        return None if row is None else self.cells[row][column]

    def splits_at(self, y: float) -> list[float]:
        """Return where the rules between cells stand in the row at a height."""
        row = self.row_at(y)
        if row is None:
            return []
        cells = self.cells[row]
        return [self.xs[at] for at in range(1, len(cells)) if cells[at] != cells[at - 1]]


@dataclass(slots=True)
class Page:
    lines: list[Line]
    width: float
    height: float
    grids: list[Grid] = field(default_factory=list)
    furniture: list[str] = field(default_factory=list)
    """Headers and footers that stand here first."""
    repeated: int = 0
    """How many were left out, page numbers included."""
    unread: bool = False
    """Whether it shows something and has no text layer, as a scanned page does."""


class Vocabulary:
    """The words of a document, which decide whether a hyphen at the end of a line belongs to the word."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self._known: set[str] = set()
        for page in pages:
            divided = False
            for line in page.lines:
                line_words = [word.lower() for word in _WORD.findall(line.text)]
                ends = bool(_HYPHENATED.search(line.text))
                self._known.update(line_words[1 if divided else 0 : -1 if ends else None])  # halves are not words
                divided = ends

    def join_lines(self, before: str, after: str) -> str:
        """Join two lines into one, and a word divided between them into a whole."""
        half = _HYPHENATED.search(before)
        rest = _WORD.match(after)
        if not half or not rest or not after[0].islower():
            return unwrap(f"{before}\n{after}")
        first, second = half[1].lower(), rest[0].lower()
        if first + second in self._known:
            return before[:-1] + after
        both = len(second) > 3 and first in self._known and second in self._known
        keep = both or f"{first}-{second}" in self._known
        return (before if keep else before[:-1]) + after


def is_marker(text: str) -> bool:
    """Return whether the text is a bullet or a number that belongs to the text after it."""
    return bool(_MARKER.fullmatch(text))


def without_bullet(text: str) -> str:
    """Return the text of a list item without its bullet; numbers stay, since other sentences may refer to them."""
    return _BULLET.sub("", text, count=1) if _BULLET.match(text) else text
