"""Read the token counts that a server reports. A count that cannot be true is unknown, never a number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groundtune.models.token_counts import least_tokens

SMALLEST_WINDOW = 512
"""Tokens of the smallest context window in use: a prompt below it is never shortened by a server."""
SLACK_TOKENS = 8
"""A count of output tokens is impossible if twice of it, and this much, is below the least that the text can have."""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Token counts of one reply; None = unknown."""

    input: int | None
    cached: int | None
    output: int | None
    """Everything that the model wrote, its thinking included."""
    reasoning: int | None
    read_least: int | None = None
    """The least tokens that the prompt has, if the server counted fewer: it read a part, or counts wrongly."""


def read_usage(counts: Mapping[str, Any], *, sent: str, text: str, thinking: str) -> TokenUsage:
    """Read the counts. sent: the texts of the prompt. text, thinking: the parts of the reply.

    Zero is unknown where text was sent or received. Reasoning tokens that are not part of `completion_tokens`, which
    `total_tokens` or an impossible count tells, are added to the output.
    """
    prompt = _positive(counts, "prompt_tokens", "input_tokens")
    written = _positive(counts, "completion_tokens", "output_tokens")
    total = _positive(counts, "total_tokens")
    cached = _count(_details(counts, "prompt", "input"), "cached_tokens")
    if cached is None:
        cached = _count(counts, "prompt_cache_hit_tokens", "cached_tokens")
    reasoning = _count(_details(counts, "completion", "output"), "reasoning_tokens")
    if reasoning is None:
        reasoning = _count(counts, "reasoning_tokens")
    if prompt is None and total is not None and written is not None and total > written:
        prompt = total - written - (reasoning or 0 if _beside(written, reasoning, text) else 0)
    if written is None and total is not None and prompt is not None and total > prompt:
        written = total - prompt
    elif written is not None:
        extra = total - (prompt or 0) - written if total is not None and prompt is not None else 0
        if extra > 0 and (reasoning in (None, 0) or extra == reasoning):
            written, reasoning = written + extra, extra
        elif reasoning and extra <= 0 and _beside(written, reasoning, text):
            written += reasoning
    if written is not None and least_tokens(text) > 2 * written + SLACK_TOKENS:
        written = reasoning = None
    if reasoning == 0 and thinking:
        reasoning = None
    least = least_tokens(sent)
    short = prompt is not None and least > max(prompt + (cached or 0), SMALLEST_WINDOW)
    return TokenUsage(prompt, cached, written, reasoning, least if short else None)


def _beside(written: int, reasoning: int | None, text: str) -> bool:
    """Whether the tokens of the text alone are more than `completion_tokens` without the reasoning."""
    return bool(reasoning) and written - (reasoning or 0) < least_tokens(text)


def _details(counts: Mapping[str, Any], *kinds: str) -> Mapping[str, Any]:
    details = (counts.get(f"{kind}_tokens_details") for kind in kinds)
    return next((each for each in details if isinstance(each, Mapping)), {})


def _positive(counts: Mapping[str, Any], *names: str) -> int | None:
    return _count(counts, *names) or None


def _count(counts: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = counts.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None
