"""Read amounts, dates and times of a text in one canonical form, by the signs and words of its language.

"1.000 Euro", "1000 €" and "tausend Euro" are the same in a German text. A figure that can be read in two ways keeps
both readings and equals only figures with the same two: a wrong amount is never taken for a right one. Never converts
currencies.
"""

import tomllib
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise

import regex

from groundtune.languages.language import Language, load
from groundtune.languages.numerals import is_link, multiplier, numerals, unit_within
from groundtune.languages.tokens import Token, tokenize

Date = tuple[int | None, int | None, int | None]
"""Year, month, day; None where the text does not say."""
Reading = Fraction | Date | str
"""A value; a text if it is neither a number nor a date, such as the version 1.2.3."""

_SPACES = " \u00a0\u2009\u202f"
_YEAR_FIRST = regex.compile(r"(?<![\p{N}./-])(\d{4})([./-]) ?(\d{1,2})\2 ?(\d{1,2})(?![\p{N}/-])")
_DATE = regex.compile(r"(?<![\p{N}./-])(\d{1,2})([./-])[ \u00a0]?(\d{1,2})\2[ \u00a0]?(\d{4}|\d{2})(?![\p{N}/-])")
_TIME = regex.compile(r"(?<![\p{N}.,:])([01]?\d|2[0-4])(?::|[ \u00a0]?h[ \u00a0]?)([0-5]\d)(?![\p{N}:])")
_HALF_DAY = regex.compile(r"[ \u00a0]?([ap])\.?[ \u00a0]?m\b\.?", regex.IGNORECASE)
_FIGURE = regex.compile(
    r"\p{Nd}+(?:[ \u00a0\u2009]?[¼-¾⅐-⅞]|[ \u00a0][1-9]/[2-9](?![\p{N}/]))"
    rf"|(?<![\p{{L}}_])(?P<grouped>[1-9]\p{{Nd}}{{0,2}}(?:[{_SPACES}'’]\p{{Nd}}{{3}})+(?!\p{{Nd}})(?:[.,]\p{{Nd}}+)?)"
    r"|\p{Nd}+(?:[.,:/٫٬]\p{Nd}+)*|[¼-¾⅐-⅞]"
)
_POWER = regex.compile(
    r"(?<base>\p{Nd}+)\^(?<exponent>[-−–+]?\p{Nd}+|\([-−–+]?\p{Nd}+\))|(?<base>10|2)(?<exponent>[⁻⁺]?[⁰¹²³⁴-⁹]+)"
)
"""10^6, 10⁶. Behind other numbers than 10 and 2, a raised figure is that of a note."""
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻−–", "0123456789+---", "()")
_LARGEST_EXPONENT = 99
_TIMES = regex.compile(r"[ \u00a0\u202f]?[×·∙⋅xX*][ \u00a0\u202f]?")
_SIGN = regex.compile(r"(?<![^\s(\[])(?<!\p{N}\s)[-−–]$")
"""A minus sign right before a figure; a dash of a range or of a code has something before it."""
_FRACTION = regex.compile(
    r"(?:(?P<whole>\p{Nd}+)[ \u00a0\u2009]?)?(?:(?P<above>[1-9])/(?P<below>[2-9])|(?P<sign>[¼-¾⅐-⅞]))"
)
_BEFORE_UNIT = frozenset({"", " ", "\u00a0", "\u202f", "-", "‑"})
_BEHIND_UNIT = frozenset({" ", ".", ". ", "\u00a0"})
_SIGN_ENDING = regex.compile(r"[-:'’]?[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{M}]{0,11}(?!\p{L})")
"""An ending written behind a sign: Hungarian 5%-ra, Tamil 5%லிருந்து."""
_ENDING = regex.compile(r"[:'’]\p{Ll}{1,4}(?=[ \u00a0])")
"""An ending written behind a figure: Finnish 30:n, Turkish 30'dan."""
_RANGE = regex.compile(r"\s*(?:[-–—/]|\p{L}{1,4})?\s*")
_DAY_GAP = regex.compile(r"(?:\.|-?[\p{L}º°ª]{1,3}\.?)?\s*(?:\p{L}{1,3}\s+)?")
"""What may stand between a day and its month: 3. Mai, 3rd of May, 3 de mayo."""
_YEAR_GAP = regex.compile(r"\s?(?:\p{L}{1,2}(?=[.,\s]))?[.,]?\s*(?:\p{L}{1,3}\.?\s+)?")
"""What may stand between a day or a month and the year: 12th, 2024; mayo de 2024."""
_DAY_AND_MONTH = regex.compile(r"(?<![\p{N}./-])(\d{1,2})\.[ \u00a0]?(\d{1,2})\.(?![ \u00a0]?\p{N})")
_HALF_DAY_TIME = regex.compile(
    r"(?<![\p{N}.,:])(1[0-2]|0?\d)(?:\.([0-5]\d))?(?=[ \u00a0]?[ap]\.?[ \u00a0]?m\b)", regex.IGNORECASE
)
"""A time before a.m. or p.m. without a colon: 9.30 am, 9 pm."""
_ABBREVIATED = 4
"""Most letters of an abbreviation before a unit: Mio. Euro."""
_REPEATED = regex.compile(r"\s*[(\[]\s*")


