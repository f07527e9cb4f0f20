"""Passages are paragraphs; a prompt gets the whole document of each, or a large part of it if it is long."""

from collections.abc import Iterator

from groundtune.ingest.splitting import paragraphs
from groundtune.ingest.splitting.parent_child import with_parents
from groundtune.ingest.splitting.spans import MeasuredDocument, TextSpan


def split(document: MeasuredDocument, *, min_tokens: int, parent_tokens: int) -> Iterator[TextSpan]:
    """Yield paragraphs, each with the span of the document, in parts of at most `parent_tokens`."""
    children = paragraphs.split(document, min_tokens=min_tokens)
    yield from with_parents(document, children, parent_tokens=parent_tokens, together=lambda left, right: True)
