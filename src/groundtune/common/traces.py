"""Recognise what comes from documents: in rows, records and texts, also where no source is named. Changes nothing.

A text comes from a document if it holds five words in a row of it, or a number, code or address of it, that stand in no
other document of the index.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from groundtune.common.names import composed

PHRASE_WORDS = 5
SHORTEST_CODE = 4
SHORTEST_NUMBER = 5
"""Shorter numbers, such as years, identify nothing."""
_WORD = re.compile(r"\w+")
_CODE = re.compile(r"[\w@.+-]*[\w]")
_PASSAGE_ID = re.compile(r"([0-9a-f]{16})(?:[:@].*)?")


class Traces:
    """What tells that a value comes from some documents.

    sources: files or items. document_ids: of their documents. texts: of these documents. others: all texts that stay.
    """

    def __init__(
        self,
        sources: Iterable[str],
        *,
        document_ids: Iterable[str] = (),
        texts: Iterable[str] = (),
        others: Iterable[str] = (),
    ) -> None:
        self._sources = frozenset(map(composed, sources))
        self._document_ids = frozenset(document_ids)
        self._phrases: set[str] = set()
        self._codes: set[str] = set()
        for text in texts:
            self._phrases.update(_phrases(text))
            self._codes.update(_codes(text))
        for text in others if self._phrases or self._codes else ():
            self._phrases.difference_update(_phrases(text))
            self._codes.difference_update(_codes(text))

    def names(self, source: str) -> bool:
        """Whether a source is one of the files, or a row of one."""
        name = composed(source).removeprefix("./")
        return name in self._sources or name.partition("#")[0] in self._sources

    def in_text(self, text: str) -> bool:
        """Whether a text says what only these documents say."""
        if not self._phrases and not self._codes:
            return False
        return any(code in self._codes for code in _codes(text)) or any(
            phrase in self._phrases for phrase in _phrases(text)
        )

    def in_value(self, value: Any) -> bool:
        """Whether a JSON value names one of the documents or their passages, or says what only they say."""
        match value:
            case str():
                identified = _PASSAGE_ID.fullmatch(value)
                by_id = identified is not None and identified[1] in self._document_ids
                return by_id or self.names(value) or self.in_text(value)
            case Mapping():
                return any(self.in_value(part) for pair in value.items() for part in pair)
            case list() | tuple():
                return any(map(self.in_value, value))
            case _:
                return False

    def excerpts(self, texts: Sequence[str], *, most: int = 200) -> list[str]:
        """Return pieces of the texts as they are written, each of which only these documents hold."""
        found: dict[str, None] = {}
        for text in texts:
            for match in _CODE.finditer(text):
                if match[0].casefold() in self._codes:
                    found[match[0]] = None
            words = list(_WORD.finditer(text))
            for first in range(0, len(words) - PHRASE_WORDS + 1, PHRASE_WORDS):
                last = words[first + PHRASE_WORDS - 1]
                if _joined(words[first : first + PHRASE_WORDS]) in self._phrases:
                    found[text[words[first].start() : last.end()]] = None
        return list(found)[:most]


def _phrases(text: str) -> Iterator[str]:
    """Yield every five words in a row, or the whole of a shorter text of several words."""
    words = _WORD.findall(text.casefold())
    if 1 < len(words) < PHRASE_WORDS:
        yield " ".join(words)
    for first in range(len(words) - PHRASE_WORDS + 1):
        yield " ".join(words[first : first + PHRASE_WORDS])


def _joined(words: Sequence[re.Match[str]]) -> str:
    return " ".join(word[0].casefold() for word in words)


def _codes(text: str) -> Iterator[str]:
    """Yield what identifies something: words with a digit, an underscore, an @ or a capital after the first letter."""
    for match in _CODE.finditer(text):
        word = match[0]
        shortest = SHORTEST_NUMBER if word.isdecimal() else SHORTEST_CODE
        if len(word) >= shortest and any(char in "_@" or char.isdigit() or char.isupper() for char in word[1:]):
            yield word.casefold()
