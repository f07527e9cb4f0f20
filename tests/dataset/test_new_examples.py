"""What may become a new example beside those that are there."""

from dataclasses import replace

import pytest

from groundtune.dataset.new_examples import ALREADY, KnownInputs
from groundtune.types import Example, Message, Split

QUESTION = "How long are lost things kept?"
HISTORY = (Message("user", "Where is the office of the harbour?"), Message("assistant", "In Quay Road."))


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("how long are LOST things kept", True),
        ("Lost things are kept how long?", True),
        ("How long are found things kept?", False),
    ],
)
def test_near_inputs_are_those_with_the_same_words(text: str, near: bool) -> None:
    assert (KnownInputs([Example("1", text)]).near(QUESTION) is not None) is near


def test_the_same_input_after_another_conversation_is_another() -> None:
    there = KnownInputs([Example("1", QUESTION, history=HISTORY)])
    assert there.split(QUESTION) is None
    assert there.near(QUESTION) is None
    assert there.why_not(QUESTION, HISTORY) == ALREADY


@pytest.mark.parametrize("split", ["test", "validation"])
def test_what_is_nearly_measured_with_is_refused(split: Split) -> None:
    example = Example("e7", QUESTION, split=split)
    there = KnownInputs([replace(example, id="t", split="train"), example])
    assert there.split(f" {QUESTION.upper()}") == split
    assert there.why_not("Are lost things kept how long?") == f"is nearly in the {split} split (e7)"
    assert there.why_not("When does the ferry leave?") is None


def test_nearly_a_train_example_may_be_asked_again() -> None:
    there = KnownInputs([Example("t", QUESTION, split="train")])
    assert there.why_not("Lost things are kept how long?") is None
    assert there.why_not(QUESTION) == ALREADY


def test_every_near_input_is_found_among_many() -> None:
    words = [f"w{number}" for number in range(40)]
    there = KnownInputs([Example(str(at), " ".join(words[at : at + 12]), split="test") for at in range(28)])
    for at in range(27):
        nearly = there.near(" ".join([*words[at : at + 11], "other"]))
        assert nearly is not None
        assert set(nearly.input.split()) & set(words[at : at + 11])
    assert there.near("w1 w20 w39") is None
