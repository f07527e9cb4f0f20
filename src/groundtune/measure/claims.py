"""Split an answer into claims, and say what a claim turns on. Judges nothing.

A sentence is split into parts at signs and joining words. Parts that are no statement of their own, such as the items
of a list, belong to the claim before them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import product

import regex

from groundtune.languages.language import Language, load
from groundtune.languages.quantities import Quantity, quantities
from groundtune.languages.senses import Sense, senses
from groundtune.languages.signals import signals
from groundtune.languages.text import sentences, stem
from groundtune.languages.tokens import Token, fold, tokenize

_MARKUP = regex.compile(r"[*_`]{2,}|(?<!\w)[*_`](?=\S)|(?<=\S)[*_`](?!\w)|^[#>]+\s*", regex.MULTILINE)
_BULLET = regex.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.)])\s+", regex.MULTILINE)
_NUMBERED = regex.compile(r"^\s*\(?\d{1,2}[.)]\s+", regex.MULTILINE)
_BREAK = regex.compile(r"[;()—?!→]|\.(?=\s|$)|\s[-–]+>?\s")
_COMMA = regex.compile(r",(?=\s|$)|[،、]")
_QUESTION = regex.compile(r"[?？؟][\s*_\"'”’»]*$")
_SLASH = regex.compile(r"\s/\s")
PHONE = regex.compile(r"(?<![\p{L}\p{N}])(?:\+|00?)\p{N}[\p{N} ()/.-]{4,}\p{N}")
_ENDS_IN_DATE = regex.compile(r"\p{N}\.\s?\p{N}{1,2}\.$")
_TITLE = regex.compile(r"\.\s*\p{Lu}")
_TITLE_LETTERS = 4
"""Most letters of an abbreviation before a name: A. Brandt, Prof. Brandt."""
_ITEM_WORDS = 5
"""Most content words of a part that is no statement."""
_GENERAL = frozenset({
    "not", "before", "after", "least", "most", "more", "less", "with", "without", "rise", "fall", "allowed",
    "forbidden", "may", "should", "must", "all", "some", "only",
})  # fmt: skip
"""Senses whose words are compared by what they turn, not as words."""
_JOINED = frozenset({"without", "least", "most"})
"""Senses whose phrases may hold a joining word: all but, or more."""
_BOUNDS = frozenset({"before", "after", "least", "most", "more", "less", "without", "only"})
_BOUND_DISTANCE = 25
"""Most characters between a negation and the bound that it belongs to: not only, may not be returned after."""
_IN_TWO_UNITS = frozenset({"second", "metre", "gram", "foot", "month", "day"})
"""Base units of amounts that are written in a larger and a smaller unit."""
_RANKS = ("", ",", "break", "and", "or", "but")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a sentence between signs and joining words."""

    text: str
    sentence: int
    joined: str
    """How it follows the part before: empty for the first of a sentence, `,`, `and`, `or`, `but`, or `break`."""
    bullet: bool
    """Whether it begins an item of a list in lines."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement, with the values that it lists."""

    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return ", ".join(part.text for part in self.parts)

    @property
    def sentence(self) -> int:
        return self.parts[0].sentence


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text that carry content: no numbers, units, dates, function words, titles and general senses."""

    stems: tuple[str, ...]
    tokens: tuple[Token, ...]
    """The token of each stem."""


def plain_text(text: str) -> str:
    """Return the text without the signs of Markdown and of lists."""
    return _BULLET.sub("", _MARKUP.sub("", text))


def is_numbered(text: str) -> bool:
    """Whether the text has numbered lines."""
    return len(_NUMBERED.findall(text)) > 1


@lru_cache(maxsize=2048)
def claims(text: str, language: str) -> tuple[Claim, ...]:
    """Return the claims of the text in order."""
    found: list[list[Part]] = []
    every = parts(text, language)
    for index, part in enumerate(every):
        qualified = bool(amounts(part.text, language) and words(part.text, language).stems)
        continues = part.joined in (",", "and", "or") and is_item(part.text, language) and not qualified
        last = index + 1 == len(every) or every[index + 1].sentence != part.sentence
        if continues and found and not _is_contrast(found[-1], part, last, language):
            found[-1].append(part)
        else:
            found.append([part])
    return tuple(Claim(tuple(group)) for group in found)


def _is_contrast(claim: Sequence[Part], part: Part, last: bool, language: str) -> bool:
    """Whether one of them denies a value and the other gives one: "two years, not three", "not Wren, Heron"."""
    denied = [negations(each.text, language) > 0 for each in (*claim, part)]
    value = bool(amounts(part.text, language)) or any(char.isupper() for char in part.text)
    if part.joined != "," or not value:
        return False
    return (denied[-1] and not denied[0]) or (last and not denied[-1] and len(claim) == 1 and denied[0])


@lru_cache(maxsize=2048)
def parts(text: str, language: str) -> tuple[Part, ...]:
    """Return the parts of the text in order, without questions unless it has nothing else."""
    data = load(language)
    asked: set[int] = set()
    found: list[Part] = []
    sentence = 0
    for line in text.splitlines():
        bullet = _BULLET.match(line) is not None
        plain = plain_text(line)
        for start, end in sentences(plain, language=language):
            for joined, piece in _pieces(plain[start:end], data, language):
                found.append(Part(piece, sentence, joined, bullet and not joined))
            asked.update([sentence] if _QUESTION.search(plain[start:end]) else [])
            sentence += 1
    stated = [part for part in found if part.sentence not in asked]
    return tuple(stated or found)


def _pieces(sentence: str, data: Language | None, language: str) -> Iterator[tuple[str, str]]:
    """Yield how each part is joined, and its text."""
    spans = [
        (quantity.start, quantity.end) for quantity in (*quantities(sentence, language), *amounts(sentence, language))
    ]
    spans += [(match.start(), match.end()) for match in PHONE.finditer(sentence)]
    spans += [(sense.start, sense.end) for sense in senses(sentence, language) if sense.name in _JOINED]
    position, joined = 0, ""
    for start, end, kind in sorted(_cuts(sentence, data, spans)):
        if start < position:
            continue
        if piece := _trim(sentence[position:start]):
            yield joined, piece
            joined = kind
        elif joined:
            joined = max(joined, kind, key=_RANKS.index)
        position = end
    if piece := _trim(sentence[position:]):
        yield joined, piece


def _trim(piece: str) -> str:
    """Return the piece without signs at its ends, but with the full stop of a German date."""
    piece = piece.strip(" \t,;:")
    return piece if _ENDS_IN_DATE.search(piece) else piece.strip(" \t,.;:")


def _cuts(sentence: str, data: Language | None, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, str]]:
    """Yield where the sentence is cut, and by what."""
    tokens = tokenize(sentence, data.writing) if data else tokenize(sentence)

    def inside(start: int, end: int) -> bool:
        return any(a < end and start < b for a, b in spans)

    for token, until in zip(tokens, [*(following.start for following in tokens[1:]), len(sentence)], strict=False):
        if is_title(sentence, token):
            continue
        for sign, kind in ((_BREAK, "break"), (_COMMA, ","), (_SLASH, "or")):
            match = sign.search(sentence, token.end, until + 1)
            if match and match.start() < until and not inside(match.start(), match.end()):
                yield match.start(), match.end(), kind
                break
    if data is None:
        return
    joining: set[int] = set()
    for found in data.joins.find(tokens):
        joining.update(found.tokens)
        start, end = tokens[found.tokens[0]].start, tokens[found.tokens[-1]].end
        if not inside(start, end):
            yield start, end, found.values[0]
    for index, token in enumerate(tokens):
        if index not in joining and data.clause_words & set(token.forms) and not inside(token.start, token.end):
            yield token.start, token.end, "but"


def is_title(text: str, token: Token) -> bool:
    """Whether it is an initial or another abbreviation before a name."""
    short = len(token.text) <= _TITLE_LETTERS and token.text[0].isupper()
    return short and _TITLE.match(text, token.end) is not None


@lru_cache(maxsize=4096)
def words(text: str, language: str) -> Words:
    """Return the content words of the text."""
    data = _data(language)
    taken = [(quantity.start, quantity.end) for quantity in amounts(text, language)]
    taken += [(sense.start, sense.end) for sense in senses(text, language) if sense.name in _GENERAL]
    tokens = [
        token
        for token in tokenize(text, data.writing)
        if fold(token.word) not in data.stop_words
        and not token.number
        and not data.titles & set(token.forms)
        and not any(start < token.end and token.start < end for start, end in taken)
        and not is_title(text, token)
    ]
    return Words(tuple(stem(token, language) for token in tokens), tuple(tokens))


def amounts(text: str, language: str) -> tuple[Quantity, ...]:
    """Return the quantities of the text, those in two units as one (1 hour 30 minutes), without articles."""
    found: list[Quantity] = []
    for quantity in quantities(text, language):
        if quantity.article and quantity.unit is None:
            continue
        if found and _continues(text, found[-1], quantity, language):
            found[-1] = _sum(found[-1], quantity)
        else:
            found.append(quantity)
    return tuple(found)


def _continues(text: str, before: Quantity, quantity: Quantity, language: str) -> bool:
    """Whether an amount goes on in a smaller unit: 30 minutes of "1 hour 30 minutes", "1 hour and 30 minutes"."""
    if before.unit != quantity.unit or quantity.unit not in _IN_TWO_UNITS or before.implied or quantity.article:
        return False
    data = _data(language)
    between = text[before.end : quantity.start]
    joined = [data.joins.values(token) for token in tokenize(between, data.writing)] == [("and",)]
    return between == " " or (joined and _size(before) > _size(quantity))


def _size(quantity: Quantity) -> Fraction:
    """Return how many of its base unit the unit of an amount is: 3,600 for an hour."""
    reading, figure = (
        next((value for value in values if isinstance(value, Fraction)), Fraction(0))
        for values in (quantity.readings, quantity.figures)
    )
    return reading / figure if figure else Fraction(0)


def _sum(first: Quantity, second: Quantity) -> Quantity:
    numbers = ([value for value in quantity.readings if isinstance(value, Fraction)] for quantity in (first, second))
    readings = frozenset(a + b for a, b in product(*numbers))
    return replace(first, end=second.end, readings=readings, figures=readings)


def is_item(text: str, language: str) -> bool:
    """Whether the text is a value and no statement: no function word but at its beginning."""
    return head(text, language) == text and len(words(text, language).stems) <= _ITEM_WORDS


def head(text: str, language: str) -> str:
    """Return the value that the text begins with, up to the first function word: Norway of "Norway are excluded"."""
    data = _data(language)
    spans = [(quantity.start, quantity.end) for quantity in quantities(text, language)]
    content = False
    for index, token in enumerate(tokenize(text, data.writing)):
        value = any(start <= token.start < end for start, end in spans)
        function = fold(token.word) in data.stop_words and not value
        if function and (content or index > 1):
            return text[: token.start].strip()
        content = content or not function
    return text if content else ""


def turns(text: str, question: str, language: str) -> int:
    """Count what turns the statement against the question: negations, and an opposite in place of the question's."""
    said = senses(text, language)
    names = {sense.name for sense in said}
    asked = {sense.name for sense in senses(question, language)}
    count = sum(_negates(sense, said) for sense in said)
    if "forbidden" in names - asked or ("forbidden" in asked - names and names & {"allowed", "may"}):
        return count + 1
    return count + any(
        _are_opposites(name, other, language)
        for name in asked - names - {"not"}
        for other in names - asked - {"forbidden", "not"}
    )


@lru_cache(maxsize=4096)
def _are_opposites(first: str, second: str, language: str) -> bool:
    """Whether two senses exclude each other, or one is the opposite of a word for the other: must, optional."""
    rivals = _data(language).rivals
    if second in rivals.get(first, ()):
        return True
    return any(
        first in {sense.name for sense in senses(word, language)}
        for pole in rivals.get(second, ())
        if "|" in pole
        for word in pole.split("|")
    )


def negations(text: str, language: str) -> int:
    """Count the negations that do not belong to a bound."""
    said = senses(text, language)
    return sum(_negates(sense, said) for sense in said)


def _negates(sense: Sense, said: Sequence[Sense]) -> bool:
    """Whether it is a negation, and not one of a bound (not after, not only)."""
    if sense.name != "not":
        return False
    return not any(
        other.name in _BOUNDS and (0 <= other.start - sense.end <= _BOUND_DISTANCE or 0 <= sense.start - other.end <= 1)
        for other in said
    )


def is_former(text: str, question: str, language: str) -> bool:
    """Whether the text says what held in the past, and the question does not ask for it."""
    return "former" in signals(text, language) and "former" not in signals(question, language)


def _data(language: str) -> Language:
    data = load(language) or load("english")
    assert data is not None
    return data
