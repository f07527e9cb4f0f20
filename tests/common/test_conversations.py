"""The conversation before a question, as retrieval and readers see it."""

from hypothesis import given
from hypothesis import strategies as st

from groundtune.common.conversations import JOINED_CHARACTERS, joined_text, question_of, searched_text, transcript
from groundtune.types import Example, Message, Scope

HISTORY = (
    Message("user", "Do you ship\n to Norway?"),
    Message("assistant", "Yes, for 20 euros."),
    Message("user", "How long does it take?"),
    Message("assistant", "Five days."),
)


def test_the_last_turns_of_the_user_are_joined_newest_last() -> None:
    assert joined_text("And to Iceland?", HISTORY) == "Do you ship to Norway?\nHow long does it take?\nAnd to Iceland?"
    assert joined_text("And to Iceland?", ()) == "And to Iceland?"
    assert joined_text("Why?", (Message("assistant", "Hello"), Message("user", "  "))) == "Why?"


def test_old_turns_are_left_out_and_long_ones_cut_at_a_word() -> None:
    history = [Message("user", "oldest"), Message("user", "word " * 200), Message("user", "x" * 100)]
    first, second, last = joined_text("Why?", history).split("\n")
    assert (first.removesuffix("word"), len(first) <= JOINED_CHARACTERS - 101) == ("word " * (len(first) // 5), True)
    assert (second, last) == ("x" * 100, "Why?")
    assert joined_text("Why?", [Message("user", "y" * 1000)]) == "Why?"


@given(st.lists(st.text(max_size=400)), st.text(min_size=1))
def test_the_question_is_whole_and_the_rest_bounded(turns: list[str], text: str) -> None:
    joined = joined_text(text, [Message("user", turn) for turn in turns])
    assert joined.endswith(text)
    assert len(joined) <= JOINED_CHARACTERS + 1 + len(text)


def test_an_example_is_asked_with_its_history() -> None:
    example = Example("e", "And to Iceland?", history=HISTORY, groups=("hr",))
    question = question_of(example)
    assert (question.text, question.history, question.scope) == ("And to Iceland?", HISTORY, Scope(("hr",)))
    assert searched_text(example, "ignore") == "And to Iceland?"
    assert searched_text(example, "rewrite") == searched_text(example, "join") == joined_text(example.input, HISTORY)


def test_a_transcript_names_the_speakers() -> None:
    assert transcript("Why?", ()) == "Why?"
    assert transcript("Why?", HISTORY[:2]) == (
        "User: Do you ship\n to Norway?\n\nAssistant: Yes, for 20 euros.\n\nUser: Why?"
    )
