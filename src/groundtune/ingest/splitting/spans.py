"""Spans of one document, measured in tokens of the embedder: what every strategy of splitting is made of. Pure."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from groundtune.ingest.parsed import Block, ParsedDocument
from groundtune.languages.text import sentences, strip_span

CountTokens = Callable[[Sequence[str]], list[int]]
Heading = tuple[str, ...]
Counted = tuple[int, int, int]
"""Start, end and tokens."""

COUNTED_AT_ONCE = 4_096
"""Spans whose tokens are counted at a time: enough to use all cores, few enough to bound memory."""
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A span of the document that fits into a passage."""

    start: int
    end: int
    tokens: int
    """Sum over the parts."""
    parts: int
    heading: Heading
    page: int | None
    wider: tuple[int, int, Heading] | None = None
    """Start, end and heading path of the larger piece that a prompt gets in its place."""


class Tokens:
    """Counts the tokens of spans as one embedder does; `count` includes special tokens, the methods do not."""

    def __init__(self, count: CountTokens) -> None:
        self.count = count
        self.special, single, spaced, broken = count(["", "a", "a a", "a\n\na"])
        words = 2 * (single - self.special)
        self._space = max(0, spaced - self.special - words)
        self.line_break = max(0, broken - self.special - words)
        """Tokens that a blank line adds between two texts; none in WordPiece, some in byte-level BPE."""

    def of(self, text: str, spans: Sequence[tuple[int, int]]) -> list[int]:
        return [count - self.special for count in self.count([text[start:end] for start, end in spans])]

    def gap(self, text: str, start: int, end: int) -> int:
        """Return how many tokens the white space between two spans takes; at most, if it is indentation."""
        match text[start:end]:
            case " ":
                return self._space
            case "\n\n":
                return self.line_break
            case gap:
                return len(gap.encode()) if self.line_break else 0


@dataclass(frozen=True, slots=True)
class MeasuredDocument:
    """A document to split, with the means to measure its text."""

    text: str
    parsed: ParsedDocument
    tokens: Tokens
    budget: Callable[[Heading], int]
    """Most tokens of a passage under a heading path."""
    language: str

    def sections(self) -> Iterator[list[Block]]:
        """Yield the blocks that follow each other under one heading path, with nothing but white space between."""
        section: list[Block] = []
        for block in self.parsed.blocks:
            if section and not self.continues(section[-1], block):
                yield section
                section = []
            section.append(block)
        if section:
            yield section

    def continues(self, left: Block | TextSpan, right: Block | TextSpan) -> bool:
        """Whether the second stands directly after the first, under the same heading.

        A heading path can recur after another heading, whose text then stands between the two.
        """
        return left.heading == right.heading and not self.text[left.end : right.start].strip()

    def sentences(self, block: Block) -> list[tuple[int, int]]:
        found = sentences(self.text[block.start : block.end], language=self.language)
        return [(block.start + start, block.start + end) for start, end in found]

    def words(self, block: Block) -> Iterator[tuple[int, int]]:
        return (match.span() for match in _WORD.finditer(self.text, block.start, block.end))

    def counted(self, spans: Iterable[tuple[int, int]]) -> Iterator[Counted]:
        """Yield the spans with their tokens; few are in memory at a time."""
        waiting = iter(spans)
        while batch := list(islice(waiting, COUNTED_AT_ONCE)):
            for (start, end), tokens in zip(batch, self.tokens.of(self.text, batch), strict=True):
                yield start, end, tokens

    def fitting(self, span: Counted, budget: int) -> Iterable[Counted]:
        """Return the span, or its pieces if it is over the budget."""
        return [span] if span[2] <= budget else halve(self.text, self.tokens, span[0], span[1], budget)

    def page(self, block: Block, start: int) -> int | None:
        """Return the page on which a piece of a block starts."""
        return block.page if start == block.start else bisect_right(self.parsed.pages, start) or block.page


Strategy = Callable[[MeasuredDocument], Iterable[TextSpan]]
"""Splits a document into spans, in reading order, each within the budget of its heading."""


def halve(text: str, tokens: Tokens, start: int, end: int, budget: int, *, force: bool = False) -> Iterator[Counted]:
    """Split in the middle, at a space if one is near, until each half fits; `force` splits at least once."""
    count = tokens.of(text, [(start, end)])[0]
    if (count <= budget and not force) or end - start < 2:
        yield start, end, count
        return
    middle = (start + end) // 2
    space = text.rfind(" ", start + (end - start) // 4, middle)
    middle = space if space > start else middle
    for left, right in ((start, middle), (middle, end)):
        if span := strip_span(text, left, right):
            yield from halve(text, tokens, *span, budget)
