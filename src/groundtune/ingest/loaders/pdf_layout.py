"""Turn lines of PDF pages into headings, paragraphs and table rows, by position and size alone. Never reads a file."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from groundtune.ingest.loaders.pdf_reading_order import in_reading_order, right_margin
from groundtune.ingest.loaders.pdf_tables import RuledTable, Table, group_lines
from groundtune.ingest.loaders.pdf_types import Line, Page, Vocabulary, without_bullet
from groundtune.ingest.parsed import TextBuilder
from groundtune.ingest.table_shapes import TableRow
from groundtune.languages.segmentation import is_unspaced

_HEADING = 1.12
"""Font size, relative to the body text, from which a short line is a heading."""
_MAX_HEADING = 160
_MAX_LEVELS = 4
_FULL_STOPS = (".", "。", "।", "۔")
_FOOTNOTE = 0.92
"""Font size, relative to the body text, up to which the last paragraphs of a page are footnotes."""
_NARROW = 0.5
"""Share of the page's width up to which lines below each other are a list."""
_LOOSE = 1.35
"""Distance between lines, relative to the usual one, above which a paragraph ends."""
_LOOSER = 1.7
"""The same for a sentence that goes on in the next line."""
_SPACED = 1.5
"""Distance between lines, in font sizes, from which they may be paragraphs although all lines stand so far apart."""
_LIST_ITEM = re.compile(r"([-*•‣▪◦●○■–—·]|\(?\d{1,2}[.)]|\(?[a-zA-Z][.)])(\s|$)")
_SENTENCE_END = re.compile(r"[.!?:;…。！？؟۔।][\"'”’»«“)\]」』]*$")


@dataclass(frozen=True, slots=True)
class _Measures:
    """Typical sizes and distances of a document and a page."""

    levels: dict[float, int]
    """Font size -> heading level."""
    leading: dict[float, float]
    """Font size -> usual distance between lines, from bottom to bottom."""
    bold: int | None
    """Level of a bold line that stands alone; None if bold type is too common to indicate a heading."""
    margin: float | None
    """Right edge of the prose; None on a page with columns."""


@dataclass(frozen=True, slots=True)
class _Block:
    """A heading, a paragraph or a table row of a page."""

    text: str
    lines: Sequence[Line] = ()
    level: int | None = None
    """Level of a heading."""
    row: TableRow | None = None
    right: float = 0.0
    """Where the full lines of a paragraph end."""


def add_pages(builder: TextBuilder, pages: Sequence[Page]) -> str | None:
    """Add the blocks of all pages. Return the title: the first top heading, when it is on the first page."""
    vocabulary = Vocabulary(pages)
    body = _body_size(pages)
    blocks_by_page = list(_blocks_by_page(pages, vocabulary, body))
    carried: tuple[str, list[int]] | None = None
    for number, (page, blocks) in enumerate(zip(pages, blocks_by_page, strict=True)):
        following = blocks_by_page[number + 1] if number + 1 < len(pages) else []
        last = _last_of_body(blocks, body)
        goes_on = last is not None and bool(following) and _continues(blocks[last], following[0])
        if carried is not None:
            text, breaks = carried
            joined = vocabulary.join_lines(text, blocks[0].text)
            carried = joined, [*breaks, len(joined) - len(blocks[0].text)]
            blocks = blocks[1:]
            if last == 0 and goes_on:
                continue
            builder.paragraph(carried[0], page_breaks=carried[1])
            carried, last = None, None if last is None else last - 1
        else:
            builder.page()
        for text in page.furniture:
            builder.paragraph(text)
        for at, block in enumerate(blocks):
            if goes_on and at == last:
                carried = block.text, []
            else:
                _write(builder, block)
    if repeated := sum(page.repeated for page in pages):
        builder.note("page_furniture", count=repeated)
    return next((block.text for block in blocks_by_page[0] if block.level == 1), None)


def _write(builder: TextBuilder, block: _Block) -> None:
    if block.row is not None:
        if block.row.unnamed:
            builder.note("no_header")
        builder.row(block.row.cells, block.row.names)
    elif block.level is not None:
        builder.heading(block.level, block.text)
    else:
        builder.paragraph(block.text)


