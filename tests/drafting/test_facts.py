"""What templates can ask about: cells, definitions, sections and lists, each quoted with exact offsets."""

import pytest

from groundtune.drafting.draft import Quote
from groundtune.drafting.facts import Fact, cells, statements
from groundtune.languages.question_words import question_words
from tests.drafting.passages import FARES, LOST, passage


def by_name(facts: list[Fact]) -> dict[tuple[str, str], str]:
    return {(fact.name, fact.column): fact.answer.text for fact in facts}


def in_document(quote: Quote) -> str:
    """Return what stands at the offsets in a document that begins with the passage's offset in other characters."""
    return ("#" * quote.passage.start + quote.passage.text)[quote.start : quote.end]


def test_cells_have_the_name_of_their_row_and_exact_offsets() -> None:
    facts = cells([FARES], "english")
    assert by_name(facts) == {
        ("Inner ring", "Fare"): "£2.40",
        ("Inner ring", "Kept for"): "90 minutes",
        ("Coast line", "Fare"): "£6.10",
        ("Coast line", "Kept for"): "1 day",
        ("Night bus", "Fare"): "£3.00",
        ("Night bus", "Kept for"): "one ride; no change",
    }
    for fact in facts:
        assert in_document(fact.answer) == fact.answer.text
        assert fact.quote.text.startswith(f"Zone: {fact.name}; ")
        assert fact.answer.text in fact.quote.text


def test_a_cell_without_a_title_above_it_has_the_name_of_its_file() -> None:
    rows = [passage(f"id: {n}; part: Bolt {n}; fits: rack", source=f"docs/parts.csv#{n}") for n in ("R", "S")]
    assert {fact.within for fact in cells(rows, "english")} == {" (parts.csv)"}


def test_rows_that_their_first_cells_do_not_tell_apart_are_not_asked_about() -> None:
    rows = "\n\n".join(f"Category: {'orders' if n % 2 else 'returns'}; Days: {n}" for n in range(8))
    assert cells([passage(rows)], "english") == []
    assert cells([passage("Item: Bread; Price: £2")], "english") == [], "one row is no table"


def test_a_short_section_is_an_answer_and_its_heading_the_name() -> None:
    (fact,) = statements([LOST], "english")
    assert (fact.form, fact.name, fact.answer.text) == ("section", "Collecting things", LOST.text)
    assert fact.within == " (Lost property)"


def test_a_heading_with_parts_or_a_line_below_a_title_is_no_section() -> None:
    title = passage("Tariffs of the year 2025", heading="Tram guide")
    intro = passage("This guide is for riders.", source="docs/b.md", heading="Tram guide")
    part = passage("Doors close early.", source="docs/b.md", heading="Tram guide > 3. Doors", ordinal=1, start=90)
    facts = statements([title, intro, part], "english")
    assert [(fact.name, fact.answer.text) for fact in facts] == [("Doors", "Doors close early.")]


def test_short_paragraphs_under_a_heading_are_a_list() -> None:
    listed = passage("Passport\n\nProof of address\n\nA photo", heading="Season tickets > What to bring")
    (fact,) = statements([listed], "english")
    assert (fact.form, fact.answer.text) == ("list", listed.text)


@pytest.mark.parametrize(
    ("language", "sentence", "name", "answer"),
    [
        (
            "english",
            "The Coast line is a light railway along the bay.",
            "the Coast line",
            "a light railway along the bay",
        ),
        (
            "german",
            "Die Küstenbahn ist eine leichte Bahn an der Bucht.",
            "die Küstenbahn",
            "eine leichte Bahn an der Bucht",
        ),
        (
            "french",
            "La Ligne côtière est un train léger le long de la baie.",
            "la Ligne côtière",
            "un train léger le long de la baie",
        ),
        (
            "spanish",
            "La Línea costera es un tren ligero de la bahía.",
            "la Línea costera",
            "un tren ligero de la bahía",
        ),
        (
            "dutch",
            "De Kustlijn is een lichte spoorlijn langs de baai.",
            "de Kustlijn",
            "een lichte spoorlijn langs de baai",
        ),
    ],
)
def test_definitions_are_found_in_each_language(language: str, sentence: str, name: str, answer: str) -> None:
    (fact,) = statements([passage(f"{sentence} ", start=7)], language)
    assert (fact.form, fact.language, fact.name, fact.answer.text) == ("definition", language, name, answer)
    assert fact.quote.text == sentence == in_document(fact.quote)


def test_a_definition_introduces_its_subject() -> None:
    later = passage("We love the Coast line. The Coast line is a light railway along the bay.")
    assert statements([later], "english") == []
    person = passage("Ada Holm was a driver of trams.")
    assert [fact.name for fact in statements([person], "english")] == ["Ada Holm"]


def test_what_was_done_at_a_time() -> None:
    text = passage("The Coast line was opened in May 1905 by the mayor. The Coast line was seen in 1500 places.")
    (fact,) = statements([text], "english")
    assert (fact.form, fact.name, fact.column, fact.answer.text) == ("event", "the Coast line", "opened", "May 1905")


def test_terms_of_a_glossary_but_not_the_parts_of_every_release() -> None:
    terms = "Perch. The order system.\n\nRoost. The map of bikes.\n\nTern day. A paid day for a charity."
    facts = statements([passage(terms, heading="Words")], "english")
    assert {(fact.form, fact.name) for fact in facts} == {("term", "Perch"), ("term", "Roost"), ("term", "Tern day")}
    parts = "New: a bell.\n\nFixed: the brake.\n\nGone: the lamp."
    releases = [passage(parts, heading=f"Changes > {n}", ordinal=n, start=n * 100) for n in range(2)]
    assert statements(releases, "english") == []


def test_a_question_with_its_answer() -> None:
    rows = passage("question: Are dogs allowed?; answer: On the tram they are, on the bus they are not.")
    (fact,) = statements([rows], "english")
    assert (fact.form, fact.name) == ("question", "Are dogs allowed?")
    assert fact.answer.text == "On the tram they are, on the bus they are not."


def test_a_section_must_speak_of_what_its_heading_names() -> None:
    assert statements([passage("A key costs £4.", heading="Trams > Afterwards")], "english") == []


@pytest.mark.parametrize(
    "sentence",
    [
        "One of the lines is a light railway along the bay.",
        "The Coast line is the longest railway along the bay.",
        "It is a light railway along the bay.",
        "The fee is a part of the price.",
        "The Coast line is inspected every year.",
        "There is a light railway along the bay.",
        "The Coast line is a light railway along the bay",
    ],
)
def test_other_sentences_are_no_definitions(sentence: str) -> None:
    assert statements([passage(sentence)], "english") == []


@pytest.mark.parametrize("language", sorted(question_words()))
def test_every_language_has_every_template_with_its_places(language: str) -> None:
    english, own = question_words()["english"], question_words()[language]
    assert own.templates.keys() == english.templates.keys()
    names = dict.fromkeys(("heading", "column", "row", "other", "subject", "within", "other_within"), "")
    for name, template in own.templates.items():
        used = {place for place in names if f"{{{place}}}" in template}
        assert used == {place for place in names if f"{{{place}}}" in english.templates[name]}, name
        assert template.format(**names).strip()[-1] in "?;؟"
