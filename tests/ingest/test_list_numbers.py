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
