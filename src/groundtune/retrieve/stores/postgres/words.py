"""Prepare text for full-text search, so that PostgreSQL's parser sees only words. Pure functions; no database."""

import unicodedata
from functools import cache

from groundtune.languages.segmentation import separated

LONGEST_WORD = 64
"""Longer runs of letters are data, not words, and are not indexed."""


def plain_words(text: str) -> str:
    """Return the words of the text in lower case, separated by single spaces.

    PostgreSQL's own parser would keep `and/or` as a file name, `a.b` as a host and drop `<b>` as a tag.
    """
    words = separated(unicodedata.normalize("NFKC", text)).lower().translate(_letters()).split()
    return " ".join(word for word in words if len(word) <= LONGEST_WORD)


class _Letters(dict[int, int | str]):
    """Maps letters, digits and combining marks to themselves, and all else to a space; filled as characters occur."""

    def __missing__(self, code: int) -> int | str:
        self[code] = code if unicodedata.category(chr(code))[0] in "LNM" else " "
        return self[code]


@cache
def _letters() -> _Letters:
    return _Letters()