@dataclass(frozen=True, slots=True)
class Quantity:
    """An amount, a date or a time, by position in the text."""

    start: int
    end: int
    readings: frozenset[Reading]
    """More than one if the figure is ambiguous."""
    unit: str | None = None
    """Name in `data/units.toml`, `date`, `weekday` or `clock` (minutes since midnight); None for a bare number."""
    implied: bool = False
    """Whether the unit stands at the next amount: 30 in "30 to 40 euros"."""
    ranged: bool = False
    """Whether it is an end of a range: 2 and 4 of "2 to 4 days"."""
    article: bool = False
    """Whether it is a word that may mean one or nothing, such as German "ein"."""
    alone: bool = False
    """Whether no word follows it that could be its unit, as in the cell of a table."""
    figures: frozenset[Reading] = frozenset()
    """The readings without the size of the unit: 2 in "2 weeks", whose reading is 14 days."""


@lru_cache(maxsize=4096)
def quantities(text: str, language: str = "english") -> tuple[Quantity, ...]:
    """Return the amounts, dates and times of the text in order."""
    data = load(language) or load("english")
    assert data is not None
    fixed = list(_dates_and_times(text, data))
    taken = [(q.start, q.end) for q in fixed]
    numbers = [n for n in _numbers(text, data) if not any(n.start < b and a < n.end for a, b in taken)]
    dated, numbers = _month_dates(text, numbers, data)
    with_units = _with_units(text, numbers, data)
    with_words = [_with_word_behind(text, quantity, data) for quantity in (*fixed, *dated)]
    every = [
        quantity if quantity.figures else replace(quantity, figures=quantity.readings)
        for quantity in (*with_words, *_weekdays(text, data), *with_units)
    ]
    return tuple(sorted(every, key=lambda quantity: (quantity.start, quantity.end)))


@lru_cache(maxsize=4096)
def units(text: str, language: str = "english") -> frozenset[str]:
    """Return the units that the text names, with an amount or without."""
    data = load(language) or load("english")
    assert data is not None
    tokens = tokenize(text, data.writing)
    named = {value for found in data.units.find(tokens) for value in found.values}
    signs = {_shared().symbols[match.group()] for match in _shared().sign.finditer(text)}
    return frozenset(_base(unit)[0] for unit in named | signs)


def supports(stated: Quantity, claimed: Quantity, named_units: Collection[str] = ()) -> bool:
    """Whether a text that states one quantity supports a claim of the other.

    named_units: units that the text names beside its amounts, as in the header of a table.
    """
    if stated.unit == "date" and claimed.unit is None:
        return any(isinstance(date, tuple) and set(claimed.readings) & set(date) for date in stated.readings)
    if stated.unit == claimed.unit:
        return stated.readings == claimed.readings or _within(stated.readings, claimed.readings)
    named = stated.unit is None and stated.alone and claimed.unit in named_units
    return stated.figures == claimed.figures and (claimed.unit is None or claimed.implied or named)


def _within(stated: frozenset[Reading], claimed: frozenset[Reading]) -> bool:
    """Whether the claimed date leaves out parts of the stated one: 3 May of 3 May 2024."""
    return len(stated) == len(claimed) == 1 and all(
        isinstance(a, tuple) and isinstance(b, tuple) and all(y in (None, x) for x, y in zip(a, b, strict=True))
        for a, b in zip(stated, claimed, strict=True)
    )


# -- figures and words ---------------------------------------------------------------------------------------------


