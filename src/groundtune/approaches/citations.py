"""Check each cited sentence of an answer against the passage that it names. Does not search or rewrite sentences.

exact: the sentence appears in the passage word for word. close: its numbers, names and most of its words appear
together there, and it does not contradict what the passage says. missing: neither applies, or the marker refers to no
passage. The check compares words: it catches a changed figure, a swapped name or an added "not", but not a different
claim in the same words.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from groundtune.approaches.quote_matching import find, find_close, may_continue
from groundtune.languages.text import sentences, words
from groundtune.types import Citation, Hit

MAX_RUN = 8
"""Maximum sentences before a marker that may form one quote with the marked one."""
MAX_MARKER = 99
"""Larger numbers count as markers only when that many passages were given: `[2024]` is text."""

_MARKER = re.compile(r"[ \t]*\[\s*\d{1,5}(?:\s*[,;–-]\s*\d{1,5})*\s*\]")
_PART = re.compile(r"(\d+)(?:\s*[–-]\s*(\d+))?")
_BULLET = re.compile(r"\s*(?:(?:[-*+•–—>|]|\d{1,3}[.)]|[A-Za-z][.)]|#{1,6})\s+)*")
_SOFT_BREAK = re.compile(r"(?<=[^\W_])[,]?[ \t]*\n[ \t]*(?=[^\W_])(?!\d{1,3}[.)]\s|[A-ZÀ-Þ]|[a-z][.)]\s)")
"""A line break within a sentence: not after a full stop, and not before a capital, a number or a list letter."""
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_EMPTY = frozenset("source sources reference references see passage passages document documents and cf".split())
_LEAD_IN_WORDS = 12
_NEXT_WORDS = 3
"""Words that must follow a sentence before its end is certain."""
_NEXT_WORD = re.compile(r"[^\W\d_]{2,}(?=\s)")
_PLAIN_SIGNS = frozenset("0123456789.,;:!?%€$£&/+°-")
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")
_ITEM = re.compile(r"^[ivxlcdm]+[.)]\s|\d[.!?]+[^\W\d_]", re.IGNORECASE)
"""What may turn out to be the number of a list item: a Roman number at the head, a number joined to a word."""
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer: its position including markers, its text without them, and the markers."""

    start: int
    end: int
    text: str
    markers: tuple[int, ...] = ()
    bare_end: int = 0
    """Position where its words end and only markers follow."""
    line: tuple[int, int] = (0, 0)
    """Start of its line, and of the text after the line's bullet."""
    parts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Parts of the sentence, each with the markers that close it; empty when all markers are in one place."""


def check_citations(text: str, hits: Sequence[Hit], *, strict: bool = False) -> tuple[str, tuple[Citation, ...]]:
    """Return the answer's text, and one citation for each marker of each sentence, in order.

    strict: drop sentences without a marker and sentences whose markers are all unsupported; "" when none is left.
    """
    answer_sentences = _with_runs(text, _split(text, len(hits)), hits)
    kept: list[Sentence] = []
    citations: list[Citation] = []
    for sentence in answer_sentences:
        cited, supported = _check(sentence, hits)
        if supported or not strict:
            kept.append(sentence)
            citations.extend(cited)
    if not strict or (kept and len(kept) == len(answer_sentences)):
        return text.strip(), tuple(citations)
    return _pasted(text, _with_lead_ins(answer_sentences, kept)), tuple(citations)


def _check(sentence: Sentence, hits: Sequence[Hit]) -> tuple[list[Citation], bool]:
    """Return a citation for each marker, and whether the sentence is supported: as a whole by one, or part by part."""
    cited = {marker: _cite(sentence.text, sentence.text, marker, hits) for marker in sentence.markers}
    supported = any(citation.support != "missing" for citation in cited.values())
    if not supported and len(sentence.parts) > 1:
        parts_supported = []
        for words_before, markers in sentence.parts:
            part_citations = {marker: _cite(words_before, sentence.text, marker, hits) for marker in markers}
            parts_supported.append(any(citation.support != "missing" for citation in part_citations.values()))
            cited |= {
                marker: citation for marker, citation in part_citations.items() if cited[marker].support == "missing"
            }
        supported = all(parts_supported)
    return list(cited.values()), supported


def _cite(claim: str, sentence: str, marker: int, hits: Sequence[Hit]) -> Citation:
    if not 1 <= marker <= len(hits):
        return Citation(marker, sentence, "missing")
    passage = hits[marker - 1].passage
    citation = Citation(
        marker, sentence, "missing", passage.id, passage.document_id, passage.source, passage.heading, passage.page
    )
    exact = find(claim, passage.text)
    span = exact or find_close(claim, passage.text, passage.heading)
    if span is None:
        return citation
    start, end = span
    return replace(
        citation,
        support="exact" if exact else "close",
        quote=passage.text[start:end],
        start=passage.start + start,
        end=passage.start + end,
    )


# -- while the answer is being written -----------------------------------------------------------------------------


class UnfinishedText:
    """The text of an answer that is still being written, released sentence by sentence with checked citations.

    Whatever follows, the released pieces are the beginning of what `check_citations` returns for the whole text. A
    sentence is settled when the next one has begun and no marker or quote can reach back to it; where that depends on
    the rest of the line, as it does with quotation marks, brackets and code, it is settled when the next line begins.
    """

    def __init__(self, hits: Sequence[Hit], *, strict: bool = False) -> None:
        self._hits = hits
        self._strict = strict
        self._text = ""
        """Everything so far, without white space at its start."""
        self._line = 0
        """Start of the line that the first sentence after the settled ones is in."""
        self._settled: list[Sentence] = []
        self._kept: list[Sentence] = []
        self._held: list[Citation] = []
        """Citations of settled sentences whose text is not released yet."""
        self._next = 0
        """Where the first sentence after the settled ones starts, or its line."""
        self._released = 0

    def add(self, piece: str) -> tuple[str, tuple[Citation, ...]]:
        """Return the text that is released now, and its citations."""
        self._text = self._text + piece if self._text else piece.lstrip()
        if not any(char.isspace() for char in piece):
            return "", ()  # the last word may go on
        for sentence in self._newly_settled():
            citations, supported = _check(sentence, self._hits)
            self._settled.append(sentence)
            if supported or not self._strict:
                self._kept.append(sentence)
                self._held += citations
        final = self._final()
        if final is None or len(final) <= self._released:
            return "", ()
        citations, self._held = self._held, []
        start, self._released = self._released, len(final)
        return final[start:], tuple(citations)

    def _newly_settled(self) -> list[Sentence]:
        section = _up_to_last_space(self._text[self._line :])
        known = sum(sentence.start >= self._line for sentence in self._settled)
        sentences_now = _with_runs(section, _split(section, len(self._hits)), self._hits)
        count = _settled_count(section, sentences_now, self._hits)
        if count <= known:
            return []
        *settled, following = (_moved(sentence, self._line) for sentence in sentences_now[: count + 1])
        self._line = following.line[0]
        self._next = following.start if settled[-1].line == following.line else following.line[0]
        return settled[known:]

    def _final(self) -> str | None:
        """Return the beginning of the final text as far as it is certain; None when its form is still open."""
        if not self._kept:
            return ""
        if not self._strict:
            return self._text[: self._next]
        pasted = _pasted(self._text, _with_lead_ins(self._settled, self._kept))
        dropped = len(self._kept) < len(self._settled)
        # The text stays as it is unless a sentence is dropped, now or later.
        return pasted if dropped or pasted == self._text[: self._kept[-1].end] else None


def _settled_count(text: str, answer_sentences: Sequence[Sentence], hits: Sequence[Hit]) -> int:
    """Return how many sentences no later text can change. The text ends with white space."""
    for count in range(len(answer_sentences) - 1, 0, -1):
        last, following = answer_sentences[count - 1 : count + 1]
        if _stays(following) and (last.line != following.line or _apart(text, answer_sentences, count, hits)):
            return count
    return 0


def _stays(sentence: Sentence) -> bool:
    """Whether it remains a sentence, so that markers in its line belong to it and not to the line above."""
    return any(len(word) > 1 and word.isalpha() and word not in _EMPTY for word in words(sentence.text))


def _apart(text: str, answer_sentences: Sequence[Sentence], count: int, hits: Sequence[Hit]) -> bool:
    """Whether the first `count` sentences stay apart from the next one, which is in the same line.

    Within a line, the end of a sentence may depend on text far behind it: a closing quotation mark or bracket, the next
    item of a list. It does not in plain text, once three more words are known; tests compare many texts with their
    beginnings. Markers at the head of a line may belong to what precedes or follows them, depending on its end.
    """
    last, following = answer_sentences[count - 1 : count + 1]
    first = next(sentence for sentence in answer_sentences if sentence.line == following.line)
    body = following.line[1]
    next_words = list(islice(_NEXT_WORD.finditer(text, following.start), _NEXT_WORDS))
    if len(next_words) < _NEXT_WORDS or not text[following.start - 1].isspace() or _MARKER.match(text, first.start):
        return False
    markers = list(_MARKER.finditer(text, body, next_words[-1].end()))
    plain = _without(text, body, next_words[-1].end(), [marker.span() for marker in markers])[0]
    return (
        all(_is_marker(marker, text, len(hits)) for marker in markers)
        and _is_plain(plain)
        and not any(may_continue(text[max(last.start, body) : following.start], hit.passage.text) for hit in hits)
    )


def _is_plain(line: str) -> bool:
    """Whether the sentences of a line can be told apart without knowing how it goes on."""
    without_apostrophes = _APOSTROPHE.sub("", line)
    known = all(char.isalpha() or char.isspace() or char in _PLAIN_SIGNS for char in without_apostrophes)
    return known and not _ITEM.search(line)


def _up_to_last_space(text: str) -> str:
    return text[: max((index + 1 for index, char in enumerate(text) if char.isspace()), default=0)]


def _moved(sentence: Sentence, by: int) -> Sentence:
    start, body = sentence.line
    return replace(
        sentence,
        start=sentence.start + by,
        end=sentence.end + by,
        bare_end=sentence.bare_end + by,
        line=(start + by, body + by),
    )


# -- sentences and their markers -----------------------------------------------------------------------------------


def _split(text: str, passages: int) -> list[Sentence]:
    """Split into sentences, with the markers within, after, or at the head of the line before them."""
    code = [match.span() for match in _CODE.finditer(text)]
    markers = [m for m in _MARKER.finditer(text) if _is_marker(m, text, passages) and not _inside(m.end() - 1, code)]
    result: list[Sentence] = []
    for start, end in _lines(text, code):
        line_markers = [m for m in markers if start <= m.start() and m.end() <= end]
        line_sentences = _line(text, start, end, line_markers)
        if not line_sentences and line_markers and result:  # markers alone on a line belong to the sentence above
            numbers = [number for marker in line_markers for number in _numbers(marker.group())]
            result[-1] = replace(
                result[-1], markers=_unique([*result[-1].markers, *numbers]), end=line_markers[-1].end()
            )
        result.extend(line_sentences)
    return result


def _is_marker(match: re.Match[str], text: str, passages: int) -> bool:
    """Whether it is a marker: `[2]`, but not the index of `rows[2]`, the link `[2](…)` or the year `[2024]`."""
    after = text[match.end() : match.end() + 1]
    joined = not match.group()[0].isspace()
    before = text[match.start() - 1 : match.start()] if joined else ""
    index = before in ("_", ")") and after in ("[", ".", "=", "(") and after != ""
    numbers = _numbers(match.group())
    return not index and after not in ("(", "=") and all(0 < n <= max(MAX_MARKER, passages) for n in numbers)


def _numbers(marker: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for first, last in _PART.findall(marker):
        low, high = int(first), int(last or first)
        numbers.extend(range(low, high + 1) if low <= high <= low + MAX_MARKER else (low, high))
    return _unique(numbers)


def _lines(text: str, code: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the non-empty lines. A line that breaks within a sentence continues, and code stays in one piece."""
    soft = {text.index("\n", match.start()) for match in _SOFT_BREAK.finditer(text)}
    start = 0
    for position in [index for index, char in enumerate(text) if char == "\n"] + [len(text)]:
        if position in soft or (position < len(text) and _inside(position, code)):
            continue
        if text[start:position].strip():
            yield start, position
        start = position + 1


