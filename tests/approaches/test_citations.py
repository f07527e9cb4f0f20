import pytest

from groundtune.approaches.citations import check_citations
from groundtune.types import Citation, Hit, Passage

OFFSET = 100
RETURNS = (
    "You can return a bike within 30 days of delivery. The warranty lasts 24 months. Refunds go to the card that was "
    "used.\n\nHelmets cost €49.50 and are not refunded."
)
ORDERS = (
    "Orders are sent within two working days. They are never sent by courier [3]. Anna Berg leads the workshop in "
    "Marrowby. It opened in 2019 with 1,200 m² of floor."
)
TABLE = "Zone: North; Fee: 40 euros; Days: 2 to 4\n\nZone: South; Fee: 55 euros; Days: 3 to 6"
UNICODE = "Das Café “Zum Löwen” öffnet um 9:30 – außer montags. The ﬁrst o\u00adrder is free."


def hit(text: str, number: int, heading: str = "") -> Hit:
    return Hit(Passage(f"d:{number}", "d", "a.md", number, OFFSET, OFFSET + len(text), text, heading, page=2), 1.0)


HITS = (hit(RETURNS, 1, "Returns"), hit(ORDERS, 2), hit(TABLE, 3, "Delivery fees"), hit(UNICODE, 4))


def supports(text: str) -> list[tuple[int, str]]:
    return [(citation.marker, citation.support) for citation in check_citations(text, HITS)[1]]


def only(text: str) -> Citation:
    (citation,) = check_citations(text, HITS)[1]
    return citation


EXACT = [
    ("You can return a bike within 30 days of delivery [1].", "You can return a bike within 30 days of delivery."),
    ("You can return a bike within 30 days of delivery. [1]", "You can return a bike within 30 days of delivery."),
    ("you can return a bike within 30 days of delivery[1]", "You can return a bike within 30 days of delivery"),
    ("The warranty lasts 24 months! [ 1 ]", "The warranty lasts 24 months."),
    ("The   warranty\nlasts 24 months. [1]", "The warranty lasts 24 months."),
    ("**The warranty lasts 24 months** [1].", "The warranty lasts 24 months."),
    ("“The warranty lasts 24 months.” [1]", "The warranty lasts 24 months."),
    ("24 months [1]", "24 months"),
    ("[1] The warranty lasts 24 months.", "The warranty lasts 24 months."),
    ("- [1] The warranty lasts 24 months.", "The warranty lasts 24 months."),
    ("The warranty lasts 24 months.\n[1]", "The warranty lasts 24 months."),
    ("The warranty [1] lasts 24 months.", "The warranty lasts 24 months."),
    ("Fee: 40 euros [3]", "Fee: 40 euros"),
    ("Zone: South; Fee: 55 euros; Days: 3 to 6 [3]", "Zone: South; Fee: 55 euros; Days: 3 to 6"),
    ('Das Cafe\u0301 "Zum Löwen" öffnet um 9:30 - außer montags. [4]', UNICODE[:52]),
    ("The first order is free [4].", "The ﬁrst o\u00adrder is free."),
    # two sentences of the passage, one marker
    (
        "The warranty lasts 24 months. Refunds go to the card that was used. [1]",
        "The warranty lasts 24 months. Refunds go to the card that was used.",
    ),
    # over a paragraph of the passage
    (
        "Refunds go to the card that was used. Helmets cost €49.50 and are not refunded. [1]",
        "Refunds go to the card that was used.\n\nHelmets cost €49.50 and are not refunded.",
    ),
    # a number in brackets that is part of the quoted words
    ("They are never sent by courier [3]. [2]", "They are never sent by courier [3]."),
]


@pytest.mark.parametrize(("text", "quote"), EXACT)
def test_exact_wherever_the_words_stand_in_the_passage(text: str, quote: str) -> None:
    citation = only(text)
    assert citation.support == "exact"
    assert citation.quote == quote
    assert citation.start is not None
    assert citation.end is not None
    passage = HITS[citation.marker - 1].passage
    assert passage.text[citation.start - OFFSET : citation.end - OFFSET] == quote
    assert (citation.passage_id, citation.source, citation.page) == (passage.id, "a.md", 2)
    assert check_citations(text, HITS, strict=True)[0] == text


CLOSE = [
    ("A bike can be returned within 30 days of its delivery [1].", "You can return a bike within 30 days of delivery."),
    ("The warranty is 24 months [1].", "The warranty lasts 24 months."),
    ("Orders are sent within 2 working days [2].", "Orders are sent within two working days."),
    ("The workshop in Marrowby is led by Anna Berg [2].", "Anna Berg leads the workshop in Marrowby."),
    ("It has 1200 m² of floor and opened in 2019 [2].", "It opened in 2019 with 1,200 m² of floor."),
    ("The fee for zone South is 55 euros [3].", "Zone: South; Fee: 55 euros; Days: 3 to 6"),
    ("The delivery fee is 40 euros in zone North [3].", "Zone: North; Fee: 40 euros; Days: 2 to 4"),
    ("Helmets cost 49.5 euros [1].", "Helmets cost €49.50 and are not refunded."),
    ("Helmets are not refunded [1].", "Helmets cost €49.50 and are not refunded."),
]


