"""Figures are read as what they say."""

from fractions import Fraction

import pytest

from groundtune.languages.quantities import quantities, supports


def values(text: str, language: str = "english") -> list[tuple[Fraction, str | None]]:
    return [(value, quantity.unit) for quantity in quantities(text, language) for value in quantity.readings]  # type: ignore[misc]


@pytest.mark.parametrize(
    "text", ["10⁶ litres", "10^6 litres", "10^(6) litres", "1 × 10⁶ l", "1·10^6 litres", "10^+6 l"]
)
def test_a_power_is_one_number_however_it_is_written(text: str) -> None:
    assert values(f"It moves {text}.") == [(Fraction(1_000_000), "litre")]


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("1.5 × 10⁻³ m", "english", Fraction(15, 10_000)),
        ("1,5 · 10^-3 m", "german", Fraction(15, 10_000)),
        ("1.500 x 10^3 m", "english", None),
        ("-10^2 m", "english", Fraction(-100)),
        ("2¹⁶ m", "english", Fraction(65_536)),
        ("12 m^2", "english", Fraction(12)),
    ],
)
def test_powers_with_factors_and_signs(text: str, language: str, value: Fraction | None) -> None:
    read = {number for number, _ in values(text, language)}
    assert read == ({value} if value is not None else {Fraction(1_500_000), Fraction(1500)})


@pytest.mark.parametrize("claim", ["106 litres", "10 litres", "6 litres", "10^7 litres", "1.5 litres"])
@pytest.mark.parametrize("passage", ["10⁶ litres", "10^6 litres", "1.5 × 10⁶ litres"])
def test_no_other_number_is_supported_by_a_power(passage: str, claim: str) -> None:
    assert not any(supports(stated, claimed) for stated in quantities(passage) for claimed in quantities(claim))


def test_a_raised_figure_behind_a_plain_number_is_a_note() -> None:
    assert [number for number, _ in values("It costs 45² euros.")] == [Fraction(45)]


@pytest.mark.parametrize("power", ["10^999999999", "0^-1"])
def test_a_power_without_a_value_stays_a_text(power: str) -> None:
    assert [quantity.readings for quantity in quantities(f"{power} m")] == [{power}]


@pytest.mark.parametrize(
    ("language", "words", "figure"),
    [
        ("english", "the fifth floor", "the 5th floor"), ("english", "on 3rd May 2024", "on May 3, 2024"),
        ("french", "le cinquième étage", "le 5e étage"), ("spanish", "el quinto piso", "el 5.º piso"),
        ("dutch", "de vijfde verdieping", "de 5e verdieping"), ("russian", "пятый этаж", "5-й этаж"),
        ("swedish", "femte våningen", "5:e våningen"), ("turkish", "beşinci kat", "5'inci kat"),
    ],
)  # fmt: skip
def test_an_ordinal_is_the_same_in_words_and_figures(language: str, words: str, figure: str) -> None:
    (stated,), (claimed,) = quantities(words, language), quantities(figure, language)
    assert supports(stated, claimed)
