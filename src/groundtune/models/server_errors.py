"""Read what a server says about a request that it did not answer: in an error status, in a 200, or within a stream.

Never sends anything, and never guesses an answer from an error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groundtune.models.dialects import dialects
from groundtune.models.openai_client import WORD_KEYS, retry_after_seconds, words_of

if TYPE_CHECKING:
    from openai import APIStatusError

MISTAKEN = frozenset({400, 403, 500})
"""Statuses with which some servers tell a rate limit."""
_STATUS_KEYS = ("status_code", "http_code", "status", "code", "type")
_OVERFLOW = re.compile(r"context|too long|(?:input|prompt).{0,60}exceed", re.IGNORECASE)
_SECONDS = re.compile(
    r"(?:try again|retry|wait)\D{0,20}?((?:\d+(?:\.\d+)?\s*(?:ms|milli|[hms])[a-z]*\s*)+)", re.IGNORECASE
)
_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli|[hms])", re.IGNORECASE)
_PER_UNIT = {"ms": 0.001, "milli": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class ServerError:
    """What the server said."""

    status: int
    """The HTTP status that fits the error; for one told in a 200, from its code or its words."""
    words: str
    code: str = ""
    parameter: str | None = None
    """Parameter of the request that it is about."""
    wait_seconds: float | None = None
    """How long the server asks to wait."""
    in_answer: bool = False
    """Whether it was told in a 200 or within a stream."""


class ToldError(Exception):
    """A 200, or an event of a stream, turned out to be an error."""

    def __init__(self, error: ServerError) -> None:
        super().__init__(error.words)
        self.error = error


def error_in(answer: object) -> ServerError | None:
    """Return the error that a body of a 200, or an event of a stream, tells; None when it tells none."""
    if isinstance(answer, list) and len(answer) == 1:  # Gemini
        answer = answer[0]
    if not isinstance(answer, Mapping):
        return None
    if _says_something(told := answer.get("error")):
        return told_error(told if isinstance(told, Mapping | list) else answer)
    choices = answer.get("choices")
    if isinstance(choices, list) and choices and isinstance(choice := choices[0], Mapping):
        if told := choice.get("error"):
            return told_error(told)
        if str(choice.get("finish_reason")).lower() in dialects().finish_reasons["failed"]:
            return told_error({"message": f"finish reason {choice['finish_reason']!r}", "code": 503})
    if choices or "data" in answer:
        return None
    if (errors := answer.get("errors")) and isinstance(errors, list):
        return told_error(errors[0])
    if answer.get("object") == "error" or any(answer.get(key) and isinstance(answer[key], str) for key in WORD_KEYS):
        return told_error(answer)
    inner = (answer.get(key) for key in dialects().error_keys)
    return next((told_error(told) for told in inner if isinstance(told, Mapping)), None)


def _says_something(told: object) -> bool:
    """Whether an error is one: some servers send an empty one with every reply."""
    return any(map(bool, told.values())) if isinstance(told, Mapping) else bool(told)


def told_error(told: object) -> ServerError:
    """Read an error object, or an error that is only a text."""
    row, words = _row(told), words_of(told)
    return ServerError(
        _status(row, words),
        words,
        str(row.get("code") or row.get("type") or ""),
        row["param"] if isinstance(row.get("param"), str) else None,
        _asked_to_wait(row, words),
        in_answer=True,
    )


def status_error(error: "APIStatusError") -> ServerError:
    """Read the error of a response with an error status."""
    row, words = _row(error.body), words_of(error.body)
    wait, status = retry_after_seconds(error), error.status_code
    if status in MISTAKEN and 429 in (_status(row, ""), _status({}, words)):
        status = 429
    return ServerError(
        status,
        words,
        error.code or str(row.get("code") or row.get("type") or ""),
        error.param,
        _asked_to_wait(row, words) if wait is None else wait,
    )


def is_overflow(error: ServerError) -> bool:
    """Whether the prompt does not fit the context window."""
    return error.status == 413 or "context" in error.code or bool(_OVERFLOW.search(error.words))


def _row(told: object) -> Mapping[str, Any]:
    """Return the error as an object; empty when it is a text."""
    if isinstance(told, list) and len(told) == 1:
        return _row(told[0])
    if not isinstance(told, Mapping):
        return {}
    return told["error"] if isinstance(told.get("error"), Mapping) else told


def _status(row: Mapping[str, Any], words: str) -> int:
    """Return the status that the error names by number, by code, or by its words; 500 when it names none."""
    table = dialects()
    for key in _STATUS_KEYS:
        value = str(row.get(key, ""))
        if value.isdigit() and 400 <= int(value) <= 599:
            return int(value)
        if value.lower() in table.error_codes:
            return table.error_codes[value.lower()]
    lowered = words.lower()
    return next((status for part, status in table.error_words.items() if part in lowered), 500)


def _asked_to_wait(row: Mapping[str, Any], words: str) -> float | None:
    """Return the seconds to wait that the error names: `retry_after`, Gemini's `retryDelay`, or in words."""
    details = row.get("details")
    for part in (row, *(details if isinstance(details, list) else ())):
        if not isinstance(part, Mapping):
            continue
        for key in ("retry_after", "retry_after_seconds", "retryDelay"):
            if isinstance(value := part.get(key), int | float) and not isinstance(value, bool):
                return max(0.0, float(value))
            if isinstance(value, str) and (seconds := _duration(value)) is not None:
                return seconds
    asked = _SECONDS.search(words)
    return _duration(asked[1]) if asked else None


def _duration(text: str) -> float | None:
    """Return the seconds of `7.66s`, `6m0s` or `20ms`."""
    parts = _UNIT.findall(text)
    return sum(float(number) * _PER_UNIT[unit.lower()] for number, unit in parts) if parts else None
