"""Find the loop in which a text ends: greedy decoding may repeat itself until a limit stops it. Pure."""

from collections.abc import Callable, Sequence
from typing import Any

CYCLES = 4
"""A loop says the same at least this often in a row, word for word."""
LOOP_TOKENS = 96
"""Minimum length of a loop in tokens: shorter ones occur in tables, lists and drawn lines."""
LOOP_CHARACTERS = 3 * LOOP_TOKENS
"""The same for text whose tokens are not known."""
REPETITION = "repetition"
"""Name of the limit at which a text ends that was cut because it repeated itself."""
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", "।")


def end_before_loop(
    text: Sequence[Any], *, shortest: int = LOOP_TOKENS, read: Callable[[Any], str] = str
) -> int | None:
    """Return where a text ends if each cycle of the loop at its end but the first is dropped; None without a loop.

    Where the next cycle begins within a sentence, or a word, the text ends with that one. text: tokens or characters.
    shortest: minimum length of a loop, all cycles together. read: returns the characters of a token.
    """
    for period in range(1, len(text) // CYCLES + 1):
        if text[-1] != text[-1 - period] or text[-period:] != text[-2 * period : -period]:
            continue
        start = len(text) - 2 * period
        while start > 0 and text[start - 1] == text[start - 1 + period]:
            start -= 1
        if len(text) - start >= max(shortest, CYCLES * period):
            end = start + period
            places = range(end, end + period)
            whole = [next((at for at in places if ends(text, at, read)), None) for ends in (_ends_sentence, _ends_word)]
            return next((at for at in whole if at is not None), end)
    return None


def _ends_sentence(text: Sequence[Any], place: int, read: Callable[[Any], str]) -> bool:
    """Whether a sentence or a line ends before this place."""
    before, after = read(text[place - 1]), read(text[place])
    return before.endswith("\n") or (before.rstrip().endswith(_SENTENCE_ENDS) and (before + after[:1])[-1].isspace())


def _ends_word(text: Sequence[Any], place: int, read: Callable[[Any], str]) -> bool:
    """Whether white space begins at this place, or ends before it."""
    return (read(text[place - 1]) or "x")[-1].isspace() or read(text[place])[:1].isspace()
