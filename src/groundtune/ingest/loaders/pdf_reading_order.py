"""Bring the lines of a PDF page from content order into reading order. Never changes a line's words.

Many programs write a page out of order (titles last, cells column by column), few write columns of prose row by row.
So cells written one after the other become one line, prose in columns keeps its written order, and any other page is
sorted from top to bottom.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from groundtune.ingest.loaders.pdf_grids import with_grids
from groundtune.ingest.loaders.pdf_types import Line, Page, Segment, Vocabulary

_BAND = 6
"""Maximum number of lines in a table cell; more lines side by side are columns of the page."""
_UPRIGHT_LETTERS = 6
"""Letters below each other that are one text."""
_TURNED_LETTERS = 2
"""The same for letters that lie on their side."""
_WORD = 0.15
"""Gap between two words of such a text, in font sizes."""
_SHORT = 0.7
"""Share of the width between equal margins that the lines of a page take at least."""
_RULE = re.compile(r"[-–—=_*·.•\s]{3,}")


def in_reading_order(page: Page, vocabulary: Vocabulary) -> list[Line]:
    """Return the lines in reading order; the cells of a row become one line, drawn rules are left out."""
    placed = with_grids(page.lines, page.grids, vocabulary)
    written = [line for line in _upright(placed) if line.grid or not _RULE.fullmatch(line.text)]
    lines = _merge_cells(written, vocabulary)
    if _in_columns(lines):
        return lines
    lines.sort(key=lambda line: -line.top)
    return _merge_level(lines)


def right_margin(page: Page) -> float | None:
    """Return where lines of prose end on a single-column page; None if there are more columns.

    That is where the longest line ends, or as far as the lines could go if all of them are short.
    """
    if not page.lines or _in_columns(page.lines):
        return None
    left = min(line.left for line in page.lines)
    return max(max(line.right for line in page.lines), left + _SHORT * (page.width - 2 * left))


def _upright(lines: Sequence[Line]) -> Iterable[Line]:
    """Merge text that runs up the page, one character per line, into single lines."""
    run: list[Line] = []
    for line in lines:
        single = len(line.text) == 1 and not line.grid and not (run and abs(run[-1].left - line.left) > line.size)
        if single:
            run.append(line)
            continue
        yield from _merge_upright(run)
        run = []
        yield line
    yield from _merge_upright(run)


def _merge_upright(run: list[Line]) -> list[Line]:
    turned = all(line.top - line.bottom < line.right - line.left for line in run)
    if len(run) < (_TURNED_LETTERS if turned else _UPRIGHT_LETTERS):
        return run
    text = run[0].text
    for before, line in pairwise(run):
        apart = max(line.bottom - before.top, before.bottom - line.top) > _WORD * line.size
        text += f" {line.text}" if turned and apart else line.text
    bottom, top = min(line.bottom for line in run), max(line.top for line in run)
    return [Line([Segment(text, run[0].left, run[0].right)], bottom, top, run[0].size)]


def _in_columns(lines: Sequence[Line]) -> bool:
    """Return whether the text jumps up by many lines and continues to the right of where it was."""
    start = 0
    for at in range(1, len(lines)):
        line, before = lines[at], lines[at - 1]
        if line.top <= before.top + 1:
            continue
        beside = [earlier for earlier in lines[start:at] if earlier.bottom < line.top + line.size]
        if len(beside) > _BAND and all(earlier.right < line.left + line.size for earlier in beside[-_BAND:]):
            return True
        start = at
    return False


def _merge_cells(lines: Sequence[Line], vocabulary: Vocabulary) -> list[Line]:
    """Merge cells written one below the other, then back up for the next cell, into one line of cells."""
    out: list[Line] = []
    for line in lines:
        if out and (line.grid or out[-1].grid):
            out.append(line)
            continue
        if out and _goes_back(out[-1], line):
            band = _band(out, line)
            if band:
                del out[len(out) - len(band) :]
                out.append(_merged(band, line, vocabulary))
                continue
        elif out and _continues_cell(out[-1], line):
            before = out[-1]
            last = before.segments[-1]
            joined = Segment(vocabulary.join_lines(last.text, line.text), last.left, max(last.right, line.right))
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
    """Return whether the line may be the next cell of a row: higher than the end of the last one, or beside it."""
    if abs(before.size - line.size) > 0.12 * line.size:
        return False
    beside = line.left > before.right and min(before.top, line.top) - max(before.bottom, line.bottom) > 0.5 * line.size
    return line.top > before.top + 1 or beside


def _band(out: list[Line], line: Line) -> list[Line]:
    """Return the last lines left of `line` and not above it: the cells before it in its row."""
    if len(out[-1].segments) > 1:  # the row has begun
        band = [out[-1]]
    else:
        band = []
        for before in reversed(out):
            apart = bool(band) and before.bottom - band[0].top > line.size
            apart = apart or before.grid is not None or len(before.segments) > 1 or len(band) > _BAND
            if apart or before.top > line.top + 0.3 * line.size:
                break
            band.insert(0, before)
        band = _whole_cell(out, band, line)
    if not band or len(band) > _BAND or any(cell.right > line.left for cell in band):
        return []
    touches = line.bottom <= band[0].top + 0.1 * line.size and line.top >= band[-1].bottom
    return band if touches else []


def _whole_cell(out: list[Line], band: list[Line], line: Line) -> list[Line]:
    """Extend `band` by the lines above it if `line` is centred vertically against all of them."""
    extended = list(band)
    for before in reversed(out[: len(out) - len(band)]):
        if before.grid or not extended or len(before.segments) > 1:
            break
        if abs(before.left - extended[0].left) > 0.5 * line.size:
            break
        if before.bottom - extended[0].top > 0.35 * line.size or len(extended) >= _BAND:
            break
        extended.insert(0, before)
    centred = extended and abs(extended[0].top + extended[-1].bottom - line.top - line.bottom) < 1.2 * line.size
    return extended if centred else band


def _merged(band: list[Line], line: Line, vocabulary: Vocabulary) -> Line:
    segments = list(band[0].segments)
    for cell in band[1:]:
        last = segments[-1]
        joined = vocabulary.join_lines(last.text, cell.text)
        segments[-1] = Segment(joined, min(last.left, cell.left), max(last.right, cell.right))
    bottom, top = min(band[-1].bottom, line.bottom), max(band[0].top, line.top)
    return Line([*segments, *line.segments], bottom, top, band[0].size, bold=band[0].bold and line.bold)


def _continues_cell(before: Line, line: Line) -> bool:
    """Return whether the line continues the last cell of a row: to the right of all cells before it and close below the
    last line.
    """
    if len(before.segments) < 2 or len(line.segments) > 1 or line.top > before.top:
        return False
    close = before.bottom - line.top < 0.5 * line.size
    return close and line.left > before.segments[-2].right and abs(line.left - before.segments[-1].left) < line.size


def _merge_level(lines: Sequence[Line]) -> list[Line]:
    """Merge lines at the same height that do not overlap."""
    out: list[Line] = []
    for line in lines:
        before = out[-1] if out else None
        if before is None or before.grid or line.grid:
            out.append(line)
            continue
        if abs(before.size - line.size) > 0.12 * line.size or not _same_height(before, line):
            out.append(line)
            continue
        cells = sorted([*before.segments, *line.segments], key=lambda segment: segment.left)
        if any(left.right > right.left + 1 for left, right in pairwise(cells)):
            out.append(line)
            continue
        pieces = sorted([*before.pieces, *line.pieces], key=lambda segment: segment.left)
        bottom, top = min(before.bottom, line.bottom), max(before.top, line.top)
        out[-1] = Line(cells, bottom, top, before.size, pieces, before.bold and line.bold)
    return out


def _same_height(before: Line, line: Line) -> bool:
    shared = min(before.top, line.top) - max(before.bottom, line.bottom)
    return shared > 0.6 * min(before.top - before.bottom, line.top - line.bottom)
