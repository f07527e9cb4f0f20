"""Test that loops at the end of a text are found, and nothing else."""

import pytest

from groundtune.models.repetition import CYCLES, LOOP_TOKENS, end_before_loop


@pytest.mark.parametrize("period", [1, 2, 3, 7, 24, 25, 60])
def test_all_cycles_but_the_first_are_dropped(period: int) -> None:
    before, cycle = [1000, 1001, 1002], list(range(period))
    cycles = max(CYCLES, -(-LOOP_TOKENS // period))
    for partial in {0, period // 2}:
        text = [*before, *cycle * cycles, *cycle[:partial]]
        assert end_before_loop(text) == len(before) + period
    assert end_before_loop([*before, *cycle * (cycles - 1)]) is None


@pytest.mark.parametrize(
    ("before", "cycle", "kept"),
    [
        ("It is free. ", "It costs 3.50 euros [1]. ", "It is free. It costs 3.50 euros [1]."),
        ("Free [1]. ", "It costs 3.50 euros [1]. ", "Free [1]. It costs 3.50 euros [1]."),
        ("a line\n", "another line\n", "a line\nanother line"),
        ("", "免费的午餐不存在。", "免费的午餐不存在。"),
        ("no end ", "and on and ", "no end and on and"),
    ],
)
@pytest.mark.parametrize("more", range(4))
def test_the_first_cycle_ends_with_its_sentence(before: str, cycle: str, kept: str, more: int) -> None:
    text = before + cycle * 60 + cycle[:more]
    end = end_before_loop(text, shortest=3 * LOOP_TOKENS)
    assert end is not None
    assert text[:end].rstrip() == kept


def test_a_loop_counts_at_the_end_alone() -> None:
    assert end_before_loop([5] * LOOP_TOKENS + [6]) is None
    assert end_before_loop([5] * LOOP_TOKENS) == 1
    assert end_before_loop([]) is None


@pytest.mark.parametrize(
    "text",
    [
        "ha ha ha ha ha ha ha ha",
        "| a | b |\n| --- | --- |\n" + "| - | - |\n" * 12,
        "-" * 120,
        "".join(f"{number}. The same clause again.\n" for number in range(60)),
        "[" + "0, " * 30 + "0]",
    ],
)
def test_tables_lines_and_lists_are_no_loops(text: str) -> None:
    assert end_before_loop(list(text), shortest=3 * LOOP_TOKENS) is None
