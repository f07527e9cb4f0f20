"""Raised and lowered text stays apart from the numbers and words before it."""

import re

import pytest

from groundtune.ingest.parsed import TextBuilder, clean_text
from groundtune.ingest.superscripts import subscript, superscript


def written(text: str) -> str:
    """Write out text in which {…} is raised and <…> is lowered."""
    text = re.sub(r"\{(.*?)\}", lambda found: superscript(found[1]), text)
    return clean_text(re.sub(r"<(.*?)>", lambda found: subscript(found[1]), text))


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("It moves 10{6} litres, costs 45{2} euros.", "It moves 10^6 litres, costs 45 [2] euros."),
        ("10{-6} m, 1.5 × 10{12} and 2{16} addresses", "10^-6 m, 1.5 × 10^12 and 2^16 addresses"),
        ("10{1}{2} in two pieces", "10^12 in two pieces"),
        ("3{2} + 4{2} = 5{2} = 25", "3^2 + 4^2 = 5^2 = 25"),
        ("price 2{1}, paid in 2024{3}", "price 2 [1], paid in 2024 [3]"),
        ("12 m{2}, 3 cm{3}, 5 in{2}, 9 m/s{2}, 4 s{-1}", "12 m², 3 cm³, 5 in², 9 m/s^2, 4 s^-1"),
        ("x{2}, E = mc{2}, (a + b){2}, e{x}, 2{n+1}, x{1/2}", "x^2, E = mc^2, (a + b)^2, e^x, 2^(n+1), x^(1/2)"),
        ("the 3{rd} floor, 1{er}, 2{e}, XX{e} siècle, M{me} Roux", "the 3rd floor, 1er, 2e, XXe siècle, Mme Roux"),
        ("1{o} piso, n{o} 4, N{o} 5", "1º piso, nº 4, Nº 5"),
        ("delivery{2} and return.{3}Next", "delivery [2] and return. [3] Next"),
        ("three notes{1,2} or{3–5}", "three notes [1,2] or [3–5]"),
        ("linked{[4]} and (paid{1})", "linked [4] and (paid [1])"),
        ("(see the terms){1}", "(see the terms) [1]"),
        ("{1} Prices include tax", "[1] Prices include tax"),
        ("45{*} and 30 %{†}", "45* and 30 %†"),
        ("Wren{TM} and Wren{new in May}", "Wren™ and Wren new in May"),
        ("column{a}", "column [a]"),
        ("Ca{2+}, Na{+}", "Ca^2+, Na+"),
        ("1{1}/<2> cups, {3}⁄<4> full, {1}/3", "1 1/2 cups, 3/4 full, 1/3"),
        ("10{6}/24 h", "10^6/24 h"),
        ("H<2>O, CO<2>, C<6>H<12>O<6>, x<1>", "H2O, CO2, C6H12O6, x1"),
        ("log<10>100, 101<2>, T<in>, v<n+1>", "log10 100, 101_2, T_in, v_(n+1)"),
        ("{all of it}", "all of it"),
        ("{2}", "2"),
        ("a{}b", "ab"),
    ],
)
def test_each_kind_has_its_form(marked: str, expected: str) -> None:
    assert written(marked) == expected


def test_unicode_superscripts_stay_as_they_are() -> None:
    assert clean_text("10⁶ litres, m²") == "10⁶ litres, m²"


def test_no_mark_is_left_in_any_part_of_a_document() -> None:
    builder = TextBuilder()
    raised = f"10{superscript('6')}"
    builder.heading(1, raised)
    builder.paragraph(f"{raised} litres \ufdd0 alone")
    builder.code(raised)
    builder.row([raised, "5"], [f"area in m{superscript('2')}", raised])
    assert builder.build(title=raised).text == "10^6\n\n10^6 litres alone\n\n10^6\n\narea in m²: 10^6; 10^6: 5"
