"""Read pages with Hebrew, Arabic or another script that runs from right to left: their glyphs in the order of speech.

A PDF says where each glyph stands, not in which order they are read. Here the glyphs of a row are taken as they are
seen and put in the order that the rules for mixed text (Unicode Standard Annex 9) must have had before them.
"""

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import regex

from groundtune.ingest.loaders.pdf_directions import Row, has_right_to_left, is_right_to_left, paragraphs, rows_of
from groundtune.ingest.loaders.pdf_types import CELL_GAP, WORD_GAP, Glyph, Grid, Line, Segment
from groundtune.ingest.parsed import clean_line
from groundtune.ingest.superscripts import subscript, superscript, write_out

_SPACE = 0.18
"""Gap, in font sizes, from which two glyphs are parts of two words, although no space was written there."""
_POINT = 0.05
"""Distance, in font sizes, to which a glyph may reach into the place of its neighbour."""
_SCRIPT = regex.compile(r"[\p{Bidi_Class=R}\p{Bidi_Class=AL}]")
_FORMS = ((0xFB1D, 0xFDFF), (0xFE70, 0xFEFC))
"""Presentation forms: Hebrew with points, Arabic letters as they are written at the start, middle and end of a word."""
_LAM = "\u0644"
_ALEFS = "\u0622\u0623\u0625\u0627\u0671"
_LATIN = r"""
    \p{L}(?<![\p{Bidi_Class=R}\p{Bidi_Class=AL}])
    (?: [^\p{Bidi_Class=R}\p{Bidi_Class=AL}]* [\p{L}\p{Nd}](?<![\p{Bidi_Class=R}\p{Bidi_Class=AL}]) [%)\]]* )?
"""
_RUNS = {
    True: regex.compile(rf"{_LATIN} | \p{{Nd}}+ (?: [.,:/٫٬] \p{{Nd}}+ )*", regex.VERBOSE),
    False: regex.compile(
        rf"{_LATIN} | [\p{{Sc}}#%°]* \p{{Nd}}+ (?: [.,:/+\-–−] \p{{Nd}}+ )* [\p{{Sc}}#%°]*", regex.VERBOSE
    ),
}
"""What runs from left to right in such text: words of other scripts, and numbers. In Arabic (True), hyphens and signs
of currency are no parts of a number."""
_TURNED = str.maketrans("()[]{}<>«»‹›", ")(][}{><»«›‹")
_IN_BRACKETS = regex.compile(r"(?<=[(\[{«‹])\s+|\s+(?=[)\]}»›])")
_RAISED, _LOWERED = "\ufdd4\ufdd5"
"""Noncharacters of Unicode behind what is raised or lowered."""
_SIGNS = {0: "", 1: _RAISED, -1: _LOWERED}
_BRACKET = regex.compile(r"[()\[\]{}<>«»‹›]")


def is_arabic(text: str) -> bool:
    """Return whether some letter is of the Arabic script or one written like it."""
    return any(unicodedata.bidirectional(character) == "AL" for character in {*text})


@dataclass(frozen=True, slots=True)
class Looks:
    """What a glyph looks like, by its index."""

    size: Callable[[int], float]
    is_bold: Callable[[int], bool]
    space_at: Callable[[int], float | None]
    """Where a space was written; None if it was only guessed."""
    level: Callable[[int, int], int]
    """1 if the second glyph is raised against the first, -1 if it is lowered."""


def lines(
    glyphs: Iterable[Glyph],
    *,
    mostly: bool,
    arabic: bool,
    grids: Sequence[Grid] = (),
    looks: Looks,
    from_left: Callable[[Iterable[Glyph]], Iterable[Line]],
) -> Iterator[Line]:
    """Yield the lines of a page, their cells from left to right.

    mostly: whether most of the page is such text. arabic: whether some of it is Arabic. from_left: reads rows that have
    no such text.
    """
    for paragraph in paragraphs(rows_of(glyphs)):
        directions = paragraph.directions(mostly=mostly)
        is_against = len({*directions}) == 1 and directions[0] != mostly
        mirror = paragraph.left + paragraph.right if is_against else None
        for row, is_turned in zip(paragraph.rows, directions, strict=True):
            if is_turned or has_right_to_left(row.seen):
                lines_of_row = _line(row, grids, looks, partial(_read, right_to_left=is_turned, arabic=arabic))
            else:
                lines_of_row = from_left(row.written)
            yield from (replace(line, mirror=mirror) for line in lines_of_row)


def _line(row: Row, grids: Sequence[Grid], looks: Looks, read: Callable[[list[str]], str]) -> Iterable[Line]:
    main = row.main
    size = looks.size(main[0])
    spaces = sorted(at for glyph in row.written if glyph[1] == 32 and (at := looks.space_at(glyph[0])) is not None)
    rules = [x for grid in grids for x in grid.splits_at(0.5 * (main[4] + main[5]))]
    boxes = {(bottom, top): index for index, _, _, _, bottom, top in row.glyphs}
    levels = {box: looks.level(main[0], index) for box, index in boxes.items()}
    seen = partial(_seen, spaces=spaces, levels=levels, size=size)
    cells, pieces = (
        _split(row, rules, gap * size, lambda glyphs: _written_out(read(seen(glyphs)))) for gap in (CELL_GAP, WORD_GAP)
    )
    if cells:
        bold = looks.is_bold(row.glyphs[0][0]) and looks.is_bold(row.glyphs[-1][0])
        yield Line(cells, main[4], main[5], size, pieces, bold)


def from_its_start(line: Line, width: float | None) -> Line:
    """Return a line so that what is read first stands left. width: that of a page that is read from the right."""
    if line.mirror is not None:
        line = _mirrored(line, line.mirror)
    return line if width is None else _mirrored(line, width)


