"""Turn the glyphs of a PDF page into lines of text with boxes, in the order in which they are written.

Text that runs from right to left is put in order by `pdf_right_to_left.py`.
"""

import ctypes
import math
import re
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pypdfium2.raw as pdfium

from groundtune.ingest.loaders import pdf_right_to_left
from groundtune.ingest.loaders.pdf_directions import has_right_to_left, is_mostly_right_to_left
from groundtune.ingest.loaders.pdf_right_to_left import Looks, is_arabic
from groundtune.ingest.loaders.pdf_types import (
    CELL_GAP,
    WORD_GAP,
    Box,
    Glyph,
    Grid,
    Line,
    Segment,
    Strike,
    View,
    contains,
    runs_through,
)
from groundtune.ingest.parsed import clean_line
from groundtune.ingest.superscripts import subscript, superscript, write_out

_WHITE = frozenset((9, 10, 13, 32, 0xA0))
_LINE_ENDS = (10, 13)
_HYPHENS = {0x02: 0x2D, 0xAD: 0x2D, 0xFFFE: 0x2D}
_SURROGATE = re.compile("[\ud800-\udfff]")
_SMALL = 0.87
"""Font size, relative to its line, up to which a glyph may be raised or lowered."""
_ENTRY_GAP = 0.8
"""Widest gap, in font sizes, before text of another size on the same base line, such as an entry after its label."""
_RAISED = 0.12
"""Distance from the base line, in font sizes, from which a small glyph is raised."""
_LOWERED = -0.06
_LONGEST_MARK = 3
"""Raised glyphs that a line begins with, as a footnote does."""
_LEANS = 3.0
"""Degrees from which a line is neither level nor upright."""
_LEANING_STEP = 2.0
"""Distance between two glyphs of such a line, in font sizes."""
_TOUCHING = 0.1
"""Gap, in font sizes, up to which a raised or lowered glyph touches the glyph before it."""
_ON_RULE = 1.0
"""Points by which a glyph may reach over the rule before it."""
_INVISIBLE = 1.0
"""Height of a glyph, in points, below which nobody can read it."""
_SAMPLES = 40
"""Glyphs of a page that are asked for their direction."""


