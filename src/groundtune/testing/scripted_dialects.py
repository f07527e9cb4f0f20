"""Answer and fail as the servers and providers of `models/dialects.toml` do, so that each can be played over HTTP.

    dialect = DIALECTS["DeepSeek"]
    with ScriptedServer(dialect.answers["reasoning_content"]("42", "6 x 7 is 42.")) as server:
        ...  # the answer is "42", the thinking is kept apart
    with ScriptedServer([dialect.faults[0].reply, Reply("there")]) as server:
        ...  # the first request fails as DeepSeek's do

The words of the errors are this project's own; their shapes are those of the sources that the table names.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from groundtune.errors import ProviderFailure
from groundtune.testing.scripted_server import Reply
from groundtune.testing.scripted_tuning import JobScript, ScriptedTuning

PROMPT_TOKENS, TEXT_TOKENS, THINKING_TOKENS = 400, 12, 30
"""What every answer costs, however the server tells it."""

Answer = Callable[[str, str], Reply]
"""Makes the reply with a text and a thought."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A way in which a server fails."""

    name: str
    reply: Reply
    kind: ProviderFailure
    words: str
    """Words of the server that the error must hold."""
    is_retried: bool = True


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one server answers and fails."""

    answers: Mapping[str, Answer]
    """Ways to answer, by where the thinking is."""
    counts: tuple[int | None, int | None, int | None]
    """Input, output and reasoning tokens as the reply lets one know them."""
    faults: Sequence[Fault]
    refusals: Mapping[str, Reply] = field(default_factory=dict)
    """Replies to requests with a parameter that the server refuses."""
    broken: Reply | None = None
    """A stream that tells an error after "half "."""
    model: str = "scripted"
    tuning: Callable[[], ScriptedTuning] | None = None
    """Makes its fine-tuning API, where it has one like OpenAI's."""
    no_tuning: Reply | None = None
    """How it answers a request for fine-tuning jobs, where it has none."""


def _usage(written: int = TEXT_TOKENS + THINKING_TOKENS, /, **more: Any) -> dict[str, Any]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": written,
        "total_tokens": PROMPT_TOKENS + written,
        **more,
    }


def _hidden(usage: Mapping[str, Any]) -> Answer:
    return lambda text, _: Reply(text, usage=usage)


def _beside(*keys: str, usage: Mapping[str, Any], body: Mapping[str, Any] | None = None) -> Answer:
    """Return an answer with its thought under keys of the message."""
    return lambda text, thought: Reply(text, message=dict.fromkeys(keys, thought), usage=usage, body=body or {})


def _around(before: str, after: str, usage: Mapping[str, Any], body: Mapping[str, Any] | None = None) -> Answer:
    """Return an answer with its thought in the content, between marks."""
    return lambda text, thought: Reply(f"{before}{thought}{after}{text}", usage=usage, body=body or {})


def _parts(usage: Mapping[str, Any]) -> Answer:
    def answer(text: str, thought: str) -> Reply:
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": thought}]}
        return Reply(text, message={"content": [thinking, {"type": "text", "text": text}]}, usage=usage)

    return answer


def _details(usage: Mapping[str, Any]) -> Answer:
    def answer(text: str, thought: str) -> Reply:
        details = [{"type": "reasoning.text", "text": thought, "format": "unknown", "index": 0}]
        return Reply(text, message={"reasoning": thought, "reasoning_details": details}, usage=usage)

    return answer


