"""Passages are sentences; a prompt gets each with the sentences around it. Table rows and code count as sentences."""

from collections.abc import Iterator
from dataclasses import replace

from groundtune.ingest.parsed import Block
from groundtune.ingest.splitting.spans import MeasuredDocument, TextSpan


def split(document: MeasuredDocument, *, window: int) -> Iterator[TextSpan]:
    """Yield sentences, each with the span of up to `window` sentences before and after it in its section."""
    for section in document.sections():
        spans = [span for block in section for span in _sentences(document, block)]
        for place, span in enumerate(spans):
            first, last = spans[max(0, place - window)], spans[min(len(spans) - 1, place + window)]
            yield replace(span, wider=(first.start, last.end, span.heading))


def _sentences(document: MeasuredDocument, block: Block) -> Iterator[TextSpan]:
    budget = document.budget(block.heading)
    spans = document.sentences(block) if block.kind == "paragraph" else [(block.start, block.end)]
    for sentence in document.counted(spans):
        for start, end, tokens in document.fitting(sentence, budget):
            yield TextSpan(start, end, tokens, 1, block.heading, document.page(block, start))