@pytest.mark.parametrize(("text", "quote"), CLOSE)
def test_close_where_numbers_names_and_most_words_stand_together(text: str, quote: str) -> None:
    citation = only(text)
    assert citation.support in ("close", "exact")
    assert citation.quote in quote
    assert citation.start is not None
    assert HITS[citation.marker - 1].passage.text[citation.start - OFFSET :].startswith(citation.quote)


MISSING = [
    "You can return a bike within 20 days of delivery [1].",  # number changed
    "You can return a bike within 3 days of delivery [1].",  # part of a number
    "You can return a bike within 24 months [1].",  # a number of another sentence
    "The warranty lasts 30 days [1].",
    "The warranty does not last 24 months [1].",  # negation added
    "The warranty never lasts 24 months [1].",
    "Orders are sent by courier [2].",  # negation dropped
    "Helmets are refunded [1].",
    "Sent by courier [2].",  # cut off behind its "never"
    "Anna Schmidt leads the workshop in Marrowby [2].",  # name swapped
    "Bob Berg leads the workshop in Marrowby [2].",
    "Anna Berg leads the workshop in Oldham [2].",
    "Zone: South; Fee: 40 euros; Days: 3 to 6 [3].",  # figure of another row
    "Helmets cost $49.50 [1].",  # currency changed
    "The warranty lasts 24 months [2].",  # right sentence, wrong passage
    "Bikes are painted in the colour that you choose [1].",
    "Yes [1].",
    "Orders are sent after two working days, never within [1].",
]


@pytest.mark.parametrize("text", MISSING)
def test_missing_where_the_passage_says_something_else(text: str) -> None:
    citation = only(text)
    assert (citation.support, citation.quote, citation.start) == ("missing", "", None)
    assert citation.passage_id is not None
    assert check_citations(text, HITS, strict=True) == ("", ())
    assert check_citations(text, HITS)[0] == text


def test_a_marker_that_names_no_passage() -> None:
    citation = only("The warranty lasts 24 months [9].")
    assert (citation.support, citation.passage_id, citation.source) == ("missing", None, None)
    assert check_citations("The warranty lasts 24 months [9].", HITS, strict=True)[0] == ""


@pytest.mark.parametrize(
    ("text", "markers"),
    [
        ("Orders are sent within two working days [1][2].", [1, 2]),
        ("Orders are sent within two working days. [1] [2]", [1, 2]),
        ("Orders are sent within two working days [1, 2].", [1, 2]),
        ("Orders are sent within two working days [1; 2].", [1, 2]),
        ("Orders are sent within two working days [1-3].", [1, 2, 3]),
        ("Orders are sent within two working days [1–3].", [1, 2, 3]),
        ("Orders are sent within two working days [2], [2].", [2]),
        ("See [2](https://example.org) and the year [2024].", []),
        ("It is `rows[1]`, [sic] or [a].", []),
        ("```\nx = rows[1]\n```", []),
        ("No marker at all.", []),
        ("", []),
    ],
)
def test_what_is_a_marker(text: str, markers: list[int]) -> None:
    assert [citation.marker for citation in check_citations(text, HITS)[1]] == markers


def test_one_of_several_markers_is_enough() -> None:
    text = "Orders are sent within two working days [1][2]."
    assert supports(text) == [(1, "missing"), (2, "exact")]
    assert check_citations(text, HITS, strict=True)[0] == text


def test_a_marker_in_the_middle_closes_its_own_part() -> None:
    text = "The warranty lasts 24 months [1] and orders are sent within two working days [2]."
    assert supports(text) == [(1, "exact"), (2, "close")]
    half = "The warranty lasts 24 months [1] and orders are sent within nine working days [2]."
    assert supports(half) == [(1, "exact"), (2, "missing")]
    assert check_citations(half, HITS, strict=True)[0] == ""


def test_words_after_the_last_marker_are_checked_too() -> None:
    assert supports("The warranty lasts 24 months [1], and pigs fly over the moon.") == [(1, "missing")]


def test_strict_keeps_what_is_supported_in_its_lines() -> None:
    text = (
        "The rules are:\n"
        "- You can return a bike within 30 days [1]. You can keep the box for 90 days [1].\n"
        "- The warranty lasts 99 months [1]\n"
        "1. Orders are sent within two working days. [2]\n"
        "Have a nice day!"
    )
    kept, citations = check_citations(text, HITS, strict=True)
    assert kept == (
        "The rules are:\n- You can return a bike within 30 days [1].\n1. Orders are sent within two working days. [2]"
    )
    assert [citation.support for citation in citations] == ["exact", "exact"]
    assert len(check_citations(text, HITS)[1]) == 4


def test_a_sentence_before_a_cited_one_is_not_covered_by_its_marker() -> None:
    text = "Pigs fly. The warranty lasts 24 months. [1]"
    assert [citation.sentence for citation in check_citations(text, HITS)[1]] == ["The warranty lasts 24 months."]
    assert check_citations(text, HITS, strict=True)[0] == "The warranty lasts 24 months. [1]"


def test_without_hits_every_marker_is_missing() -> None:
    assert [citation.support for citation in check_citations("A fee of 40 euros [1].", ())[1]] == ["missing"]


def test_a_sentence_that_is_no_words_is_no_claim() -> None:
    assert check_citations("[1] [2]", HITS)[1] == ()
    assert check_citations("Sources: [1], [2]", HITS, strict=True) == ("", ())
