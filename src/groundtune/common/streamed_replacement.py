"""Replace signs in a text that arrives in pieces, as they are replaced in the whole text. Knows no sign."""

import re
from collections.abc import Callable


class StreamedReplacement:
    """The text of one reply, given in pieces to `add`; the rest comes from `finish`.

    signs: what is replaced. unfinished: matches the end of a text that may still become one of them. shown: returns
    what stands there instead.
    """

    def __init__(
        self, signs: re.Pattern[str], unfinished: re.Pattern[str], shown: Callable[[re.Match[str]], str]
    ) -> None:
        self._signs = signs
        self._unfinished = unfinished
        self._shown = shown
        self._text = ""
        self._read = 0
        """Characters of the text that were handed on."""

    def add(self, piece: str) -> str:
        """Return the part of the replaced text that the next piece makes certain."""
        self._text += piece
        begun = self._unfinished.search(self._text, self._read)
        return self._hand_on(begun.start() if begun else len(self._text))

    def finish(self) -> str:
        """Return the rest."""
        return self._hand_on(len(self._text))

    def _hand_on(self, end: int) -> str:
        shown, position = [], self._read
        for match in self._signs.finditer(self._text, self._read, end):
            shown += [self._text[position : match.start()], self._shown(match)]
            position = match.end()
        self._read = end
        return "".join([*shown, self._text[position:end]])
