"""Read numbers written in words, in compounds and over several words. Never reads figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Literal

import regex

from groundtune.languages.language import Language, load
from groundtune.languages.tokens import Token, fold

Kind = Literal["cardinal", "multiplier", "teen", "joiner", "ordinal", "other", "article"]
_BETWEEN = frozenset({"", " ", "-", "‑", "\u00a0"})
"""What may stand between two words of a number."""


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number in words: the first and the last of its tokens."""

    first: int
    last: int
    value: Fraction
    article: bool = False
    """Whether it is a word that may mean one or nothing."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a number in words."""

    kind: Kind
    value: Fraction


def numerals(text: str, tokens: Sequence[Token], language: Language) -> Iterator[Numeral]:
    """Yield the numbers in words, in order."""
    place = 0
    while place < len(tokens):
        numeral = _numeral(text, tokens, place, language)
        if numeral:
            yield numeral
        place = numeral.last + 1 if numeral else place + 1


def unit_within(token: Token, language: Language) -> str | None:
    """Return the unit that a number in one word contains: dreitägig, Arabic يومان (two days); None if there is none."""
    return next((unit for form in token.forms if (unit := _unit_within(form, language.name))), None)


def is_link(token: Token, language: Language) -> bool:
    """Whether the word stands between a number and what it counts."""
    return any(form in language.numerals.links for form in token.forms)


def multiplier(token: Token, language: Language) -> int | None:
    """Return what the word multiplies a figure before it with: hundred, million; None for other words."""
    words = language.numerals.multiplier
    return next((words[form] for form in _number_forms(token, language) if words.get(form, 0) >= 100), None)


def _numeral(text: str, tokens: Sequence[Token], first: int, language: Language) -> Numeral | None:
    if not (parts := _parts(tokens[first], language)):
        return None
    if len(parts) == 1 and parts[0].kind == "joiner":
        return None
    number = _Number()
    last, place, joined = first, first, False
    while parts and number.take(parts, joined):
        last, place, joined = place, place + 1, False
        if place < len(tokens) and _joins(text, tokens[last], tokens[place], language):
            place, joined = place + 1, True
        elif place + 1 < len(tokens) and is_link(tokens[place], language) and multiplier(tokens[place + 1], language):
            place += 1
        adjacent = place < len(tokens) and text[tokens[place - 1].end : tokens[place].start] in _BETWEEN
        parts = _parts(tokens[place], language) if adjacent else ()
    if number.value is None:
        return None
    alone = first == last and any(form in language.numerals.articles for form in tokens[first].forms)
    return Numeral(first, last, number.value, article=alone)


def _joins(text: str, before: Token, token: Token, language: Language) -> bool:
    return text[before.end : token.start] in _BETWEEN and any(f in language.numerals.joiners for f in token.forms)


class _Number:
    """The value of the parts read so far."""

    def __init__(self) -> None:
        self.large = Fraction(0)
        self.small = Fraction(0)
        self.begun = False
        self.ended = False

    @property
    def value(self) -> Fraction | None:
        return self.large + self.small if self.begun else None

    def take(self, parts: Sequence[Part], joined: bool) -> bool:
        """Add the parts of a word; False, and nothing added, if they begin another number."""
        before = (self.large, self.small, self.begun, self.ended)
        for part in parts:
            if part.kind == "joiner":
                joined = True
            elif not self._add(part, joined):
                self.large, self.small, self.begun, self.ended = before
                return False
            else:
                joined = False
        return True

    def _add(self, part: Part, joined: bool) -> bool:
        if self.ended or (self.begun and part.kind in ("other", "article")):
            return False
        if part.kind == "multiplier":
            self._multiply(part.value)
        elif part.kind == "teen" and (0 < self.small % 100 < 10 or not part.value):
            if not self.begun:
                return False
            self.small += 10
        elif part.kind in ("other", "article") or self._fits(part.value, joined):
            self.small += part.value
        else:
            return False
        self.begun, self.ended = True, part.kind in ("ordinal", "other")
        return True

    def _multiply(self, by: Fraction) -> None:
        if by < 1000:
            low = self.small % by
            self.small += max(low, Fraction(1)) * by - low
        else:
            self.large += max(self.small, Fraction(1)) * by
            self.small = Fraction(0)

    def _fits(self, value: Fraction, joined: bool) -> bool:
        """Whether the value completes the number: 20 and 1, 100 and 20; 5 and 20 if joined (fünfundzwanzig)."""
        if not self.begun:
            return True
        small = int(self.small)
        if small % 100 in (60, 80) and value < 20:  # soixante-dix, quatre-vingt-onze
            return True
        place = next((p for p in (1, 10, 100) if small % (p * 10)), 1000)
        return value < place or (joined and 0 < small % 100 < 10 <= value < 100 and value % 10 == 0)


