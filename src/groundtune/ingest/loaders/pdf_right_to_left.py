"""Read pages with Hebrew, Arabic or another script that runs from right to left: their glyphs in the order of speech.

A PDF says where each glyph stands, not in which order they are read. Here the glyphs of a row are taken as they are
seen and put in the order that the rules for mixed text (Unicode Standard Annex 9) must have had before them.
"""

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import regex

from groundtune.ingest.loaders.pdf_types import CELL_GAP, WORD_GAP, Glyph, Grid, Line, Segment
from groundtune.ingest.parsed import clean_line

_SPACE = 0.25
"""Gap, in font sizes, from which two glyphs are parts of two words, although no space was written there."""
_POINT = 0.05
"""Distance, in font sizes, to which a glyph may reach into the place of its neighbour."""
_SCRIPT = regex.compile(r"[\p{Bidi_Class=R}\p{Bidi_Class=AL}]")
_STARTS_RIGHT_TO_LEFT = 0x0590
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
_BRACKET = regex.compile(r"[()\[\]{}<>«»‹›]")


def has_right_to_left(codes: Iterable[int]) -> bool:
    """Return whether there is a letter of such a script among the code units."""
    return any(code >= _STARTS_RIGHT_TO_LEFT and is_right_to_left(chr(code)) for code in {*codes})


def is_arabic(text: str) -> bool:
    """Return whether some letter is of the Arabic script or one written like it."""
    return any(unicodedata.bidirectional(character) == "AL" for character in {*text})


def is_right_to_left(character: str) -> bool:
    return unicodedata.bidirectional(character) in ("R", "AL")


def is_mostly_right_to_left(text: str) -> bool:
    """Return whether most of the letters are of such a script."""
    letters = [character for character in text if character.isalpha()]
    return 2 * sum(map(is_right_to_left, letters)) > len(letters)


def lines(
    glyphs: Iterable[Glyph],
    *,
    mostly: bool,
    arabic: bool,
    grids: Sequence[Grid] = (),
    size_of: Callable[[int], float],
    is_bold: Callable[[int], bool],
    space_at: Callable[[int], float | None],
) -> Iterator[Line]:
    """Yield the lines of a page, their cells from left to right.

    mostly: whether most of the page is such text. arabic: whether some of it is Arabic. space_at: where a space was
    written; None if it was only guessed.
    """
    for row, white in _rows(glyphs):
        size = size_of(row[0][0])
        written = "".join(chr(glyph[1]) for glyph in row)
        first = is_mostly_right_to_left(written) or (mostly and not _is_foreign(written))
        in_place = sorted(row, key=lambda glyph: (glyph[2] + glyph[3], glyph[0]))
        spaces = sorted(at for at in map(space_at, white) if at is not None)
        middle = 0.5 * (row[0][4] + row[0][5])
        rules = [x for grid in grids for x in grid.splits_at(middle)]
        read = partial(_read, right_to_left=first, arabic=arabic)
        cells, pieces = (_split(in_place, rules, spaces, gap * size, size, read) for gap in (CELL_GAP, WORD_GAP))
        if cells:
            bottom, top = min(glyph[4] for glyph in row), max(glyph[5] for glyph in row)
            yield Line(cells, bottom, top, size, pieces, is_bold(row[0][0]) and is_bold(row[-1][0]))


def _is_foreign(text: str) -> bool:
    """Return whether all letters are of scripts that run from left to right."""
    letters = [character for character in text if character.isalpha()]
    return bool(letters) and not any(map(is_right_to_left, letters))


def mirrored(line: Line, width: float) -> Line:
    """Return a line as in a mirror, so that what is read first stands left as on other pages."""
    turned = [
        [Segment(segment.text, width - segment.right, width - segment.left) for segment in reversed(segments)]
        for segments in (line.segments, line.pieces)
    ]
    return replace(line, segments=turned[0], pieces=turned[1])


def mirrored_grid(grid: Grid, width: float) -> Grid:
    return Grid(tuple(width - x for x in reversed(grid.xs)), grid.ys, [row[::-1] for row in grid.cells])


def _rows(glyphs: Iterable[Glyph]) -> Iterator[tuple[list[Glyph], list[int]]]:
    """Yield the glyphs written one after the other at one height, and the indexes of the spaces among them."""
    row: list[Glyph] = []
    white: list[int] = []
    bottom = top = 0.0
    for glyph in glyphs:
        if glyph[1] == 32:
            white.append(glyph[0])
            continue
        shared = min(top, glyph[5]) - max(bottom, glyph[4])
        if row and shared <= 0.5 * min(top - bottom, glyph[5] - glyph[4]):
            yield row, white
            row, white = [], []
        if not row:
            bottom, top = glyph[4], glyph[5]
        row.append(glyph)
    if row:
        yield row, white


def _split(
    glyphs: Sequence[Glyph],
    rules: Sequence[float],
    spaces: Sequence[float],
    gap: float,
    size: float,
    read: Callable[[list[str]], str],
) -> list[Segment]:
    """Return the texts between gaps, from left to right."""
    parts = [[glyphs[0]]]
    right = glyphs[0][3]
    for glyph in glyphs[1:]:
        if glyph[2] - right > gap or any(right - 1 <= x <= glyph[2] + 1 for x in rules):
            parts.append([])
        parts[-1].append(glyph)
        right = max(right, glyph[3])
    segments = []
    for part in parts:
        text = clean_line(read(_seen(part, spaces, size)))
        if text:
            segments.append(Segment(text, part[0][2], max(glyph[3] for glyph in part)))
    return segments


def _seen(glyphs: Sequence[Glyph], spaces: Sequence[float], size: float) -> list[str]:
    """Return what stands there from left to right: letters with their points, and spaces."""
    seen: list[str] = []
    place = glyphs[0][2], glyphs[0][2]
    points = ""
    for _, code, left, right, _, _ in glyphs:
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
        seen.append(character + points)
        place, points = (left, right), ""
    return seen


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
