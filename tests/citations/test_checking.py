import re
from dataclasses import replace

import pytest

from groundtune.citations.checking import check_citations
from groundtune.errors import UsageError
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


def number(citation: Citation) -> int | None:
    """Return the number that the passage of a citation has in the prompt."""
    return None if citation.passage_id is None else int(citation.passage_id.removeprefix("d:"))


def supports(text: str) -> list[tuple[int | None, str]]:
    return [(number(citation), citation.support) for citation in check_citations(text, HITS)[1]]


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
    passage = HITS[(number(citation) or 0) - 1].passage
    assert passage.text[citation.start - OFFSET : citation.end - OFFSET] == quote
    assert (citation.marker, citation.source, citation.page) == (1, "a.md", 2)
    assert check_citations(text, HITS, strict=True)[0] == re.sub(r"\[ ?[124] ?\]|\[3\](?!\.)", "[1]", text)


def test_the_page_is_that_of_the_quote() -> None:
    warranty = OFFSET + RETURNS.index("The warranty")
    over_a_break = replace(HITS[0], passage=replace(HITS[0].passage, page_breaks=(warranty, warranty + 4)))
    claims = "You can return a bike within 30 days of delivery [1]. The warranty lasts 24 months [1]. It is blue [1]."
    pages = [citation.page for citation in check_citations(claims, [over_a_break])[1]]
    assert pages == [2, 3, 2], "without a quote the page on which the passage starts"


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
    assert HITS[(number(citation) or 0) - 1].passage.text[citation.start - OFFSET :].startswith(citation.quote)


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
    assert check_citations(text, HITS)[0] == re.sub(r"\[\d\]", "[1]", text)


def test_a_marker_that_names_no_passage() -> None:
    citation = only("The warranty lasts 24 months [9].")
    assert (citation.support, citation.passage_id, citation.source) == ("missing", None, None)
    assert check_citations("The warranty lasts 24 months [9].", HITS, strict=True)[0] == ""


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


def test_without_hits_every_marker_is_missing() -> None:
    assert [citation.support for citation in check_citations("A fee of 40 euros [1].", ())[1]] == ["missing"]


def test_a_sentence_that_is_no_words_is_no_claim() -> None:
    assert check_citations("[1] [2]", HITS)[1] == ()
    assert check_citations("Sources: [1], [2]", HITS, strict=True) == ("", ())


# -- numbers for the reader ----------------------------------------------------------------------------------------

MONTHS = "The warranty lasts 24 months"
DAYS = "Orders are sent within two working days"


def test_markers_are_numbered_in_order_of_appearance() -> None:
    reply = f"{DAYS} [2]. Fee: 40 euros [3]. They are {MONTHS.lower()} [2, 1]. Oh [9]."
    text, citations = check_citations(reply, HITS)
    assert text == f"{DAYS} [1]. Fee: 40 euros [2]. They are {MONTHS.lower()} [1][3]. Oh [4]."
    assert [(citation.marker, number(citation)) for citation in citations] == [
        (1, 2),
        (2, 3),
        (1, 2),
        (3, 1),
        (4, None),
    ]


def test_with_strict_the_numbers_of_what_is_kept_count() -> None:
    text, citations = check_citations(f"Pigs fly [1]. {DAYS} [2].", HITS, strict=True)
    assert text == f"{DAYS} [1]."
    assert [(citation.marker, number(citation)) for citation in citations] == [(1, 2)]


# -- sentences without a marker ------------------------------------------------------------------------------------


def states(text: str, *, strict: bool = False) -> list[tuple[str, int | None, bool]]:
    """Return the state of each sentence, the number of its passage in the prompt, and whether its marker was added."""
    citations = check_citations(text, HITS, strict=strict)[1]
    return [(citation.support, number(citation), citation.added) for citation in citations]


