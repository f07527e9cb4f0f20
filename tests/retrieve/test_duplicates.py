from typing import Any

import numpy as np
import pytest

from groundtune.retrieve.duplicates import distinct
from groundtune.retrieve.fuse import Fused
from groundtune.types import Passage

LONG = (
    "Customers may return any item within the stated period if the seal is unbroken "
    "and the receipt is shown at the desk"
)


def fused(name: str, text: str, *, angle: float = 0.0) -> Fused:
    vector = np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)
    return Fused(Passage(name, name, f"{name}.md", 0, 0, len(text), text), vector, 1.0, 1.0, None)


def kept(*items: Fused) -> list[str]:
    return [item.passage.id for item in distinct(items)]


def test_the_better_of_two_equals_stays() -> None:
    assert kept(fused("a", LONG), fused("b", LONG), fused("c", "Other words", angle=1.0)) == ["a", "c"]


def test_equal_text_is_a_duplicate_whatever_its_vector() -> None:
    assert kept(fused("a", LONG), fused("b", LONG, angle=1.5)) == ["a"]


def test_a_changed_word_at_the_end_is_near_enough() -> None:
    words = LONG.split()
    assert kept(fused("a", LONG), fused("b", " ".join([*words[:-1], "counter"]))) == ["a"]
    assert kept(fused("a", LONG), fused("b", LONG.upper())) == ["a"]


def test_half_of_the_words_is_not() -> None:
    words = LONG.split()
    assert kept(fused("a", LONG), fused("b", " ".join(words[: len(words) // 2]))) == ["a", "b"]


def test_the_same_words_about_something_else_stay() -> None:
    assert kept(fused("a", LONG), fused("b", LONG + " today", angle=0.5)) == ["a", "b"]


@pytest.mark.parametrize(("old", "new"), [("30", "45"), ("2024", "2025"), ("3,200", "3,400"), ("1.5", "15")])
def test_two_versions_that_differ_in_a_number_are_both_shown(old: str, new: str) -> None:
    assert kept(fused("a", f"{LONG} {old} days"), fused("b", f"{LONG} {new} days")) == ["a", "b"]


def test_it_is_lazy_and_order_is_kept() -> None:
    def endless() -> Any:
        number = 0
        while True:
            yield fused(str(number), f"text {number // 2}", angle=number // 2)
            number += 1

    first = distinct(endless())
    assert [next(first).passage.id for _ in range(3)] == ["0", "2", "4"]
    assert kept() == []
