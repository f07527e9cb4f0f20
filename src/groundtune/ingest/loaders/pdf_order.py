"""Lines of a PDF page from the order of its content to the order of reading. Never changes a line's words.

Many programs write a page out of order (titles last, cells column by column), few write columns of prose row by row.
So: cells that were written one after the other become one line, prose in columns stays as it is written, and on any
other page what stands higher comes first.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from groundtune.ingest.loaders.pdf_lines import Line, Page, Segment, Words

_BAND = 6
"""Lines that a table cell may have; more side by side are the columns of a page."""
_RULE = re.compile(r"[-–—=_*·.•\s]{3,}")


def arranged(page: Page, words: Words) -> list[Line]:
    """Lines in reading order; cells of one row are one line; drawn rules are left out."""
    written = [line for line in _upright(page.lines) if not _RULE.fullmatch(line.text)]
    lines = _side_by_side(written, words)
    if _in_columns(lines):
        return lines
    lines.sort(key=lambda line: -line.top)
    return _one_line_each(lines)


def margin(page: Page) -> float | None:
    """Where lines of prose end on a page with one column of it; None when there are more."""
    if not page.lines or _in_columns(page.lines):
        return None
    return max(line.right for line in page.lines)


def _upright(lines: Sequence[Line]) -> Iterable[Line]:
    """Text that runs up the page comes as lines of one character each: these become one line again."""
    run: list[Line] = []
    for line in lines:
        single = len(line.text) == 1 and not (run and abs(run[-1].left - line.left) > line.size)
        if single:
            run.append(line)
            continue
        yield from _turned(run)
        run = []
        yield line
    yield from _turned(run)


def _turned(run: list[Line]) -> list[Line]:
    if len(run) < 6:
        return run
    text = "".join(line.text for line in run)
    bottom, top = min(line.bottom for line in run), max(line.top for line in run)
    return [Line([Segment(text, run[0].left, run[0].right)], bottom, top, run[0].size)]


def _in_columns(lines: Sequence[Line]) -> bool:
    """Whether the text goes up again by many lines to go on to the right of where it was."""
    start = 0
    for at in range(1, len(lines)):
        line, before = lines[at], lines[at - 1]
        if line.top <= before.top + 1:
            continue
        beside = [one for one in lines[start:at] if one.bottom < line.top + line.size]
        if len(beside) > _BAND and all(one.right < line.left + line.size for one in beside[-_BAND:]):
            return True
        start = at
    return False


def _side_by_side(lines: Sequence[Line], words: Words) -> list[Line]:
    """Cells that were written one below the other, then back up to the next cell, become one line of cells."""
    out: list[Line] = []
    for line in lines:
        if out and _goes_back(out[-1], line):
            band = _band(out, line)
            if band:
                del out[len(out) - len(band) :]
                out.append(_merged(band, line, words))
                continue
        elif out and _continues_cell(out[-1], line):
            before = out[-1]
            last = before.segments[-1]
            joined = Segment(words.join(last.text, line.text), last.left, max(last.right, line.right))
            out[-1] = Line(
                [*before.segments[:-1], joined],
                min(before.bottom, line.bottom),
                before.top,
                before.size,
                bold=before.bold,
            )
            continue
        out.append(line)
    return out


def _goes_back(before: Line, line: Line) -> bool:
    """Whether the line may be the next cell of a row: higher than where the last one ended, or beside it."""
    if abs(before.size - line.size) > 0.12 * line.size:
        return False
    beside = line.left > before.right and min(before.top, line.top) - max(before.bottom, line.bottom) > 0.5 * line.size
    return line.top > before.top + 1 or beside


def _band(out: list[Line], line: Line) -> list[Line]:
    """The last lines that stand left of `line` and not above it: the cells before it in its row."""
    if len(out[-1].segments) > 1:  # the row has begun
        band = [out[-1]]
    else:
        band = []
        for before in reversed(out):
            if before.top > line.top + 0.3 * line.size or len(before.segments) > 1 or len(band) > _BAND:
                break
            band.insert(0, before)
        band = _whole_cell(out, band, line)
    if not band or len(band) > _BAND or any(one.right > line.left for one in band):
        return []
    touches = line.bottom <= band[0].top + 0.1 * line.size and line.top >= band[-1].bottom
    return band if touches else []


def _whole_cell(out: list[Line], band: list[Line], line: Line) -> list[Line]:
    """`band` with the lines above it when `line` stands at half the height of all of them: a centred cell."""
    whole = list(band)
    for before in reversed(out[: len(out) - len(band)]):
        if not whole or len(before.segments) > 1 or abs(before.left - whole[0].left) > 0.5 * line.size:
            break
        if before.bottom - whole[0].top > 0.35 * line.size or len(whole) >= _BAND:
            break
        whole.insert(0, before)
    centred = whole and abs(whole[0].top + whole[-1].bottom - line.top - line.bottom) < 1.2 * line.size
    return whole if centred else band


def _merged(band: list[Line], line: Line, words: Words) -> Line:
    segments = list(band[0].segments)
    for one in band[1:]:
        last = segments[-1]
        joined = words.join(last.text, one.text)
        segments[-1] = Segment(joined, min(last.left, one.left), max(last.right, one.right))
    bottom, top = min(band[-1].bottom, line.bottom), max(band[0].top, line.top)
    return Line([*segments, *line.segments], bottom, top, band[0].size, bold=band[0].bold and line.bold)


def _continues_cell(before: Line, line: Line) -> bool:
    """The next line of the last cell of a row: right of all the cells before it, close below."""
    if len(before.segments) < 2 or len(line.segments) > 1 or line.top > before.top:
        return False
    close = before.bottom - line.top < 0.5 * line.size
    return close and line.left > before.segments[-2].right and abs(line.left - before.segments[-1].left) < line.size


def _one_line_each(lines: Sequence[Line]) -> list[Line]:
    """Lines at the same height that do not overlap are one line."""
    out: list[Line] = []
    for line in lines:
        before = out[-1] if out else None
        if before is None or abs(before.size - line.size) > 0.12 * line.size or not _level(before, line):
            out.append(line)
            continue
        cells = sorted([*before.segments, *line.segments], key=lambda one: one.left)
        if any(one.right > other.left + 1 for one, other in pairwise(cells)):
            out.append(line)
            continue
        pieces = sorted([*before.pieces, *line.pieces], key=lambda one: one.left)
        bottom, top = min(before.bottom, line.bottom), max(before.top, line.top)
        out[-1] = Line(cells, bottom, top, before.size, pieces, before.bold and line.bold)
    return out


def _level(before: Line, line: Line) -> bool:
    shared = min(before.top, line.top) - max(before.bottom, line.bottom)
    return shared > 0.6 * min(before.top - before.bottom, line.top - line.bottom)
