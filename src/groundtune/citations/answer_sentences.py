"""Split a model's reply into sentences with the markers that belong to each. Judges no sentence."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from groundtune.citations.markers import Marker, find_markers
from groundtune.citations.quote_matching import find
from groundtune.citations.statements import states_something, without_head
from groundtune.languages.reply_words import all_words
from groundtune.languages.text import sentences, words
from groundtune.types import Hit

MAX_RUN = 8
"""Maximum sentences before a marker that may form one quote with the marked one."""

_BULLET = re.compile(r"\s*(?:(?:[-*+•–—>|①-⑳]|\(?\d{1,3}[.)]|\(?[A-Za-z][.)]|#{1,6})\s+)*")
_SOFT_BREAK = re.compile(r"(?<=[^\W_])[,]?[ \t]*\n[ \t]*(?=[^\W_])(?!\d{1,3}[.)]\s|[A-ZÀ-Þ]|[a-z][.)]\s)")
"""A line break within a sentence: not after a full stop, and not before a capital, a number or a list letter."""
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_TABLE_HEAD = re.compile(r"[^\n]*\|[^\n]*\n[ \t]*\|?[ \t:]*-{2,}[-| :\t]*(?:\n|\Z)")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer: its position including markers, its text without them, and the markers."""

    start: int
    end: int
    text: str
    markers: tuple[Marker, ...] = ()
    states: bool = True
    """Whether it claims something that a passage could support."""
    bare_end: int = 0
    """Position where its words end and only markers follow."""
    line: tuple[int, int] = (0, 0)
    """Start of its line, and of the text after the line's bullet."""
    parts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Parts of the sentence, each with the markers that close it; empty when all markers are in one place."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the passages that its markers name."""
        return tuple(dict.fromkeys(number for marker in self.markers for number in marker.numbers))


def split_answer(text: str, hits: Sequence[Hit], *, language: str = "english") -> list[Sentence]:
    """Split into sentences, with the markers within, after, or at the head of the line before them.

    Markers alone on a line belong to the sentence above them, at the head of the text to the sentence below. Sentences
    that together are one quote of the passage named after them are one.
    """
    markers = find_markers(text, hits)
    code = [match.span() for match in _CODE.finditer(text)]
    result: list[Sentence] = []
    leading: list[Marker] = []
    for start, end in _lines(text, code):
        line_markers = [marker for marker in markers if start <= marker.start and marker.end <= end]
        line_sentences = _line(text, start, end, line_markers, language)
        if not line_sentences and result and line_markers:
            result[-1] = replace(
                result[-1], markers=(*result[-1].markers, *line_markers), end=max(result[-1].end, line_markers[-1].end)
            )
        elif not line_sentences:
            leading.extend(line_markers)
        elif leading:
            first, line = line_sentences[0], (leading[0].start, line_sentences[0].line[1])
            first = replace(first, markers=(*leading, *first.markers), start=leading[0].start, parts=())
            line_sentences = [replace(each, line=line) for each in (first, *line_sentences[1:])]
            leading = []
        result.extend(line_sentences)
    return _with_quotes_joined(text, result, hits, language)


def paragraph_ends(text: str, sentence: Sentence, following: Sentence) -> bool:
    """Whether a blank line separates two sentences."""
    return _BLANK_LINE.search(text, sentence.end, max(sentence.end, following.line[1])) is not None


def is_source_word(word: str) -> bool:
    """Whether a word names sources in general, so that a line of such words and markers is no sentence."""
    return word in _source_words()


@cache
def _source_words() -> frozenset[str]:
    kinds = ("sources", "joins", "pointers")
    return frozenset(part for kind in kinds for word in all_words(kind) for part in words(word) if len(part) > 1)


# -- lines ---------------------------------------------------------------------------------------------------------