def test_every_sentence_that_states_something_is_judged() -> None:
    text = f"Hello! Here is what I found:\n\n## Terms\n\nPigs can fly. {MONTHS} [1]. Is that all? Let me know."
    assert states(text) == [("uncited", None, False), ("exact", 1, False)]
    uncited = check_citations(text, HITS)[1][0]
    assert (uncited.marker, uncited.sentence, uncited.quote) == (None, "Pigs can fly.", "")


@pytest.mark.parametrize(
    ("text", "shown", "state"),
    [
        (f"{MONTHS}.", f"{MONTHS} [1].", ("exact", 1, True)),
        (f"{DAYS}!", f"{DAYS} [1]!", ("exact", 2, True)),
        ("The warranty is 24 months.", "The warranty is 24 months [1].", ("close", 1, True)),
        (f"**{MONTHS}.**", f"**{MONTHS} [1].**", ("exact", 1, True)),
        ("| North | 40 euros |", "| North | 40 euros [1] |", ("close", 3, True)),
        ("24 months", "24 months [1]", ("exact", 1, True)),
        ("The warranty lasts 25 months.", "The warranty lasts 25 months.", ("uncited", None, False)),
        ("Bikes.", "Bikes.", ("uncited", None, False)),
        ("Red", "Red", ("uncited", None, False)),
        ("Yes.", "Yes.", ("uncited", None, False)),
    ],
)
def test_a_marker_is_added_where_one_passage_carries_the_sentence(
    text: str, shown: str, state: tuple[str, int | None, bool]
) -> None:
    assert check_citations(text, HITS)[0] == shown
    assert states(text) == [state]
    assert check_citations(text, HITS, strict=True)[0] == (shown if state[2] else "")


def test_no_marker_is_added_where_several_passages_carry_the_sentence() -> None:
    twice = (*HITS, hit(RETURNS, 5))
    assert check_citations(f"{MONTHS}.", twice) == (f"{MONTHS}.", (Citation(None, f"{MONTHS}.", "uncited"),))
    once = (*HITS, hit("The warranty of a bike lasts for 24 months in all.", 5))
    assert [(each.support, each.passage_id) for each in check_citations(f"{MONTHS}.", once)[1]] == [("exact", "d:1")]


def test_a_marker_carries_the_sentences_before_it_in_its_paragraph() -> None:
    text = "The warranty is 24 months. Pigs fly. Helmets are not refunded [1]."
    assert check_citations(text, HITS)[0] == "The warranty is 24 months [1]. Pigs fly. Helmets are not refunded [1]."
    assert states(text) == [("close", 1, True), ("uncited", None, False), ("close", 1, False)]
    apart = text.replace(" Pigs fly. ", "\n\n")
    twice = (hit(RETURNS, 1), *HITS[1:], hit(RETURNS, 5))
    assert [each.support for each in check_citations(text, twice)[1]] == ["close", "uncited", "close"]
    assert [each.support for each in check_citations(apart, twice)[1]] == ["uncited", "close"], "another paragraph"


def test_a_marker_of_a_lead_in_carries_the_list_below() -> None:
    text = f"The rules are [1]:\n- {MONTHS}\n- Helmets are not refunded\n- Pigs fly\n"
    twice = (hit(RETURNS, 1), *HITS[1:], hit(RETURNS, 5))
    shown, citations = check_citations(text, twice)
    assert shown == f"The rules are [1]:\n- {MONTHS} [1]\n- Helmets are not refunded [1]\n- Pigs fly"
    assert [each.support for each in citations] == ["unchecked", "exact", "close", "uncited"]


def test_a_list_of_sources_claims_nothing() -> None:
    text = f"{MONTHS} [1].\n\nSources:\n[1] a.md > Returns\n[3] a.md > Delivery fees"
    shown, citations = check_citations(text, HITS)
    assert shown.endswith("[1] a.md > Returns\n[2] a.md > Delivery fees")
    assert [(each.support, number(each)) for each in citations] == [("exact", 1), ("unchecked", 1), ("unchecked", 3)]


