"""Hold each cited sentence of an answer against the passage that it names. Never searches, never rewrites a sentence."""

import re
from collections.abc import Sequence

from groundtune.types import Citation, Hit

_MARKER = re.compile(r"\s*\[(\d{1,3})\]")


def check(text: str, hits: Sequence[Hit], *, strict: bool = False) -> tuple[str, tuple[Citation, ...]]:
    """The answer's text and a citation for each marker. strict: sentences without support are dropped."""
    kept, found = [], []
    for line in filter(None, map(str.strip, text.splitlines())):
        markers = [int(n) for n in _MARKER.findall(line)]
        sentence = _MARKER.sub("", line).strip()
        cited = [_cite(sentence, marker, hits) for marker in markers]
        found += cited
        if not strict or any(one.support != "missing" for one in cited):
            kept.append(line)
    return "\n".join(kept), tuple(found)


def uncited(text: str) -> list[str]:
    """Sentences without a marker."""
    return [line for line in text.splitlines() if line.strip() and not _MARKER.search(line)]


def _cite(sentence: str, marker: int, hits: Sequence[Hit]) -> Citation:
    if not 1 <= marker <= len(hits):
        return Citation(marker, sentence, "missing")
    p = hits[marker - 1].passage
    at = p.text.find(sentence)
    place = (p.id, p.document_id, p.source, p.heading, p.page)
    if at < 0:
        return Citation(marker, sentence, "missing", *place)
    return Citation(marker, sentence, "exact", *place, sentence, p.start + at, p.start + at + len(sentence))
