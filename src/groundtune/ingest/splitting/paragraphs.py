"""Passages are paragraphs: long ones are split at sentence ends, short neighbours under one heading are joined."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from groundtune.ingest.parsed import Block
from groundtune.ingest.splitting.spans import COUNTED_AT_ONCE, Counted, MeasuredDocument, TextSpan

SURELY_LONG = 6
"""Blocks with more than this many characters per budgeted token are split into sentences before counting tokens."""


def split(document: MeasuredDocument, *, min_tokens: int) -> Iterator[TextSpan]:
    """Yield one span per paragraph. A sentence is split only when it is too long by itself."""
    current: TextSpan | None = None
    for piece in _pieces(document):
        if current and _can_join(document, current, piece, min_tokens):
            together = joined_tokens(document, current, piece)
            current = replace(current, end=piece.end, tokens=together, parts=current.parts + piece.parts)
            continue
        if current:
            yield current
        current = piece
    if current:
        yield current


def joined_tokens(document: MeasuredDocument, left: TextSpan, right: TextSpan) -> int:
    return left.tokens + document.tokens.gap(document.text, left.end, right.start) + right.tokens


def _pieces(document: MeasuredDocument) -> Iterator[TextSpan]:
    text, tokens = document.text, document.tokens
    for at in range(0, len(document.parsed.blocks), COUNTED_AT_ONCE):
        blocks = document.parsed.blocks[at : at + COUNTED_AT_ONCE]
        budgets = [document.budget(block.heading) for block in blocks]
        parts = [_parts(document, block, budget) for block, budget in zip(blocks, budgets, strict=True)]
        counts = iter(tokens.of(text, [span for spans in parts for span in spans]))
        for block, budget, spans in zip(blocks, budgets, parts, strict=True):
            atoms = [(*span, next(counts)) for span in spans]
            if len(spans) == 1 and atoms[0][2] > budget:
                spans = document.sentences(block)
                atoms = [(*span, count) for span, count in zip(spans, tokens.of(text, spans), strict=True)]
            for start, end, count, packed in _packed(document, atoms, budget):
                yield TextSpan(start, end, count, packed, block.heading, document.page(block, start))


def _parts(document: MeasuredDocument, block: Block, budget: int) -> list[tuple[int, int]]:
    """Return the block, or its sentences if it will certainly be split, so that no text is counted twice."""
    if block.end - block.start <= SURELY_LONG * budget:
        return [(block.start, block.end)]
    return document.sentences(block)


def _packed(document: MeasuredDocument, spans: Sequence[Counted], budget: int) -> Iterator[tuple[int, int, int, int]]:
    """Pack spans with token counts up to the budget: start, end, tokens, number of spans.

    A span over the budget is split at words, a word over it anywhere.
    """
    current: tuple[int, int, int, int] | None = None
    for span in spans:
        for left, right, tokens in document.fitting(span, budget):
            gap = document.tokens.gap(document.text, current[1], left) if current else 0
            together = current[2] + gap + tokens if current else budget + 1
            if current and together <= budget:
                current = (current[0], right, together, current[3] + 1)
                continue
            if current:
                yield current
            current = (left, right, tokens, 1)
    if current:
        yield current


def _can_join(document: MeasuredDocument, left: TextSpan, right: TextSpan, min_tokens: int) -> bool:
    short = min(left.tokens, right.tokens) < min_tokens
    near = short and left.page == right.page and document.continues(left, right)
    return near and joined_tokens(document, left, right) <= document.budget(left.heading)
