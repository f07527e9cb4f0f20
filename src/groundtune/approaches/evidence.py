"""What an approach may cite: retrieved passages, or the whole corpus. Reads documents through what it is given."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from groundtune.errors import UsageError
from groundtune.protocols import Retriever
from groundtune.types import Document, Hit, Passage, Question, Stage

DocumentById = Callable[[str], Awaitable[Document | None]]
MAX_CORPUS_PASSAGES = 20_000


class Retrieved:
    """The best passages, neighbours joined where that reads better. `Gatherer`."""

    def __init__(
        self, retriever: Retriever, document: DocumentById, *, passages: int = 6, stage: Stage | None = None
    ) -> None:
        self._retriever = retriever
        self._document = document
        self._passages = passages
        self._stage: Stage | None = stage

    async def gather(self, question: Question) -> list[Hit]:
        hits = await self._retriever.search(question, k=self._passages, stage=self._stage)
        return await join_neighbours(hits, self._document)


class WholeCorpus:
    """Every passage that the asker may see, in reading order. `Gatherer` for corpora that fit."""

    def __init__(self, passages: Callable[[Question], Awaitable[Sequence[Passage]]]) -> None:
        self._passages = passages

    async def gather(self, question: Question) -> list[Hit]:
        passages = await self._passages(question)
        if len(passages) > MAX_CORPUS_PASSAGES:
            raise UsageError(
                f"the corpus has {len(passages):,} passages; the whole of it can be read up to {MAX_CORPUS_PASSAGES:,}",
                hint="use an approach that retrieves",
            )
        return [Hit(passage, 0.0) for passage in passages]


async def join_neighbours(hits: Sequence[Hit], document: DocumentById) -> list[Hit]:
    """Passages that follow each other in one document become one, at the rank of the better of them."""
    groups: list[list[Hit]] = []
    for hit in hits:
        touching = [group for group in groups if any(_adjacent(hit.passage, other.passage) for other in group)]
        merged = [one for group in touching for one in group] + [hit]
        if touching:
            groups[groups.index(touching[0])] = merged
            groups = [group for group in groups if group not in touching[1:]]
        else:
            groups.append(merged)
    return [await _joined(group, document) for group in groups]


def _adjacent(one: Passage, other: Passage) -> bool:
    same_place = one.document_id == other.document_id and one.heading == other.heading
    return same_place and abs(one.ordinal - other.ordinal) == 1


async def _joined(group: Sequence[Hit], document: DocumentById) -> Hit:
    best = max(group, key=lambda hit: hit.score)
    if len(group) == 1:
        return best
    ordered = sorted((hit.passage for hit in group), key=lambda passage: passage.ordinal)
    first, last = ordered[0], ordered[-1]
    whole = await document(first.document_id)
    if whole is None or whole.text[first.start : first.end] != first.text:
        return best  # the document changed between search and here: what was found still stands on its own
    passage = replace(first, id=f"{first.id}-{last.ordinal}", end=last.end, text=whole.text[first.start : last.end])
    return replace(best, passage=passage)
