"""Show a number as a spreadsheet does, by its format code (`#,##0.00 "EUR"`, `dd.mm.yyyy`). Never reads a file.

Codes: ECMA-376 part 1, section 18.8.31. Where a program asks the computer for its language (the short date), ISO dates
are shown, and always `1,234.5`.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from locale import windows_locale

BUILT_IN = {
    0: "General",
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    5: '"$"#,##0;-"$"#,##0',
    6: '"$"#,##0;-"$"#,##0',
    7: '"$"#,##0.00;-"$"#,##0.00',
    8: '"$"#,##0.00;-"$"#,##0.00',
    9: "0%",
    10: "0.00%",
    11: "0.00E+00",
    12: "# ?/?",
    13: "# ??/??",
    14: "yyyy-mm-dd",
    15: "d-mmm-yy",
    16: "d-mmm",
    17: "mmm-yy",
    18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM",
    20: "h:mm",
    21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm",
    37: "#,##0;(#,##0)",
    38: "#,##0;(#,##0)",
    39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)",
    41: '#,##0;-#,##0;"-";@',
    42: '"$"#,##0;-"$"#,##0;"$-";@',
    43: '#,##0.00;-#,##0.00;"-";@',
    44: '"$"#,##0.00;-"$"#,##0.00;"$-";@',
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss.0",
    48: "##0.0E+0",
    49: "@",
    **dict.fromkeys((*range(27, 32), *range(34, 37), *range(50, 59)), "yyyy-mm-dd"),
    **dict.fromkeys((32, 33), "h:mm:ss"),
}
"""Codes that a file names by number only. The short date of the computer (14, 22) is shown as ISO date."""

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_.|\*.|\[(?P<bracket>[^\]]*)\]|(?P<general>general)'
    r"|(?P<half>AM/PM|A/P)|(?P<power>E[+-])|(?P<date>[yY]+|[mM]+|[dD]+|[hH]+|[sS]+(?:\.0+)?|e+)|(?P<digits>[0#?]+)"
    r"|(?P<sign>[.,%/@;])|(?P<other>.)",
    re.DOTALL | re.IGNORECASE,
)
_SIMPLE = re.compile(r"(?P<grouped>#,##)?0(?:\.(?P<decimals>0{1,9}))?(?P<percent>%?)")
"""The codes that most cells have; written out without a look at each sign."""
_NOT_ZERO = re.compile(r"[1-9]")
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?[\d.]+)")
_ELAPSED = re.compile(r"h+|m+|s+", re.IGNORECASE)
_CURRENCY = re.compile(r"\$([^-\]]*)(?:-([0-9A-Fa-f]+))?")
_DAY_ZERO = datetime(1899, 12, 30)
_LAST_SERIAL = 2_958_466
_LEAP_YEAR_1900 = 60
"""Serial number of 29 February 1900, a day that spreadsheets know and calendars do not."""
_MOST_DECIMALS = 30
_EXACT = Context(prec=400)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """text, digits, date, elapsed, half, power, general, or one of the signs `. , % / @`."""
    text: str


@dataclass(frozen=True, slots=True)
class _Section:
    tokens: tuple[_Token, ...]
    condition: tuple[str, float] | None
    language: int | None

    @property
    def is_date(self) -> bool:
        return any(token.kind in ("date", "elapsed", "half") for token in self.tokens)


@lru_cache(maxsize=16_384)
def show_number(value: float, code: str, *, from_1904: bool = False) -> str:
    """Return the number as the code shows it; empty if the code hides it.

    from_1904: dates are counted from 1904-01-01 instead of 1899-12-31.
    """
    if not math.isfinite(value):
        return str(value)
    if simple := _SIMPLE.fullmatch(code):
        number = _rounded(Decimal(repr(value)) * (100 if simple["percent"] else 1), len(simple["decimals"] or ""))
        number = number or abs(number)  # no sign for a zero
        return (f"{number:,f}" if simple["grouped"] else f"{number:f}") + simple["percent"]
    sections = _sections(code)
    section, signed = _choose(sections, value)
    if section is None:
        return _general(value)
    if section.is_date:
        days = value + (1462 if from_1904 else 0)
        return _show_date(section, days) if 0 <= days < _LAST_SERIAL else _general(value)
    shown = _show_number(section.tokens, abs(value))
    return f"-{shown}" if value < 0 and not signed and _NOT_ZERO.search(shown) else shown


def show_text(text: str, code: str) -> str:
    """Return a text as the code shows it: its fourth section, or its only one if it is for text."""
    sections = _sections(code)
    section = sections[3] if len(sections) > 3 else sections[-1]
    if len(sections) <= 3 and not any(token.kind == "@" for token in section.tokens):
        return text
    return "".join(text if token.kind == "@" else token.text for token in section.tokens if token.kind in ("@", "text"))


def is_date(code: str) -> bool:
    """Whether the code shows a number as a date or time."""
    return _sections(code)[0].is_date


@lru_cache(maxsize=1024)
def _sections(code: str) -> tuple[_Section, ...]:
    sections: list[_Section] = []
    tokens: list[_Token] = []
    condition: tuple[str, float] | None = None
    language: int | None = None
    for match in _TOKEN.finditer(code):
        kind, text = match.lastgroup, match[match.lastgroup] if match.lastgroup else ""
        if text == ";" and kind == "sign":
            sections.append(_Section(_with_minutes(tokens), condition, language))
            tokens, condition, language = [], None, None
        elif kind == "bracket":
            if found := _CONDITION.fullmatch(text):
                condition = (found[1], float(found[2]))
            elif _ELAPSED.fullmatch(text):
                tokens.append(_Token("elapsed", text.lower()))
            elif found := _CURRENCY.fullmatch(text):
                tokens.append(_Token("text", found[1]))
                language = int(found[2], 16) & 0xFFFF if found[2] else None
        elif kind is not None:
            tokens.append(_token(kind, text))
    sections.append(_Section(_with_minutes(tokens), condition, language))
    return tuple(sections)


def _token(kind: str, text: str) -> _Token:
    if kind in ("quoted", "escaped", "other"):
        return _Token("text", text)
    if kind == "sign":
        return _Token(text, text)
    return _Token(kind, text.lower() if kind == "date" else text)


def _with_minutes(tokens: Sequence[_Token]) -> tuple[_Token, ...]:
    """Return the tokens with `m` behind hours or before seconds as `n`, for minutes."""
    found = list(tokens)
    dates = [at for at, token in enumerate(found) if token.kind in ("date", "elapsed")]
    for place, at in enumerate(dates):
        before = found[dates[place - 1]].text[:1] if place else ""
        behind = found[dates[place + 1]].text[:1] if place + 1 < len(dates) else ""
        if found[at].text in ("m", "mm") and (before == "h" or behind == "s"):
            found[at] = _Token(found[at].kind, found[at].text.replace("m", "n"))
    return tuple(found)


def _choose(sections: Sequence[_Section], value: float) -> tuple[_Section | None, bool]:
    """Return the section for a value, and whether it shows the sign itself; None where none is meant for it."""
    numeric = sections[:3]
    if any(section.condition for section in numeric):
        for section in numeric:
            if section.condition is None or _meets(value, *section.condition):
                own_sign = section.condition is not None and value < 0 and section.condition[0] in ("<", "<=")
                return section, own_sign and len(numeric) > 1
        return None, False
    if len(numeric) > 1 and value < 0:
        return numeric[1], True
    if len(numeric) > 2 and value == 0:
        return numeric[2], True
    return numeric[0], False


def _meets(value: float, sign: str, limit: float) -> bool:
    return {
        "<": value < limit,
        "<=": value <= limit,
        ">": value > limit,
        ">=": value >= limit,
        "=": value == limit,
        "<>": value != limit,
    }[sign]


# --- numbers -------------------------------------------------------------------------------------------------------


def _general(value: float) -> str:
    """Return a number without a format: whole numbers in full, others with up to ten digits."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    text = f"{value:.10g}"
    return re.sub(r"e([+-])0?(\d)", r"E\1\2", text) if "e" in text else text


