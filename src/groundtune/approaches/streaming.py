"""Turn the pieces of a model's reply into events, as far as the final answer is certain. Takes back thoughts alone.

A model may explain at length and then say that the documents do not hold the answer. What it says before that is about
the passages, and rarely in them; so a reply counts as an answer, whatever follows, once passages support
`SUPPORTED_SENTENCES` of its sentences. Until then nothing is released. An abstention after that is left out of the text
and becomes a warning, streamed or not.
"""

from collections.abc import Iterable, Iterator

from groundtune.approaches.output_formats import OutputFormat, StreamedFormat
from groundtune.citations.unfinished_text import UnfinishedText
from groundtune.common.support import is_supported
from groundtune.protocols import SupportChecker
from groundtune.types import Answer, AnswerEvent, Citation, CitationChecked, Done, Hit, Reset, TextDelta

SUPPORTED_SENTENCES = 2
"""Sentences that passages must support for a reply to be an answer: explanations often quote one related fact."""


def is_surely_answer(citations: Iterable[Citation]) -> bool:
    """Whether a text with these citations is an answer, even if it abstains after it.

    Only markers that the model gave count: an explanation repeats what passages say without citing them.
    """
    supported = {each.sentence for each in citations if is_supported(each.support) and not each.added}
    return len(supported) >= SUPPORTED_SENTENCES


class ReplyStream:
    """The events of one reply: text and checked citations while it is written, the rest at its end.

    An answer from passages is released by sentence; a written text at once; everything else at the end: a label, an
    object, and an answer without passages, since nothing tells it from an explanation.
    """

    def __init__(
        self,
        output_format: OutputFormat,
        hits: list[Hit],
        *,
        strict: bool = False,
        language: str = "english",
        checker: SupportChecker | None = None,
    ) -> None:
        streamed = isinstance(output_format, StreamedFormat) and (bool(hits) or not output_format.cites)
        self._format = output_format if streamed and isinstance(output_format, StreamedFormat) else None
        self._unfinished = (
            UnfinishedText(hits, strict=strict, language=language, checker=checker)
            if hits and output_format.cites
            else None
        )
        self._reply = ""
        self._read = 0
        """Characters of the reply that were handed on."""
        self._held = ""
        self._held_citations: tuple[Citation, ...] = ()
        self._surely_answered = False
        self._space = ""
        """White space that is released with the text that follows it."""
        self._released = ""
        self._cited: tuple[Citation, ...] = ()

    def add(self, piece: str) -> Iterator[AnswerEvent]:
        """Yield what the next piece of the reply makes certain."""
        if self._format is None:
            return
        self._reply += piece
        certain = self._format.before_abstention(self._reply)[self._read :]
        self._read += len(certain)
        if self._unfinished is None:
            text = self._space + certain if self._released else certain.lstrip()
            self._space = text[len(text.rstrip()) :]
            yield from self._release(text.rstrip())
            return
        text, citations = self._unfinished.add(certain)
        self._held, self._held_citations = self._held + text, (*self._held_citations, *citations)
        if self._surely_answered or is_surely_answer(self._held_citations):
            self._surely_answered = True
            yield from self._release(self._held, self._held_citations)
            self._held, self._held_citations = "", ()

    def finish(self, answer: Answer) -> Iterator[AnswerEvent]:
        """Yield the rest of the answer, and the answer. `Reset` comes first where a thought was taken for it."""
        if not answer.text.startswith(self._released) or answer.citations[: len(self._cited)] != self._cited:
            self._released, self._cited = "", ()
            yield Reset()
        yield from self._release(answer.text[len(self._released) :], answer.citations[len(self._cited) :])
        yield Done(answer)

    def _release(self, text: str, citations: tuple[Citation, ...] = ()) -> Iterator[AnswerEvent]:
        self._released += text
        self._cited += citations
        if text:
            yield TextDelta(text)
        for citation in citations:
            yield CitationChecked(citation)
