"""Mark citations of documents that say of themselves that a newer version replaces them. Changes no text."""

from collections.abc import Sequence
from dataclasses import replace

from groundtune.build.open_index import OpenIndex
from groundtune.corpus.files import CorpusFile
from groundtune.corpus.versions import OPENING, may_be_older, stated_versions
from groundtune.types import EVERYONE, Answer, Passage


async def mark_older_versions(opened: OpenIndex, answer: Answer, groups: Sequence[str]) -> Answer:
    """Return the answer whose citations of superseded documents name the newer one. groups: those of the user."""
    sources = {citation.source for citation in answer.citations if citation.source}
    newer = {source: name for source in sources if (name := await _newer(opened, source, groups))}
    if not newer:
        return answer
    citations = [replace(one, newer=newer.get(one.source or "")) for one in answer.citations]
    return replace(answer, citations=tuple(citations))


async def _newer(opened: OpenIndex, source: str, groups: Sequence[str]) -> str | None:
    """Return the document that replaces this one, if this one says so and the user may read both."""
    document = await opened.document_by_source(source)
    if document is None or "#" in source:
        return None
    opening = document.text[:OPENING]
    passage = Passage(document.id, document.id, source, 0, 0, len(opening), opening)
    file = CorpusFile(source, document.title, document.metadata, (passage,))
    if not may_be_older(file):
        return None
    rows = (await opened.catalog.files()).values()
    seen = [row for row in rows if EVERYONE in row.groups or set(groups) & set(row.groups)]
    others = [CorpusFile(row.source, None) for row in seen if row.documents and row.source != source]
    pairs = stated_versions(file, [file, *others])
    return next((pair.newer for pair in pairs if pair.older == source), None)
