"""Test the hosted generator over real HTTP: usage, retries, and every kind of error."""

import asyncio
import json
import random
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from groundtune.errors import ProviderError, UsageError
from groundtune.models import connection
from groundtune.models.connection import SHOWN_MODELS, server_at
from groundtune.models.hosted_generator import HostedGenerator
from groundtune.models.prices import TokenPrices
from groundtune.models.repetition import REPETITION
from groundtune.protocols import Generator, StreamingGenerator
from groundtune.testing.scripted_server import Reply, Script, ScriptedServer
from groundtune.types import Generation, Message, Prompt

PROMPT = Prompt("two words", messages=(Message("system", "be brief"), Message("user", "two words")))
DEAD = "http://127.0.0.1:9/v1"


@asynccontextmanager
async def generator(base_url: str, **options: Any) -> AsyncIterator[HostedGenerator]:
    model = HostedGenerator("m", base_url=base_url, **{"backoff_seconds": 0.001, "timeout_seconds": 5.0, **options})
    try:
        yield model
    finally:
        await model.aclose()


async def failure(script: Script, *, models: list[str] | None = None, **options: Any) -> tuple[ProviderError, int]:
    """Return the error that this script leads to, and the number of requests sent."""
    with ScriptedServer(script, models=models) as server:
        async with generator(server.base_url, **options) as model:
            with pytest.raises(ProviderError) as caught:
                await model.generate(PROMPT)
        assert "m at http://127.0.0.1:" in caught.value.message
        assert caught.value.hint
        return caught.value, len(server.posts())