def _show_number(tokens: Sequence[_Token], value: float) -> str:
    if any(token.kind == "power" for token in tokens):
        return _scientific(tokens, value)
    if _is_fraction(tokens):
        return _fraction(tokens, value)
    if not any(token.kind == "digits" for token in tokens):
        shown = {"general": _general(value), "@": _general(value), "%": "%"}
        return "".join(shown.get(token.kind, token.text if token.kind == "text" else "") for token in tokens)
    number = Decimal(repr(value)) * 100 ** sum(token.kind == "%" for token in tokens)
    return _decimal(tokens, number)


def _decimal(tokens: Sequence[_Token], number: Decimal) -> str:
    places = [at for at, token in enumerate(tokens) if token.kind == "digits"]
    dot = next((at for at, token in enumerate(tokens) if token.kind == "."), len(tokens))
    whole, broken = [at for at in places if at < dot], [at for at in places if at > dot]
    commas = [at for at, token in enumerate(tokens) if token.kind == ","]
    last = whole[-1] if whole else -1
    grouped = any(whole and whole[0] < at < last for at in commas)
    scale = sum(last < at < dot or at > places[-1] for at in commas)
    pattern = "".join(tokens[at].text for at in broken)[:_MOST_DECIMALS]
    digits, _, decimals = f"{_rounded(number.scaleb(-3 * scale), len(pattern)):f}".partition(".")
    decimals = decimals.rstrip("0").ljust(len(pattern.rstrip("#?")), "0")
    shown = _spread([tokens[at].text for at in whole], "" if digits == "0" else digits, grouped=grouped)
    for at in broken:
        length = len(tokens[at].text)
        shown.append(decimals[:length])
        decimals = decimals[length:]
    texts = dict(zip(places, shown, strict=True))
    texts |= {at: token.text for at, token in enumerate(tokens) if token.kind in ("text", "%", "/", ".")}
    if not broken or not any(texts[at] for at in broken):
        texts.pop(dot, None)
    return "".join(texts.get(at, "") for at in range(len(tokens)))