def _numbers(text: str, language: Language) -> list[Quantity]:
    """Return bare numbers, in figures and in words."""
    found: list[Quantity] = []
    position = 0
    while match := _FIGURE.search(text, position):
        if power := _POWER.match(text, match.start()):
            position = power.end()
            found.append(_power(text, power, found))
            continue
        end = match.end()
        if (grouped := match["grouped"]) and not _is_grouped(grouped, language):
            end = match.start() + next(i for i, char in enumerate(grouped) if not char.isdecimal())
        readings = figure_readings(text[match.start() : end], language)
        position = end + _ordinal_ending(text, match.start(), end, language)
        found.append(_signed(text, Quantity(match.start(), position, readings)))
    tokens = tokenize(text, language.writing)
    found = [_multiplied(text, number, tokens, language) for number in found]
    for numeral in numerals(text, tokens, language):
        start, end = tokens[numeral.first].start, tokens[numeral.last].end
        if not any(start < number.end and number.start < end for number in found):
            unit = unit_within(tokens[numeral.last], language)
            found.append(Quantity(start, end, frozenset({numeral.value}), unit, article=numeral.article))
    return sorted(found, key=lambda number: number.start)


def _ordinal_ending(text: str, start: int, end: int, language: Language) -> int:
    """Return the length of the ending that makes an ordinal of a whole figure: 5th, 5e, 5-й."""
    if not text[start:end].isdecimal():
        return 0
    behind = text[end : end + 12].replace("’", "'")
    found = (
        e for e in language.numerals.ordinal_endings if behind.startswith(e) and not behind[len(e) :][:1].isalpha()
    )
    return len(next(found, ""))


def _power(text: str, match: "regex.Match[str]", before: list[Quantity]) -> Quantity:
    """Return the value of a power, times the factor before it (1.5 × 10^6), which is taken from the list.

    A power that is larger than anybody means stays a text.
    """
    base, exponent = int(match["base"]), int(match["exponent"].translate(_RAISED))
    value = Fraction(base) ** exponent if base and abs(exponent) <= _LARGEST_EXPONENT else None
    power = _signed(text, Quantity(match.start(), match.end(), frozenset({match[0] if value is None else value})))
    if not before or value is None or not _TIMES.fullmatch(text[before[-1].end : match.start()]):
        return power
    factor = before.pop()
    values = frozenset(reading * value for reading in factor.readings if isinstance(reading, Fraction))
    return replace(factor, end=match.end(), readings=values or frozenset({match[0]}))


def _signed(text: str, number: Quantity) -> Quantity:
    """Return the number with the sign before it: -5, minus 5."""
    before = text[max(0, number.start - 8) : number.start]
    match = _SIGN.search(before) or _shared().minus.search(before)
    if match is None:
        return number
    readings = frozenset(-reading if isinstance(reading, Fraction) else reading for reading in number.readings)
    return replace(number, start=number.start - len(match[0]), readings=readings)


def _is_grouped(figure: str, language: Language) -> bool:
    signs = set(figure) & set(f"{_SPACES}'’")
    return len(signs) == 1 and (signs != {" "} or " " in language.grouping)


def figure_readings(figure: str, language: Language) -> frozenset[Reading]:
    """Return what a figure may mean. `1.000` is 1000 in German, 1 or 1000 in English; `1.2.3` stays a text."""
    if (match := _FRACTION.fullmatch(figure)) and (value := _fraction(match)) is not None:
        return frozenset({value})
    plain = regex.sub(rf"[{_SPACES}'’٬]", "", figure).replace("٫", ".")
    signs = regex.findall(r"[.,:/]", plain)
    if not signs:
        return frozenset({Fraction(int(plain))})
    groups = regex.split(r"[.,:/]", plain)
    if set(signs) - {".", ","}:
        return frozenset({plain})
    whole = Fraction(int("".join(groups)))
    as_groups = len(groups[0]) <= 3 and groups[0][0] != "0" and _in_groups(groups)
    as_decimal = whole / 10 ** len(groups[-1])
    if len(signs) > 1:
        if len(set(signs)) == 1:
            return frozenset({whole}) if as_groups else frozenset({plain})
        regular = len(set(signs[:-1])) == 1 and signs[-1] not in signs[:-1] and _in_groups(groups[:-1])
        return frozenset({as_decimal}) if regular else frozenset({plain})
    if not as_groups or plain != figure:
        return frozenset({as_decimal})
    return frozenset({whole}) if signs[0] != language.decimal else frozenset({whole, as_decimal})


def _fraction(match: "regex.Match[str]") -> Fraction | None:
    """Return the value of ½, 1½, 3/4 or 1 3/4; None for what is no part of one, such as 4/4."""
    if match["sign"]:
        part = Fraction(unicodedata.numeric(match["sign"])).limit_denominator(16)
    else:
        part = Fraction(int(match["above"]), int(match["below"]))
        if part >= 1 or part.denominator != int(match["below"]):
            return None
    return Fraction(int(match["whole"] or 0)) + part