def _lines(text: str, code: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the non-empty lines. A line that breaks within a sentence continues, and code stays in one piece."""
    soft = {text.index("\n", match.start()) for match in _SOFT_BREAK.finditer(text)}
    start = 0
    for position in [index for index, char in enumerate(text) if char == "\n"] + [len(text)]:
        if position in soft or (position < len(text) and any(a <= position < b for a, b in code)):
            continue
        if text[start:position].strip():
            yield start, position
        start = position + 1


def _line(text: str, start: int, end: int, markers: Sequence[Marker], language: str) -> list[Sentence]:
    """Split one line into sentences as if it had no markers, then assign each marker to the sentence beside it."""
    apart = [marker for marker in markers if marker.phrase is None]
    clean, origin = without_spans(text, start, end, [(marker.start, marker.end) for marker in apart])
    bullet = _BULLET.match(clean)
    head = bullet.end() if bullet else 0
    spans = [(head + a, head + b) for a, b in sentences(clean[head:], language=language)]
    spans = [(a, b) for a, b in spans if not all(map(is_source_word, words(clean[a:b])))]
    if not spans:
        return []
    places = [bisect_left(origin, marker.start) for marker in markers]
    of_apart = iter(_owners([place for place, marker in zip(places, markers, strict=True) if marker in apart], spans))
    owners = [
        next(of_apart) if marker in apart else max((i for i, (a, _) in enumerate(spans) if a <= place), default=0)
        for place, marker in zip(places, markers, strict=True)
    ]
    result = []
    for index, (a, b) in enumerate(spans):
        sentence_markers = tuple(marker for marker, owner in zip(markers, owners, strict=True) if owner == index)
        first, bare_end = origin[a], origin[b - 1] + 1
        named = [marker.phrase for marker in sentence_markers if marker.phrase]
        own = clean[a:b]
        if named:
            own = "".join(clean[i] for i in range(a, b) if not any(left <= origin[i] < right for left, right in named))
        claim = without_head(" ".join(own.split()))
        result.append(
            Sentence(
                start=min([first, *(marker.start for marker in sentence_markers)]),
                end=max([bare_end, *(marker.end for marker in sentence_markers)]),
                text=claim,
                markers=sentence_markers,
                states=states_something(claim, clean) and not _TABLE_HEAD.match(text, start),
                bare_end=bare_end,
                line=(start, origin[head] if head < len(origin) else end),
                parts=() if named else _parts(text, first, bare_end, sentence_markers),
            )
        )
    return result


def _parts(text: str, start: int, end: int, markers: Sequence[Marker]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the text before each group of markers; the last part extends to the end of the sentence."""
    parts: list[tuple[str, tuple[int, ...]]] = []
    position = start
    for marker in markers:
        words_before = text[position : max(position, marker.start)].strip(" \t\n.,;:")
        if words_before or not parts:
            parts.append((words_before, marker.numbers))
        else:
            parts[-1] = (parts[-1][0], tuple(dict.fromkeys([*parts[-1][1], *marker.numbers])))
        position = marker.end
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


def without_spans(text: str, start: int, end: int, spans: Sequence[tuple[int, int]]) -> tuple[str, list[int]]:
    """Return a line without these spans, and each character's original position. A line break becomes a space."""
    chars: list[str] = []
    origin: list[int] = []
    position = start
    for left, right in [*spans, (end, end)]:
        chars.append(text[position:left].replace("\n", " "))
        origin += range(position, left)
        if right < end and text[right].isalnum():
            chars.append(" ")
            origin.append(left)
        position = right
    return "".join(chars), origin


# -- quotes of several sentences -----------------------------------------------------------------------------------


def _with_quotes_joined(
    text: str, answer_sentences: Sequence[Sentence], hits: Sequence[Hit], language: str
) -> list[Sentence]:
    """Join the sentences before a marker if together they appear word for word in the cited passage.

    A quote of two sentences is then one citation, and a `[3]` within the quoted words is not a marker.
    """
    joined: list[Sentence] = []
    for sentence in answer_sentences:
        trailing = _trailing(text, sentence)
        run = [earlier for earlier in joined[-MAX_RUN:] if earlier.line == sentence.line]
        passages = [
            hits[number - 1].passage.text
            for marker in trailing
            for number in marker.numbers
            if 1 <= number <= len(hits)
        ]
        inner = len(sentence.markers) > len(trailing)
        for size in range(len(run), -1 if inner else 0, -1):
            first = run[len(run) - size] if size else sentence
            begin = max(first.start, sentence.line[1])
            if any(find(text[begin : sentence.bare_end], passage, language=language) for passage in passages):
                joined_text = " ".join(text[begin : sentence.bare_end].split())
                joined = joined[: len(joined) - size]
                sentence = replace(
                    sentence, start=first.start, text=joined_text, markers=trailing, parts=(), states=True
                )
                break
        joined.append(sentence)
    return joined


def _trailing(text: str, sentence: Sentence) -> tuple[Marker, ...]:
    """Return the markers after the last word of a sentence, before or after its full stop."""
    behind = tuple(marker for marker in sentence.markers if marker.start >= sentence.bare_end)
    if behind:
        return behind
    position = sentence.bare_end - (text[sentence.bare_end - 1] in ".!?")
    for marker in reversed(sentence.markers):
        if marker.end != position:
            break
        behind, position = (marker, *behind), marker.start
    return behind