def _rounded(number: Decimal, decimals: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP, _EXACT)


def _spread(patterns: Sequence[str], digits: str, *, grouped: bool) -> list[str]:
    """Return the digits of a whole number by placeholder: `000`, `00`, `0000` take nine digits from the right."""
    if not patterns:
        return []
    joined = "".join(patterns)
    digits = digits.rjust(len(joined) - joined.find("0") if "0" in joined else 0, "0")
    if grouped:
        return [f"{int(digits or 0):,}".rjust(len(digits), "0") if digits else "", *[""] * (len(patterns) - 1)]
    shown: list[str] = []
    for pattern in reversed(patterns[1:]):
        taken = digits[-len(pattern) :]
        digits = digits[: len(digits) - len(taken)]
        shown.append(taken)
    return [digits, *reversed(shown)]


def _scientific(tokens: Sequence[_Token], value: float) -> str:
    power = next(at for at, token in enumerate(tokens) if token.kind == "power")
    before, behind = tokens[:power], tokens[power + 1 :]
    decimals = _decimals(before)
    whole = sum(len(token.text) for token in before if token.kind == "digits") - decimals
    exponent = math.floor(math.log10(value)) if value else 0
    exponent -= exponent % max(whole, 1) if whole > 1 else 0
    mantissa = _rounded(Decimal(repr(value)).scaleb(-exponent), decimals)
    if mantissa >= 10 ** max(whole, 1):
        exponent += max(whole, 1)
        mantissa = _rounded(Decimal(repr(value)).scaleb(-exponent), decimals)
    sign = "-" if exponent < 0 else "+" if tokens[power].text.endswith("+") else ""
    width = sum(len(token.text) for token in behind if token.kind == "digits")
    tail = "".join(token.text for token in behind if token.kind == "text")
    return f"{_decimal(before, mantissa)}E{sign}{abs(exponent):0{width}}{tail}"


