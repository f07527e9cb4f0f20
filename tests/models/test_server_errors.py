"""Test how errors are read that a server tells inside a 200 or within a stream."""

from typing import Any

import pytest

from groundtune.models.server_errors import error_in, told_error


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ({"error": {"code": 429, "message": "slow down"}}, 429, "slow down"),
        ({"error": {"code": "429", "message": "slow down"}}, 429, "slow down"),
        ({"error": {"status": "RESOURCE_EXHAUSTED", "message": "no more"}}, 429, "no more"),
        ([{"error": {"code": 503, "message": "busy"}}], 503, "busy"),
        ({"error": {"type": "overloaded_error", "message": "busy"}}, 529, "busy"),
        ({"error": "model is loading"}, 500, "model is loading"),
        ({"code": 429, "error": "slow down"}, 429, "slow down"),
        ({"object": "error", "message": "wrong", "code": 400}, 400, "wrong"),
        ({"detail": "Too many requests"}, 429, "Too many requests"),
        ({"success": False, "errors": [{"code": 7003, "message": "no route"}]}, 500, "no route"),
        ({"choices": [{"error": {"code": 502, "message": "down"}, "message": {"content": "half"}}]}, 502, "down"),
        ({"choices": [{"finish_reason": "error", "message": {"content": ""}}]}, 503, "'error'"),
        ({"error": {"code": 502, "message": "failed", "metadata": {"raw": "upstream words"}}}, 502, "upstream words"),
        ({"error": {"reason": 5}}, 500, '"reason": 5'),
        ({"error": True, "message": "capacity exceeded"}, 500, "capacity exceeded"),
        ({"error": "Internal Server Error", "message": "out of memory"}, 500, "Internal Server Error: out of memory"),
        ({"choices": [], "message": "Too many concurrent requests"}, 429, "concurrent"),
        ({"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, 429, "rate limit"),
        ({"error_code": 18, "error_msg": "Open api qps request limit reached"}, 429, "qps"),
        ({"fault": {"faultstring": "Rate limit quota violation"}}, 429, "violation"),
        ({"error": {"message": "Incorrect API key provided"}}, 401, "API key"),
        ({"error": "no credit left"}, 402, "credit"),
    ],
)
def test_an_error_in_an_answer(answer: Any, status: int, words: str) -> None:
    error = error_in(answer)
    assert error is not None
    assert error.status == status
    assert words in error.words


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"finish_reason": "stop", "message": {"content": "14 days"}}], "error": None},
        {"choices": [], "usage": {"prompt_tokens": 4}},
        {"choices": [{"message": {"content": "14 days"}}], "error": {"message": None, "code": None}},
        {"choices": [{"message": {"content": "14 days"}}], "base_resp": {"status_code": 0, "status_msg": "success"}},
        {"choices": [{"delta": {"content": "an error"}}], "error": {}},
        {"data": [], "object": "list"},
        {"type": "ping"},
        {"message": {"role": "assistant", "content": "14 days"}},
        [1],
        "error",
        None,
    ],
)
def test_an_answer_without_error(answer: Any) -> None:
    assert error_in(answer) is None


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"message": "Limit 6000. Please try again in 7.66s. Visit us."}, 7.66),
        ({"message": "try again in 6m0s"}, 360.0),
        ({"message": "Please retry after 20 seconds"}, 20.0),
        ({"message": "Please try again in 120ms"}, 0.12),
        ({"message": "wait 2 minutes"}, 120.0),
        ({"message": "x", "details": [{"a": 1}, {"retryDelay": "13s"}]}, 13.0),
        ({"message": "x", "retry_after": 3}, 3.0),
        ({"message": "try again later; limit 30 requests"}, None),
        ("slow down", None),
    ],
)
def test_how_long_to_wait(told: Any, seconds: float | None) -> None:
    assert told_error(told).wait_seconds == seconds