def _line(text: str, start: int, end: int, markers: Sequence[re.Match[str]]) -> list[Sentence]:
    """Split one line into sentences as if it had no markers, then assign each marker to the sentence beside it."""
    clean, origin = _without(text, start, end, [match.span() for match in markers])
    bullet = _BULLET.match(clean)
    head = bullet.end() if bullet else 0
    spans = [(head + a, head + b) for a, b in sentences(clean[head:])]
    spans = [(a, b) for a, b in spans if not set(words(clean[a:b])) <= _EMPTY]
    if not spans:
        return []
    places = [sum(1 for place in origin if place < match.start()) for match in markers]
    owners = _owners(places, spans)
    result = []
    for index, (a, b) in enumerate(spans):
        sentence_markers = [match for match, owner in zip(markers, owners, strict=True) if owner == index]
        first, bare_end = origin[a], origin[b - 1] + 1
        result.append(
            Sentence(
                start=min([first, *(m.start() for m in sentence_markers)]),
                end=max([bare_end, *(m.end() for m in sentence_markers)]),
                text=" ".join(clean[a:b].split()),
                markers=_unique([number for match in sentence_markers for number in _numbers(match.group())]),
                bare_end=bare_end,
                line=(start, origin[head] if head < len(origin) else end),
                parts=_parts(text, first, bare_end, sentence_markers),
            )
        )
    return result


