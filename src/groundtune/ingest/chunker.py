"""Split documents into passages with exact offsets. Never reads files, never exceeds the embedder's limit.

Passages follow paragraphs: long ones are split at sentence ends, and short adjacent ones under the same heading are
joined. A sentence is split only when it is too long by itself.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from groundtune.errors import GroundtuneError
from groundtune.ingest.parsed import Block, ParsedDocument
from groundtune.languages.text import sentences, strip_span
from groundtune.types import Document, Passage

CHUNKER_VERSION = "3"
CONTEXT_SHARE = 3
"""Title and heading path may take at most one third of the embedder's limit."""
CONTEXT_CHARACTERS = 16
"""Characters of title and heading path kept per token of the limit; more would never fit."""
COUNTED_AT_ONCE = 4_096
"""Blocks whose tokens are counted at a time: enough to use all cores, few enough to bound memory."""
SURELY_LONG = 6
"""Blocks with more than this many characters per budgeted token are split into sentences before counting tokens."""
SEAM = 2
"""Tokens that joining two texts may add; a text within this distance of the limit is counted again as a whole."""
CountTokens = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A span of the document that fits into a passage."""

    start: int
    end: int
    tokens: int
    """Sum over the parts."""
    parts: int
    heading: tuple[str, ...]
    page: int | None


@dataclass(frozen=True, slots=True)
class ContextualPassage:
    """A passage, and the context that is embedded and indexed in front of it."""

    passage: Passage
    context: str


class Chunker:
    """Split documents into passages for one embedder, given its `count_tokens` and token limit."""

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
        self._special, single, spaced, broken = count_tokens(["", "a", "a a", "a\n\na"])
        words = 2 * (single - self._special)
        self._space = max(0, spaced - self._special - words)
        self._break = max(0, broken - self._special - words)
        """Tokens that a space and a blank line add between two texts; none in WordPiece, some in byte-level BPE."""

    def split(self, document: Document, parsed: ParsedDocument) -> list[ContextualPassage]:
        """Return passages in reading order; `document.text[p.start:p.end] == p.text` for each."""
        contexts = self._contexts(document.title, {block.heading for block in parsed.blocks})
        pieces = self._join(document.text, self._pieces(document.text, parsed, contexts), contexts)
        return self._passages(document, list(self._within_limit(document.text, pieces, contexts)), contexts)

    def _passages(
        self, document: Document, pieces: Sequence[TextSpan], contexts: dict[tuple[str, ...], tuple[str, int]]
    ) -> list[ContextualPassage]:
        passages = []
        headings = {piece.heading: " > ".join(piece.heading) for piece in pieces}
        for ordinal, piece in enumerate(pieces):
            passage = Passage(
                id=f"{document.id}:{ordinal}",
                document_id=document.id,
                source=document.source,
                ordinal=ordinal,
                start=piece.start,
                end=piece.end,
                text=document.text[piece.start : piece.end],
                heading=headings[piece.heading],
                page=piece.page,
                page_breaks=document.page_breaks(piece.start, piece.end),
            )
            passages.append(ContextualPassage(passage, contexts[piece.heading][0]))
        return passages

    def _within_limit(
        self, text: str, pieces: Iterable[TextSpan], contexts: dict[tuple[str, ...], tuple[str, int]]
    ) -> Iterator[TextSpan]:
        """Yield the pieces; count those near the limit with their context, and split those over it again."""
        for piece in pieces:
            context, before = contexts[piece.heading]
            upper_bound = before + piece.tokens + SEAM * piece.parts
            if upper_bound <= self._limit or self._full_count(context, text[piece.start : piece.end]) <= self._limit:
                yield piece
            elif piece.end - piece.start < 2:
                raise GroundtuneError(
                    f"the embedder's limit of {self._limit} tokens is too small for a single character",
                    hint="use an embedder with a higher token limit",
                )
            else:
                halves = self._halve(text, piece.start, piece.end, max(1, piece.tokens - 1), force=True)
                smaller = [replace(piece, start=left, end=right, tokens=n, parts=1) for left, right, n in halves]
                yield from self._within_limit(text, smaller, contexts)

    def _full_count(self, context: str, text: str) -> int:
        return self._count([_embedded(context, text)])[0]

    def _contexts(self, title: str | None, headings: set[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[str, int]]:
        """Return the context in front of the passages under each heading path, with its token count."""
        paths = list(headings)
        allowed = self._limit // CONTEXT_SHARE
        title = title and title[-CONTEXT_CHARACTERS * self._limit :]
        texts = [_context(title, path)[-CONTEXT_CHARACTERS * self._limit :] for path in paths]
        counts = self._count(texts)
        for index, count in enumerate(counts):
            while count > allowed and texts[index]:
                keep = len(texts[index]) * allowed // (count + 1)
                texts[index] = texts[index][-keep:].partition(" ")[2]  # the innermost heading matters most
                count = self._count([texts[index]])[0]
            counts[index] = count
        return {path: (text, count) for path, text, count in zip(paths, texts, counts, strict=True)}

    def _budget(self, context_tokens: int) -> int:
        return max(1, min(self._max_tokens, self._limit - context_tokens - self._break))

    def _pieces(
        self, text: str, parsed: ParsedDocument, contexts: dict[tuple[str, ...], tuple[str, int]]
    ) -> Iterator[TextSpan]:
        for start in range(0, len(parsed.blocks), COUNTED_AT_ONCE):
            blocks = parsed.blocks[start : start + COUNTED_AT_ONCE]
            budgets = [self._budget(contexts[block.heading][1]) for block in blocks]
            parts = [self._parts(text, block, budget) for block, budget in zip(blocks, budgets, strict=True)]
            counts = iter(self._count_spans(text, [span for spans in parts for span in spans]))
            for block, budget, spans in zip(blocks, budgets, parts, strict=True):
                atoms = [(*span, next(counts)) for span in spans]
                if len(spans) == 1 and atoms[0][2] > budget:
                    spans = self._sentences(text, block.start, block.end)
                    counted = self._count_spans(text, spans)
                    atoms = [(*span, tokens) for span, tokens in zip(spans, counted, strict=True)]
                for piece in self._packed(text, atoms, budget):
                    page = block.page if piece[0] == block.start else _page_at(parsed.pages, piece[0]) or block.page
                    yield TextSpan(*piece, block.heading, page)

    def _parts(self, text: str, block: Block, budget: int) -> list[tuple[int, int]]:
        """Return the block, or its sentences if it will certainly be split, so that no text is counted twice."""
        if block.end - block.start <= SURELY_LONG * budget:
            return [(block.start, block.end)]
        return self._sentences(text, block.start, block.end)

    def _sentences(self, text: str, start: int, end: int) -> list[tuple[int, int]]:
        return [(start + a, start + b) for a, b in sentences(text[start:end], language=self._language)]

    def _packed(
        self, text: str, spans: Sequence[tuple[int, int, int]], budget: int
    ) -> Iterator[tuple[int, int, int, int]]:
        """Pack spans with token counts up to the budget: start, end, tokens, number of spans.

        A span over the budget is split at words, a word over it anywhere.
        """
        current: tuple[int, int, int, int] | None = None
        for span in spans:
            for left, right, tokens in [span] if span[2] <= budget else self._halve(text, span[0], span[1], budget):
                together = current[2] + self._gap(text, current[1], left) + tokens if current else budget + 1
                if current and together <= budget:
                    current = (current[0], right, together, current[3] + 1)
                    continue
                if current:
                    yield current
                current = (left, right, tokens, 1)
        if current:
            yield current

    def _halve(
        self, text: str, start: int, end: int, budget: int, *, force: bool = False
    ) -> Iterator[tuple[int, int, int]]:
        """Split in the middle, at a space if one is near, until each half fits; `force` splits at least once."""
        tokens = self._count_spans(text, [(start, end)])[0]
        if (tokens <= budget and not force) or end - start < 2:
            yield start, end, tokens
            return
        middle = (start + end) // 2
        space = text.rfind(" ", start + (end - start) // 4, middle)
        middle = space if space > start else middle
        for left, right in ((start, middle), (middle, end)):
            if span := strip_span(text, left, right):
                yield from self._halve(text, *span, budget)

    def _join(
        self, text: str, pieces: Iterator[TextSpan], contexts: dict[tuple[str, ...], tuple[str, int]]
    ) -> Iterator[TextSpan]:
        current: TextSpan | None = None
        for piece in pieces:
            if current and self._can_join(text, current, piece, contexts):
                current = replace(
                    current,
                    end=piece.end,
                    tokens=self._tokens_joined(text, current, piece),
                    parts=current.parts + piece.parts,
                )
                continue
            if current:
                yield current
            current = piece
        if current:
            yield current

    def _can_join(
        self, text: str, left: TextSpan, right: TextSpan, contexts: dict[tuple[str, ...], tuple[str, int]]
    ) -> bool:
        short = min(left.tokens, right.tokens) < self._min_tokens
        same_place = left.heading == right.heading and left.page == right.page
        # a heading path can recur after another heading, whose text then stands between the two
        near = short and same_place and text[left.end : right.start].isspace()
        return near and self._tokens_joined(text, left, right) <= self._budget(contexts[left.heading][1])

    def _tokens_joined(self, text: str, left: TextSpan, right: TextSpan) -> int:
        return left.tokens + self._gap(text, left.end, right.start) + right.tokens

    def _gap(self, text: str, start: int, end: int) -> int:
        """Return how many tokens the white space between two spans takes; at most, if it is indentation."""
        match text[start:end]:
            case " ":
                return self._space
            case "\n\n":
                return self._break
            case gap:
                return len(gap.encode()) if self._break else 0

    def _count_spans(self, text: str, spans: Sequence[tuple[int, int]]) -> list[int]:
        return [count - self._special for count in self._count([text[start:end] for start, end in spans])]


def embedded_text(contextual: ContextualPassage) -> str:
    """Return the text that is embedded for a passage: its context and its own text."""
    return _embedded(contextual.context, contextual.passage.text)


def _embedded(context: str, text: str) -> str:
    return f"{context}\n{text}" if context else text


def _context(title: str | None, heading: tuple[str, ...]) -> str:
    parts = [title, *heading] if title and title not in heading else list(heading)
    return " > ".join(part for part in parts if part)


def _page_at(pages: Sequence[int], offset: int) -> int | None:
    return bisect_right(pages, offset) or None
