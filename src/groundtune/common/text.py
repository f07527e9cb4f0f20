"""Split plain text into words and sentences, by offset. Pure functions; no model, no file."""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any

import snowballstemmer
from sentencex import get_sentence_boundaries

SEGMENT_CHARS = 20_000
"""Characters searched for sentences at a time; bounds time and memory on text without full stops."""

LANGUAGES = {
    "arabic": "ar", "danish": "da", "dutch": "nl", "english": "en", "finnish": "fi", "french": "fr",
    "german": "de", "greek": "el", "hungarian": "hu", "italian": "it", "norwegian": "no", "portuguese": "pt",
    "romanian": "ro", "russian": "ru", "spanish": "es", "swedish": "sv", "tamil": "ta", "turkish": "tr",
}  # fmt: skip
"""Languages with a stemmer, by their name in the project file, with their ISO 639-1 code."""

_WORD = re.compile(r"\d+(?:[.,:/]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*|\d+[^\W\d_]+", re.UNICODE)
_STOP = frozenset(
    """a about above after again against all also am an and any are as at be because been before being below between
    both but by can could did do does doing down during each few for from further had has have having he her here hers
    him his how i if in into is it its just me more most my no nor not of off on once only or other our ours out over
    own same she should so some such than that the their theirs them then there these they this those through to too
    under until up very was we were what when where which while who whom why will with would you your yours""".split()
)


def sentences(text: str, *, language: str = "english") -> Iterator[tuple[int, int]]:
    """Yield the start and end of each sentence, without surrounding white space. A blank line also ends a sentence."""
    code = LANGUAGES.get(language, "en")
    start = 0
    while start < len(text):
        end = min(len(text), start + SEGMENT_CHARS)
        for sentence in get_sentence_boundaries(code, text[start:end]):
            yield from _lines(text, start + sentence["start_index"], start + sentence["end_index"])
        start = end


def words(text: str) -> list[str]:
    """Return words and numbers in order, case-folded and without accents."""
    return [_fold(match.group()) for match in _WORD.finditer(text)]


def content_words(text: str, *, language: str = "english") -> list[str]:
    """Return the stems of the content words in order; numbers stay as they are."""
    stem = _stemmer(language).stemWord
    return [word if word[0].isdigit() else stem(word) for word in words(text) if word not in _STOP]


def one_line(text: str, *, most: int = 300) -> str:
    """Return the text on one line, at most `most` characters; an ellipsis ends one that was longer."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def format_count(number: int, noun: str = "row", plural: str = "") -> str:
    """Return a number with its noun: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def strip_span(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return the span without white space at its ends; None when nothing is left."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    position = start
    for part in text[start:end].split("\n\n"):
        if span := strip_span(text, position, position + len(part)):
            yield span
        position += len(part) + 2


def _fold(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).replace("’", "'")


@cache
def _stemmer(language: str) -> Any:
    return snowballstemmer.stemmer(language if language in LANGUAGES else "english")
