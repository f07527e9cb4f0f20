"""Write the automatic number of a list item or a heading as its program shows it: 3, c, iii. Never reads files."""

from collections.abc import Callable, Mapping

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
    (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_LATIN = "abcdefghijklmnopqrstuvwxyz"
_GREEK = "αβγδεζηθικλμνξοπρστυφχψω"
_MOST_ROMAN = 3_999


def format_number(number: int, style: str = "decimal") -> str:
    """Return a list number in a style of CSS, such as `lower-alpha`; in digits if the style cannot write it."""
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


_STYLES: Mapping[str, Callable[[int], str]] = {
    "lower-alpha": lambda number: _letters(number, _LATIN),
    "lower-latin": lambda number: _letters(number, _LATIN),
    "upper-alpha": lambda number: _letters(number, _LATIN).upper(),
    "upper-latin": lambda number: _letters(number, _LATIN).upper(),
    "lower-roman": _roman,
    "upper-roman": lambda number: _roman(number).upper(),
    "lower-greek": lambda number: _letters(number, _GREEK),
    "decimal-leading-zero": lambda number: f"{number:02d}",
}