def test_footnotes_and_the_head_of_a_table_state_nothing() -> None:
    assert states(f"{MONTHS}¹. {DAYS}².\n\n¹ a.md\n² a.md") == [("exact", 1, False), ("exact", 2, False)]
    table = "| Zone | Fee |\n|---|---|\n| South | 55 euros [3] |"
    assert states(table) == [("close", 3, False)]
    assert states(f"(1) {MONTHS}.\n(2) {DAYS}.") == [("exact", 1, True), ("exact", 2, True)], "numbers of a list"
    assert states(f"> {MONTHS}.\n> — Passage 1") == [("exact", 1, False)]


def test_a_marker_is_added_in_a_script_without_spaces() -> None:
    chinese = (*HITS, hit("订单在两个工作日内发货。头盔不予退款。", 5))
    assert check_citations("头盔不予退款。", chinese)[0] == "头盔不予退款[1]。"


# -- a checker of another package ----------------------------------------------------------------------------------


class Judge:
    """A checker that knows one sentence, and counts what it is asked."""

    def __init__(self, state: str) -> None:
        self.state = state
        self.asked: list[tuple[str, str]] = []

    def support(self, sentence: str, passage: str) -> str:
        self.asked.append((sentence, passage))
        return self.state


@pytest.mark.parametrize("state", ["close", "missing", "unchecked", "entailed in part"])
def test_a_checker_decides_about_what_is_not_verbatim(state: str) -> None:
    checker = Judge(state)
    text = f"{MONTHS} [1]. You have a month to send it back [1]. The warranty is 24 months [1]."
    _, citations = check_citations(text, HITS, checker=checker)
    assert [each.support for each in citations] == ["exact", state, state]
    assert checker.asked[0] == ("You have a month to send it back.", f"Returns\n{RETURNS}")
    assert len(checker.asked) == 2, "a sentence that is there word for word needs no checker"
    assert (citations[2].start is None) == (state != "close")
    assert ("send it back" in check_citations(text, HITS, checker=checker, strict=True)[0]) == (state == "close")


@pytest.mark.parametrize("answer", [None, "", 1])
def test_a_checker_that_returns_no_state(answer: object) -> None:
    with pytest.raises(UsageError, match="not a state of support"):
        check_citations("Pigs fly [1].", HITS, checker=Judge(answer))  # type: ignore[arg-type]


def test_a_checker_that_fails() -> None:
    class Broken:
        def support(self, sentence: str, passage: str) -> str:
            raise RuntimeError("no memory")

    with pytest.raises(UsageError, match=r"checker of .* failed: RuntimeError: no memory"):
        check_citations("Pigs fly [1].", HITS, checker=Broken())


@pytest.mark.parametrize(
    "notes",
    [
        "[^1]: Passage 1, Returns",
        "¹ Passage 1: Returns",
        "Sources: [1] a.md; [2] a.md",
        "[1] a.md > Returns",
        "[^1]: a.md",
    ],
)
def test_notes_at_the_end_only_name_passages(notes: str) -> None:
    _, (first, *others) = check_citations(f"The warranty lasts 24 months.[^1]\n\n{notes}", HITS)
    assert first.support == "exact"
    assert {citation.support for citation in others} <= {"unchecked"}


def test_a_count_of_documents_is_a_statement() -> None:
    assert only("There are 3 documents [1].").support == "missing"
    assert only("3 documents [1].").support == "missing"


@pytest.mark.parametrize(
    ("passage", "quote"),
    [
        ("保修期为24个月，自送达之日起计算。", "保修期为24个月"),
        ("保固期為二十四個月，自送達之日起計算。", "保固期為二十四個月"),
        ("客户可以退货（需附钥匙）。", "客户可以退货"),
        ("返品は三十日以内です、鍵を同封してください。", "返品は三十日以内です"),
    ],
)
def test_a_full_stop_of_any_script_is_no_part_of_the_quote(passage: str, quote: str) -> None:
    (citation,) = check_citations(f"{quote}[1]。", (hit(passage, 1),))[1]
    assert (citation.support, citation.quote) == ("exact", quote)
