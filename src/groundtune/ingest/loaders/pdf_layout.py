"""Lines of PDF pages to headings, paragraphs and table rows, by their places and sizes alone. Never reads a file."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from groundtune.ingest.parsed import TextBuilder

_HEADING = 1.12
"""Font size, in sizes of the body, from which a short line is a heading."""
_MAX_HEADING = 160
_MAX_LEVELS = 4
_LOOSE = 1.35
"""Distance between lines, in the usual ones, from which a paragraph ends."""
_LIST_ITEM = re.compile(r"([-*•‣▪◦●○■–—·]|\(?\d{1,2}[.)]|\(?[a-zA-Z][.)])(\s|$)")
_MARKER = re.compile(r"([-*•‣▪◦●○■–—·]|\(?[\dA-Za-z]{1,3}[.)]|\d{1,2}(\.\d{1,2}){0,3}\.?)")
_SENTENCE_END = re.compile(r"[.!?:;…][\"'”’)\]]?$")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_HYPHENATED = re.compile(r"([^\W\d_]+)-$")


@dataclass(slots=True)
class Segment:
    """Text without a wide gap in it: a line of prose, or a cell."""

    text: str
    left: float
    right: float


@dataclass(slots=True)
class Line:
    """One line of a page, in points from the bottom left."""

    segments: list[Segment]
    bottom: float
    top: float
    size: float

    @property
    def left(self) -> float:
        return self.segments[0].left

    @property
    def right(self) -> float:
        return self.segments[-1].right

    @property
    def text(self) -> str:
        return " ".join(one.text for one in self.segments)


@dataclass(slots=True)
class Page:
    lines: list[Line]
    width: float
    height: float


class Words:
    """The words of a document: they tell whether a hyphen at the end of a line belongs to the word."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self._known: set[str] = set()
        for page in pages:
            for line in page.lines:
                self._known.update(word.lower() for word in _WORD.findall(line.text))

    def join(self, before: str, after: str) -> str:
        """Two lines as one; a word divided between them is made whole."""
        half = _HYPHENATED.search(before)
        rest = _WORD.match(after)
        if not half or not rest or not after[0].islower():
            return f"{before} {after}"
        whole, hyphenated = (half[1] + rest[0]).lower(), f"{half[1]}-{rest[0]}".lower()
        keep = hyphenated in self._known and whole not in self._known
        return (before if keep else before[:-1]) + after


def is_marker(text: str) -> bool:
    """A bullet or a number that belongs to the text after it."""
    return bool(_MARKER.fullmatch(text))


def write(builder: TextBuilder, pages: Sequence[Page]) -> str | None:
    """Blocks of all pages into `builder`. The title: the first heading of the highest level, on the first page."""
    from groundtune.ingest.loaders.pdf_table import Row, group

    words = Words(pages)
    levels = _levels(pages)
    title: str | None = None
    for number, page in enumerate(pages):
        builder.page()
        run: list[Line] = []
        for part in [*group(page.lines, words), None]:
            if isinstance(part, Line):
                run.append(part)
                continue
            for level, text in _blocks(run, words, levels):
                if level is None:
                    builder.paragraph(text)
                    continue
                builder.heading(level, text)
                if level == 1 and number == 0 and title is None:
                    title = text
            run = []
            if isinstance(part, Row):
                builder.row(part.cells, part.header)
    return title


def _levels(pages: Sequence[Page]) -> dict[float, int]:
    """Font size -> heading level. Empty when large type is too common to mean anything."""
    weight: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            weight[line.size] += len(line.text)
    if not weight:
        return {}
    body = weight.most_common(1)[0][0]
    large = sorted((size for size in weight if size >= _HEADING * body), reverse=True)
    if sum(weight[size] for size in large) > 0.3 * weight.total():
        return {}
    return {size: min(rank, _MAX_LEVELS) for rank, size in enumerate(large, start=1)}


def _blocks(lines: Sequence[Line], words: Words, levels: dict[float, int]) -> Iterator[tuple[int | None, str]]:
    """Heading level (None for a paragraph) and text."""
    leading = _leading(lines)
    for block in _paragraphs(lines, leading, levels):
        text = _join(block, words)
        level = levels.get(block[0].size)
        if level is not None and len(text) <= _MAX_HEADING and any(map(str.isalpha, text)):
            yield level, text.replace("\n", " ")
        else:
            yield None, text


def _leading(lines: Sequence[Line]) -> dict[float, float]:
    """Font size -> the usual distance between lines of that size, from bottom to bottom."""
    found: dict[float, Counter[float]] = {}
    for before, line in zip(lines, lines[1:], strict=False):
        step = before.bottom - line.bottom
        if before.size == line.size and 0.8 * line.size < step < 2.2 * line.size:
            found.setdefault(line.size, Counter())[round(step * 2) / 2] += 1
    return {size: min(step for step, n in steps.items() if n >= 0.3 * max(steps.values())) for size, steps in found.items()}


def _paragraphs(lines: Sequence[Line], leading: dict[float, float], levels: dict[float, int]) -> Iterator[list[Line]]:
    block: list[Line] = []
    for line in lines:
        if block and _ends(block, line, leading.get(line.size, 1.25 * line.size), levels):
            yield block
            block = []
        block.append(line)
    if block:
        yield block


def _ends(block: list[Line], line: Line, leading: float, levels: dict[float, int]) -> bool:
    """Whether `line` begins a new paragraph."""
    before = block[-1]
    step = before.bottom - line.bottom
    if levels.get(before.size) != levels.get(line.size):
        return True
    if abs(before.size - line.size) > 0.15 * before.size:
        return True
    if _LIST_ITEM.match(line.text):
        return True
    if step < 0:  # on to the next column: the sentence decides
        return bool(_SENTENCE_END.search(before.text)) or not line.text[0].islower()
    if step > _LOOSE * leading:
        return True
    if len(block) > 1 and line.left > before.left + line.size and before.left <= block[0].left + 1:
        return True  # indented first line
    right = max(one.right for one in block)
    return bool(_SENTENCE_END.search(before.text)) and before.right < right - 0.12 * (right - before.left)


def _join(block: list[Line], words: Words) -> str:
    """Lines of a paragraph as running text; a line that ends far from the margin was ended on purpose."""
    right = max(line.right for line in block)
    width = right - min(line.left for line in block)
    text = block[0].text
    for before, line in zip(block, block[1:], strict=False):
        short = before.right < right - 0.25 * width and before.bottom > line.bottom
        text = f"{text}\n{line.text}" if short else words.join(text, line.text)
    return text
