"""Split plain text into words and sentences, by offset. Pure functions; no model."""

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

import regex
import snowballstemmer
from sentencex import get_sentence_boundaries

from groundtune.languages.language import LANGUAGES, load
from groundtune.languages.tokens import Token, fold, tokenize

_POINT = regex.compile(r"(?<![\p{L}\p{M}\p{N}])([\p{L}\p{M}]+|\p{Nd}{1,4})\.[ \u00a0]$")
_WIDE_SPACE = regex.compile(r"[^\S\x00-\x7f]")
"""White space of several bytes, at which the segmenter may panic: it takes each for one."""
SEGMENT_CHARS = 20_000
"""Characters searched for sentences at a time; bounds time and memory on text without full stops."""


def sentences(text: str, *, language: str = "english") -> Iterator[tuple[int, int]]:
    """Yield the start and end of each sentence, without surrounding white space. A blank line also ends a sentence."""
    code = LANGUAGES.get(language, "en")
    start = 0
    while start < len(text):
        end = min(len(text), start + SEGMENT_CHARS)
        first = start
        for sentence in get_sentence_boundaries(code, _WIDE_SPACE.sub(" ", text[start:end])):
            last = start + sentence["end_index"]
            if not _goes_on(text, first, last, language):
                yield from _lines(text, first, last)
                first = last
        yield from _lines(text, first, end)
        start = end


def words(text: str) -> list[str]:
    """Return words and numbers in order, case-folded and without accents."""
    return [fold(token.text) for token in tokenize(text)]


def content_words(text: str, *, language: str = "english") -> list[str]:
    """Return the stems of the content words in order; numbers stay as they are."""
    data = load(language) or load("english")
    assert data is not None
    tokens = tokenize(text, data.writing)
    return [stem(token, language) for token in tokens if fold(token.text) not in data.stop_words]


def stem(token: Token, language: str) -> str:
    """Return the stem of a word without accents; numbers stay as they are."""
    return token.text if token.number else stem_of(token.word, language)


def strip_span(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return the span without white space at its ends; None when nothing is left."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def _goes_on(text: str, start: int, end: int, language: str) -> bool:
    """Whether a sentence does not end here, but at "1." in "fra 1. mai", or at an abbreviation."""
    following = text[end : end + 1]
    word = _POINT.search(text[max(start, end - 20) : end])
    if word is None or not (following.islower() or following.isdecimal()):
        return False
    if word[1].isdecimal():
        return following.islower()
    data = load(language)
    return data is not None and word[1].lower() in data.abbreviations


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    position = start
    for part in text[start:end].split("\n\n"):
        if span := strip_span(text, position, position + len(part)):
            yield span
        position += len(part) + 2


@lru_cache(maxsize=100_000)
def stem_of(word: str, language: str) -> str:
    """Return the stem, without accents, of a word in lower case."""
    return fold(_stemmer(language).stemWord(word))


@cache
def _stemmer(language: str) -> Any:
    return snowballstemmer.stemmer(language if language in LANGUAGES else "english")
