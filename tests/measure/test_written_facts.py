"""Facts of written texts: stated in any form, never denied, and no figure that nobody gave."""

import pytest

from groundtune.measure.written_facts import fact_score, wrong_figures
from groundtune.types import Evidence, Example

LETTER = Example(
    "l",
    "I bought a Wren on 3 May and live 12 km away. Can I try a Heron? Ann Fox",
    "Dear Ann Fox, a trial of 7 days costs £40. Call 01632 960 300.",
    (Evidence("docs/trial.md", "We block £300 on a credit card"),),
    facts=(("Ann Fox",), ("£40",), ("7 days", "one week"), ("01632 960 300",)),
)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Dear Ann Fox, the trial costs £40 and lasts 7 days. Call us on 01632 960 300.", 1.0),
        ("Dear Ann Fox, for 40 pounds you have it for a week. Call us on 01632960300.", 1.0),
        ("Dear Ann Fox, the trial costs £40 and lasts 7 days.", 3 / 4),
        ("Dear Bob Fox, it costs £45 for 7 days. Call us on 01632 960 300.", 2 / 5),  # £45 is nobody's
        ("Dear Ann Fox, it costs £40 for 7 days. Call us on 01632 960 301.", 3 / 5),
        ("Good morning.", 0.0),
    ],
)
def test_the_share_of_facts_that_are_right(text: str, score: float) -> None:
    assert fact_score(text, LETTER, language="english") == pytest.approx(score)


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("You bought it on 3 May 2025, 12 km from here.", []),
        ("We block £300.", []),
        ("We block £3000.", ["£3000"]),
        ("It takes two days, and both of you may ride.", []),  # numbers in words
        ("It takes 2 days.", ["2 days"]),
        ("It takes a week.", []),
        ("It is 7 miles.", ["7 miles"]),
        ("It is 12.5 percent.", ["12.5 percent"]),
        ("Come at 17:30 on 4 May.", ["17:30", "4 May"]),
    ],
)
def test_figures_that_nobody_gave(text: str, figures: list[str]) -> None:
    assert wrong_figures(text, LETTER, language="english") == figures


@pytest.mark.parametrize(
    ("fact", "text", "stated"),
    [
        ("no trade prices", "We sell in three stores and give no trade prices.", True),
        ("no trade prices", "Here are our trade prices.", False),
        ("trailers are not allowed", "Trailers are not allowed on the trial.", True),
        ("trailers are not allowed", "Trailers are allowed on the trial.", False),
        ("free of charge", "We come to you, also free of charge.", True),
        ("free of charge", "That is not free of charge.", False),
        ("Canal Street", "At Canal Street you need no appointment.", True),
        ("30 days", "You cannot return it after 30 days.", True),
        ("1.500 Euro", "Das kostet 1500 €.", True),
    ],
)
def test_words_are_stated_as_they_are_meant(fact: str, text: str, stated: bool) -> None:
    example = Example("q", "30 1500", "x", facts=((fact,),))
    language = "german" if "Euro" in fact else "english"
    assert (fact_score(text, example, language=language) == 1.0) is stated


def test_an_example_without_output_still_has_facts() -> None:
    example = Example("q", "Any news?", None, facts=(("40",),))
    assert wrong_figures("40 or 50", example, language="english") == ["50"]
