"""Split text into words and numbers with their positions. Knows scripts, not languages."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import regex

from groundtune.languages.segmentation import has_unspaced, segments

_LETTERS = r"\p{L}[\p{L}\p{M}\u200c\u200d]*+"
_TOKEN = regex.compile(rf"\p{{Nd}}+(?:[.,:/٫٬]\p{{Nd}}+)*+|{_LETTERS}(?:['’ʼ]{_LETTERS})*+['’]?")
_APOSTROPHES = str.maketrans("’ʼ", "''")
_INVISIBLE = regex.compile("[\u00ad\u200b-\u200d\u2060\ufeff\u0640\u064b-\u0652\u0670]")


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a number, by position."""

    start: int
    end: int
    text: str
    forms: tuple[str, ...]
    """Spellings under which it is looked up: in lower case, and without what is written together with it."""

    @property
    def number(self) -> bool:
        return self.text[0].isdigit()

    @property
    def word(self) -> str:
        """The last of its forms: the word itself."""
        return self.forms[-1]


@dataclass(frozen=True, slots=True)
class Writing:
    """How a language writes its words."""

    letters: tuple[tuple[str, str], ...] = ()
    """Letters that are replaced before words are compared, such as Turkish I by ı."""
    apostrophe: str = ""
    """`prefix` where an apostrophe ends a short word before another (l'eau), `suffix` where it begins an ending."""
    prefixes: tuple[str, ...] = ()
    """Words that are written together with the next one, such as Arabic و."""
    nouns_capitalised: bool = False
    adjectives_follow: bool = False
    """Whether an adjective may stand behind its noun."""
    declines_names: bool = False
    """Whether names have endings of cases in place of each other: Russian Анна, Анну."""
    compounds: bool = False
    """Whether nouns are written together, so that the last part alone can stand for the word: Nummer, Telefonnummer."""
    endings: frozenset[str] = frozenset()
    """Endings of inflected words; a short word is known by them as a form of another."""
    accents_matter: frozenset[str] = frozenset()
    """Words with an accent that are not meant where it is missing: Italian né is not ne."""
    affixes: tuple[str, ...] = ()
    """Beginnings and infixes that an inflected form may have and its base form lacks, such as German ge."""
    negative_affixes: tuple[str, ...] = ()
    """Beginnings, or with `-` endings, that make another word of a word: un, -less."""
    alternations: tuple[tuple[str, str], ...] = ()
    """Letters that take each other's place in the forms of a word: Spanish ue and o (cuenta, contar)."""
    longest_ending: int = 3
    """Letters of the longest ending that a stemmer may leave on a word."""


@lru_cache(maxsize=4096)
def tokenize(text: str, writing: Writing = Writing()) -> tuple[Token, ...]:
    """Return words and numbers in order."""
    tokens: list[Token] = []
    unspaced = has_unspaced(text)
    for match in _TOKEN.finditer(text):
        start, end, word = match.start(), match.end(), match.group()
        if word[-1] in "'’":
            end, word = end - 1, word[:-1]
        if writing.apostrophe == "prefix" and (cut := max(word.rfind(sign) for sign in "'’ʼ") + 1):
            tokens.append(_token(start, start + cut, word[:cut], writing))
            start, word = start + cut, word[cut:]
        if unspaced and has_unspaced(word):
            tokens.extend(
                _token(start + first, start + last, word[first:last], writing) for first, last in segments(word)
            )
        else:
            tokens.append(_token(start, end, word, writing))
    return tuple(tokens)


def _token(start: int, end: int, text: str, writing: Writing) -> Token:
    form = lower(text, writing.letters)
    if not writing.prefixes and "'" not in form:  # most words; much faster
        return Token(start, end, text, (form,))
    forms = [form]
    if writing.apostrophe == "suffix" and "'" in form:
        forms.append(form.partition("'")[0])
    forms += [form.removeprefix(p) for p in writing.prefixes if form.startswith(p) and len(form) > len(p) + 1]
    return Token(start, end, text, tuple(dict.fromkeys(forms)))


def lower(word: str, letters: Sequence[tuple[str, str]] = ()) -> str:
    """Return the word in lower case, accents kept, with plain apostrophes and without invisible characters."""
    for old, new in letters:
        word = word.replace(old, new)
    if word.isascii():
        return word.lower()
    word = unicodedata.normalize("NFC", _INVISIBLE.sub("", word).translate(_APOSTROPHES).casefold())
    return unicodedata.normalize("NFKC", word) if any(c >= "\ufb00" for c in word) else word


@lru_cache(maxsize=100_000)
def fold(word: str) -> str:
    """Return the word in lower case and without accents. Signs that are vowels of their script stay."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", _INVISIBLE.sub("", word.casefold()))
    return "".join(c for c in decomposed if not _is_accent(c)).replace("’", "'").replace("ı", "i")


def _is_accent(char: str) -> bool:
    """Whether it is an accent of Latin, Greek or Cyrillic, or a point of Arabic or Hebrew."""
    kind = unicodedata.combining(char)
    return kind >= 200 or 10 <= kind <= 35
