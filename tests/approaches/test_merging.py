"""The facts of a cited answer in the form of another one."""

import pytest

from groundtune.approaches.merging import Basis, Disagreement, merge_answers, merge_objects, merge_written
from groundtune.citations.checking import check_citations, sentence_evidence
from groundtune.types import Hit, Passage

REFUNDS = "A refund is paid within 30 days of delivery. Carriage is not refunded."
TRAVEL = "Trains are booked in second class. Members pay 20 euros."


def hits(*texts: str) -> tuple[Hit, ...]:
    return tuple(
        Hit(Passage(f"{at}-0", str(at), f"{at}.md", 0, 0, len(text), text), 0.9) for at, text in enumerate(texts)
    )


def basis(
    facts: str,
    *passages: str,
    question: str = "When is a refund paid?",
    language: str = "english",
    written: bool = False,
) -> Basis:
    found = hits(*(passages or (REFUNDS, TRAVEL)))
    cited = (
        sentence_evidence(facts, found, language=language)
        if written
        else check_citations(facts, found, language=language)[1]
    )
    return Basis(cited, found, question, language)


PAID = "A refund is paid within 30 days of delivery [1]."


@pytest.mark.parametrize(
    ("form", "merged"),
    [
        ("A refund is paid within 30 days of delivery.", PAID),
        ("Refunds are paid within 30 days.", "Refunds are paid within 30 days [1]."),
        ("Refunds take 14 days.", PAID),
        ("14 days.", PAID),
        ("Refunds take 14 days [2].", PAID),
        ("A refund is not paid within 30 days of delivery.", PAID),
        ("We are open all night. We love dogs.", PAID),
        ("Thank you for asking! Refunds take 14 days. Let me know.", f"Thank you for asking! {PAID} Let me know."),
        ("- Refunds take 14 days.\n- Dogs are welcome.", f"- {PAID}"),
        ("Carriage is not refunded.", f"Carriage is not refunded [1]. {PAID}"),
        ("Our rules are:\n- Dogs are welcome.\n\nRefunds take 14 days.", PAID),
    ],
    ids=[
        "word for word", "in other words", "another amount", "only an amount", "with a marker of its own",
        "turned round", "about other things", "courtesies stay", "lists", "a supported sentence more",
        "a lead-in of nothing",
    ],
)  # fmt: skip
def test_of_an_answer_only_what_passages_support_stays(form: str, merged: str) -> None:
    assert merge_answers(form, basis(PAID)).output == merged


def test_it_tells_where_they_disagree_and_what_is_left_out() -> None:
    merged = merge_answers("Refunds take 14 days. Dogs are welcome.", basis(PAID))
    assert merged.disagreements == (
        Disagreement("Refunds take 14 days.", "A refund is paid within 30 days of delivery."),
    )
    assert merged.left_out == ("Dogs are welcome.",)


def test_the_cited_fact_stands_even_where_another_passage_has_that_of_the_form() -> None:
    merged = merge_answers("Refunds are paid within 14 days.", basis(PAID, REFUNDS, "Refunds are paid within 14 days."))
    assert merged.output == PAID
    assert len(merged.disagreements) == 1


def test_two_sentences_about_one_fact_become_one() -> None:
    merged = merge_answers("Refunds take 14 days. A refund takes 60 days.", basis(PAID))
    assert merged.output == PAID
    assert len(merged.disagreements) == 2


def test_what_the_cited_answer_does_not_support_is_no_fact() -> None:
    unsupported = basis("A refund is paid within 90 days of delivery [1].")
    merged = merge_answers("Refunds are paid within 30 days.", unsupported)
    assert merged.output == "Refunds are paid within 30 days [1]."
    assert merge_answers("Refunds take 14 days.", unsupported).output == ""


@pytest.mark.parametrize(
    ("language", "passage", "facts", "form", "question", "merged"),
    [
        (
            "german",
            "Die Widerrufsfrist beträgt 30 Tage. Porto wird nicht erstattet.",
            "Die Widerrufsfrist beträgt 30 Tage [1].",
            "Gern! Die Widerrufsfrist beträgt 14 Tage.",
            "Wie lang ist die Widerrufsfrist?",
            "Gern! Die Widerrufsfrist beträgt 30 Tage [1].",
        ),
        (
            "french",
            "Le remboursement est versé sous 30 jours.",
            "Le remboursement est versé sous 30 jours [1].",
            "Le remboursement est versé sous 14 jours.",
            "Quand le remboursement est-il versé ?",
            "Le remboursement est versé sous 30 jours [1].",
        ),
    ],
)
def test_in_other_languages(language: str, passage: str, facts: str, form: str, question: str, merged: str) -> None:
    found = merge_answers(form, basis(facts, passage, question=question, language=language))
    assert found.output == merged
    assert len(found.disagreements) == 1


LETTER = "Dear Ms Adler,\n\nwe are sorry that your lamp broke. A refund is paid within 30 days of delivery.\n\nRegards"


def test_a_letter_keeps_its_form_and_gets_the_right_figures() -> None:
    form = "Dear Ms Adler,\n\nwhat a pity! You will get your refund within 14 days of delivery.\n\nWarmly, the shop"
    merged = merge_written(form, basis(LETTER, question="Ms Adler asks for a refund.", written=True))
    assert merged.output == (
        "Dear Ms Adler,\n\nwhat a pity! A refund is paid within 30 days of delivery.\n\nWarmly, the shop"
    )
    assert len(merged.disagreements) == 1


def test_a_letter_loses_figures_that_nobody_gave_and_keeps_those_of_the_input() -> None:
    form = "Dear Ms Adler,\n\nyour order 4711 is here. You get a voucher of 50 euros. All the best"
    merged = merge_written(form, basis(LETTER, question="Tell Ms Adler about order 4711.", written=True))
    assert "4711" in merged.output
    assert "50" not in merged.output
    assert merged.left_out == ("You get a voucher of 50 euros.",)


def test_objects_are_merged_field_by_field() -> None:
    facts = {
        "total": "1,000 EUR",
        "due": "2026-05-03",
        "vat": None,
        "lines": [{"name": "Lamp", "count": 2}],
        "tags": ["a", "b"],
    }
    form = {
        "total": "1000 €",
        "due": "2026-05-13",
        "vat": 19,
        "lines": [{"name": "lamp", "count": 3}],
        "tags": ["b", "a"],
        "paid": True,
        "rebate": 7,
    }
    merged = merge_objects(form, facts, basis(PAID, question="Lamp, 1,000 EUR with 19 % VAT, due 3 May 2026"))
    assert merged.output == {
        "total": "1000 €", "due": "2026-05-03", "vat": 19, "lines": [{"name": "lamp", "count": 2}], "tags": ["b", "a"],
        "paid": True, "rebate": None,
    }  # fmt: skip
    assert merged.disagreements == (
        Disagreement("due: 2026-05-13", "2026-05-03"),
        Disagreement("lines[0].count: 3", "2"),
    )
    assert merged.left_out == ("rebate: 7",)
