"""Test how reported token counts are read: what cannot be true is unknown."""

from typing import Any

import pytest

from groundtune.models.reported_usage import TokenUsage, read_usage

SENT = "How long can a bike be returned? " * 10
TEXT = "because " * 200


def read(counts: dict[str, Any], *, sent: str = SENT, text: str = "14 days", thinking: str = "") -> TokenUsage:
    return read_usage(counts, sent=sent, text=text, thinking=thinking)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"prompt_tokens": 60, "completion_tokens": 4, "total_tokens": 64}, (60, 4, None)),
        ({"prompt_tokens": 60.0, "completion_tokens": 4.0}, (60, 4, None)),
        ({"input_tokens": 60, "output_tokens": 4}, (60, 4, None)),
        ({}, (None, None, None)),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, (None, None, None)),
        ({"prompt_tokens": 60, "completion_tokens": 0, "total_tokens": 60}, (60, None, None)),
        ({"prompt_tokens": 0, "completion_tokens": 4, "total_tokens": 4}, (None, 4, None)),
        ({"prompt_tokens": "60", "completion_tokens": True}, (None, None, None)),
        ({"prompt_tokens": -60, "completion_tokens": None}, (None, None, None)),
        ({"prompt_tokens": 60, "total_tokens": 64}, (60, 4, None)),
        ({"completion_tokens": 4, "total_tokens": 64}, (60, 4, None)),
    ],
)
def test_missing_zero_and_partial_counts(counts: dict[str, Any], expected: tuple[int | None, ...]) -> None:
    usage = read(counts)
    assert (usage.input, usage.output, usage.reasoning) == expected


@pytest.mark.parametrize(
    ("written", "reasoning", "total", "expected"),
    [
        (42, 30, 102, (60, 42, 30)),  # OpenAI: inside
        (12, 30, 102, (60, 42, 30)),  # xAI: beside
        (12, None, 102, (60, 42, 30)),  # Gemini: in the total only
        (12, 30, None, (60, 42, 30)),  # more than all: beside
        (42, 30, None, (60, 42, 30)),
        (1, 0, 61, (60, 1, 0)),
    ],
)
def test_reasoning_inside_or_beside(written: int, reasoning: Any, total: Any, expected: tuple[int, ...]) -> None:
    counts = {"prompt_tokens": 60, "completion_tokens": written, "total_tokens": total}
    usage = read({**counts, "completion_tokens_details": {"reasoning_tokens": reasoning}})
    assert (usage.input, usage.output, usage.reasoning) == expected


def test_a_reasoning_count_of_zero_is_unknown_where_there_is_reasoning() -> None:
    counts = {"prompt_tokens": 60, "completion_tokens": 42, "completion_tokens_details": {"reasoning_tokens": 0}}
    assert read(counts).reasoning == 0
    assert read(counts, thinking="Hm.").reasoning is None


def test_fewer_tokens_than_the_text_can_have_are_unknown() -> None:
    counts = {"prompt_tokens": 60, "completion_tokens": 3}
    assert read(counts, text=TEXT).output is None
    assert read({**counts, "completion_tokens": 200}, text=TEXT).output == 200


def test_a_prompt_of_which_a_part_was_read() -> None:
    sent = "The chain is oiled by hand. " * 2000
    assert read({"prompt_tokens": 4096, "completion_tokens": 3}, sent=sent).read_least == 9000
    assert read({"prompt_tokens": 13000, "completion_tokens": 3}, sent=sent).read_least is None
    cached = {"prompt_tokens": 50, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 12950}}
    assert read(cached, sent=sent).read_least is None, "counted without what was cached"
    chinese = "自行车送达后三十天内可以退货。" * 1000
    assert read({"prompt_tokens": 2050, "completion_tokens": 3}, sent=chinese).read_least is not None


@pytest.mark.parametrize(
    "counts",
    [
        {"prompt_tokens_details": {"cached_tokens": 40}},
        {"prompt_cache_hit_tokens": 40, "prompt_cache_miss_tokens": 20},
        {"cached_tokens": 40},
    ],
)
def test_cached_tokens(counts: dict[str, Any]) -> None:
    assert read({"prompt_tokens": 60, "completion_tokens": 4, **counts}).cached == 40
