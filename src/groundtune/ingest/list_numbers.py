"""Write the automatic number of a list item or a heading as its program shows it: 3, c, iii. Never reads files."""

from collections.abc import Callable, Mapping

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
    (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_LATIN = "abcdefghijklmnopqrstuvwxyz"
_GREEK = "αβγδεζηθικλμνξοπρστυφχψω"
_CYRILLIC = "абвгдежзиклмнопрстуфхцчшщэюя"
_HANGUL = "가나다라마바사아자차카타파하"
_HIRAGANA = "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん"
_ARABIC = "أبتثجحخدذرزسشصضطظعغفقكلمنهوي"
_CJK = "〇一二三四五六七八九"
_MOST_ROMAN = 3_999


def format_number(number: int, style: str = "decimal") -> str:
    """Return a list number in a style of CSS, such as `lower-alpha`; in digits if the style cannot write it.

    Some styles are those of office programs: `repeated-lower-alpha` counts …, z, aa, bb.
    """
    write = _STYLES.get(style)
    return write(number) if write else str(number)


def _letters(number: int, alphabet: str) -> str:
    """Return a, b, … z, aa, ab, …"""
    if number < 1:
        return str(number)
    written = ""
    while number:
        number, place = divmod(number - 1, len(alphabet))
        written = alphabet[place] + written
    return written


def _roman(number: int) -> str:
    if not 0 < number <= _MOST_ROMAN:
        return str(number)
    written = ""
    for value, letters in _ROMAN:
        times, number = divmod(number, value)
        written += times * letters
    return written


def _repeated(number: int, alphabet: str) -> str:
    """Return a, b, … z, aa, bb, …"""
    times, place = divmod(number - 1, len(alphabet))
    return alphabet[place] * (times + 1) if number > 0 else str(number)


def _digits(number: int, digits: str) -> str:
    return "".join(digits[int(digit)] if digit.isdecimal() else digit for digit in str(number))


def _ideographic(number: int) -> str:
    """Return 一, 十, 十一, 二十, 百五."""
    if not 0 < number < 10_000:
        return _digits(number, _CJK)
    written = ""
    for value, unit in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, number = divmod(number, value)
        if digit:
            written += ("" if digit == 1 and value > 1 and not written else _CJK[digit]) + unit
    return written


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


_STYLES: Mapping[str, Callable[[int], str]] = {
    "lower-alpha": lambda number: _letters(number, _LATIN),
    "lower-latin": lambda number: _letters(number, _LATIN),
    "upper-alpha": lambda number: _letters(number, _LATIN).upper(),
    "upper-latin": lambda number: _letters(number, _LATIN).upper(),
    "lower-roman": _roman,
    "upper-roman": lambda number: _roman(number).upper(),
    "lower-greek": lambda number: _letters(number, _GREEK),
    "repeated-lower-alpha": lambda number: _repeated(number, _LATIN),
    "repeated-upper-alpha": lambda number: _repeated(number, _LATIN).upper(),
    "repeated-lower-russian": lambda number: _repeated(number, _CYRILLIC),
    "repeated-upper-russian": lambda number: _repeated(number, _CYRILLIC).upper(),
    "repeated-symbols": lambda number: _repeated(number, "*†‡§"),
    "circled-decimal": lambda number: chr(0x2460 + number - 1) if 0 < number <= 20 else str(number),
    "full-width-decimal": lambda number: _digits(number, "０１２３４５６７８９"),
    "devanagari": lambda number: _digits(number, "०१२३४५६७८९"),
    "cjk-decimal": lambda number: _digits(number, _CJK),
    "cjk-ideographic": _ideographic,
    "hangul": lambda number: _letters(number, _HANGUL),
    "hiragana": lambda number: _letters(number, _HIRAGANA),
    "arabic-alpha": lambda number: _letters(number, _ARABIC),
    "english-ordinal": _ordinal,
    "decimal-leading-zero": lambda number: f"{number:02d}",
}