def _parts(token: Token, language: Language) -> tuple[Part, ...]:
    if token.number:
        return ()
    return next((parts for form in _number_forms(token, language) if (parts := _split(form, language.name))), ())


def _number_forms(token: Token, language: Language) -> tuple[str, ...]:
    """Return the forms that may be numbers; Arabic بالمائة, percent, is not "with a hundred"."""
    return token.forms[:1] if token.forms[0] in language.units.exact else token.forms


@cache
def _atoms(name: str) -> tuple[dict[str, Part], "regex.Pattern[str]"]:
    language = load(name)
    assert language is not None
    words = language.numerals
    atoms = {word: Part("cardinal", Fraction(value)) for word, value in words.cardinal.items()}
    atoms |= {word: Part("teen", Fraction(words.cardinal.get(word, 0))) for word in words.teens}
    atoms |= {word: Part("multiplier", Fraction(value)) for word, value in words.multiplier.items()}
    atoms |= {word: Part("article", Fraction(1)) for word in words.articles - words.cardinal.keys()}
    joiners = {word: Part("joiner", Fraction(0)) for word in words.joiners}
    plain = {
        fold(word): part for word, part in (atoms | joiners).items() if word not in language.writing.accents_matter
    }
    every = plain | joiners | atoms
    within = (word for word, part in every.items() if part.kind != "article")
    choices = "|".join(map(regex.escape, sorted(within, key=len, reverse=True)))
    return every, regex.compile(rf"(?:(?P<part>{choices}))+")


@cache
def _split(form: str, name: str) -> tuple[Part, ...]:
    """Return the parts that a word consists of; empty if it is no number."""
    language = load(name)
    assert language is not None
    atoms, compound = _atoms(name)
    if form in atoms:
        return () if atoms[form].kind == "joiner" else (atoms[form],)
    token = Token(0, len(form), form, (form,))
    for kind, lexicon in (("ordinal", language.numerals.ordinal), ("other", language.numerals.other)):
        if values := lexicon.values(token):
            return (Part("ordinal" if kind == "ordinal" else "other", Fraction(values[0])),)
    if match := compound.fullmatch(form):
        return tuple(atoms[part] for part in match.captures("part"))
    if not compound.match(form):
        return ()
    for head, rest in _cuts(form, name):
        parts = [atoms[part] for part in head]
        if values := language.numerals.ordinal.values(rest):
            return (*parts, Part("ordinal", Fraction(values[0])))
        if language.units.values(rest):
            return tuple(parts)
    return ()


def _cuts(form: str, name: str) -> Iterator[tuple[list[str], Token]]:
    """Yield the parts of a number at the head of a word, and the rest of the word. An article is no such number."""
    language = load(name)
    assert language is not None
    for cut in range(len(form) - 2, 1, -1):
        head = _atoms(name)[1].fullmatch(form, endpos=cut)
        if head and form[:cut] not in language.numerals.articles:
            yield head.captures("part"), Token(0, len(form) - cut, form[cut:], (form[cut:],))


@cache
def _unit_within(form: str, name: str) -> str | None:
    language = load(name)
    assert language is not None
    word = Token(0, len(form), form, (form,))
    if language.numerals.other.values(word):
        return next(iter(language.units.values(word)), None)
    if _atoms(name)[1].fullmatch(form):
        return None
    return next((units[0] for _, rest in _cuts(form, name) if (units := language.units.values(rest))), None)