def _in_groups(groups: Sequence[str]) -> bool:
    """Whether digits are grouped by thousands, or by lakh and crore."""
    return len(groups[-1]) == 3 and (
        all(len(group) == 3 for group in groups[1:]) or all(len(group) == 2 for group in groups[1:-1])
    )


def _multiplied(text: str, number: Quantity, tokens: Sequence[Token], language: Language) -> Quantity:
    """Return the number times the word behind it: 1.5 million."""
    place = _place_after(text, number, tokens, language)
    by = multiplier(tokens[place], language) if place is not None else None
    values = {reading for reading in number.readings if isinstance(reading, Fraction)}
    if place is None or by is None or not values:
        return number
    end = tokens[place].end + (text[tokens[place].end :][:2] == ". " and len(tokens[place].text) <= _ABBREVIATED)
    return replace(number, end=end, readings=frozenset(value * by for value in values))


# -- units ---------------------------------------------------------------------------------------------------------


def _with_units(text: str, numbers: Sequence[Quantity], language: Language) -> list[Quantity]:
    """Return the numbers with their units. A bare number has that of the next one in 30 to 40 euros, 2 or 3 weeks."""
    tokens = tokenize(text, language.writing)
    result: list[Quantity] = []
    following: tuple[Quantity, str] | None = None
    for number in reversed(list(_without_repetitions(text, numbers))):
        found = (
            _unit_after(text, number, tokens, language)
            or _unit_before(text, number, tokens, language)
            or (number.unit and (number.start, number.end, number.unit))
        )
        if found and found[2] == "clock":
            result.append(_clock(text, number, found[1]))
            following = None
        elif found:
            start, end, unit = found
            result.append(
                replace(_in_base_units(number, unit), start=min(number.start, start), end=max(number.end, end))
            )
            following = result[-1], unit
        elif following and _RANGE.fullmatch(text[number.end : following[0].start]):
            result.append(replace(_in_base_units(number, following[1]), implied=True))
            following = result[-1], following[1]
        else:
            result.append(replace(number, alone=not regex.match(r"[ \u00a0-]*\p{L}", text[number.end :])))
            following = None
    numbers = [number for number in result[::-1] if not any(_is_unit_of(number, other) for other in result)]
    return list(_with_ranges(text, numbers, language))


def _with_ranges(text: str, numbers: Sequence[Quantity], language: Language) -> Iterator[Quantity]:
    """Yield the numbers, those at both ends of a range marked."""
    joined = [
        first.unit == second.unit is not None and _is_range(text[first.end : second.start], language)
        for first, second in pairwise(numbers)
    ]
    for number, *ends in zip(numbers, [False, *joined], [*joined, False], strict=False):
        yield replace(number, ranged=True) if any(ends) else number


def _is_range(gap: str, language: Language) -> bool:
    word = gap.strip(f"{_SPACES}\n")
    return (
        bool(word)
        and _RANGE.fullmatch(gap) is not None
        and not any(language.joins.values(token) for token in tokenize(word, language.writing))
    )


def _is_unit_of(number: Quantity, other: Quantity) -> bool:
    """Whether the word of a number is the unit of another: second in "1 second"."""
    return other is not number and other.start < number.start and number.end <= other.end


def _in_base_units(number: Quantity, unit: str) -> Quantity:
    base, factor = _base(unit)
    values = frozenset(reading * factor if isinstance(reading, Fraction) else reading for reading in number.readings)
    return replace(number, readings=values, unit=base, figures=number.readings)


def _without_repetitions(text: str, numbers: Sequence[Quantity]) -> Iterator[Quantity]:
    """Yield the numbers; "30 (thirty)" is one."""
    before: Quantity | None = None
    for number in numbers:
        if before and before.readings == number.readings and _REPEATED.fullmatch(text[before.end : number.start]):
            before = replace(before, end=number.end + 1)
            continue
        if before:
            yield before
        before = number
    if before:
        yield before


def _unit_after(
    text: str, number: Quantity, tokens: Sequence[Token], language: Language
) -> tuple[int, int, str] | None:
    place = _place_after(text, number, tokens, language)
    if place is not None and (found := language.units.at(tokens, place)):
        return number.start, tokens[found.tokens[-1]].end, found.values[0]
    match = _shared().symbol.match(text, number.end)
    if match is None:
        return None
    ending = None if match[1][-1].isalpha() else _SIGN_ENDING.match(text, match.end())
    return number.start, ending.end() if ending else match.end(), _shared().symbols[match[1]]


