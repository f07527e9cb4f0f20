from dataclasses import replace

import numpy as np
import pytest

from groundtune.retrieve.fusion import FusedCandidate
from groundtune.retrieve.near_duplicates import FetchedCandidate, duplicate_of
from groundtune.types import Candidate, Passage

LONG = (
    "Customers may return any item within the stated period if the seal is unbroken "
    "and the receipt is shown at the desk"
)


def read(name: str, text: str, *, angle: float = 0.0) -> FetchedCandidate:
    vector = np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)
    passage = Passage(name, name, f"{name}.md", 0, 0, len(text), text)
    return FetchedCandidate(FusedCandidate(Candidate(name, 1.0, vector), 1.0, 1.0, None), passage)


def kept(*items: FetchedCandidate, language: str = "english") -> list[str]:
    kept_items: list[FetchedCandidate] = []
    for item in items:
        if duplicate_of(item, kept_items, language=language) is None:
            kept_items.append(item)
    return [item.passage.id for item in kept_items]


def test_the_better_of_two_equals_stays() -> None:
    assert kept(read("a", LONG), read("b", LONG), read("c", "Other words", angle=1.0)) == ["a", "c"]


def test_equal_text_is_a_duplicate_whatever_its_vector() -> None:
    assert kept(read("a", LONG), read("b", LONG, angle=1.5)) == ["a"]


def test_case_and_punctuation_are_no_difference() -> None:
    assert kept(read("a", LONG), read("b", LONG.upper()), read("c", f"{LONG}!")) == ["a"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("desk", "counter"), ("unbroken", "blue"), ("the desk", "a@b.org"), ("30 °C", "-30 °C"), ("$40", "€40")],
)
def test_any_other_word_or_sign_may_matter(old: str, new: str) -> None:
    long = f"{LONG} {CLAUSE} at 30 °C for $40"
    assert old in long
    assert kept(read("a", long), read("b", long.replace(old, new))) == ["a", "b"]


def test_half_of_the_words_is_not() -> None:
    words = LONG.split()
    assert kept(read("a", LONG), read("b", " ".join(words[: len(words) // 2]))) == ["a", "b"]


def test_the_same_words_about_something_else_stay() -> None:
    assert kept(read("a", LONG), read("b", LONG + " today", angle=0.5)) == ["a", "b"]


@pytest.mark.parametrize(("old", "new"), [("30", "45"), ("2024", "2025"), ("3,200", "3,400"), ("1.5", "15")])
def test_two_versions_that_differ_in_a_number_are_both_shown(old: str, new: str) -> None:
    assert kept(read("a", f"{LONG} {old} days"), read("b", f"{LONG} {new} days")) == ["a", "b"]


CLAUSE = (
    "The customer may return a bike of the model Wren within the time that the law gives, in its box and with all "
    "keys, the charger and the papers that came with it, as long as the frame has no scratches and the tyres were "
    "not worn. Such bikes are looked at in our shop by a mechanic who writes down what he found, and the customer "
    "gets this list by post. The price is paid back to the account from which it came, without the carriage, for "
    "forty euros."
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("may return", "may not return"),
        ("may return", "must return"),
        ("without the carriage", "with the carriage"),
        ("forty euros", "ninety euros"),
        ("forty euros", "forty dollars"),
        ("Wren", "Heron"),
        ("model Wren", "model WR-B"),
        ("has no scratches", "has scratches"),
        ("all keys", "some keys"),
        ("as long as", "unless"),
    ],
)
def test_clauses_that_differ_in_what_could_matter_are_both_shown(old: str, new: str) -> None:
    assert old in CLAUSE
    long = f"{CLAUSE} {LONG}. {LONG.capitalize()}."
    assert kept(read("a", long), read("b", long.replace(old, new))) == ["a", "b"]


def test_names_in_another_order_are_both_shown() -> None:
    long = f"{CLAUSE} {LONG}. The Wren is lighter than the Heron is."
    assert kept(
        read("a", long), read("b", long.replace("Wren is lighter than the Heron", "Heron is lighter than the Wren"))
    ) == ["a", "b"]


def test_another_form_of_a_word_is_no_difference() -> None:
    long = f"{CLAUSE} {LONG}."
    assert kept(read("a", long), read("b", long.replace("not worn", "not  worn").replace("all keys", "all key"))) == [
        "a"
    ]


@pytest.mark.parametrize(
    ("language", "text", "old", "new"),
    [
        ("german", "Die rückgabe ist möglich, wenn das siegel heil ist. ", "möglich", "nicht möglich"),
        ("french", "le retour est possible avant la livraison. ", "avant", "après"),
        ("russian", "возврат возможен после доставки. ", "после", "до"),
        ("arabic", "يمكن للعميل إرجاع الدراجة خلال المدة. ", "يمكن", "لا يمكن"),
    ],
)
def test_other_languages(language: str, text: str, old: str, new: str) -> None:
    filler = "".join(f"{word} " for word in text.split() * 30)
    first = filler + text
    assert kept(read("a", first), read("b", filler + text.replace(old, new)), language=language) == ["a", "b"]
    assert kept(read("a", first), read("b", first + " "), language=language) == ["a"]


def test_a_script_without_capitals_may_hold_a_name_in_any_word() -> None:
    filler = "நிறுவனம் வாடிக்கையாளருக்கு கடிதம் அனுப்பும் " * 20
    assert kept(read("a", filler + "குமார்"), read("b", filler + "ராஜன்"), language="tamil") == ["a", "b"]


def test_headings_count() -> None:
    def headed(name: str, heading: str) -> FetchedCandidate:
        item = read(name, LONG)
        return replace(item, passage=replace(item.passage, heading=heading))

    assert kept(headed("a", "Wren manual"), headed("b", "Heron manual"), headed("c", "Wren manual")) == ["a", "b"]


def test_a_candidate_names_the_sources_of_its_duplicates_once() -> None:
    item = read("a", LONG).naming("b.md").naming("c.md").naming("b.md").naming("a.md")
    assert item.also_in == ("b.md", "c.md")