def _blocks_by_page(pages: Sequence[Page], vocabulary: Vocabulary, body: float) -> Iterator[list[_Block]]:
    levels = _levels(pages, body)
    bold = _bold_level(pages, levels)
    table: Table | RuledTable | None = None
    lines_by_page = [in_reading_order(page, vocabulary) for page in pages]
    for page, lines, following in zip(pages, lines_by_page, [*lines_by_page[1:], []], strict=True):
        measures = _Measures(levels, _leading(lines), bold, right_margin(page))
        blocks: list[_Block] = []
        run: list[Line] = []
        parts, table = group_lines(lines, table, following)
        for part in [*parts, None]:
            if isinstance(part, Line):
                run.append(part)
                continue
            blocks += _prose(run, vocabulary, measures)
            run = []
            if part is not None:
                blocks.append(_Block("", row=part))
        yield blocks


def _prose(lines: Sequence[Line], vocabulary: Vocabulary, measures: _Measures) -> Iterator[_Block]:
    """Yield the headings and paragraphs between two tables."""
    for block in _paragraphs(lines, measures):
        text = _join(block, vocabulary, measures.margin)
        level = measures.levels.get(block[0].size)
        if level is None and measures.bold is not None and _is_bold_heading(block):
            level = measures.bold
        if level is None or len(text) > _MAX_HEADING or not _is_wordy(text):
            yield _Block(without_bullet(text), block, right=_right(block, measures.margin))
        else:
            yield _Block(text, block, level)


def _last_of_body(blocks: Sequence[_Block], body: float) -> int | None:
    """Return the index of the paragraph that a page ends with, above its footnotes; None if it ends otherwise."""
    for at in reversed(range(len(blocks))):
        block = blocks[at]
        if block.row is not None or block.level is not None:
            return None
        if block.lines[0].size > _FOOTNOTE * body:
            return at
    return None


def _continues(block: _Block, following: _Block) -> bool:
    """Return whether a paragraph goes on at the top of the next page."""
    if following.row is not None or following.level is not None:
        return False
    before, line = block.lines[-1], following.lines[0]
    if abs(before.size - line.size) > 0.08 * before.size or before.bold != line.bold or _LIST_ITEM.match(line.text):
        return False
    if _SENTENCE_END.search(before.text):
        return False
    return not _ends_early(before, line, block.right)


def _is_wordy(text: str) -> bool:
    """Return whether the text is mostly letters: not a sum, a bar code or a number in large type."""
    seen = [character for character in text if not character.isspace()]
    return 2 * sum(map(str.isalpha, seen)) > len(seen)


def _body_size(pages: Sequence[Page]) -> float:
    """Return the font size of most of the text, that of ruled tables only where there are no sentences."""
    everything: Counter[float] = Counter()
    outside: Counter[float] = Counter()
    sentences = set()
    for page in pages:
        for line in page.lines:
            everything[line.size] += len(line.text)
            if not any(grid.row_at(line.middle) is not None for grid in page.grids):
                outside[line.size] += len(line.text)
                if line.text.endswith(_FULL_STOPS):
                    sentences.add(line.size)
    weight = {size: outside[size] for size in sentences} or everything
    return max(weight, key=lambda size: weight[size], default=0.0)


def _levels(pages: Sequence[Page], body: float) -> dict[float, int]:
    """Return font size -> heading level; empty if large type is too common to indicate a heading."""
    weight: Counter[float] = Counter()
    headings: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            weight[line.size] += len(line.text)
            headings[line.size] += _is_wordy(line.text)
    large = sorted((size for size in weight if size >= _HEADING * body and headings[size]), reverse=True)
    if sum(weight[size] for size in large) > 0.3 * weight.total():
        return {}
    return {size: min(rank, _MAX_LEVELS) for rank, size in enumerate(large, start=1)}


def _bold_level(pages: Sequence[Page], levels: dict[float, int]) -> int | None:
    total = sum(len(line.text) for page in pages for line in page.lines)
    bold = sum(len(line.text) for page in pages for line in page.lines if line.bold)
    return max(levels.values(), default=0) + 1 if bold <= 0.25 * total else None


def _is_bold_heading(block: Sequence[Line]) -> bool:
    text = block[0].text
    return (
        len(block) == 1 and block[0].bold and len(block[0].segments) == 1 and text[-1] not in ".:;,!" and len(text) > 3
    )


def _leading(lines: Sequence[Line]) -> dict[float, float]:
    """Return the smallest common distance between lines, by font size."""
    steps_by_size: dict[float, Counter[float]] = {}
    for before, line in pairwise(lines):
        step = before.bottom - line.bottom
        if before.size == line.size and 0.8 * line.size < step < 2.2 * line.size:
            steps_by_size.setdefault(line.size, Counter())[round(step * 2) / 2] += 1
    usual = {}
    for size, steps in steps_by_size.items():
        common = 0.3 * max(steps.values())
        usual[size] = min(step for step, times in steps.items() if times >= common)
    return usual