def _place_after(text: str, number: Quantity, tokens: Sequence[Token], language: Language) -> int | None:
    """Return the index of the word that a number counts: 30 days, 30:n päivän, 30 de zile; None if none follows."""
    end = number.end
    if ending := _ENDING.match(text, end):
        end = ending.end()
    place = next((i for i, token in enumerate(tokens) if token.start >= end), None)
    if place is not None and text[end : tokens[place].start] in _BEFORE_UNIT and is_link(tokens[place], language):
        end, place = tokens[place].end, place + 1 if place + 1 < len(tokens) else None
    return place if place is not None and text[end : tokens[place].start] in _BEFORE_UNIT else None


def _unit_before(
    text: str, number: Quantity, tokens: Sequence[Token], language: Language
) -> tuple[int, int, str] | None:
    before = next((token for token in reversed(tokens) if token.end <= number.start), None)
    units = language.units_before.values(before) if before else ()
    if before and units and text[before.end : number.start] in _BEHIND_UNIT:
        return before.start, number.end, units[0]
    match = _shared().prefix.search(text[max(0, number.start - 8) : number.start])
    return (number.start - len(match[0]), number.end, _shared().symbols[match[1]]) if match else None


def _clock(text: str, number: Quantity, end: int) -> Quantity:
    figure = text[number.start : number.end]
    hours, _, minutes = figure.replace(",", ".").partition(".")
    if minutes and not (len(minutes) == 2 and hours.isdecimal() and minutes.isdecimal()):
        return replace(number, end=end, unit="clock")
    value = Fraction(int(hours) * 60 + int(minutes)) if minutes else None
    readings = {value} if value is not None else {r * 60 for r in number.readings if isinstance(r, Fraction)}
    return replace(number, end=end, readings=frozenset(readings), unit="clock")


@dataclass(frozen=True, slots=True)
class _Shared:
    """What `units.toml` says for all languages."""

    sizes: dict[str, tuple[str, Fraction]]
    symbols: dict[str, str]
    symbol: "regex.Pattern[str]"
    """A symbol behind a figure."""
    prefix: "regex.Pattern[str]"
    """A symbol before a figure."""
    sign: "regex.Pattern[str]"
    """A symbol that stands alone and is no word."""
    minus: "regex.Pattern[str]"
    """A word before a figure below zero."""


def _base(unit: str) -> tuple[str, Fraction]:
    return _shared().sizes.get(unit, (unit, Fraction(1)))


@cache
def _shared() -> _Shared:
    data = tomllib.loads((files("groundtune.languages") / "data" / "units.toml").read_text("utf-8"))
    before = {sign: unit for unit, signs in data["symbols_on_either_side"].items() for sign in signs}
    symbols = before | {sign: unit for unit, signs in data["symbols"].items() for sign in signs}
    choices = "|".join(map(regex.escape, sorted(symbols, key=len, reverse=True)))
    prefixes = "|".join(map(regex.escape, sorted(before, key=len, reverse=True)))
    signs = "|".join(map(regex.escape, sorted((s for s in symbols if not s.isalpha()), key=len, reverse=True)))
    return _Shared(
        sizes={unit: (base, Fraction(str(size))) for unit, (base, size) in data["sizes"].items()},
        symbols=symbols,
        symbol=regex.compile(rf"[ \u00a0\u202f-]?({choices})(?:(?<=\p{{L}})(?!\p{{L}})|(?<!\p{{L}}))(?!\p{{N}})"),
        prefix=regex.compile(rf"(?<![\p{{L}}\p{{N}}]|\p{{N}} )({prefixes})[ \u00a0\u202f]?$"),
        sign=regex.compile(signs),
        minus=regex.compile(rf"(?i)(?<!\p{{L}})(?:{'|'.join(data['minus'])})[ \u00a0]$"),
    )


# -- dates and times -----------------------------------------------------------------------------------------------


