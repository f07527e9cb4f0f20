"""Passages are windows of a fixed number of tokens that overlap. They end at words, and with the section.

A window over a heading would have the heading path of neither text, so a citation could not name its place.
"""

from collections import deque
from collections.abc import Iterator

from groundtune.ingest.parsed import Block
from groundtune.ingest.splitting.spans import Counted, MeasuredDocument, TextSpan


def split(document: MeasuredDocument, *, overlap_tokens: int) -> Iterator[TextSpan]:
    """Yield windows of as many words as fit; each begins with at most `overlap_tokens` of the one before."""
    for section in document.sections():
        yield from _windows(document, section, overlap_tokens)


def _windows(document: MeasuredDocument, section: list[Block], overlap_tokens: int) -> Iterator[TextSpan]:
    budget = document.budget(section[0].heading)
    window: deque[tuple[Counted, Block]] = deque()
    total, fresh = 0, False
    for word, block in _words(document, section, budget):
        added = _gap(document, window[-1][0], word) + word[2] if window else word[2]
        if window and total + added > budget:
            yield _span(document, window, total)
            while window and (total > overlap_tokens or total + added > budget):
                total -= _first_tokens(document, window)
                window.popleft()
            added = added if window else word[2]
        window.append((word, block))
        total, fresh = total + added, True
    if fresh:
        yield _span(document, window, total)


def _words(document: MeasuredDocument, section: list[Block], budget: int) -> Iterator[tuple[Counted, Block]]:
    """Yield the words with their blocks; a word over the budget comes in pieces."""
    blocks = iter(section)
    block = next(blocks)
    for word in document.counted(span for each in section for span in document.words(each)):
        while word[0] >= block.end:
            block = next(blocks)
        for piece in document.fitting(word, budget):
            yield piece, block


def _gap(document: MeasuredDocument, left: Counted, right: Counted) -> int:
    return document.tokens.gap(document.text, left[1], right[0])


def _first_tokens(document: MeasuredDocument, window: deque[tuple[Counted, Block]]) -> int:
    """Return the tokens of the first word, with the space behind it."""
    first = window[0][0]
    return first[2] + (_gap(document, first, window[1][0]) if len(window) > 1 else 0)


def _span(document: MeasuredDocument, window: deque[tuple[Counted, Block]], total: int) -> TextSpan:
    (first, block), (last, _) = window[0], window[-1]
    return TextSpan(first[0], last[1], total, len(window), block.heading, document.page(block, first[0]))
