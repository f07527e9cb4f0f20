"""Release the text of an answer that is still being written, sentence by sentence, with checked citations."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from groundtune.citations.answer_sentences import (
    Sentence,
    is_source_word,
    paragraph_ends,
    split_answer,
    without_spans,
)
from groundtune.citations.checking import (
    Comparison,
    JudgedSentence,
    judge_sentences,
    numbered_citations,
    pasted,
    rendered,
    supported_sentences,
)
from groundtune.citations.markers import Marker, closed_part, find_markers, unwrapped
from groundtune.citations.quote_matching import may_continue
from groundtune.citations.statements import leads_in
from groundtune.languages.segmentation import has_unspaced
from groundtune.languages.text import words
from groundtune.protocols import SupportChecker
from groundtune.types import Citation, Hit

_NEXT_WORDS = 3
"""Words that must follow a sentence before its end is certain."""
_LINE_WORDS = 8
"""Words of a new line after which it is clear whether it has a sentence of its own."""
_NEXT_WORD = re.compile(r"[^\W\d_]{2,}(?=\s)")
_MAY_END = re.compile(r"[^\w\s,'’-]")
_PLAIN_SIGNS = frozenset("0123456789.,;:!?%€$£&/+°-")
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")
_ITEM = re.compile(r"^[ivxlcdm]+[.)]\s|\d[.!?]+[^\W\d_]", re.IGNORECASE)
"""What may turn out to be the number of a list item: a Roman number at the head, a number joined to a word."""


class UnfinishedText:
    """Whatever follows, the released pieces are the beginning of what `check_citations` returns for the whole text.

    A sentence is settled when the next one has begun and no marker or quote can reach back to it; where that depends on
    the rest of the line, as it does with quotation marks, brackets and code, it is settled when the next line begins. A
    sentence without a marker waits for the next marker in its paragraph, or for the end of the paragraph.
    """

    def __init__(
        self,
        hits: Sequence[Hit],
        *,
        strict: bool = False,
        language: str = "english",
        checker: SupportChecker | None = None,
    ) -> None:
        self._hits = hits
        self._strict = strict
        self._by = Comparison(language, checker)
        self._reply = ""
        """Everything so far, without white space at its start."""
        self._text = ""
        """The same up to a tag that is still open, with markers in place of tags around words."""
        self._line = 0
        """Start of the line that the first sentence after the settled ones is in."""
        self._settled: list[JudgedSentence] = []
        self._next = 0
        """Where the first sentence after the settled ones starts, or its line."""
        self._tried: tuple[int, tuple[int, ...]] | None = None
        """What `_next` and the possible ends were when it was last looked at what has settled."""
        self._released = 0
        self._cited = 0

    def add(self, piece: str) -> tuple[str, tuple[Citation, ...]]:
        """Return the text that is released now, and its citations."""
        self._reply = self._reply + piece if self._reply else piece.lstrip()
        self._text = unwrapped(closed_part(self._reply), self._hits)
        if not any(char.isspace() for char in piece):
            return "", ()  # the last word may go on
        ends = _possible_ends(self._text[self._next :])
        if ends is None or (self._next, ends) == self._tried:
            return "", ()
        self._tried = self._next, ends
        self._settle()
        final = self._final()
        if final is None or len(final[0]) <= self._released:
            return "", ()
        text, citations = final[0][self._released :], final[1][self._cited :]
        self._released, self._cited = len(final[0]), len(final[1])
        return text, citations

    def _settle(self) -> None:
        section = _up_to_last_space(self._text[self._line :])
        known = sum(each.sentence.start >= self._line for each in self._settled)
        sentences_now = split_answer(section, self._hits, language=self._by.language)
        count = _settled_count(section, sentences_now, self._hits)
        if count <= known:
            return
        *settled, following = (_moved(sentence, self._line) for sentence in sentences_now[: count + 1])
        self._line = following.line[0]
        self._next = following.start if settled[-1].line == following.line else following.line[0]
        before = [each.sentence for each in self._settled]
        self._settled += judge_sentences(
            self._text, [*before, *settled[known:]], self._hits, self._by, start=len(before)
        )

    def _final(self) -> tuple[str, tuple[Citation, ...]] | None:
        """Return the beginning of the final answer as far as it is certain; None when its form is still open."""
        if not self._strict:
            return rendered(self._text, 0, self._next, self._settled), numbered_citations(self._settled)
        kept = supported_sentences(self._settled)
        if not kept:
            return "", ()
        text = pasted(self._text, kept)
        # The text stays as it is unless a sentence is dropped, now or later. A lead-in stays if what follows does.
        last = self._settled[-1]
        is_open = not last.supported and leads_in(last.sentence.text)
        whole = len(kept) + is_open == len(self._settled)
        if whole and text != rendered(self._text, 0, kept[-1].sentence.end, kept):
            return None
        return text, numbered_citations(kept)


def _possible_ends(text: str) -> tuple[int, ...] | None:
    """Tell by a quick look where sentences may have settled in the text behind the settled ones; None if none can have.

    It stays the same until a further one may have: most words end nothing, and a thorough look at each takes long.
    """
    if has_unspaced(text):
        return (len(text),)
    next_words = [match.start() for match in _NEXT_WORD.finditer(text)]
    before = next_words[-_NEXT_WORDS] if len(next_words) >= _NEXT_WORDS else 0
    last = max((sign.end() for sign in _MAY_END.finditer(text, 0, before)), default=0)
    lines = text.count("\n")
    if not lines:
        return (last,) if last else None
    begun = sum(start > text.rindex("\n") for start in next_words)
    return last, lines, min(begun, _LINE_WORDS)


def _settled_count(text: str, answer_sentences: Sequence[Sentence], hits: Sequence[Hit]) -> int:
    """Return how many sentences no later text can change. The text ends with white space."""
    markers = find_markers(text, hits)
    for count in range(len(answer_sentences) - 1, 0, -1):
        last, following = answer_sentences[count - 1 : count + 1]
        if _stays(following) and (last.line != following.line or _apart(text, answer_sentences, count, markers, hits)):
            return _with_known_markers(text, answer_sentences, count)
    return 0


def _with_known_markers(text: str, answer_sentences: Sequence[Sentence], count: int) -> int:
    """Return how many of the first `count` sentences have a marker, or cannot get one from further down."""
    known = count
    for index in range(count - 1, -1, -1):
        sentence, following = answer_sentences[index : index + 2]
        if sentence.numbers or paragraph_ends(text, sentence, following):
            break
        if sentence.states:
            known = index
    return known


def _stays(sentence: Sentence) -> bool:
    """Whether it remains a sentence, so that markers in its line belong to it and not to the line above."""
    return any(len(word) > 1 and word.isalpha() and not is_source_word(word) for word in words(sentence.text))


def _apart(
    text: str, answer_sentences: Sequence[Sentence], count: int, markers: Sequence[Marker], hits: Sequence[Hit]
) -> bool:
    """Whether the first `count` sentences stay apart from the next one in the same line. markers: all in the text.

    Within a line, the end of a sentence may depend on text far behind it: a closing quotation mark or bracket, the next
    item of a list. It does not in plain text, once three more words are known; tests compare many texts with their
    beginnings. Markers at the head of a line may belong to what precedes or follows them, depending on its end.
    """
    last, following = answer_sentences[count - 1 : count + 1]
    first = next(sentence for sentence in answer_sentences if sentence.line == following.line)
    body = following.line[1]
    next_words = list(islice(_NEXT_WORD.finditer(text, following.start), _NEXT_WORDS))
    if len(next_words) < _NEXT_WORDS or not text[following.start - 1].isspace():
        return False
    start, end = first.line[0], next_words[-1].end()
    inside = [marker for marker in markers if start <= marker.start < end]
    if any(marker.start <= first.start for marker in inside) or not all(marker.settled for marker in inside):
        return False
    plain = without_spans(text, body, end, [(marker.start, marker.end) for marker in inside])[0]
    return _is_plain(plain) and not any(
        may_continue(text[max(last.start, body) : following.start], hit.passage.text) for hit in hits
    )


def _is_plain(line: str) -> bool:
    """Whether the sentences of a line can be told apart without knowing how it goes on."""
    without_apostrophes = _APOSTROPHE.sub("", line)
    known = all(char.isalpha() or char.isspace() or char in _PLAIN_SIGNS for char in without_apostrophes)
    return known and not _ITEM.search(line)


def _up_to_last_space(text: str) -> str:
    return text[: next((end for end in range(len(text), 0, -1) if text[end - 1].isspace()), 0)]


def _moved(sentence: Sentence, by: int) -> Sentence:
    start, body = sentence.line
    return replace(
        sentence,
        start=sentence.start + by,
        end=sentence.end + by,
        bare_end=sentence.bare_end + by,
        line=(start + by, body + by),
        markers=tuple(_moved_marker(marker, by) for marker in sentence.markers),
    )


def _moved_marker(marker: Marker, by: int) -> Marker:
    phrase = (marker.phrase[0] + by, marker.phrase[1] + by) if marker.phrase else None
    return replace(marker, start=marker.start + by, open=marker.open + by, end=marker.end + by, phrase=phrase)