def _dates_and_times(text: str, language: Language) -> Iterator[Quantity]:
    for match in _YEAR_FIRST.finditer(text):
        year, month, day = (int(match[group]) for group in (1, 3, 4))
        if month <= 12 and day <= 31:
            yield Quantity(match.start(), match.end(), frozenset({(year, month, day)}), "date")
    for match in _DATE.finditer(text):
        if readings := _date_readings(match, language):
            yield Quantity(match.start(), match.end(), readings, "date")
    if language.date_order == "dmy":
        for match in _DAY_AND_MONTH.finditer(text):
            day, month = int(match[1]), int(match[2])
            if 1 <= month <= 12 and 1 <= day <= 31:
                yield Quantity(match.start(), match.end(), frozenset({(None, month, day)}), "date")
    for match in (*_TIME.finditer(text), *_HALF_DAY_TIME.finditer(text)):
        minutes = int(match[1]) * 60 + int(match[2] or 0)
        half = _HALF_DAY.match(text, match.end())
        after_noon = half is not None and half[1].lower() == "p" and minutes < 720
        yield Quantity(
            match.start(),
            half.end() if half else match.end(),
            frozenset({Fraction(minutes + 720 * after_noon)}),
            "clock",
        )


def _with_word_behind(text: str, quantity: Quantity, language: Language) -> Quantity:
    """Return a date or time with the word that only names it: 9:00 Uhr, 3 мая 2024 года."""
    tokens = tokenize(text, language.writing)
    place = _place_after(text, quantity, tokens, language)
    found = language.units.at(tokens, place) if place is not None else None
    if found is None or {"clock": "clock", "date": "year"}[str(quantity.unit)] not in found.values:
        return quantity
    return replace(quantity, end=tokens[found.tokens[-1]].end)


def _date_readings(match: "regex.Match[str]", language: Language) -> frozenset[Reading]:
    first, second, year = int(match[1]), int(match[3]), int(match[4])
    year += (2000 if year < 70 else 1900) if len(match[4]) == 2 else 0
    as_dmy, as_mdy = (year, second, first), (year, first, second)
    orders = [as_dmy] if match[2] == "." else [as_dmy, as_mdy] if language.date_order == "mdy" else [as_dmy]
    return frozenset((y, m, d) for y, m, d in orders if 1 <= m <= 12 and 1 <= d <= 31)


def _month_dates(text: str, numbers: Sequence[Quantity], language: Language) -> tuple[list[Quantity], list[Quantity]]:
    """Return the dates with a month in words, and the numbers that are part of none."""
    dates: list[Quantity] = []
    rest = list(numbers)
    tokens = tokenize(text, language.writing)
    for found in language.months.find(tokens):
        first, last = tokens[found.tokens[0]], tokens[found.tokens[-1]]
        before = next((n for n in reversed(rest) if n.end <= first.start), None)
        after = [n for n in rest if n.start >= last.end][:2]
        day = year = None
        if before and _is(before, 1, 31) and _DAY_GAP.fullmatch(text[before.end : first.start]):
            day = before
        elif before and _is(before, 1000, 2999) and text[before.end : first.start] in (" ", ". ", "\u00a0"):
            year = before
        if day is None and after and _is(after[0], 1, 31) and text[last.end : after[0].start] in (" ", ". ", "\u00a0"):
            day = after.pop(0)
        end = max(last.end, day.end if day else 0)
        if year is None and after and _is(after[0], 1000, 2999) and _YEAR_GAP.fullmatch(text[end : after[0].start]):
            year = after[0]
        used = [number for number in (day, year) if number]
        if used or len(found.tokens) > 1 or not _is_other_word(first, language):
            rest = [number for number in rest if number not in used]
            readings = frozenset({(_whole(year), int(found.values[0]), _whole(day))})
            start = min(first.start, *(number.start for number in used), first.start)
            dates.append(Quantity(start, max(last.end, *(number.end for number in used), last.end), readings, "date"))
    return dates, rest


def _is_other_word(token: Token, language: Language) -> bool:
    """Whether a word that stands alone may be another word than the month: may, and March at the head of a sentence."""
    other = bool(language.senses.values(token)) or token.word in language.stop_words
    return other and (token.text[0].islower() or token.start == 0)


def _is(number: Quantity, least: int, most: int) -> bool:
    value = next(iter(number.readings))
    return (
        len(number.readings) == 1 and isinstance(value, Fraction) and value.denominator == 1 and least <= value <= most
    )


def _whole(number: Quantity | None) -> int | None:
    return int(next(iter(number.readings))) if number else None  # type: ignore[arg-type]


def _weekdays(text: str, language: Language) -> Iterator[Quantity]:
    tokens = tokenize(text, language.writing)
    for found in language.weekdays.find(tokens):
        first, last = tokens[found.tokens[0]], tokens[found.tokens[-1]]
        yield Quantity(first.start, last.end, frozenset({Fraction(found.values[0])}), "weekday")
