"""Gather the passages that an approach may cite: retrieved ones, or the whole corpus. Never opens files itself."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from groundtune.approaches.search_query import MakeQuery, SearchQuery, join_history
from groundtune.errors import UsageError
from groundtune.protocols import ContextProvider, Retriever
from groundtune.types import Document, Hit, Passage, Question, Stage

DocumentById = Callable[[str], Awaitable[Document | None]]
MAX_CORPUS_PASSAGES = 20_000


@runtime_checkable
class SearchingContext(ContextProvider, Protocol):
    """A context that searches for a text made from the question and its history."""

    async def search_query(self, question: Question) -> SearchQuery:
        """Return what to search for; `gather` is then given a question with this text and no history."""
        ...


class RetrievedContext:
    """The best passages; adjacent ones are joined. `SearchingContext`.

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
        return await join_neighbours(hits, self._document)


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
        return [Hit(passage, 0.0) for passage in passages]


async def join_neighbours(hits: Sequence[Hit], document: DocumentById) -> list[Hit]:
    """Join passages that are adjacent in a document, at the rank of the best of them."""
    groups: list[list[Hit]] = []
    for hit in hits:
        touching = [group for group in groups if any(_adjacent(hit.passage, other.passage) for other in group)]
        merged = [member for group in touching for member in group] + [hit]
        if touching:
            groups[groups.index(touching[0])] = merged
            groups = [group for group in groups if group not in touching[1:]]
        else:
            groups.append(merged)
    return [await _joined(group, document) for group in groups]


def _adjacent(first: Passage, second: Passage) -> bool:
    same_place = first.document_id == second.document_id and first.heading == second.heading
    return same_place and abs(first.ordinal - second.ordinal) == 1


async def _joined(group: Sequence[Hit], document: DocumentById) -> Hit:
    best = max(group, key=lambda hit: hit.score)
    if len(group) == 1:
        return best
    ordered = sorted((hit.passage for hit in group), key=lambda passage: passage.ordinal)
    first, last = ordered[0], ordered[-1]
    full_document = await document(first.document_id)
    if full_document is None or any(full_document.text[p.start : p.end] != p.text for p in ordered):
        return best  # the document changed since the search; the passage is still valid on its own
    passage = replace(
        first,
        id=f"{first.id}-{last.ordinal}",
        end=last.end,
        text=full_document.text[first.start : last.end],
        page_breaks=full_document.page_breaks(first.start, last.end),
    )
    return replace(best, passage=passage)
