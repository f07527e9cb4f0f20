"""List numbers are written as their program shows them."""

import pytest

from groundtune.ingest.list_numbers import format_number


@pytest.mark.parametrize(
    ("style", "number", "written"),
    [
        ("decimal", 12, "12"),
        ("lower-alpha", 1, "a"),
        ("lower-alpha", 26, "z"),
        ("lower-alpha", 27, "aa"),
        ("upper-latin", 53, "BA"),
        ("lower-roman", 4, "iv"),
        ("upper-roman", 1994, "MCMXCIV"),
        ("lower-greek", 3, "γ"),
        ("decimal-leading-zero", 7, "07"),
        ("lower-roman", 0, "0"),
        ("lower-alpha", -1, "-1"),
        ("unknown", 5, "5"),
    ],
)
def test_a_number_in_a_style(style: str, number: int, written: str) -> None:
    assert format_number(number, style) == written


@pytest.mark.parametrize(
    ("number", "style", "written"),
    [
        (27, "lower-alpha", "aa"),
        (28, "lower-alpha", "ab"),
        (28, "repeated-lower-alpha", "bb"),
        (28, "repeated-upper-alpha", "BB"),
        (5, "repeated-symbols", "**"),
        (4, "upper-roman", "IV"),
        (7, "decimal-leading-zero", "07"),
        (20, "circled-decimal", "⑳"),
        (21, "circled-decimal", "21"),
        (12, "full-width-decimal", "１２"),
        (34, "devanagari", "३४"),
        (10, "cjk-ideographic", "十"),
        (23, "cjk-ideographic", "二十三"),
        (30, "cjk-decimal", "三〇"),
        (2, "hangul", "나"),
        (3, "hiragana", "う"),
        (2, "arabic-alpha", "ب"),
        (3, "repeated-lower-russian", "в"),
        (11, "english-ordinal", "11th"),
        (22, "english-ordinal", "22nd"),
        (0, "repeated-lower-alpha", "0"),
        (5, "unknown", "5"),
    ],
)
def test_styles_of_office_programs(number: int, style: str, written: str) -> None:
    assert format_number(number, style) == written
