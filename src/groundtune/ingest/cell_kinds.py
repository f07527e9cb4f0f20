"""Tell what kind of text a table cell holds: a value, a placeholder, a period, a possible name. Knows no table."""

from collections.abc import Sequence
from itertools import pairwise

import regex

LONGEST_NAME = 80
"""Characters of a column name."""
_MOST_WORDS = 10
_LONGEST_VALUE = 60
_PLACEHOLDERS = frozenset(
    "- – — −− -- --- . .. … ... ? / // n/a na n.a. n.a #n/a nan none null nil tbd tba unknown k.a. unbekannt inconnu "
    "s/d n.d. nd n.v.t. onbekend нет 無 无 なし #ref! #value! #div/0! #name? #num! #null!".split()
)
_FLAGS = frozenset(
    "yes no true false x ✓ ✔ ✗ ✘ ☑ ☒ ☐ ja nein wahr falsch oui non vrai faux sí si verdadero falso vero sim não nee "
    "waar onwaar nej да tak nie はい いいえ 是 否".split()
)
_VALUE = regex.compile(r"[(\[]?[-+−–±~≈<>≤≥]?\s*(?:\p{Sc}|[A-Z]{1,3}\p{Sc}|[A-Z]{3}\s)?\s*[-+−]?[.,]?\d")
_CONTACT = regex.compile(r"\S+@\S+\.\S+|(?:https?://|www\.)\S+|\+\d[\d /()-]{5,}")
_NUMERIC = regex.compile(r"[\d.,'’\s+−-]+")
_WORD = regex.compile(r"[^\W\d_]+")
_CODE = regex.compile(r"(?=.*\d)[\w./#-]+")
_YEAR = regex.compile(r"(?:19|20|21)\d\d")
_PERIOD = regex.compile(
    r"(?:19|20|21)\d\d\s?[/–-]\s?(?:[QHT]?\d{1,2}|(?:19|20|21)\d\d)"  # 2022/23, 2023-Q1, 2023-04, 2020–2024
    r"|[1-4]\.?\s?[QHT][ /-]?(?:19|20)?\d\d"  # 1Q23, 2. Q 2024
)
_DATE = regex.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d\d)|\d{1,2}[./]\d{4}")


def is_value(text: str) -> bool:
    """Whether the text is a number, a quantity, an amount, a date, a flag, an address: nothing that names a column."""
    if len(text) > _LONGEST_VALUE:
        return False
    if _VALUE.match(text):
        words = _WORD.findall(text)
        return len(words) <= 2 and all(len(word) <= 12 for word in words)
    return text.casefold() in _FLAGS or _CONTACT.fullmatch(text) is not None


def value_form(text: str) -> str:
    """Return what a value has beside its digits: its unit, its currency, the signs of a date."""
    return _NUMERIC.sub("", text) + ("-" if _DATE.fullmatch(text) else "")


def is_placeholder(text: str) -> bool:
    """Whether the text stands for a missing or failed value."""
    return text.casefold() in _PLACEHOLDERS


def is_code(text: str) -> bool:
    """Whether the text is one word with a digit: `E11`, `AC-001`."""
    return _CODE.fullmatch(text) is not None


def could_be_name(text: str) -> bool:
    """Whether the text is short, has letters and is neither a value nor a placeholder nor a sentence."""
    if not 0 < len(text) <= LONGEST_NAME or is_value(text) or is_placeholder(text):
        return False
    words = text.split()
    is_sentence = len(words) > 3 and text[-1] in ".!。"
    return len(words) <= _MOST_WORDS and not is_sentence and _WORD.search(text) is not None


def is_period(text: str) -> bool:
    """Whether the text is a year, a quarter or a date, as columns of figures are often named."""
    return any(pattern.fullmatch(text) for pattern in (_YEAR, _PERIOD, _DATE))


def is_series(texts: Sequence[str]) -> bool:
    """Whether the texts go on from one to the next as column names do: years, quarters, dates; or 1, 2, 3."""
    if len({*texts}) < len(texts):
        return False
    if len(texts) >= 2 and all(_YEAR.fullmatch(text) for text in texts):
        return list(texts) in (sorted(texts), sorted(texts, reverse=True))
    if len(texts) >= 2 and any(all(map(pattern.fullmatch, texts)) for pattern in (_PERIOD, _DATE)):
        return True
    return len(texts) >= 3 and texts[0] in ("0", "1") and counts_up(texts)


def are_years(texts: Sequence[str]) -> bool:
    """Whether the texts are several years, each the one after the last."""
    return len(texts) > 1 and all(map(_YEAR.fullmatch, texts)) and counts_up(texts)


def counts_up(texts: Sequence[str]) -> bool:
    """Whether the texts are whole numbers of which each is one more than the one before."""
    if not all(text.isascii() and text.isdecimal() for text in texts):
        return False
    return all(int(later) == int(earlier) + 1 for earlier, later in pairwise(texts))
