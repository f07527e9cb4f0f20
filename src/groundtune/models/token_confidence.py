"""Turn the log-probabilities of a reply's tokens into a confidence. Asks no model.

The confidence is the geometric mean of the probabilities of the tokens of the text: the probability of the sequence,
normalised by length, because a plain product falls with every token and would refuse long answers (Malinin and Gales
2021, arXiv 2002.07650). It needs one call and no second model; sampling several answers or asking the model for its own
estimate would cost more calls. It says how sure the model was of its words, not that they are true, and has a meaning
only beside other answers of the same approach, so a threshold for it is fitted on examples.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LEAST = -20.0
"""Lowest log-probability that is counted: servers report values such as -9999 for a token that is just unlikely."""


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token of a reply: its bytes, and its log-probability."""

    content: bytes
    logprob: float


def text_confidence(tokens: Sequence[ScoredToken], text: str) -> float | None:
    """Return the confidence of the text, from 0 to 1; None when the tokens do not contain it.

    The tokens may hold more than the text: thinking before it, and marks after it.
    """
    wanted = text.strip().encode("utf-8", "replace")
    start = b"".join(token.content for token in tokens).rfind(wanted)
    if start < 0 or not wanted:
        return None
    end, position, counted = start + len(wanted), 0, []
    for token in tokens:
        if position < end and position + len(token.content) > start:
            counted.append(max(token.logprob, LEAST))
        position += len(token.content)
    return mean_probability(counted)


def mean_probability(logprobs: Sequence[float]) -> float | None:
    """Return the geometric mean of probabilities given by their logarithms; None without any."""
    return min(1.0, math.exp(math.fsum(logprobs) / len(logprobs))) if logprobs else None


def read_logprobs(choice: object) -> Iterator[ScoredToken]:
    """Yield the tokens of a choice, or of one of its events; none where the server tells no log-probabilities.

    Reads OpenAI's form (`content`, a list of tokens) and the older one of completions (`tokens` and `token_logprobs`).
    """
    match choice:
        case {"logprobs": {"content": [*entries]}}:
            for entry in entries:
                match entry:
                    case {"token": str(token), "logprob": float() | int() as logprob}:
                        yield ScoredToken(_content(entry, token), float(logprob))
        case {"logprobs": {"tokens": [*names], "token_logprobs": [*logprobs]}}:
            for token, logprob in zip(names, logprobs, strict=False):
                if isinstance(token, str) and isinstance(logprob, float | int):
                    yield ScoredToken(token.encode("utf-8", "replace"), float(logprob))
        case _:
            return


def _content(entry: Mapping[str, Any], token: str) -> bytes:
    """Return the bytes of a token, which may be a part of a character."""
    try:
        return bytes(entry.get("bytes") or ()) or token.encode("utf-8", "replace")
    except (TypeError, ValueError):
        return token.encode("utf-8", "replace")
