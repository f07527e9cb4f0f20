"""Split scripts that are written without spaces, such as Chinese, Japanese and Thai, by ICU's dictionaries.

Text in other scripts passes through at the cost of one search.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import regex

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}々ー"
"""Characters of such scripts, for a character class. Korean has spaces."""
SEPARATOR = "\u200b"
"""ZERO WIDTH SPACE, which no text of a document contains after it was read."""
_CHARACTER = regex.compile(f"[{UNSPACED}]")
_RUN = regex.compile(rf"[{UNSPACED}\p{{M}}]*[{UNSPACED}][{UNSPACED}\p{{M}}]*")
_ENDS = regex.compile(r"[。！？!?]")


def has_unspaced(text: str) -> bool:
    """Whether the text has a character of such a script."""
    return _CHARACTER.search(text) is not None


def is_unspaced(char: str) -> bool:
    return _CHARACTER.match(char) is not None


def segments(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each word of a text without spaces, punctuation included."""
    from icu4py.breakers import WordBreaker  # loads 30 MB of data

    start = 0
    for segment in WordBreaker(text, "en"):  # the dictionaries are the same for every locale
        end = start + len(segment)
        yield start, end
        start = end


def separated(text: str) -> str:
    """Return the text with `SEPARATOR` around its words, for a search that splits at whatever is no letter."""
    if not has_unspaced(text):
        return text
    return _RUN.sub(lambda run: SEPARATOR.join(["", *(run[0][a:b] for a, b in segments(run[0])), ""]), text)


def unwrap(text: str, line_break: str = "\n") -> str:
    """Join the lines of a paragraph: with a space, or with nothing between two characters of such scripts."""
    text = unwrap_unspaced(text, line_break) if has_unspaced(text) else text
    return text.replace(line_break, " ")


def unwrap_unspaced(text: str, line_break: str = "\n") -> str:
    """Remove line breaks between two characters of such scripts, and keep all others."""
    return regex.sub(rf"(?<=[{UNSPACED}、，；：])[^\S\n]*{line_break}[^\S\n]*(?=[{UNSPACED}])", "", text)


def is_prose(text: str) -> bool:
    """Whether lines of such a script are sentences rather than a list of names."""
    return has_unspaced(text) and _ENDS.search(text) is not None


def is_part(text: str, start: int, end: int) -> bool:
    """Whether what stands there is part of a longer number, or denied by the rest of its clause."""
    data = _data()
    for left, right in ((start - 1, start), (end - 1, end)):
        if left >= 0 and right < len(text) and {text[left], text[right]} <= data.numerals:
            return True
    before = _clause_ends().split(text[:start])[-1]
    behind = _clause_ends().split(text[end:])[0]
    return denials(before) + denials(behind) > 0


def denials(text: str) -> int:
    """Count the words of such scripts in a text that deny something."""
    data = _data()
    return sum(found in data.denying for found in data.words.findall(text))


@dataclass(frozen=True, slots=True)
class _Unspaced:
    denying: frozenset[str]
    words: "regex.Pattern[str]"
    """Words that deny, and longer ones that hold one of these and deny nothing."""
    numerals: frozenset[str]


@cache
def _data() -> _Unspaced:
    table = tomllib.loads(files(__package__).joinpath("data/unspaced.toml").read_text("utf-8"))
    words = sorted([*table["denying"], *table["neutral"]], key=len, reverse=True)
    return _Unspaced(frozenset(table["denying"]), regex.compile("|".join(words)), frozenset(table["numerals"]))


@cache
def _clause_ends() -> "regex.Pattern[str]":
    return regex.compile(r"[。，、；：！？.,;:!?\n]")