def _parts(
    text: str, start: int, end: int, markers: Sequence[re.Match[str]]
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the text before each group of markers; the last part extends to the end of the sentence."""
    parts: list[tuple[str, tuple[int, ...]]] = []
    position = start
    for marker in markers:
        words_before = text[position : max(position, marker.start())].strip(" \t\n.,;:")
        numbers = _numbers(marker.group())
        if words_before or not parts:
            parts.append((words_before, numbers))
        else:
            parts[-1] = (parts[-1][0], _unique([*parts[-1][1], *numbers]))
        position = marker.end()
    if parts and position < end:
        parts[-1] = (f"{parts[-1][0]}{text[position:end]}", parts[-1][1])
    return tuple(parts)


def _owners(places: Sequence[int], spans: Sequence[tuple[int, int]]) -> list[int]:
    """Return the sentence index of each marker: the one before it, or after it when markers open the line."""
    leading = any(place <= spans[0][0] for place in places)
    trailing = any(place >= spans[-1][1] for place in places)
    if leading and not trailing:
        return [next((i for i, (_, b) in enumerate(spans) if place < b), len(spans) - 1) for place in places]
    return [max([i for i, (a, _) in enumerate(spans) if a < place], default=0) for place in places]


def _without(text: str, start: int, end: int, spans: Sequence[tuple[int, int]]) -> tuple[str, list[int]]:
    """Return the line without markers, and each character's original position. A line break becomes a space."""
    chars: list[str] = []
    origin: list[int] = []
    position = start
    for left, right in [*spans, (end, end)]:
        for index in range(position, left):
            chars.append(" " if text[index] == "\n" else text[index])
            origin.append(index)
        if right < end and text[right].isalnum():
            chars.append(" ")
            origin.append(left)
        position = right
    return "".join(chars), origin


def _with_runs(text: str, answer_sentences: Sequence[Sentence], hits: Sequence[Hit]) -> list[Sentence]:
    """Join the sentences before a marker if together they appear word for word in the cited passage.

    A quote of two sentences is then one citation, and a `[3]` within the quoted words is not a marker.
    """
    joined: list[Sentence] = []
    for sentence in answer_sentences:
        trailing = _trailing(text, sentence)
        run = [earlier for earlier in joined[-MAX_RUN:] if earlier.line == sentence.line]
        passages = [hits[n - 1].passage.text for n in trailing if 1 <= n <= len(hits)]
        inner = set(sentence.markers) - set(trailing)
        for size in range(len(run), -1 if inner else 0, -1):
            first = run[len(run) - size] if size else sentence
            begin = max(first.start, sentence.line[1])
            if any(find(text[begin : sentence.bare_end], passage) for passage in passages):
                joined_text = " ".join(text[begin : sentence.bare_end].split())
                joined = joined[: len(joined) - size]
                sentence = replace(sentence, start=first.start, text=joined_text, markers=trailing, parts=())
                break
        joined.append(sentence)
    return joined


def _trailing(text: str, sentence: Sentence) -> tuple[int, ...]:
    """Return the markers after the last word of a sentence, before or after its full stop."""
    behind = [
        number for match in _MARKER.finditer(text, sentence.bare_end, sentence.end) for number in _numbers(match[0])
    ]
    if not behind and (before := re.search(rf"({_MARKER.pattern})+[.!?]?$", text[sentence.start : sentence.bare_end])):
        behind = [number for match in _MARKER.finditer(before[0]) for number in _numbers(match[0])]
    return _unique([number for number in behind if number in sentence.markers])


# -- what is left of the text --------------------------------------------------------------------------------------


def _leads_in(sentence: str) -> bool:
    return sentence.endswith(":") and len(sentence.split()) <= _LEAD_IN_WORDS and not re.search(r"\d", sentence)


def _with_lead_ins(answer_sentences: Sequence[Sentence], kept: Sequence[Sentence]) -> list[Sentence]:
    """Keep the introductory line of a list if any of its items is kept."""
    chosen = set(kept)
    lead: Sentence | None = None
    for sentence in answer_sentences:
        if sentence in kept and lead:
            chosen.add(lead)
            lead = None
        elif _leads_in(sentence.text):
            lead = sentence
    return [sentence for sentence in answer_sentences if sentence in chosen]


def _pasted(text: str, kept: Sequence[Sentence]) -> str:
    """Return the kept sentences: those of a line on one line, with a blank line where paragraphs were apart."""
    pasted = ""
    for previous, sentence in zip([None, *kept], kept, strict=False):
        start, body = sentence.line
        words_kept = text[max(sentence.start, body) : sentence.end].strip()
        if previous and previous.line == sentence.line:
            pasted += f" {words_kept}"
            continue
        if previous:
            pasted += "\n\n" if _BLANK_LINE.search(text, previous.end, body) else "\n"
        pasted += " ".join(part for part in (text[start:body].strip(), words_kept) if part)
    return pasted


def _inside(position: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start <= position < end for start, end in spans)


def _unique(numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(numbers))
