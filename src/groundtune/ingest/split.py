"""Turn documents into passages with exact offsets. Never reads files, never cuts what the embedder would truncate.

The paragraph is the atom: a long one is cut at sentences, short neighbours under the same heading are joined. A cut
falls inside a sentence only when the sentence alone is too long.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from groundtune.errors import GroundtuneError
from groundtune.ingest.parsed import Parsed
from groundtune.text import sentences, stripped
from groundtune.types import Document, Passage

SPLITTER_VERSION = "1"
CONTEXT_SHARE = 3
"""Title and heading path may take at most one third of the embedder's limit."""
CountTokens = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the document that fits a passage."""

    start: int
    end: int
    tokens: int
    heading: tuple[str, ...]
    page: int | None


@dataclass(frozen=True, slots=True)
class Split:
    """A passage with the text that is embedded and indexed before its own."""

    passage: Passage
    context: str


class Splitter:
    """Cuts documents for one embedder: `count_tokens` and `limit` are its own."""

    def __init__(
        self,
        *,
        count_tokens: CountTokens,
        limit: int,
        max_tokens: int = 220,
        min_tokens: int = 60,
        language: str = "english",
    ) -> None:
        self._count = count_tokens
        self._limit = limit
        self._max_tokens = max_tokens
        self._min_tokens = min_tokens
        self._language = language
        self._special = count_tokens([""])[0]

    def split(self, document: Document, parsed: Parsed) -> list[Split]:
        """Passages in reading order; `document.text[p.start:p.end] == p.text` for each."""
        contexts = self._contexts(document.title, {block.heading for block in parsed.blocks})
        pieces = list(self._join(self._pieces(document.text, parsed, contexts), contexts))
        return self._passages(document, pieces, contexts)

    def _passages(
        self, document: Document, pieces: Sequence[Piece], contexts: dict[tuple[str, ...], tuple[str, int]]
    ) -> list[Split]:
        splits = []
        for ordinal, piece in enumerate(pieces):
            passage = Passage(
                id=f"{document.id}:{ordinal}",
                document_id=document.id,
                source=document.source,
                ordinal=ordinal,
                start=piece.start,
                end=piece.end,
                text=document.text[piece.start : piece.end],
                heading=" > ".join(piece.heading),
                page=piece.page,
            )
            splits.append(Split(passage, contexts[piece.heading][0]))
        self._hold_limit(splits)
        return splits

    def _hold_limit(self, splits: Sequence[Split]) -> None:
        for split, tokens in zip(splits, self._count([embedded_text(s) for s in splits]), strict=True):
            if tokens > self._limit:
                raise GroundtuneError(
                    f"{split.passage.source}: a passage of {tokens} tokens is over the embedder's limit of {self._limit}",
                    hint="this is a defect of groundtune's splitter; please report it with the document",
                )

    def _contexts(self, title: str | None, headings: set[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[str, int]]:
        """Text and token count that stand before the passages under each heading path."""
        paths = list(headings)
        texts = [_context(title, path) for path in paths]
        allowed = self._limit // CONTEXT_SHARE
        counts = self._count(texts)
        for index, count in enumerate(counts):
            while count > allowed and texts[index]:
                keep = len(texts[index]) * allowed // (count + 1)
                texts[index] = texts[index][-keep:].partition(" ")[2]  # the innermost heading says most
                count = self._count([texts[index]])[0]
            counts[index] = count
        return {path: (text, count) for path, text, count in zip(paths, texts, counts, strict=True)}

    def _budget(self, context_tokens: int) -> int:
        return max(1, min(self._max_tokens, self._limit - context_tokens))

    def _pieces(self, text: str, parsed: Parsed, contexts: dict[tuple[str, ...], tuple[str, int]]) -> Iterator[Piece]:
        counts = self._count_spans(text, [(block.start, block.end) for block in parsed.blocks])
        for block, tokens in zip(parsed.blocks, counts, strict=True):
            piece = Piece(block.start, block.end, tokens, block.heading, block.page)
            budget = self._budget(contexts[block.heading][1])
            if tokens <= budget:
                yield piece
            else:
                for start, end, size in self._cut(text, block.start, block.end, budget):
                    page = _page_at(parsed.pages, start) or block.page
                    yield replace(piece, start=start, end=end, tokens=size, page=page)

    def _cut(self, text: str, start: int, end: int, budget: int) -> Iterator[tuple[int, int, int]]:
        """Sentences packed up to the budget; a sentence over it is cut at words, a word over it anywhere."""
        spans = [(start + a, start + b) for a, b in sentences(text[start:end], language=self._language)]
        counts = self._count_spans(text, spans)
        atoms: list[tuple[int, int, int]] = []
        for (left, right), tokens in zip(spans, counts, strict=True):
            atoms.extend([(left, right, tokens)] if tokens <= budget else self._halve(text, left, right, budget))
        current: tuple[int, int, int] | None = None
        for left, right, tokens in atoms:
            if current and current[2] + tokens <= budget:
                current = (current[0], right, current[2] + tokens)
                continue
            if current:
                yield current
            current = (left, right, tokens)
        if current:
            yield current

    def _halve(self, text: str, start: int, end: int, budget: int) -> Iterator[tuple[int, int, int]]:
        """Cut in the middle, at a space when there is one near, until each half fits."""
        tokens = self._count_spans(text, [(start, end)])[0]
        if tokens <= budget or end - start < 2:
            yield start, end, tokens
            return
        middle = (start + end) // 2
        space = text.rfind(" ", start + (end - start) // 4, middle)
        middle = space if space > start else middle
        for left, right in ((start, middle), (middle, end)):
            if span := stripped(text, left, right):
                yield from self._halve(text, *span, budget)

    def _join(self, pieces: Iterator[Piece], contexts: dict[tuple[str, ...], tuple[str, int]]) -> Iterator[Piece]:
        current: Piece | None = None
        for piece in pieces:
            if current and self._belong(current, piece, contexts):
                current = replace(current, end=piece.end, tokens=current.tokens + piece.tokens)
                continue
            if current:
                yield current
            current = piece
        if current:
            yield current

    def _belong(self, left: Piece, right: Piece, contexts: dict[tuple[str, ...], tuple[str, int]]) -> bool:
        short = min(left.tokens, right.tokens) < self._min_tokens
        same_place = left.heading == right.heading and left.page == right.page
        return short and same_place and left.tokens + right.tokens <= self._budget(contexts[left.heading][1])

    def _count_spans(self, text: str, spans: Sequence[tuple[int, int]]) -> list[int]:
        return [count - self._special for count in self._count([text[start:end] for start, end in spans])]


def embedded_text(split: Split) -> str:
    """What the embedder sees of a passage."""
    return f"{split.context}\n{split.passage.text}" if split.context else split.passage.text


def _context(title: str | None, heading: tuple[str, ...]) -> str:
    parts = [title, *heading] if title and title not in heading else list(heading)
    return " > ".join(part for part in parts if part)


def _page_at(pages: Sequence[int], offset: int) -> int | None:
    number = sum(1 for start in pages if start <= offset)
    return number or None