def _decimals(tokens: Sequence[_Token]) -> int:
    dot = next((at for at, token in enumerate(tokens) if token.kind == "."), len(tokens))
    return sum(len(token.text) for token in tokens[dot:] if token.kind == "digits")


def _is_fraction(tokens: Sequence[_Token]) -> bool:
    kinds = [token.kind for token in tokens]
    return "/" in kinds and "digits" in kinds[: kinds.index("/")]


def _fraction(tokens: Sequence[_Token], value: float) -> str:
    slash = next(at for at, token in enumerate(tokens) if token.kind == "/")
    below = "".join(token.text for token in tokens[slash + 1 :] if token.kind in ("digits", "text")).strip()
    number = Fraction(repr(value))
    if below.isdecimal() and int(below):
        top, bottom = round(number * int(below)), int(below)
    else:
        limited = number.limit_denominator(10 ** max(len(below), 1) - 1)
        top, bottom = limited.numerator, limited.denominator
    mixed = sum(token.kind == "digits" for token in tokens[:slash]) > 1
    whole, rest = divmod(top, bottom) if mixed else (0, top)
    parts = [str(whole)] if whole or (not rest and mixed) else []
    return " ".join([*parts, f"{rest}/{bottom}"] if rest or not mixed else parts)


# --- dates and times -----------------------------------------------------------------------------------------------


def _show_date(section: _Section, days: float) -> str:
    tokens = section.tokens
    decimals = max((len(token.text.partition(".")[2]) for token in tokens if token.kind == "date"), default=0)
    seconds = float(_rounded(Decimal(repr(days)) * 86_400, decimals))
    shift = 0 if days >= _LEAP_YEAR_1900 + 1 else 1
    moment = _DAY_ZERO + timedelta(days=shift, seconds=seconds)
    halves = any(token.kind == "half" for token in tokens)
    written: list[str] = []
    for token in tokens:
        if token.kind == "date":
            written.append(_date_part(token.text, moment, halves=halves, language=section.language))
        elif token.kind == "elapsed":
            unit = {"h": 3600, "m": 60, "n": 60, "s": 1}[token.text[0]]
            written.append(f"{int(seconds // unit):0{len(token.text)}}")
        elif token.kind == "half":
            marks = token.text.split("/")
            written.append(marks[moment.hour >= 12])
        elif token.kind in ("text", "/", ".", ","):
            written.append(token.text)
    return "".join(written)


def _date_part(part: str, moment: datetime, *, halves: bool, language: int | None) -> str:
    letter, length = part[0], len(part.partition(".")[0])
    hour = (moment.hour % 12 or 12) if halves else moment.hour
    match letter:
        case "y" | "e":
            return f"{moment.year % 100:02}" if letter == "y" and length < 3 else str(moment.year)
        case "m" if length > 2:
            return _named(moment, {3: "MMM", 4: "MMMM", 5: "MMMMM"}.get(length, "MMMM"), language)
        case "d" if length > 2:
            return _named(moment, "EEE" if length == 3 else "EEEE", language)
        case "s":
            fraction = part.partition(".")[2]
            split = f"{moment.microsecond:06}"[: len(fraction)]
            return f"{moment.second:0{length}}" + (f".{split}" if fraction else "")
    number = {"m": moment.month, "d": moment.day, "h": hour, "n": moment.minute}[letter]
    return f"{number:0{length}}"


def _named(moment: datetime, pattern: str, language: int | None) -> str:
    """Return the name of a month or weekday in a language by its Windows number, else in English."""
    tag = windows_locale.get(language or 0)
    if tag is None or tag.startswith("en"):
        name = moment.strftime("%B" if pattern.startswith("M") else "%A")
        return name[: {"MMM": 3, "EEE": 3, "MMMMM": 1}.get(pattern, len(name))]
    from icu4py.locale import Locale  # loads 16 MB
    from icu4py.messageformat import MessageFormat

    return str(MessageFormat(f"{{at, date, ::{pattern}}}", Locale(tag.split("_")[0])).format({"at": moment}))
