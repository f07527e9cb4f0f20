"""Gather the passages that an approach may cite: retrieved ones, or the whole corpus. Never opens files itself."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from groundtune.approaches.search_query import MakeQuery, SearchQuery, join_history
from groundtune.errors import UsageError
from groundtune.protocols import ContextProvider, Retriever
from groundtune.types import Document, Hit, Passage, Question, Stage

DocumentById = Callable[[str], Awaitable[Document | None]]
MAX_CORPUS_PASSAGES = 20_000
_OFFSETS = re.compile(r"([0-9]{1,15})-([0-9]{1,15})")
"""End of the id of a piece."""


@runtime_checkable
class SearchingContext(ContextProvider, Protocol):
    """A context that searches for a text made from the question and its history."""

    async def search_query(self, question: Question) -> SearchQuery:
        """Return what to search for; `gather` is then given a question with this text and no history."""
        ...


class RetrievedContext:
    """The best passages, each with its larger piece if it has one; adjacent ones are joined. `SearchingContext`.

    make_query: makes the text to search for from a question with a history.
    """

    def __init__(
        self,
        retriever: Retriever,
        document: DocumentById,
        *,
        passages: int = 6,
        stage: Stage | None = None,
        make_query: MakeQuery = join_history,
    ) -> None:
        self._retriever = retriever
        self._document = document
        self._passages = passages
        self._stage: Stage | None = stage
        self._make_query = make_query

    async def search_query(self, question: Question) -> SearchQuery:
        return await self._make_query(question)

    async def gather(self, question: Question) -> list[Hit]:
        if question.history:
            question = replace(question, text=(await self.search_query(question)).text, history=())
        hits = await self._retriever.search(question, k=self._passages, stage=self._stage)
        return await shown_passages(hits, self._document)


class CorpusContext:
    """Every passage that the user may see, in reading order. `ContextProvider` for corpora that fit in the prompt."""

    def __init__(self, passages: Callable[[Question], Awaitable[Sequence[Passage]]]) -> None:
        self._passages = passages

    async def gather(self, question: Question) -> list[Hit]:
        passages = await self._passages(question)
        if len(passages) > MAX_CORPUS_PASSAGES:
            raise UsageError(
                f"the corpus has {len(passages):,} passages; approaches that read the whole corpus support at most "
                f"{MAX_CORPUS_PASSAGES:,}",
                hint="use an approach with retrieval, such as rag",
            )
        return [Hit(passage, 0.0) for passage in without_overlap(passages)]


async def widened(hits: Sequence[Hit], document: DocumentById) -> list[Hit]:
    """Return the hits with the larger piece in place of each passage that has one."""
    wider = {hit.passage.document_id for hit in hits if hit.passage.wider_start is not None}
    documents = {name: await document(name) for name in wider}
    return [_widened(hit, documents.get(hit.passage.document_id)) for hit in hits]


async def shown_passages(hits: Sequence[Hit], document: DocumentById) -> list[Hit]:
    """Return what a prompt gets for these hits: passages with their larger piece, if they have one; neighbours joined.

    Passages of a document that overlap, or follow each other under one heading, become one at the rank of the best.
    """
    counts = Counter(hit.passage.document_id for hit in hits)
    wider = {hit.passage.document_id for hit in hits if hit.passage.wider_start is not None}
    needed = {name: await document(name) for name, count in counts.items() if count > 1 or name in wider}
    groups: list[list[Hit]] = []
    for hit in hits:
        shown = _widened(hit, needed.get(hit.passage.document_id))
        touching = [group for group in groups if any(_touch(shown, other, needed) for other in group)]
        merged = [member for group in touching for member in group] + [shown]
        if touching:
            groups[groups.index(touching[0])] = merged
            groups = [group for group in groups if group not in touching[1:]]
        else:
            groups.append(merged)
    return [_joined(group, needed.get(group[0].passage.document_id)) for group in groups]


def find_piece(passage_id: str, passages: Sequence[Passage], document: Document) -> Passage | None:
    """Return the larger or joined piece that `shown_passages` gave this id; None if the document has no such piece now.

    passages: all those of the document.
    """
    offsets = _OFFSETS.fullmatch(passage_id.removeprefix(f"{document.id}@"))
    if offsets is None:
        return None
    start, end = int(offsets[1]), int(offsets[2])
    for passage in passages:
        if (passage.wider_start, passage.wider_end) == (start, end):
            return _piece(passage, document, start, end, passage.wider_heading)
        if start in (passage.start, passage.wider_start):
            return _piece(passage, document, start, end, passage.heading)
    return None


def without_overlap(passages: Iterable[Passage]) -> list[Passage]:
    """Return passages in reading order without the text that the one before also has; what is left of none is dropped.

    Each keeps its place: only its start moves.
    """
    result: list[Passage] = []
    for passage in passages:
        last = result[-1] if result and result[-1].document_id == passage.document_id else None
        cut = max(0, last.end - passage.start) if last else 0
        if cut < len(passage.text):
            result.append(_from(passage, cut) if cut else passage)
    return result


def _from(passage: Passage, cut: int) -> Passage:
    start = passage.start + cut
    breaks = tuple(offset for offset in passage.page_breaks if offset > start)
    return replace(passage, start=start, text=passage.text[cut:], page=passage.page_at(start), page_breaks=breaks)


def _is_current(passage: Passage, document: Document | None) -> bool:
    """Whether the document did not change since the search; otherwise the passage is still valid on its own."""
    return document is not None and document.text[passage.start : passage.end] == passage.text


def _widened(hit: Hit, document: Document | None) -> Hit:
    """Return the hit with the larger piece around its passage, if it has one."""
    passage = hit.passage
    start, end = passage.wider_start, passage.wider_end
    if start is None or end is None or document is None or not _is_current(passage, document):
        return hit
    return replace(hit, passage=_piece(passage, document, start, end, passage.wider_heading))


def _piece(passage: Passage, document: Document, start: int, end: int, heading: str) -> Passage:
    return replace(
        passage,
        id=f"{document.id}@{start}-{end}",
        start=start,
        end=end,
        text=document.text[start:end],
        heading=heading,
        page=None if passage.page is None else document.page_at(start),
        page_breaks=document.page_breaks(start, end),
        wider_start=None,
        wider_end=None,
        wider_heading="",
    )


def _touch(first: Hit, second: Hit, documents: Mapping[str, Document | None]) -> bool:
    """Whether the two overlap or follow each other, with nothing but white space between, under one heading."""
    left, right = sorted((first.passage, second.passage), key=lambda passage: passage.start)
    if left.document_id != right.document_id or left.heading != right.heading:
        return False
    document = documents[left.document_id]
    current = _is_current(left, document) and _is_current(right, document)
    return document is not None and current and not document.text[left.end : right.start].strip()


def _joined(group: Sequence[Hit], document: Document | None) -> Hit:
    best = max(group, key=lambda hit: hit.score)
    start, end = min(hit.passage.start for hit in group), max(hit.passage.end for hit in group)
    if document is None or (best.passage.start, best.passage.end) == (start, end):
        return best
    first = min(group, key=lambda hit: hit.passage.start).passage
    return replace(best, passage=_piece(first, document, start, end, first.heading))
