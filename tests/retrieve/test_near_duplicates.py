import numpy as np
import pytest

from groundtune.retrieve.fusion import FusedCandidate
from groundtune.retrieve.near_duplicates import FetchedCandidate, is_duplicate
from groundtune.types import Candidate, Passage

LONG = (
    "Customers may return any item within the stated period if the seal is unbroken "
    "and the receipt is shown at the desk"
)


def read(name: str, text: str, *, angle: float = 0.0) -> FetchedCandidate:
    vector = np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)
    passage = Passage(name, name, f"{name}.md", 0, 0, len(text), text)
    return FetchedCandidate(FusedCandidate(Candidate(name, 1.0, vector), 1.0, 1.0, None), passage)


def kept(*items: FetchedCandidate) -> list[str]:
    candidate: list[FetchedCandidate] = []
    for item in items:
        if not is_duplicate(item, candidate):
            candidate.append(item)
    return [item.passage.id for item in candidate]


def test_the_better_of_two_equals_stays() -> None:
    assert kept(read("a", LONG), read("b", LONG), read("c", "Other words", angle=1.0)) == ["a", "c"]


def test_equal_text_is_a_duplicate_whatever_its_vector() -> None:
    assert kept(read("a", LONG), read("b", LONG, angle=1.5)) == ["a"]


def test_a_changed_word_at_the_end_is_near_enough() -> None:
    words = LONG.split()
    assert kept(read("a", LONG), read("b", " ".join([*words[:-1], "counter"]))) == ["a"]
    assert kept(read("a", LONG), read("b", LONG.upper())) == ["a"]


def test_half_of_the_words_is_not() -> None:
    words = LONG.split()
    assert kept(read("a", LONG), read("b", " ".join(words[: len(words) // 2]))) == ["a", "b"]


def test_the_same_words_about_something_else_stay() -> None:
    assert kept(read("a", LONG), read("b", LONG + " today", angle=0.5)) == ["a", "b"]


@pytest.mark.parametrize(("old", "new"), [("30", "45"), ("2024", "2025"), ("3,200", "3,400"), ("1.5", "15")])
def test_two_versions_that_differ_in_a_number_are_both_shown(old: str, new: str) -> None:
    assert kept(read("a", f"{LONG} {old} days"), read("b", f"{LONG} {new} days")) == ["a", "b"]
