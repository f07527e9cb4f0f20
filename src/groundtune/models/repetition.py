"""Find the loop in which a text ends: greedy decoding may repeat itself until a limit stops it. Pure."""

from collections.abc import Sequence
from typing import Any

CYCLES = 4
"""A loop says the same at least this often in a row, word for word."""
LOOP_TOKENS = 96
"""Minimum length of a loop in tokens: shorter ones occur in tables, lists and drawn lines."""
LOOP_CHARACTERS = 3 * LOOP_TOKENS
"""The same for text whose tokens are not known."""
REPETITION = "repetition"
"""Name of the limit at which a text ends that was cut because it repeated itself."""


def end_before_loop(text: Sequence[Any], *, shortest: int = LOOP_TOKENS) -> int | None:
    """Return where a text ends if each cycle of the loop at its end but the first is dropped; None without a loop.

    text: tokens or characters. shortest: minimum length of a loop, all cycles together.
    """
    for period in range(1, len(text) // CYCLES + 1):
        if text[-1] != text[-1 - period] or text[-period:] != text[-2 * period : -period]:
            continue
        start = len(text) - 2 * period
        while start > 0 and text[start - 1] == text[start - 1 + period]:
            start -= 1
        if len(text) - start >= max(shortest, CYCLES * period):
            return start + period
    return None
