"""Turn documents into passages with exact offsets. Never reads files, never exceeds the embedder's limit.

A strategy (splitting/) says where passages begin and end; here they get the context that is embedded in front of them,
and those that turn out too long with it are split again.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from groundtune.errors import GroundtuneError
from groundtune.ingest.parsed import ParsedDocument
from groundtune.ingest.splitting import paragraphs
from groundtune.ingest.splitting.spans import CountTokens, Heading, MeasuredDocument, Strategy, TextSpan, Tokens, halve
from groundtune.types import Document, Passage

CHUNKER_VERSION = "4"
CONTEXT_SHARE = 3
"""Title and heading path may take at most one third of the embedder's limit."""
CONTEXT_CHARACTERS = 16
"""Characters of title and heading path kept per token of the limit; more would never fit."""
SEAM = 2
"""Tokens that joining two texts may add; a text within this distance of the limit is counted again as a whole."""

PARAGRAPHS: Strategy = partial(paragraphs.split, min_tokens=60)
Context = Literal["headings", "title", "none"]
"""What stands in front of a passage when it is embedded and indexed: title and heading path, the title, or nothing."""
_Contexts = dict[Heading, tuple[str, int]]
"""The context in front of the passages under each heading path, with its token count."""


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
        strategy: Strategy = PARAGRAPHS,
        context: Context = "headings",
        language: str = "english",
    ) -> None:
        self._tokens = Tokens(count_tokens)
        self._limit = limit
        self._max_tokens = max_tokens
        self._strategy = strategy
        self._context: Context = context
        self._language = language

    def split(self, document: Document, parsed: ParsedDocument) -> list[ContextualPassage]:
        """Return passages in reading order; `document.text[p.start:p.end] == p.text` for each."""
        contexts = self._contexts(document.title, {block.heading for block in parsed.blocks})
        measured = MeasuredDocument(
            document.text, parsed, self._tokens, lambda heading: self._budget(contexts[heading][1]), self._language
        )
        pieces = self._strategy(measured)
        return self._passages(document, list(self._within_limit(document.text, pieces, contexts)), contexts)

    def _passages(self, document: Document, pieces: Sequence[TextSpan], contexts: _Contexts) -> list[ContextualPassage]:
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
            if piece.wider:
                start, end, heading = piece.wider
                passage = replace(passage, wider_start=start, wider_end=end, wider_heading=" > ".join(heading))
            passages.append(ContextualPassage(passage, contexts[piece.heading][0]))
        return passages

    def _within_limit(self, text: str, pieces: Iterable[TextSpan], contexts: _Contexts) -> Iterator[TextSpan]:
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
                halves = halve(text, self._tokens, piece.start, piece.end, max(1, piece.tokens - 1), force=True)
                smaller = [replace(piece, start=left, end=right, tokens=n, parts=1) for left, right, n in halves]
                yield from self._within_limit(text, smaller, contexts)

    def _full_count(self, context: str, text: str) -> int:
        return self._tokens.count([_embedded(context, text)])[0]

    def _contexts(self, title: str | None, headings: set[Heading]) -> _Contexts:
        """Return the context in front of the passages under each heading path, with its token count."""
        paths = list(headings)
        allowed = self._limit // CONTEXT_SHARE
        title = title and title[-CONTEXT_CHARACTERS * self._limit :]
        texts = [self._before(title, path)[-CONTEXT_CHARACTERS * self._limit :] for path in paths]
        counts = self._tokens.count(texts)
        for index, count in enumerate(counts):
            while count > allowed and texts[index]:
                keep = len(texts[index]) * allowed // (count + 1)
                texts[index] = texts[index][-keep:].partition(" ")[2]  # the innermost heading matters most
                count = self._tokens.count([texts[index]])[0]
            counts[index] = count
        return {path: (text, count) for path, text, count in zip(paths, texts, counts, strict=True)}

    def _before(self, title: str | None, heading: Heading) -> str:
        if self._context == "none":
            return ""
        return _titled(title, heading if self._context == "headings" else ())

    def _budget(self, context_tokens: int) -> int:
        return max(1, min(self._max_tokens, self._limit - context_tokens - self._tokens.line_break))


def embedded_text(contextual: ContextualPassage) -> str:
    """Return the text that is embedded for a passage: its context and its own text."""
    return _embedded(contextual.context, contextual.passage.text)


def _embedded(context: str, text: str) -> str:
    return f"{context}\n{text}" if context else text


def _titled(title: str | None, heading: Heading) -> str:
    parts = [title, *heading] if title and title not in heading else list(heading)
    return " > ".join(part for part in parts if part)