def _mirrored(line: Line, width: float) -> Line:
    turned = [
        [Segment(segment.text, width - segment.right, width - segment.left) for segment in reversed(segments)]
        for segments in (line.segments, line.pieces)
    ]
    return replace(line, segments=turned[0], pieces=turned[1])


def mirrored_grid(grid: Grid, width: float) -> Grid:
    return Grid(tuple(width - x for x in reversed(grid.xs)), grid.ys, [row[::-1] for row in grid.cells])


def _split(
    row: Row,
    rules: Sequence[float],
    gap: float,
    read: Callable[[Sequence[Glyph]], str],
) -> list[Segment]:
    """Return the texts between gaps, from left to right. What was left out is no gap."""
    parts: list[list[Glyph]] = [[]]
    right = row.left
    left_out = [glyph for glyph in row.written if glyph[1] == 32 and glyph[3] > glyph[2]]
    for glyph in sorted([*row.glyphs, *left_out], key=lambda glyph: glyph[2] + glyph[3]):
        if parts[-1] and (glyph[2] - right > gap or any(right - 1 <= x <= glyph[2] + 1 for x in rules)):
            parts.append([])
        if glyph[1] != 32:
            parts[-1].append(glyph)
        right = max(right, glyph[3])
    segments = []
    for part in filter(None, parts):
        text = clean_line(read(part))
        if text:
            segments.append(Segment(text, part[0][2], max(glyph[3] for glyph in part)))
    return segments


def _seen(
    glyphs: Sequence[Glyph], *, spaces: Sequence[float], levels: Mapping[tuple[float, float], int], size: float
) -> list[str]:
    """Return what stands there from left to right: letters with points and signs of levels, and spaces."""
    seen: list[str] = []
    place = glyphs[0][2], glyphs[0][2]
    points = ""
    for _, code, left, right, bottom, top in glyphs:
        character = _plain(code)
        if unicodedata.combining(character[0]):
            if seen and left + right < 2 * place[1] - _POINT * size:
                seen[-1] += character
            else:
                points += character
            continue
        if seen and place == (left, right):
            seen[-1] = _ligature(seen[-1], character)
            continue
        between = bisect_left(spaces, place[1] - _POINT * size) < bisect_right(spaces, left + _POINT * size)
        if seen and (left - place[1] > _SPACE * size or between):
            seen.append(" ")
        seen.append(character + points + _SIGNS[levels[bottom, top]])
        place, points = (left, right), ""
    return seen


def _written_out(text: str) -> str:
    """Return a text with what is raised and lowered in it written out."""
    for sign, mark in ((_RAISED, superscript), (_LOWERED, subscript)):
        text = regex.sub(rf"(?:[^{_RAISED}{_LOWERED}]\p{{M}}*{sign})+", partial(_marked, sign, mark), text)
    return write_out(text)


def _marked(sign: str, mark: Callable[[str], str], found: "regex.Match[str]") -> str:
    return mark(found[0].replace(sign, ""))


def _plain(code: int) -> str:
    """Return a character without presentation form."""
    if any(first <= code <= last for first, last in _FORMS):
        return unicodedata.normalize("NFKC", chr(code))
    return "-" if code in (0x02, 0xAD, 0xFFFE) else chr(code)


def _ligature(before: str, character: str) -> str:
    """Return two letters that are one glyph; a lam stands before its alef."""
    return character + before if before in _ALEFS and character == _LAM else before + character


def _read(seen: Sequence[str], *, right_to_left: bool, arabic: bool) -> str:
    """Return what is seen from left to right in the order in which it is read."""
    if right_to_left:
        return _with_brackets(_read_from_right(seen, arabic=arabic))
    strong = [at for at, part in enumerate(seen) if is_right_to_left(part[0])]
    read: list[str] = []
    at = 0
    while strong:
        start = end = strong[0]
        for other in strong[1:]:
            if any(part[0].isalpha() and not is_right_to_left(part[0]) for part in seen[end:other]):
                break
            end = other
        read += [*seen[at:start], _read_from_right(seen[start : end + 1], arabic=arabic)]
        at = end + 1
        strong = [other for other in strong if other >= at]
    return _with_brackets("".join([*read, *seen[at:]])) if read else "".join(seen)


def _read_from_right(seen: Sequence[str], *, arabic: bool) -> str:
    """Return the parts from right to left, but words of other scripts and numbers from left to right."""
    text = "".join(part[0] for part in seen)
    read: list[str] = []
    at = 0
    runs = [(run.start(), run.end()) for run in _RUNS[arabic].finditer(text)]
    for start, end in [*runs, (len(seen), len(seen))]:
        read += seen[at:start]
        if start < end:
            read.append("".join(seen[start:end]))
        at = end
    return "".join(reversed(read))


def _with_brackets(text: str) -> str:
    """Turn brackets that face away from what they enclose; some programs name them as they look, some as meant."""
    text = _BRACKET.sub(lambda found: _towards_text(found, text), text)
    return _IN_BRACKETS.sub("", text)


def _towards_text(found: "regex.Match[str]", text: str) -> str:
    bracket = found[0]
    opening, closing = sorted((bracket, bracket.translate(_TURNED)), key="([{<«‹)]}>»›".index)
    before, behind = text[: found.start()], text[found.end() :]
    if not before or (before[-1].isspace() and behind[:1].strip()):
        return opening
    if not behind or (behind[0].isspace() and before[-1].strip()):
        return closing
    opened = sum(map(before.count, (opening, closing))) % 2
    return closing if opened else opening
