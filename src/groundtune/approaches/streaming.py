"""Turn the pieces of a model's reply into events, as far as the final answer is certain. Never takes anything back."""

from collections.abc import Iterator

from groundtune.approaches.citations import UnfinishedText
from groundtune.approaches.output_formats import OutputFormat, StreamedFormat
from groundtune.types import Answer, AnswerEvent, Citation, CitationChecked, Done, Hit, TextDelta


class ReplyStream:
    """The events of one reply: text and checked citations while it is written, the rest at its end.

    Nothing is released while the reply may still be an abstention. A reply with citations is released by sentence; any
    other text at once; a label or an object only at the end.
    """

    def __init__(self, output_format: OutputFormat, hits: list[Hit], *, strict: bool = False) -> None:
        self._format = output_format if isinstance(output_format, StreamedFormat) else None
        self._unfinished = UnfinishedText(hits, strict=strict) if hits and output_format.cites else None
        self._reply = ""
        self._surely_answered = False
        self._space = ""
        """White space that is released with the text that follows it."""
        self._released = 0
        self._cited = 0

    def add(self, piece: str) -> Iterator[AnswerEvent]:
        """Yield what the next piece of the reply makes certain."""
        if self._format is None:
            return
        if not self._surely_answered:
            self._reply += piece
            if self._format.may_abstain(self._reply):
                return
            self._surely_answered, piece = True, self._reply.lstrip()
        if self._unfinished:
            yield from self._release(*self._unfinished.add(piece))
        else:
            text = self._space + piece
            self._space = text[len(text.rstrip()) :]
            yield from self._release(text.rstrip())

    def finish(self, answer: Answer) -> Iterator[AnswerEvent]:
        """Yield the rest of the answer, and the answer."""
        yield from self._release(answer.text[self._released :], answer.citations[self._cited :])
        yield Done(answer)

    def _release(self, text: str, citations: tuple[Citation, ...] = ()) -> Iterator[AnswerEvent]:
        self._released += len(text)
        self._cited += len(citations)
        if text:
            yield TextDelta(text)
        for citation in citations:
            yield CitationChecked(citation)
