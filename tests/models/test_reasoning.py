"""Test how a reply is separated into thought and answer, whole and in pieces."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from groundtune.models.dialects import dialects
from groundtune.models.reasoning import ReasoningSeparator, SeparatedReply, separate_reasoning

THOUGHT = "Could be billing, could be returns; a bike comes back."
SEPARABLE = [
    *((f"{m.open}{THOUGHT}{m.close}{gap}returns", m.open) for m in dialects().thinking for gap in ("", "\n\n")),
    *((f"{THOUGHT}\n{m.close}\n\nreturns", m.close) for m in dialects().thinking if m.implied),
    *((f"{THOUGHT}{m.close}returns", m.close) for m in dialects().thinking if m.implied),
    (f"\n <THINK>\n{THOUGHT}\n</Think>\nreturns", "<think>"),
    ("<reasoning>Could be billing,</reasoning><reasoning> could be returns;</reasoning>returns", "<reasoning>"),
    (f"<think>{THOUGHT}</think>\n</think>\n\nreturns", "</think>"),
    (f"<think>{THOUGHT}</think>\n<answer>\nreturns</answer>\n", "<answer>"),
    (f'<think>{THOUGHT} Is "</think>" meant?</think>returns', "<think>"),
    (f'<thinking depth="high">{THOUGHT}</thinking>returns', "<thinking"),
    (f"<think >\n{THOUGHT}\n</think >\nreturns", "think >"),
    (f"<analysis>{THOUGHT}</analysis><final_answer>returns</final_answer>", "<final"),
    (f"<analysis>{THOUGHT}</analysis><final>returns</final>", "<final"),
    (f"<longcat_think>{THOUGHT}</longcat_think>returns</s>", "</s>"),
    (f"<think>{THOUGHT}</think>\n\n<|im_start|>assistant\nreturns<|im_end|>", "<|im"),
    (f"<think><think>Bikes?</think>{THOUGHT}</think>returns", "<think><"),
    (f"<think>A <think> is open. {THOUGHT}</think>returns", "<think>A"),
    (f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>returns", "<|"),
    (f"<|channel|>analysis<|message|>{THOUGHT}<|start|>assistant<|channel|>final<|message|>returns<|return|>", "<|"),
    (
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>commentary to=functions.f "
        "<|constrain|>json<|message|>{}<|call|><|start|>assistant<|channel|>final<|message|>returns",
        "<|",
    ),
    (f"analysis{THOUGHT}assistantfinalreturns", "assistantfinal"),
    ("analysis用户想退货。assistantfinalreturns", "assistantfinal"),
]
UNFINISHED = [
    *(f"{m.open}{THOUGHT}" for m in dialects().thinking),
    f"<|channel|>analysis<|message|>{THOUGHT}",
    f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|chan",
    f"analysis{THOUGHT}",
    f"<think>{THOUGHT}</thi",
    f"<think>{THOUGHT}</think>\n<thin",
    "<thi",
]
WHOLE = [
    "returns",
    "  14 days [1].\n",
    "[1] says 14 days.",
    '{"total": 12}',
    '{"html": "He said so. </think> And then."}',
    "`<think>` opens a thought and `</think>` closes it.",
    "Write <think> before and </think> after it.",
    "A reply ends its thought with </think> and goes on.",
    'Models write "</think>" before they answer.',
    "```html\n<think>\na\n</think>\n```\nis not HTML.",
    "The answer is 5. <think>Is it?</think> It is.",
    "a < b and b > c; see <b>this</b>",
    "The fee is <s>40 euros</s>",
    "analysis",
    "analysis of the sample",
    "Analysis: fine",
    "[Analysis](a.md) says 14 days.",
    "[Reasoning] is a heading.",
    "<thinkers> are no tag",
    "<",
    "[",
]


@pytest.mark.parametrize(("reply", "mark"), SEPARABLE)
def test_a_thought_is_separated(reply: str, mark: str) -> None:
    separated = separate_reasoning(reply)
    assert separated.text == "returns"
    assert separated.reasoning
    assert not separated.unfinished
    assert mark not in separated.text


@pytest.mark.parametrize("reply", UNFINISHED)
def test_a_thought_without_end_is_no_answer(reply: str) -> None:
    separated = separate_reasoning(reply)
    assert (separated.text, separated.unfinished) == ("", True)


@pytest.mark.parametrize("reply", WHOLE)
def test_what_only_mentions_a_mark_is_kept_whole(reply: str) -> None:
    assert separate_reasoning(reply) == SeparatedReply(reply)


def test_marks_of_the_end_of_a_turn_are_dropped() -> None:
    assert separate_reasoning("returns<|im_end|>\n").text == "returns"
    assert separate_reasoning("write <|im_end|> at the end").text == "write <|im_end|> at the end"


def test_a_thought_without_answer_is_an_empty_text() -> None:
    assert separate_reasoning("<think>Hm.</think>\n") == SeparatedReply("", "Hm.")


def in_pieces(reply: str, cuts: list[int], *, hold: bool) -> tuple[list[str], SeparatedReply]:
    separator = ReasoningSeparator(hold=hold)
    bounds = [0, *sorted(cut % (len(reply) + 1) for cut in cuts), len(reply)]
    pieces = [separator.add(reply[start:end]) for start, end in pairwise(bounds)]
    last, separated = separator.finish()
    return [*pieces, last], separated


replies = st.sampled_from([reply for reply, _ in SEPARABLE] + UNFINISHED + WHOLE)
marks = st.sampled_from([mark for m in dialects().thinking for mark in (m.open, m.close)] + list(dialects().endings))
soup = st.lists(marks | st.sampled_from(["a", " ", "\n", ".", "`", '"', "<|channel|>", "final", "<|message|>"])).map(
    "".join
)


@example("</think><think>", [2])
@given(replies | soup, st.lists(st.integers(0, 400), max_size=30))
def test_pieces_give_what_the_whole_gives(reply: str, cuts: list[int]) -> None:
    whole = separate_reasoning(reply)
    held, separated = in_pieces(reply, cuts, hold=True)
    assert separated == whole
    assert "".join(held) == whole.text
    pieces, separated = in_pieces(reply, cuts, hold=False)
    assert separated == whole
    assert "".join(pieces) == separated.text or separated.unmarked


@given(st.lists(st.integers(0, 400), max_size=30))
def test_an_answer_is_released_while_it_is_written(cuts: list[int]) -> None:
    reply = f"<think>{THOUGHT}</think>\n\nA bike can be returned within 14 days."
    separator = ReasoningSeparator(hold=True)
    released = "".join(separator.add(letter) for letter in reply)
    assert released == "A bike can be returned within 14 days."
    assert separator.finish()[0] == ""


def test_a_thought_that_was_released_is_noticed() -> None:
    pieces, separated = in_pieces(f"{THOUGHT}\n</think>\n\nreturns", [10, 20], hold=False)
    assert pieces[0]
    assert THOUGHT.startswith("".join(pieces))
    assert separated == SeparatedReply("returns", THOUGHT, unmarked=True)