def _paragraphs(lines: Sequence[Line], measures: _Measures) -> Iterator[list[Line]]:
    block: list[Line] = []
    for line in lines:
        if block and _starts_paragraph(block, line, measures):
            yield block
            block = []
        block.append(line)
    if block:
        yield block


def _starts_paragraph(block: list[Line], line: Line, measures: _Measures) -> bool:
    """Return whether `line` starts a new paragraph."""
    before = block[-1]
    step = before.bottom - line.bottom
    if measures.levels.get(before.size) != measures.levels.get(line.size):
        return True
    if abs(before.size - line.size) > 0.15 * before.size or _LIST_ITEM.match(line.text):
        return True
    if before.bold != line.bold and (len(block) == 1 or line.bold):
        return True
    if (
        _LIST_ITEM.match(block[0].text)
        and line.left < block[0].left + 0.3 * line.size
        and _was_broken(block, line, measures)
    ):
        return True
    if step < 0:  # the next column: the sentence decides
        return bool(_SENTENCE_END.search(before.text)) or not line.text[0].islower()
    usual = measures.leading.get(line.size, 1.25 * line.size)
    if step > _LOOSER * usual or (step > _LOOSE * usual and not _runs_on(block, line, measures)):
        return True
    if step > _SPACED * line.size and _ends_before_space(block, line, measures):
        return True
    if len(block) > 1 and line.left > before.left + line.size and before.left <= block[0].left + 1:
        return True  # indented first line
    right = max(other.right for other in block)
    return bool(_SENTENCE_END.search(before.text)) and before.right < right - 0.12 * (right - before.left)


def _runs_on(block: list[Line], line: Line, measures: _Measures) -> bool:
    """Return whether a sentence fills its line and goes on in `line`; marks above and below lines move them apart."""
    return (
        line.text[0].islower() and not _SENTENCE_END.search(block[-1].text) and not _was_broken(block, line, measures)
    )


def _ends_before_space(block: list[Line], line: Line, measures: _Measures) -> bool:
    """Return whether a heading or a sentence ends before the white space above `line`."""
    broken = _was_broken(block, line, measures)
    if measures.levels.get(line.size) is not None:
        return broken or block[-1].bottom - line.bottom > _LOOSE * 1.25 * line.size
    return broken and bool(_SENTENCE_END.search(block[-1].text))


def _join(block: list[Line], vocabulary: Vocabulary, margin: float | None) -> str:
    """Join the lines of a paragraph as running text; a line with room for the next word keeps its break."""
    right = _right(block, margin)
    text = block[0].text
    for before, line in pairwise(block):
        text = f"{text}\n{line.text}" if _has_room(before, line, right) else vocabulary.join_lines(text, line.text)
    return text


def _was_broken(block: list[Line], line: Line, measures: _Measures) -> bool:
    return _has_room(block[-1], line, _right([*block, line], measures.margin))


def _right(block: list[Line], margin: float | None) -> float:
    """Return where full lines of a paragraph end: at its own edge for prose, at the page's margin for a few lines and
    for those that leave half of the page free. A text without spaces is broken anywhere: there its own edge holds.
    """
    left, right = min(line.left for line in block), max(line.right for line in block)
    full = sum(line.right > right - 0.15 * (right - left) for line in block[:-1])
    prose = len(block) >= 4 and full >= 0.6 * (len(block) - 1)
    if margin is None or (prose and right - left > _NARROW * (margin - left)) or is_unspaced(block[0].text[-1]):
        return right
    return max(right, margin)


def _has_room(before: Line, line: Line, right: float) -> bool:
    """Return whether the first word of `line` would fit on the line before; a centred line has room on both sides."""
    return before.bottom > line.bottom and _ends_early(before, line, right)


def _ends_early(before: Line, line: Line, right: float) -> bool:
    if before.text[-1] == "-" and line.text[0].islower():
        return False
    letter = (before.right - before.left) / max(1, len(before.text))
    word = line.text.split(" ", 1)[0]
    centred = abs(before.left + before.right - line.left - line.right) < 0.5 * before.size
    sides = 2 if centred and abs(before.left - line.left) > 0.5 * before.size else 1
    return sides * (right - before.right) > letter * (len(word) + 3)