async def test_text_and_usage_are_as_reported() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 60}}
    with ScriptedServer(Reply("an answer", usage=usage, delay_seconds=0.05)) as server:
        prices = TokenPrices(
            base_url=server.base_url,
            overrides={"m": {"input_per_million": 10, "cached_per_million": 1, "output_per_million": 100}},
        )
        async with generator(server.base_url, prices=prices, max_output_tokens=9) as model:
            assert isinstance(model, Generator)
            assert isinstance(model, StreamingGenerator)
            generation = await model.generate(PROMPT)
        sent = server.posts()[0]
    assert generation.text == "an answer"
    assert (generation.usage.input_tokens, generation.usage.cached_tokens, generation.usage.output_tokens) == (
        100,
        60,
        5,
    )
    assert generation.usage.seconds is not None
    assert 0.05 <= generation.usage.seconds < 30
    assert generation.usage.usd == pytest.approx((40 * 10 + 60 * 1 + 5 * 100) / 1e6)
    assert sent["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "two words"}]
    assert (sent["temperature"], sent["max_tokens"], sent["model"]) == (0.0, 9, "m")


@pytest.mark.parametrize("usage", [{}, {"prompt_tokens": None, "prompt_tokens_details": None}, {"prompt_tokens": "7"}])
async def test_usage_that_is_not_reported_is_unknown(usage: dict[str, Any]) -> None:
    with ScriptedServer(Reply("x", usage=usage)) as server:
        prices = TokenPrices(
            base_url=server.base_url, overrides={"m": {"input_per_million": 1, "output_per_million": 1}}
        )
        async with generator(server.base_url, prices=prices) as model:
            generation = await model.generate(Prompt("a question without messages"))
        assert server.posts()[0]["messages"] == [{"role": "user", "content": "a question without messages"}]
    assert (generation.usage.input_tokens, generation.usage.cached_tokens, generation.usage.usd) == (None, None, None)
    assert generation.usage.seconds is not None


async def test_the_price_is_unknown_without_prices() -> None:
    with ScriptedServer() as server:
        async with generator(server.base_url) as model:
            usage = (await model.generate(PROMPT)).usage
    assert (usage.usd, usage.cached_tokens, usage.output_tokens) == (None, None, 2)


async def test_text_in_parts_is_read() -> None:
    body = {"choices": [{"message": {"content": [{"type": "thinking"}, {"type": "text", "text": "42"}]}}]}
    with ScriptedServer(Reply(raw_body=json.dumps(body))) as server:
        async with generator(server.base_url) as model:
            assert (await model.generate(PROMPT)).text == "42"


@pytest.mark.parametrize("status", [408, 429, 500, 503, 529])
async def test_retryable_errors_are_retried(status: int) -> None:
    with ScriptedServer([Reply(status=status), Reply(status=status), Reply("there")]) as server:
        async with generator(server.base_url, retries=2) as model:
            assert (await model.generate(PROMPT)).text == "there"
        assert len(server.posts()) == 3
        assert {request.headers["x-stainless-retry-count"] for request in server.requests} == {"0"}


@pytest.mark.parametrize(
    ("reply", "kind", "tries"),
    [
        (Reply("slow down", status=429), "rate_limit", 4),
        (Reply("overloaded", status=503), "server", 4),
        (Reply("later", status=408), "timeout", 4),
        (Reply("Request rate limit exceeded", status=400), "rate_limit", 4),
        (Reply("Quota exceeded for this minute", status=403), "rate_limit", 4),
        (Reply("slow down", status=500, code="rate_limit_exceeded"), "rate_limit", 4),
        (Reply("no credit", status=429, code="insufficient_quota"), "rate_limit", 1),
        (Reply("pay", status=402), "rate_limit", 1),
        (Reply("too many messages", status=400), "bad_request", 2),  # also without the temperature
        (Reply("maximum context length is 10 tokens", status=400), "bad_request", 1),
        (Reply("not for you", status=403), "bad_key", 1),
        (Reply(raw_body="", status=500), "server", 4),
        (Reply(raw_body='{"detail": "wrong"}', status=422), "bad_request", 2),
        (Reply(status=307, headers={"Location": "https://elsewhere.example/v1"}), "bad_request", 1),
    ],
)
async def test_each_status_maps_to_its_kind_of_error(reply: Reply, kind: str, tries: int) -> None:
    error, sent = await failure(reply)
    assert (error.kind, sent) == (kind, tries)
    assert error.retryable is (tries > 2)
    if reply.raw_body is None and reply.status != 307:
        assert reply.text in error.message


async def test_hints_say_how_to_fix_it() -> None:
    hints = {
        "larger context window": Reply("maximum context length is 10 tokens", status=400),
        "https://elsewhere.example/v1": Reply(status=307, headers={"Location": "https://elsewhere.example/v1"}),
        "no credit left": Reply("over", status=429, code="insufficient_quota"),
        "concurrency (now 8)": Reply(status=429),
    }
    for hint, reply in hints.items():
        error, _ = await failure(reply, retries=0)
        assert error.hint is not None
        assert hint in error.hint


@pytest.mark.parametrize(
    ("reply", "message", "hint"),
    [
        (Reply(raw_body="<html>hello</html>"), "not JSON: '<html>hello", "/v1"),
        (Reply(raw_body='{"choices": []}'), "no choices", "/v1"),
        (Reply(raw_body='{"choices": [{"message": null}]}'), "no choices", "/v1"),
        (Reply(raw_body="[1]"), "no choices", "/v1"),
        (Reply(" \n"), "empty", "try again"),
        (Reply("", finish_reason="length"), "output token limit", "max_output_tokens"),
        (Reply("", finish_reason="content_filter"), "refused", "rephrase"),
        (
            Reply(raw_body='{"choices": [{"message": {"content": null, "refusal": "No."}}]}'),
            "refused: No.",
            "rephrase",
        ),
    ],
)
async def test_answers_that_cannot_be_used_are_bad_responses(reply: Reply, message: str, hint: str) -> None:
    error, sent = await failure(reply)
    assert (error.kind, sent, error.retryable) == ("bad_response", 1, False)
    assert message in error.message
    assert error.hint is not None
    assert hint in error.hint


async def test_an_incomplete_body_is_retried() -> None:
    cut = Reply("a long answer", broken_stream_after=20)
    error, sent = await failure(cut, retries=1)
    assert (error.kind, error.retryable, sent) == ("bad_response", True, 2)
    with ScriptedServer([cut, Reply("whole")]) as server:
        async with generator(server.base_url) as model:
            assert (await model.generate(PROMPT)).text == "whole"


@pytest.mark.slow
async def test_a_stall_ends_at_the_timeout() -> None:
    begin = time.perf_counter()
    error, sent = await failure(Reply(stall=True), timeout_seconds=0.6, retries=1)
    assert (error.kind, error.retryable, sent) == ("timeout", True, 2)
    assert "within 0.6 s" in error.message
    assert 1.2 <= time.perf_counter() - begin < 60


async def test_slow_bytes_do_not_extend_the_timeout() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1")
    base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    begin = time.perf_counter()
    async with generator(base_url, timeout_seconds=0.2, retries=0) as model:
        with pytest.raises(ProviderError) as caught:
            await model.generate(PROMPT)
    server.close()
    assert caught.value.kind == "timeout"
    assert time.perf_counter() - begin < 60


async def test_retry_after_is_respected() -> None:
    for headers in ({"Retry-After": "0.3"}, {"retry-after-ms": "300"}):
        with ScriptedServer([Reply(status=429, headers=headers), Reply("there")]) as server:
            async with generator(server.base_url) as model:
                generation = await model.generate(PROMPT)
        assert generation.usage.seconds is not None
        assert 0.3 <= generation.usage.seconds < 30


async def test_a_pause_that_is_too_long_is_not_waited_for() -> None:
    error, sent = await failure(Reply(status=429, headers={"Retry-After": "3600"}))
    assert (error.kind, error.retryable, sent) == ("rate_limit", True, 1)


@pytest.mark.parametrize("value", ["soon", "nan", "-5", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 99 Oct"])
async def test_an_invalid_retry_after_is_ignored(value: str) -> None:
    with ScriptedServer([Reply(status=503, headers={"Retry-After": value}), Reply("there")]) as server:
        async with generator(server.base_url) as model:
            assert (await model.generate(PROMPT)).text == "there"


async def test_pauses_double_and_are_random(monkeypatch: pytest.MonkeyPatch) -> None:
    ceilings: list[float] = []
    monkeypatch.setattr(random, "uniform", lambda low, high: ceilings.append(high) or 0.0)
    await failure(Reply(status=500), backoff_seconds=8.0)
    assert ceilings == [8.0, 16.0, 20.0]


@pytest.mark.parametrize(
    ("port", "hint"), [(11434, "ollama serve"), (8000, "vLLM"), (8080, "llama-server"), (9, "running on 127.0.0.1:9")]
)
async def test_no_server(port: int, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = server_at(f"http://localhost:{port}/v1")  # the real port may be in use on the test machine
    monkeypatch.setattr(connection, "server_at", lambda base_url: server)
    async with generator(DEAD, retries=1) as model:
        with pytest.raises(ProviderError, match=f"m at {DEAD} cannot be reached") as caught:
            await model.generate(PROMPT)
    assert (caught.value.kind, caught.value.exit_code) == ("no_server", 4)
    assert caught.value.hint is not None
    assert hint in caught.value.hint


async def test_a_host_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_name(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    async with generator("http://user:sk-1@llm.invalid/v1", retries=0) as model:
        with pytest.raises(ProviderError, match=r"m at http://llm\.invalid/v1 cannot be reached") as caught:
            await model.generate(PROMPT)
    assert caught.value.kind == "no_server"
    assert caught.value.hint is not None
    assert "can reach llm.invalid" in caught.value.hint


async def test_a_bad_key_names_the_variable_and_is_never_shown() -> None:
    echo = Reply("you sent Bearer sk-secret", status=401)
    error, sent = await failure(echo, api_key="sk-secret\n", api_key_env="ACME_KEY")
    assert (error.kind, sent) == ("bad_key", 1)
    assert error.hint is not None
    assert "ACME_KEY" in error.hint
    assert "sk-secret" not in error.message
    with ScriptedServer(api_key="right") as server:
        async with generator(server.base_url) as model:
            with pytest.raises(ProviderError, match="no key was given"):
                await model.generate(PROMPT)
        async with generator(server.base_url, api_key="sk-\u00e4\n\u2014") as model:
            with pytest.raises(ProviderError) as caught:
                await model.generate(PROMPT)
        assert caught.value.kind == "bad_key"
        assert len(server.posts()) == 1
        async with generator(server.base_url, api_key=" right\n") as model:
            assert (await model.generate(PROMPT)).text == "scripted answer"


async def test_keys_of_the_environment_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", "private")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer private\nX-Key: private")
    monkeypatch.setenv("HTTP_PROXY", DEAD)
    with ScriptedServer() as server:
        async with generator(server.base_url) as model:
            await model.generate(PROMPT)
        assert "private" not in str(server.requests[0].headers)
        assert server.requests[0].headers["authorization"] == "Bearer no-key"


async def test_an_unknown_model_lists_the_available_ones() -> None:
    offered = [f"other-{n}" for n in range(10)] + ["m2"]
    error, sent = await failure(Reply(), models=offered)
    assert (error.kind, sent) == ("unknown_model", 1)
    assert error.hint is not None
    assert error.hint.startswith("it offers m2, other-")
    assert error.hint.count(",") == SHOWN_MODELS - 1
    assert error.hint.endswith("and 3 more")


async def test_an_unknown_model_is_recognized_by_its_message() -> None:
    for text in ("model 'm' not found, try pulling it first", "Invalid model: m"):
        error, _ = await failure(lambda body, text=text: Reply(raw_body=json.dumps({"error": text}), status=400))
        assert error.kind == "unknown_model"


async def test_a_wrong_path_is_not_an_unknown_model() -> None:
    with ScriptedServer() as server:
        async with generator(server.base_url.removesuffix("/v1")) as model:
            with pytest.raises(ProviderError) as caught:
                await model.generate(PROMPT)
    assert caught.value.kind == "bad_request"
    assert caught.value.hint is not None
    assert "/v1" in caught.value.hint


def reasoning_model(body: dict[str, Any]) -> Reply:
    if "temperature" in body:
        return Reply("Unsupported value: 'temperature' does not support 0.0 with this model.", status=400)
    if "max_tokens" in body:
        return Reply("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", status=400)
    return Reply("thought")


async def test_a_refused_temperature_is_omitted_from_then_on() -> None:
    with ScriptedServer(reasoning_model) as server:
        async with generator(server.base_url, max_output_tokens=50) as model:
            for _ in range(2):
                assert (await model.generate(PROMPT)).text == "thought"
            assert [piece async for piece in model.stream(PROMPT) if isinstance(piece, str)] == ["thought"]
        sent = server.posts()
    assert ["temperature" in body for body in sent] == [True, False, False, False, False]
    assert [body.get("max_completion_tokens") for body in sent] == [None, None, 50, 50, 50]


async def test_a_refusal_for_another_reason_is_not_retried_forever() -> None:
    error, sent = await failure(Reply("the temperature of the oven is no topic", status=400))
    assert (error.kind, sent) == ("bad_request", 2)


async def test_concurrency_is_bounded() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def reply(body: dict[str, Any]) -> Reply:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        return Reply("x")

    with ScriptedServer(reply) as server:
        async with generator(server.base_url, concurrency=3) as model:
            await asyncio.gather(*(model.generate(PROMPT) for _ in range(12)))
        assert len(server.posts()) == 12
    assert most <= 3


def test_event_loops_one_after_the_other_but_not_two_at_once() -> None:
    with ScriptedServer() as server:
        model = HostedGenerator("m", base_url=server.base_url)
        for _ in range(2):
            assert asyncio.run(model.generate(PROMPT)).text == "scripted answer"

        async def elsewhere() -> None:
            await model.generate(PROMPT)
            with pytest.raises(UsageError, match="one event loop"):
                await asyncio.to_thread(asyncio.run, model.generate(PROMPT))
            await model.aclose()

        asyncio.run(elsewhere())


@pytest.mark.parametrize("base_url", ["localhost:11434/v1", "", "ftp://x/v1"])
def test_an_invalid_base_url(base_url: str) -> None:
    with pytest.raises(UsageError, match="base_url"):
        HostedGenerator("m", base_url=base_url)


LOOP = "The fee is 40 euros. " + "It is paid once a year. " * 20 + "It is pa"


async def test_a_text_that_was_cut_off_in_a_loop_ends_after_its_first_cycle() -> None:
    with ScriptedServer(Reply(LOOP, finish_reason="length")) as server:
        async with generator(server.base_url, max_output_tokens=40) as model:
            generation = await model.generate(PROMPT)
            streamed = [piece async for piece in model.stream(PROMPT)]
    assert (generation.text.rstrip(), generation.cut) == ("The fee is 40 euros. It is paid once a year.", REPETITION)
    assert isinstance(streamed[-1], Generation)
    assert (streamed[-1].text, streamed[-1].cut) == (generation.text, REPETITION)


async def test_a_text_that_repeats_itself_and_ends_is_whole() -> None:
    with ScriptedServer(Reply(LOOP)) as server:
        async with generator(server.base_url, max_output_tokens=40) as model:
            generation = await model.generate(PROMPT)
    assert (generation.text, generation.cut) == (LOOP, None)


async def test_a_truncated_answer_says_so() -> None:
    usage = {"prompt_tokens": 60, "completion_tokens": 40}
    with ScriptedServer(Reply("half an", finish_reason="length", usage=usage)) as server:
        async with generator(server.base_url, max_output_tokens=40, window=100) as model:
            generation = await model.generate(PROMPT)
            assert (generation.text, generation.cut) == ("half an", "max_output_tokens")
        async with generator(server.base_url, max_output_tokens=80, window=100) as model:
            assert (await model.generate(PROMPT)).cut == "window"


async def test_thinking_is_kept_apart() -> None:
    with ScriptedServer(Reply("<think>Hm.</think>14 days", message={"reasoning_content": "Well."})) as server:
        async with generator(server.base_url) as model:
            generation = await model.generate(PROMPT)
    assert (generation.text, generation.reasoning) == ("14 days", "Well.\n\nHm.")


@pytest.mark.parametrize(
    ("reply", "message", "hint"),
    [
        (Reply("<think>Hm", finish_reason="length"), "all output tokens were used for thinking", "max_output_tokens"),
        (Reply("", finish_reason="length", message={"reasoning": "Hm"}), "output token limit", "max_output_tokens"),
        (Reply("", message={"reasoning": "It is 14."}), "only thinking: 'It is 14.'", "reasoning parser"),
        (Reply("<think>Hm."), "only thinking", "reasoning parser"),
        (Reply("half an ans", finish_reason="content_filter"), "refused: content filter", "rephrase"),
        (Reply("", message={"content": [{"type": "refusal", "refusal": "No."}]}), "refused: No.", "rephrase"),
        (Reply("14 days", finish_reason="gave_up"), "unknown reason, 'gave_up', after: '14 days'", "try again"),
        (
            Reply("", finish_reason="tool_calls", message={"tool_calls": [{"function": {"name": "search"}}]}),
            "called a tool, search",
            "no tools were offered",
        ),
        (Reply(raw_body='{"models": ["a"]}'), 'no choices: {"models": ["a"]}', "/v1"),
    ],
)
async def test_replies_that_are_no_answer(reply: Reply, message: str, hint: str) -> None:
    error, sent = await failure(reply)
    assert (error.kind, sent, error.retryable) == ("bad_response", 1, False)
    assert message in error.message
    assert hint in (error.hint or "")


LONG = Prompt("q", messages=(Message("user", "The chain is oiled by hand. " * 2000),))
READ_IN_PART = {"prompt_tokens": 4096, "completion_tokens": 2, "total_tokens": 4098}


@pytest.mark.parametrize(
    ("body", "setting"),
    [
        ({"system_fingerprint": "fp_ollama"}, "(set num_ctx for the model, or OLLAMA_CONTEXT_LENGTH"),
        ({}, "(Ollama: set"),
    ],
)
async def test_a_prompt_that_was_cut_without_a_word(body: dict[str, Any], setting: str) -> None:
    prices = {"m": {"input_per_million": 1, "output_per_million": 1}}
    with ScriptedServer(Reply("14 days", usage=READ_IN_PART, body=body)) as server:
        async with generator(server.base_url, prices=TokenPrices(base_url="", overrides=prices)) as model:
            generation = await model.generate(LONG)
    (warning,) = generation.warnings
    assert "counted 4,096 prompt tokens, but at least 9,000 were sent" in warning
    assert setting in warning
    assert (generation.usage.input_tokens, generation.usage.usd) == (4096, None)


@pytest.mark.parametrize(
    ("body", "warned"),
    [
        ({"system_fingerprint": "b6123-9f86d08", "model": "/x/qwen3-4b.gguf"}, True),
        ({"system_fingerprint": "b6123-9f86d08", "model": "/x/M.gguf"}, False),
        ({"system_fingerprint": "b6123-9f86d08", "model": ""}, False),
        ({"system_fingerprint": "fp_1", "model": "qwen3-4b-2026-01-01"}, False),
    ],
)
async def test_a_server_that_answers_to_any_name_is_logged_once(
    body: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptedServer([Reply("14 days", body=body)] * 2) as server:
        async with generator(server.base_url) as model:
            for _ in range(2):
                await model.generate(Prompt("q"))
    warning = "m: llama.cpp answers to any name: the model behind it is /x/qwen3-4b.gguf"
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [warning] * warned


async def test_a_model_that_is_free_by_its_price_is_free_without_counts() -> None:
    free = {"m": {"input_per_million": 0, "output_per_million": 0}}
    with ScriptedServer(Reply("14 days", usage={})) as server:
        async with generator(server.base_url, prices=TokenPrices(base_url="", overrides=free)) as model:
            assert (await model.generate(PROMPT)).usage.usd == 0.0
        async with generator(server.base_url, prices=TokenPrices(base_url=server.base_url)) as model:
            assert (await model.generate(PROMPT)).usage.usd is None


async def test_without_a_limit_on_output_the_ceiling_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    def reply(body: dict[str, Any]) -> Reply:
        return Reply("no", status=400) if {"max_tokens", "max_completion_tokens"} & body.keys() else Reply("there")

    with ScriptedServer(reply) as server:
        free = TokenPrices(base_url="", overrides={"m": {"input_per_million": 1, "output_per_million": 1}})
        async with generator(server.base_url, prices=free, max_output_tokens=9) as model:
            assert model.ceiling_usd(PROMPT) is not None
            await model.generate(PROMPT)
            assert model.ceiling_usd(PROMPT) is None
    assert "takes no limit on output tokens" in caplog.text