def _error(status: int, body: object, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(raw_body=json.dumps(body), status=status, headers=headers or {})


def _told(body: Mapping[str, Any]) -> Reply:
    """Return an error in a 200; a stream gets it as its first event."""
    return Reply(raw_body=json.dumps(body), events=[body])


def _openai_error(message: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": None, **more}}


def _half(*last: Mapping[str, Any]) -> Reply:
    return Reply(events=[{"choices": [{"index": 0, "delta": {"content": "half "}, "finish_reason": None}]}, *last])


REASONED = {"completion_tokens_details": {"reasoning_tokens": THINKING_TOKENS}}
ALL = (PROMPT_TOKENS, TEXT_TOKENS + THINKING_TOKENS, THINKING_TOKENS)
UNDIVIDED = (PROMPT_TOKENS, TEXT_TOKENS + THINKING_TOKENS, None)

OVERFLOW = "the prompt has 9000 tokens; the context length is 4096"
_OPENAI_FAULTS = (
    Fault(
        "rate limit",
        _error(429, _openai_error("Rate limit of this minute reached. Please try again in 5ms.", "requests")),
        "rate_limit",
        "of this minute",
    ),
    Fault("failure", _error(500, _openai_error("the server failed", "server_error")), "server", "the server failed"),
    Fault(
        "no credit",
        _error(429, _openai_error("quota used up", "insufficient_quota", code="insufficient_quota")),
        "rate_limit",
        "quota used up",
        is_retried=False,
    ),
    Fault(
        "overflow",
        _error(400, _openai_error(OVERFLOW, "invalid_request_error", code="context_length_exceeded")),
        "bad_request",
        "9000 tokens",
        is_retried=False,
    ),
)


def _refusal(message: str, parameter: str | None = None) -> Reply:
    return _error(400, _openai_error(message, "invalid_request_error", param=parameter))


DIALECTS: Mapping[str, Dialect] = {
    "OpenAI": Dialect(
        {"hidden": _hidden(_usage(**REASONED))},
        ALL,
        _OPENAI_FAULTS,
        {
            "temperature": _refusal("Only the default value of 1 is supported.", "temperature"),
            "max_tokens": _refusal("Use 'max_completion_tokens' instead of this parameter.", "max_tokens"),
        },
        _half(_openai_error("the model broke down", "server_error")),
        "gpt-5-mini",
        tuning=ScriptedTuning,
    ),
    "Azure OpenAI": Dialect(
        {
            "hidden": lambda text, _: Reply(
                text,
                usage=_usage(**REASONED),
                message={"content_filter_results": {"hate": {"filtered": False}}},
                body={"prompt_filter_results": [{"prompt_index": 0}]},
            )
        },
        ALL,
        (
            *_OPENAI_FAULTS,
            Fault(
                "filtered prompt",
                _error(400, _openai_error("the filter was triggered", "invalid_request_error", code="content_filter")),
                "bad_request",
                "filter was triggered",
                is_retried=False,
            ),
            Fault(
                "filtered reply",
                Reply("half an ans", finish_reason="content_filter"),
                "bad_response",
                "content filter",
                is_retried=False,
            ),
        ),
        {"stream_options": _refusal("Unrecognized argument supplied"), "max_tokens": _refusal("Not with this model.")},
        _half(_openai_error("deployment moved", "server_error", code="InternalServerError")),
        tuning=lambda: ScriptedTuning(
            [JobScript(["pending", "notRunning", "running", "running", "succeeded"])],
            file_statuses=("pending", "pending", "processed"),
            metadata=False,
        ),
    ),
    "Ollama": Dialect(
        {
            "reasoning": _beside("reasoning", usage=_usage(), body={"system_fingerprint": "fp_ollama"}),
            "tags": _around("<think>\n", "\n</think>\n\n", _usage(), {"system_fingerprint": "fp_ollama"}),
        },
        UNDIVIDED,
        (
            Fault("busy", _error(503, _openai_error("too many waiting", "api_error")), "server", "too many waiting"),
            Fault("failure", _error(500, {"error": "no memory left for it"}), "server", "no memory left"),
            Fault("overflow", _error(400, {"error": OVERFLOW}), "bad_request", "9000 tokens", is_retried=False),
        ),
        broken=_half({"error": "the runner stopped"}),
        model="qwen3:8b",
        no_tuning=Reply(raw_body="404 page not found", status=404, headers={"Content-Type": "text/plain"}),
    ),
    "vLLM": Dialect(
        {
            "reasoning": _beside("reasoning", "reasoning_content", usage=_usage()),
            "reasoning_content": _beside("reasoning_content", usage=_usage()),
            "tags without opening": _around("", "\n</think>\n\n", _usage()),
            "channels": _around(
                "<|channel|>analysis<|message|>",
                "<|end|><|start|>assistant<|channel|>final<|message|>",
                _usage(),
            ),
            "channels without special tokens": _around("analysis", "assistantfinal", _usage()),
        },
        UNDIVIDED,
        (
            Fault(
                "overflow",
                _error(400, {"object": "error", "message": OVERFLOW, "type": "BadRequestError", "code": 400}),
                "bad_request",
                "9000 tokens",
                is_retried=False,
            ),
            Fault(
                "failure",
                _error(500, _openai_error("the engine is dead", "InternalServerError", code=500)),
                "server",
                "engine is dead",
            ),
            Fault("aborted", Reply("half an", finish_reason="abort"), "server", "abort"),
        ),
        {"response_format": _error(400, _openai_error("The grammar could not be compiled.", "BadRequestError"))},
        _half(_openai_error("the engine is dead", "InternalServerError", code=500)),
        "DeepSeek-R1-Distill-Qwen-1.5B",
        no_tuning=_error(404, {"detail": "Not Found"}),
    ),
    "llama.cpp": Dialect(
        {
            "reasoning_content": _beside("reasoning_content", usage=_usage(), body={"timings": {"prompt_n": 3}}),
            "tags": _around("<think>", "</think>", _usage()),
        },
        UNDIVIDED,
        (
            Fault(
                "loading",
                _error(503, {"error": {"code": 503, "message": "still loading", "type": "unavailable_error"}}),
                "server",
                "still loading",
            ),
            Fault(
                "overflow",
                _error(400, {"error": {"code": 400, "message": OVERFLOW, "type": "exceed_context_size_error"}}),
                "bad_request",
                "9000 tokens",
                is_retried=False,
            ),
        ),
        {
            "response_format": _error(
                500, {"error": {"code": 500, "message": "no such grammar", "type": "server_error"}}
            )
        },
        _half({"error": {"code": 500, "message": "the slot is lost", "type": "server_error"}}),
        no_tuning=_error(404, {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}),
    ),
    "LM Studio": Dialect(
        {
            "reasoning_content": _beside("reasoning_content", usage={}),
            "tags": _around("<think>\n", "</think>\n", {}),
        },
        (None, None, None),
        (
            Fault("unloaded", _told({"error": "the model was unloaded"}), "server", "was unloaded"),
            Fault("overflow", _told({"error": OVERFLOW}), "bad_request", "9000 tokens", is_retried=False),
            Fault("empty", Reply("", usage=_usage(0)), "bad_response", "empty", is_retried=False),
        ),
        {"response_format": _error(400, {"error": "must be 'text' or a schema of ours"})},
        _half({"error": {"message": "the model crashed"}}),
        no_tuning=_told({"error": "Unexpected endpoint or method. (GET /v1/fine_tuning/jobs)"}),
    ),
    "Gemini": Dialect(
        {
            "hidden": _hidden(_usage(TEXT_TOKENS, total_tokens=PROMPT_TOKENS + TEXT_TOKENS + THINKING_TOKENS)),
            "tags": _around(
                "<thought>",
                "</thought>",
                _usage(TEXT_TOKENS, total_tokens=PROMPT_TOKENS + TEXT_TOKENS + THINKING_TOKENS),
            ),
        },
        ALL,
        (
            Fault(
                "rate limit",
                _error(
                    429,
                    [
                        {
                            "error": {
                                "code": 429,
                                "message": "the quota of this minute is used up",
                                "status": "RESOURCE_EXHAUSTED",
                                "details": [{"@type": "RetryInfo", "retryDelay": "0.005s"}],
                            }
                        }
                    ],
                ),
                "rate_limit",
                "of this minute",
            ),
            Fault(
                "overloaded",
                _error(503, [{"error": {"code": 503, "message": "too much demand", "status": "UNAVAILABLE"}}]),
                "server",
                "too much demand",
            ),
            Fault(
                "overflow",
                _error(400, [{"error": {"code": 400, "message": "the input tokens exceed 1048576", "status": "X"}}]),
                "bad_request",
                "1048576",
                is_retried=False,
            ),
            Fault("safety", Reply("", finish_reason="SAFETY"), "bad_response", "SAFETY", is_retried=False),
        ),
        broken=_half({"error": {"code": 503, "message": "too much demand", "status": "UNAVAILABLE"}}),
        no_tuning=Reply(
            raw_body="<html><title>Error 404 (Not Found)</title></html>",
            status=404,
            headers={"Content-Type": "text/html"},
        ),
    ),
    "Anthropic": Dialect(
        {"hidden": _hidden(_usage())},
        UNDIVIDED,
        (
            Fault(
                "overloaded",
                _error(529, {"type": "error", "error": {"type": "overloaded_error", "message": "Too busy"}}),
                "server",
                "Too busy",
            ),
            Fault(
                "rate limit",
                _error(
                    429,
                    {"type": "error", "error": {"type": "rate_limit_error", "message": "above your limit"}},
                    {"retry-after": "0.005"},
                ),
                "rate_limit",
                "above your limit",
            ),
            Fault(
                "overflow",
                _error(
                    400,
                    {
                        "type": "error",
                        "error": {"type": "invalid_request_error", "message": "prompt is too long: 9000"},
                    },
                ),
                "bad_request",
                "9000",
                is_retried=False,
            ),
            Fault("refusal", Reply("", finish_reason="refusal"), "bad_response", "refusal", is_retried=False),
        ),
        {"temperature": _error(400, {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}})},
        _half({"type": "error", "error": {"type": "overloaded_error", "message": "Too busy"}}),
        no_tuning=_error(404, {"type": "error", "error": {"type": "not_found_error", "message": "no such path"}}),
    ),
    "xAI": Dialect(
        {
            "reasoning_content": _beside(
                "reasoning_content",
                usage=_usage(TEXT_TOKENS, total_tokens=PROMPT_TOKENS + TEXT_TOKENS + THINKING_TOKENS, **REASONED),
            )
        },
        ALL,
        (
            Fault(
                "rate limit",
                _error(429, {"code": "resource exhausted", "error": "too many requests for your team"}),
                "rate_limit",
                "for your team",
            ),
            Fault("failure", _error(502, {"code": "bad gateway", "error": "no model"}), "server", "no model"),
        ),
        broken=_half({"code": "unavailable", "error": "the service is gone"}),
        no_tuning=_error(405, {"code": "method not allowed", "error": "not with this path"}),
    ),
    "DeepSeek": Dialect(
        {
            "reasoning_content": _beside(
                "reasoning_content", usage=_usage(prompt_cache_hit_tokens=0, prompt_cache_miss_tokens=400, **REASONED)
            )
        },
        ALL,
        (
            Fault(
                "no resources",
                Reply("half an", finish_reason="insufficient_system_resource"),
                "server",
                "insufficient_system_resource",
            ),
            Fault(
                "no credit",
                _error(402, _openai_error("balance is zero", "unknown_error", code="invalid_request_error")),
                "rate_limit",
                "balance is zero",
                is_retried=False,
            ),
        ),
        {"response_format": _refusal("That type is unavailable now")},
        _half(_openai_error("overloaded", "service_unavailable_error")),
        no_tuning=_error(404, {"error_msg": "Not Found. Please check the path"}),
    ),
    "Mistral": Dialect(
        {"parts": _parts(_usage())},
        UNDIVIDED,
        (
            Fault(
                "rate limit",
                _error(429, {"object": "error", "message": "Requests rate limit exceeded", "type": "rate_limited"}),
                "rate_limit",
                "rate limit exceeded",
            ),
            Fault(
                "overflow",
                _error(400, {"object": "error", "message": OVERFLOW, "type": "invalid_request_error", "code": "3051"}),
                "bad_request",
                "9000 tokens",
                is_retried=False,
            ),
            Fault("model_length", Reply("", finish_reason="model_length"), "bad_response", "limit", is_retried=False),
        ),
        {
            "stream_options": _error(
                422,
                {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "not permitted"}]},
            )
        },
        _half({"object": "error", "message": "service unavailable", "type": "internal_server_error", "code": "3000"}),
    ),
    "OpenRouter": Dialect(
        {"reasoning": _details(_usage(**REASONED))},
        ALL,
        (
            Fault(
                "rate limit in a 200",
                _told({"error": {"code": 429, "message": "Provider returned error", "metadata": {"raw": "slow down"}}}),
                "rate_limit",
                "slow down",
            ),
            Fault(
                "failure beside a choice",
                _told(
                    {
                        "error": {"code": 502, "message": "upstream is down"},
                        "choices": [{"delta": {"content": ""}, "finish_reason": "error"}],
                    }
                ),
                "server",
                "upstream is down",
            ),
            Fault(
                "failure in a choice",
                _told(
                    {"choices": [{"error": {"code": 502, "message": "upstream is down"}, "message": {"content": "h"}}]}
                ),
                "server",
                "upstream is down",
            ),
            Fault("finish reason", Reply("half an", finish_reason="error"), "server", "error"),
        ),
        {"response_format": _error(404, {"error": {"code": 404, "message": "No endpoints can do that"}})},
        _half(
            {
                "error": {"code": 429, "message": "slow down"},
                "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
            }
        ),
        no_tuning=Reply(raw_body="<!DOCTYPE html><title>A page</title>", headers={"Content-Type": "text/html"}),
    ),
    "Groq": Dialect(
        {
            "reasoning": lambda text, thought: Reply(
                text, message={"reasoning": thought}, usage={}, body={"x_groq": {"usage": _usage(**REASONED)}}
            ),
            "tags": _around("<think>\n", "\n</think>\n", {}, {"x_groq": {"usage": _usage(**REASONED)}}),
        },
        ALL,
        (
            Fault(
                "rate limit",
                _error(
                    429, _openai_error("Limit 6000. Please try again in 0.005s.", "tokens", code="rate_limit_exceeded")
                ),
                "rate_limit",
                "Limit 6000",
            ),
            Fault("no capacity", _error(498, _openai_error("no capacity", "capacity")), "server", "no capacity"),
            Fault(
                "too large",
                _error(413, _openai_error("Request too large", "tokens", code="rate_limit_exceeded")),
                "bad_request",
                "too large",
                is_retried=False,
            ),
        ),
        {"response_format": _refusal("This model does not support response format `json_schema`")},
        _half(_openai_error("Failed to generate JSON", "invalid_request_error", code="json_validate_failed")),
        no_tuning=_error(
            404,
            _openai_error("Unknown request URL: GET /v1/fine_tuning/jobs", "invalid_request_error", code="unknown_url"),
        ),
    ),
    "Together": Dialect(
        {
            "tags": _around("<think>\n", "\n</think>\n\n", _usage()),
            "reasoning": _beside("reasoning", usage=_usage()),
        },
        UNDIVIDED,
        (
            Fault(
                "rate limit",
                _error(429, _openai_error("too fast", "rate_limit", code="rate_limit"), {"retry-after": "0.005"}),
                "rate_limit",
                "too fast",
            ),
            Fault(
                "overloaded", _error(503, _openai_error("overloaded", "service_unavailable")), "server", "overloaded"
            ),
            Fault(
                "overflow",
                _error(422, _openai_error("inputs tokens + max_new_tokens must be <= 4096 of context", "validation")),
                "bad_request",
                "4096",
                is_retried=False,
            ),
        ),
        {"response_format": _error(400, _openai_error("model cannot do it", "invalid_request_error"))},
        _half(_openai_error("stopped", "server_error")),
        "deepseek-ai/DeepSeek-R1",
    ),
}
