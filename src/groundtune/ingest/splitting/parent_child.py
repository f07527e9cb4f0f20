"""Passages are small; a prompt gets each with its parent: neighbouring passages under the same heading."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from groundtune.ingest.splitting import paragraphs
from groundtune.ingest.splitting.spans import MeasuredDocument, TextSpan

Together = Callable[[TextSpan, TextSpan], bool]


def split(document: MeasuredDocument, *, min_tokens: int, parent_tokens: int) -> Iterator[TextSpan]:
    """Yield paragraphs, each with the span of its parent, which has at most `parent_tokens` if it is not alone."""
    children = paragraphs.split(document, min_tokens=min_tokens)
    yield from with_parents(document, children, parent_tokens=parent_tokens, together=document.continues)


def with_parents(
    document: MeasuredDocument, children: Iterable[TextSpan], *, parent_tokens: int, together: Together
) -> Iterator[TextSpan]:
    """Yield the children with the span of their parent. together: whether one may follow another in a parent."""
    group: list[TextSpan] = []
    total = 0
    for child in children:
        added = total + child.tokens + (document.tokens.gap(document.text, group[-1].end, child.start) if group else 0)
        if group and (added > parent_tokens or not together(group[-1], child)):
            yield from _grouped(group)
            group, added = [], child.tokens
        group.append(child)
        total = added
    yield from _grouped(group)


def _grouped(group: list[TextSpan]) -> Iterator[TextSpan]:
    levels = itertools.takewhile(
        lambda level: len(set(level)) == 1, zip(*(child.heading for child in group), strict=False)
    )
    heading = tuple(level[0] for level in levels)
    return (replace(child, wider=(group[0].start, group[-1].end, heading)) for child in group)