@dataclass(slots=True)
class Skipped:
    """How many runs of glyphs were left out."""

    hidden: int = 0
    struck: int = 0
    undecoded: int = 0
    """Glyphs of fonts that do not say which letters they are."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """What of the glyphs of a page is not shown as valid text."""

    objects: frozenset[int] = frozenset()
    """Addresses of the text objects that cannot be seen."""
    covered: Mapping[int, Sequence[Box]] = field(default_factory=dict)
    """Address of a text object -> the places at which something is painted over it."""
    strikes: tuple[Strike, ...] = ()
    """Lines through text on the displayed page."""


def view_of(page: Any, text: Any) -> View:
    """Return how most of the page's text stands upright, which is how it is shown unless its text runs up the page."""
    left, bottom, _, _ = page.get_bbox()
    width, height = page.get_size()
    turn = page.get_rotation()
    count = pdfium.FPDFText_CountChars(text)
    turns: Counter[int] = Counter()
    for index in range(0, count, max(1, count // _SAMPLES)):
        if pdfium.FPDFText_GetUnicode(text, index) not in _WHITE:
            turns[round(-math.degrees(pdfium.FPDFText_GetCharAngle(text, index))) % 360] += 1
    usual = turns.most_common(1)[0][0] if turns else turn
    if usual % 90 == 0 and usual != turn:
        if (usual - turn) % 180:
            width, height = height, width
        turn = usual
    return View(turn, width, height, left, bottom)


def _glyphs(text: Any, codes: Sequence[int], view: View, unseen: Unseen, skipped: Skipped) -> Iterator[Glyph]:
    """Yield the glyphs that are seen, and white space with code 32: without a place, or in that of what is not seen."""
    rect = pdfium.FS_RECTF()
    reference, coordinates = ctypes.byref(rect), memoryview(rect)
    place_of = _unchecked(pdfium.FPDFText_GetLooseCharBox)
    unpack = struct.Struct("4f").unpack_from
    turn, width, height, x, y = view.turn, view.width, view.height, view.left, view.bottom
    hides = bool(unseen.objects or unseen.covered or unseen.strikes)
    kept: str | None = None
    for index, code in enumerate(codes):
        if code in _WHITE:
            kept = None if code in _LINE_ENDS else kept
            yield index, 32, 0.0, 0.0, 0.0, 0.0
            continue
        if code == 0:
            continue
        place_of(text, index, reference)
        left, top, right, bottom = unpack(coordinates)
        if turn == 0:
            left, right, bottom, top = left - x, right - x, bottom - y, top - y
        elif turn == 90:
            left, right, bottom, top = bottom - y, top - y, height - right + x, height - left + x
        elif turn == 180:
            left, right, bottom, top = width - right + x, width - left + x, height - top + y, height - bottom + y
        else:
            left, right, bottom, top = width - top + y, width - bottom + y, left - x, right - x
        middle = 0.5 * (left + right)
        reason = None
        if not (0 <= middle <= width and -1 <= bottom + top <= 2 * height + 1) or top - bottom < _INVISIBLE:
            reason = "hidden"
        elif hides:
            reason = _why_unseen(text, index, middle, bottom, top, unseen)
        if reason is None:
            yield index, code, left, right, bottom, top
        else:
            if reason != kept:
                skipped.hidden += reason == "hidden"
                skipped.struck += reason == "struck"
            yield index, 32, left, right, bottom, top
        kept = reason


def _unchecked(function: Any) -> Any:
    """Return a function of PDFium that does not check the types of its arguments: it is called for every glyph."""
    return ctypes.CFUNCTYPE(function.restype)(ctypes.cast(function, ctypes.c_void_p).value or 0)


def _codes(text: Any) -> Sequence[int]:
    """Return the code of each glyph: UTF-16 for all at once, or one by one where these are not one to one."""
    count = pdfium.FPDFText_CountChars(text)
    units = (ctypes.c_ushort * (count + 1))()
    if pdfium.FPDFText_GetText(text, 0, count, units) == count + 1:
        written = bytes(units).decode("utf-16-le", "surrogatepass")
        if len(written) == count + 1 and not _SURROGATE.search(written):
            return [*map(ord, written[:count])]
    return [pdfium.FPDFText_GetUnicode(text, index) for index in range(count)]


def _decodable(text: Any, codes: Sequence[int], skipped: Skipped) -> Sequence[int]:
    """Return the codes, 0 for glyphs that PDFium gives a control character since their font names no letter."""
    step = max(1, len(codes) // _SAMPLES)
    if not any(pdfium.FPDFText_HasUnicodeMapError(text, index) for index in range(0, len(codes), step)):
        return codes
    wrong = {index for index in range(len(codes)) if pdfium.FPDFText_HasUnicodeMapError(text, index) == 1}
    skipped.undecoded = len(wrong)
    return [0 if code < 32 and index in wrong else code for index, code in enumerate(codes)]


def _why_unseen(text: Any, index: int, middle: float, bottom: float, top: float, unseen: Unseen) -> str | None:
    owner = pdfium.FPDFText_GetTextObject(text, index) if unseen.objects or unseen.covered else None
    if owner:
        address, height = ctypes.addressof(owner.contents), 0.5 * (bottom + top)
        covers = unseen.covered.get(address, ())
        if address in unseen.objects or any(contains(cover, middle, height) for cover in covers):
            return "hidden"
    struck = any(
        left <= middle <= right and runs_through(height, bottom, top) for left, right, height in unseen.strikes
    )
    return "struck" if struck else None


def read_lines(
    text: Any, view: View, grids: Sequence[Grid], unseen: Unseen, skipped: Skipped
) -> tuple[list[Line], bool]:
    """Return the lines in content order, and whether the page is read from right to left."""
    codes = _decodable(text, _codes(text), skipped)
    glyphs = _glyphs(text, codes, view, unseen, skipped)
    written = decoded(codes)
    if not has_right_to_left(written):
        return list(_lines(text, glyphs, grids)), False
    mostly = is_mostly_right_to_left(written)
    looks = Looks(
        size=lambda index: _size(text, index),
        is_bold=lambda index: _is_bold(text, index),
        space_at=lambda index: _space_at(text, index, view),
        level=lambda first, index: _level(text, first, index),
    )
    rows = pdf_right_to_left.lines(
        glyphs,
        mostly=mostly,
        arabic=is_arabic(written),
        grids=grids,
        looks=looks,
        from_left=lambda plain: _lines(text, plain, grids),
    )
    return list(rows), mostly


def _level(text: Any, first: int, index: int) -> int:
    """Return 1 if a glyph is raised against the first one of its line, -1 if it is lowered."""
    size = _size(text, first)
    if _size(text, index) > _SMALL * size:
        return 0
    distance = _base(text, index) - _base(text, first)
    return 1 if distance > _RAISED * size else -1 if distance < _LOWERED * size else 0


def _lines(text: Any, glyphs: Iterable[Glyph], grids: Sequence[Grid]) -> Iterator[Line]:
    """Yield lines in content order; a new one starts where glyphs leave the line, jump back or change size."""
    line: _OpenLine | None = None
    space = False
    for index, code, left, right, bottom, top in glyphs:
        if code == 32:
            space = True
            if line is not None and right > left and line.bottom < 0.5 * (bottom + top) < line.top:
                line.right = max(line.right, right)  # no gap between cells
            continue
        if (
            line is not None
            and not space
            and bottom == line.low
            and top == line.high
            and line.nearest < left - line.right <= line.farthest
            and left + _ON_RULE < line.rule
        ):
            line.append(index, code, right if right > left else left)
            continue
        level: int | None = 0
        if line is not None:
            size, gap = line.size, left - line.right
            if (bottom != line.bottom or top != line.top) and gap > -max(size, 4.0):
                level = line.level_of(text, index, left, bottom, top)
            fits = level is not None and gap > -max(size, 4.0)
            if fits and gap > WORD_GAP * size:
                fits = level == 0 and (
                    abs(_size(text, index) - size) <= 0.12 * size
                    or (gap <= _ENTRY_GAP * size and abs(_base(text, index) - _base(text, line.first)) < 0.05)
                )
            if line.leans:
                fits, level = line.is_next(left, bottom), 0
            if not fits:
                yield from line.close(text)
                line = None
        if line is None:
            line = _OpenLine(text, index, left, bottom, top, grids)
            space, level = False, 0
        line.add(index, code, left, right, space=space, level=level or 0)
        line.low, line.high = bottom, top
        space = False
    if line is not None:
        yield from line.close(text)


def _size(text: Any, index: int) -> float:
    """Return the displayed font size: the stated one, scaled by the text matrix."""
    matrix = pdfium.FS_MATRIX()
    size = float(pdfium.FPDFText_GetFontSize(text, index))
    if pdfium.FPDFText_GetMatrix(text, index, ctypes.byref(matrix)):
        size *= (matrix.c**2 + matrix.d**2) ** 0.5
    return round(size * 2) / 2 or 1.0


def _is_bold(text: Any, index: int) -> bool:
    """Return whether a glyph is bold, by the weight that its font states, otherwise by the font's name."""
    if pdfium.FPDFText_GetFontWeight(text, index) >= 600:
        return True
    name = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    size = pdfium.FPDFText_GetFontInfo(text, index, name, 128, ctypes.byref(flags))
    return bool(size) and b"bold" in name.value.lower()


class _OpenLine:
    """A line under construction. A level of 1 is raised, -1 lowered."""

    def __init__(self, text: Any, index: int, left: float, bottom: float, top: float, grids: Sequence[Grid]) -> None:
        self.size = _size(text, index)
        angle = math.degrees(pdfium.FPDFText_GetCharAngle(text, index)) % 90
        self.leans = _LEANS < angle < 90 - _LEANS
        self._place = left, bottom
        self._rules = [x for grid in grids for x in grid.splits_at(0.5 * (bottom + top)) if x > left]
        self.bottom, self.top = bottom, top
        self.right = left
        self.first = self._last = index
        self._left = left
        self._codes: list[int] = []
        self._levels: list[tuple[int, int]] = []
        self._pieces: list[Segment] = []
        self._cells: list[list[Segment]] = [[]]
        self._known: dict[tuple[float, float], int | None] = {}
        self.rule = min(self._rules, default=math.inf)
        """The next rule between cells."""
        self.low, self.high = bottom, top
        """Bottom and top of the last glyph."""
        self.nearest = self.farthest = 0.0
        """Gaps, the first not included, at which a glyph of the same height simply follows."""

    def is_next(self, left: float, bottom: float) -> bool:
        """Return whether a glyph stands beside the last one of a line that leans, such as a stamp across the page."""
        (x, y), self._place = self._place, (left, bottom)
        return math.hypot(left - x, bottom - y) < _LEANING_STEP * self.size

    def level_of(self, text: Any, index: int, left: float, bottom: float, top: float) -> int | None:
        """Return whether a glyph with another box is raised or lowered; None if it is not on this line at all."""
        place = round(bottom - self.bottom, 1), round(top - self.top, 1)
        if place not in self._known:
            self._known[place] = self._other_level(text, index, left, bottom, top)
        return self._known[place]

    def _other_level(self, text: Any, index: int, left: float, bottom: float, top: float) -> int | None:
        height, own = top - bottom, self.top - self.bottom
        shared = min(top, self.top) - max(bottom, self.bottom)
        near = left - self.right < WORD_GAP * self.size
        if near and shared > 0.1 * min(height, own):
            if level := _level(text, self.first, index):
                return level
            size, distance = _size(text, index), _base(text, index) - _base(text, self.first)
            if self.size <= _SMALL * size and distance < -_RAISED * size and len(self._codes) <= _LONGEST_MARK:
                self._opens_raised(size, bottom, top)
                return 0
        return 0 if shared > 0.5 * min(height, own) else None

    def _opens_raised(self, size: float, bottom: float, top: float) -> None:
        """Take what is there so far as raised, before text of the usual size."""
        self._levels = [(0, 1)]
        self.size, self.bottom, self.top = size, bottom, top
        self._known = {}

    def add(self, index: int, code: int, left: float, right: float, *, space: bool, level: int) -> None:
        last = index if level == 0 else self._last
        gap = left - self.right
        ruled = left + _ON_RULE >= self.rule
        if ruled:
            self._rules = [x for x in self._rules if x > left + _ON_RULE]
            self.rule = min(self._rules, default=math.inf)
        if (ruled or gap > WORD_GAP * self.size) and self._codes:
            self._end_piece()
            if ruled or gap > CELL_GAP * self.size:
                self._cells.append([])
            self._left = left
        elif space and self._codes and (gap > _TOUCHING * self.size or not self._is_joined(level)):
            self._codes.append(32)
        if level != (self._levels[-1][1] if self._levels else 0):
            self._levels.append((len(self._codes), level))
        self.append(index, code, max(right, left))
        self._last = last
        plain = not self.leans and not (self._levels and self._levels[-1][1])
        self.nearest, self.farthest = -max(self.size, 4.0), WORD_GAP * self.size if plain else -math.inf

    def append(self, index: int, code: int, right: float) -> None:
        """Add a glyph of the same word."""
        self._codes.append(_HYPHENS.get(code, code))
        self._last, self.right = index, right

    def _is_joined(self, level: int) -> bool:
        """Return whether a space before a glyph that touches the one before is only PDFium's guess, where a glyph was
        raised, lowered, or back on the line.
        """
        return level != (self._levels[-1][1] if self._levels else 0)

    def close(self, text: Any) -> Iterator[Line]:
        self._end_piece()
        cells = [cell for cell in self._cells if cell]
        if cells:
            segments = [Segment(" ".join(piece.text for piece in cell), cell[0].left, cell[-1].right) for cell in cells]
            pieces = [piece for cell in cells for piece in cell]
            bold = _is_bold(text, self.first) and _is_bold(text, self._last)
            yield Line(segments, self.bottom, self.top, self.size, pieces, bold)

    def _end_piece(self) -> None:
        text = clean_line(_marked(self._codes, self._levels) if self._levels else decoded(self._codes))
        if text:
            self._cells[-1].append(Segment(text, self._left, self.right))
        self._codes = []
        self._levels = []


def decoded(codes: Sequence[int]) -> str:
    text = "".join(map(chr, codes))
    if _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _marked(codes: Sequence[int], levels: Sequence[tuple[int, int]]) -> str:
    """Return the text with what is raised and lowered written out."""
    parts = [decoded(codes[: levels[0][0]])]
    for (start, level), (end, _) in pairwise([*levels, (len(codes), 0)]):
        part = decoded(codes[start:end])
        parts.append(superscript(part) if level > 0 else subscript(part) if level < 0 else part)
    return write_out("".join(parts))


def _space_at(text: Any, index: int, view: View) -> float | None:
    """Return where a space was written on the displayed page, from the left; None if PDFium only guesses one."""
    rect = pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(text, index, ctypes.byref(rect))
    ((left, _, right, _),) = view.shown([(rect.left, rect.bottom, rect.right, rect.top)])
    return 0.5 * (left + right) if right > left else None


def _base(text: Any, index: int) -> float:
    """Return the height of the base line of a glyph on the page that is not turned."""
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(text, index, ctypes.byref(x), ctypes.byref(y))
    return y.value
