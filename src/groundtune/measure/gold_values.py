"""Find a gold answer in a text: its quantities, codes and words, in any format that means the same."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

import regex

from groundtune.languages.language import load
from groundtune.languages.quantities import Quantity, units
from groundtune.languages.tokens import fold, tokenize
from groundtune.measure.claims import PHONE, amounts, words

_PIECE = regex.compile(r"\S+")
_SPACED = r"(?!\p{Han}|\p{Hiragana}|\p{Katakana}|\p{Thai})\p{L}"
_CODE = regex.compile(
    rf"[\p{{L}}\p{{N}}][@_/\\.:]+[\p{{L}}\p{{N}}]|{_SPACED}-?\p{{N}}|\p{{N}}-?{_SPACED}|\p{{N}}-\p{{N}}"
)
"""What makes a code of a word."""
_ENDS = ".,;:!?()[]\"'“”„«»"
_MOST = Fraction(2, 3)
"""Share of the words of a long gold answer that an answer must have."""
_SHORT = 3
"""Most words of a gold answer that must all be there."""
_CODE_DIGITS = 4
"""Digits from which a number may be written in groups like a code: 44-10."""
_MINOR = {"cent": {"euro", "dollar"}, "penny": {"pound"}}
"""Currencies by the name of their hundredth."""


@dataclass(frozen=True, slots=True)
class Gold:
    """A gold answer, or an item of one, taken apart."""

    text: str
    amounts: tuple[Quantity, ...]
    codes: tuple[str, ...]
    """Addresses, versions, numbers of parts and phones, without spaces and hyphens."""
    stems: tuple[str, ...]
    """Content words that the question does not give; all of them if nothing else is left."""
    needed: int
    """How many of the stems an answer must have."""
    name: bool
    """Whether all its words begin with a capital letter."""


@lru_cache(maxsize=4096)
def read_gold(text: str, question: str, language: str, *, item: bool = False) -> Gold:
    """Take a gold answer apart. item: whether it is an item of a list, whose words tell which amount is meant."""
    phones = [(match.start(), match.end(), _digits(match.group())) for match in PHONE.finditer(text)]
    spans = [(start, end) for start, end, _ in phones]
    stated = [quantity for quantity in amounts(text, language) if not quantity.article]
    found = [quantity for quantity in stated if not _overlaps(quantity.start, quantity.end, spans)]
    measured = [(quantity.start, quantity.end) for quantity in found if quantity.unit is not None]
    codes = [
        (match.start(), match.end(), _squash(match.group()))
        for match in _PIECE.finditer(text)
        if _CODE.search(match.group())
        and not _overlaps(match.start(), match.end(), [*spans, *measured])
        and not _is_plain(match.group(), found, match.start())
    ]
    spans += [(start, end) for start, end, _ in codes]
    found = [quantity for quantity in found if not _overlaps(quantity.start, quantity.end, spans)]
    content = words(text, language)
    pairs = [
        (stem, token)
        for stem, token in zip(content.stems, content.tokens, strict=True)
        if not _overlaps(token.start, token.end, spans)
    ]
    given = set() if item and found else set(words(question, language).stems)
    new = list(dict.fromkeys(stem for stem, _ in pairs if stem not in given))
    if not new and not found and not codes and not phones:
        new = list(dict.fromkeys(stem for stem, _ in pairs))
    name = bool(pairs) and all(token.text[0].isupper() for _, token in pairs)
    needed = len(new) if name or len(new) <= _SHORT else math.ceil(_MOST * len(new))
    if found:  # the amount says most
        needed = (len(new) + item) // 2
    return Gold(text, tuple(found), tuple(code for *_, code in (*phones, *codes)), tuple(new), needed, name)


def _is_plain(figure: str, found: Sequence[Quantity], start: int) -> bool:
    """Whether it is a number with signs between thousands, and no code."""
    return any(q.start == start and regex.fullmatch(r"\d{1,3}(?:[.,'’]\d{3})+(?:[.,]\d{1,2})?", figure) for q in found)


def states(text: str, gold: Gold, question: str, language: str) -> bool:
    """Whether the text holds the gold answer, whatever it says about it."""
    if not (gold.amounts or gold.codes or gold.stems):
        return _has_phrase(text, gold.text)
    return has_values(text, gold, question, language) and has_words(text, gold, language)


def has_values(text: str, gold: Gold, question: str, language: str) -> bool:
    """Whether the text has all amounts and codes of the gold answer."""
    said = amounts(text, language)
    codes = _codes_of(text)
    return all(
        any(same(amount, other, gold.text, text, question, language) for other in said)
        or _is_grouped(gold.text[amount.start : amount.end], codes)
        for amount in gold.amounts
    ) and all(code in codes for code in gold.codes)


def has_words(text: str, gold: Gold, language: str) -> bool:
    """Whether the text has the words of the gold answer: all of a short one, most of a long one."""
    if not gold.stems or _has_phrase(text, gold.text):
        return True
    present = set(gold.stems) & set(words(text, language).stems)
    enough = len(present) >= gold.needed
    if gold.name and not gold.amounts:
        return (enough and _stand_together(text, gold, language)) or _has_surname(text, gold, language)
    return enough


def _stand_together(text: str, gold: Gold, language: str) -> bool:
    """Whether no other name stands between the words of a name."""
    found = words(text, language)
    for start in range(len(found.stems)):
        left = set(gold.stems)
        for end in range(start, len(found.stems)):
            stem, token = found.stems[end], found.tokens[end]
            if stem not in gold.stems and token.text[0].isupper():
                break
            left.discard(stem)
            if not left:
                return True
    return False


def _has_surname(text: str, gold: Gold, language: str) -> bool:
    """Whether the last word of a name stands behind a title: Ms Solberg."""
    data = load(language)
    if data is None or len(gold.stems) < 2:
        return False
    tokens = tokenize(text, data.writing)
    return any(
        data.titles & set(title.forms) and fold(name.text) == fold(gold.text.split()[-1].strip(_ENDS))
        for title, name in pairwise(tokens)
    )


def same(gold: Quantity, said: Quantity, gold_text: str, text: str, question: str, language: str) -> bool:
    """Whether an answer that says one quantity gives the gold one."""
    if gold.unit == "date" and said.unit == "date":
        return any(_same_date(a, b) for a in gold.readings for b in said.readings)
    if gold.unit == "percent" and said.unit is None and all(isinstance(v, Fraction) and v < 1 for v in said.readings):
        return gold.readings == {value * 100 for value in said.readings if isinstance(value, Fraction)}
    if gold.unit is None and said.unit not in (None, "date", "weekday", "clock"):
        return gold.readings == said.figures  # 17 of "17 years"
    for minor, major, factor in ((gold, said, 100), (said, gold, 100)):
        if major.unit in _MINOR.get(minor.unit or "", ()):
            return minor.readings == {v * factor for v in major.readings if isinstance(v, Fraction)}
    if {gold.unit, said.unit} == {"clock", "second"}:  # 1 h 30 is a time of day or 90 minutes
        first, second = (_in_seconds(quantity) for quantity in (gold, said))
        return first == second
    if gold.readings != said.readings:
        return False
    if gold.unit == said.unit:
        return gold.unit is not None or _zeros(gold_text, gold) == _zeros(text, said)
    if gold.unit is None or said.implied or (gold.implied and said.unit is None):
        return True
    if {gold.unit, said.unit} & {"degree"} and {gold.unit, said.unit} <= {"degree", "celsius", "fahrenheit"}:
        return True
    return said.unit is None and gold.unit in units(question, language) | units(text, language)


def _in_seconds(quantity: Quantity) -> frozenset[Fraction]:
    size = 60 if quantity.unit == "clock" else 1
    return frozenset(reading * size for reading in quantity.readings if isinstance(reading, Fraction))


def _zeros(text: str, quantity: Quantity) -> tuple[int, int]:
    """Count the zeros that make a bare figure a code: 8.20 is not the version 8.2, and 007 is not 7."""
    figure = text[quantity.start : quantity.end]
    if not figure[:1].isdigit():
        return 0, 0
    leading = len(figure) - len(figure.lstrip("0")) if figure[:2].isdigit() else 0
    decimals = regex.search(r"[.,](?:\d{1,2}|\d{4,})$", figure)
    return leading, len(figure) - len(figure.rstrip("0")) if decimals else 0


def _same_date(gold: object, said: object) -> bool:
    """Whether the dates agree where both say something, and the said one lacks no month and no day."""
    if not isinstance(gold, tuple) or not isinstance(said, tuple):
        return gold == said
    pairs = list(zip(gold, said, strict=True))
    return all(a is None or b is None or a == b for a, b in pairs) and all(
        b is not None for a, b in pairs[1:] if a is not None
    )


def _is_grouped(figure: str, codes: frozenset[str]) -> bool:
    return (
        figure.isdecimal()
        and len(figure) >= _CODE_DIGITS
        and any(code.replace("-", "") == figure and regex.fullmatch(r"[\d-]+", code) for code in codes)
    )


@lru_cache(maxsize=4096)
def _codes_of(text: str) -> frozenset[str]:
    """Return everything in the text that could be a code: its words, also joined with the next one, and phones."""
    pieces = [_squash(piece.strip(_ENDS)) for piece in text.split()]
    pieces += [regex.sub(r"^(?:v|nr|no)\.?(?=\d)|^[#№]", "", piece) for piece in pieces]
    joined = [first + second for first, second in pairwise(pieces)]
    return frozenset([*pieces, *joined, *(_digits(match.group()) for match in PHONE.finditer(text))])


def _squash(text: str) -> str:
    """Fold the text, without spaces and without hyphens except those between digits."""
    return regex.sub(r"(?<!\p{N})[-‐‑]|[-‐‑](?!\p{N})|\s", "", fold(text)).strip(_ENDS)


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdigit())


def _has_phrase(text: str, phrase: str) -> bool:
    """Whether the letters of the phrase are whole words of the text: e-mail is email, U.S. is US. Never for figures."""
    inner = "".join(_letters(phrase))
    if not inner or any(char.isdigit() for char in phrase):
        return False
    pieces = ["".join(_letters(piece)) for piece in text.split()]
    for start in range(len(pieces)):
        run = ""
        for piece in pieces[start:]:
            run += piece
            if run == inner:
                return True
            if not inner.startswith(run):
                break
    return False


def _letters(text: str) -> Iterator[str]:
    return (char for char in fold(text) if char.isalnum())


def _overlaps(start: int, end: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start < b and a < end for a, b in spans)
