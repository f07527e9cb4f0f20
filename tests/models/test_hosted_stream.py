"""Test streams of the hosted generator over real HTTP: pieces, usage, and every way a stream can break."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from groundtune.errors import ProviderError
from groundtune.models.hosted_generator import HostedGenerator
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.types import Prompt, Usage

PROMPT = Prompt("two words")


@asynccontextmanager
async def generator(base_url: str, **options: Any) -> AsyncIterator[HostedGenerator]:
    model = HostedGenerator("m", base_url=base_url, **{"backoff_seconds": 0.001, "timeout_seconds": 5.0, **options})
    try:
        yield model
    finally:
        await model.aclose()


async def collect(model: HostedGenerator, pieces: list[str]) -> None:
    async for piece in model.stream(PROMPT):
        pieces.append(piece)


async def test_a_stream_gives_pieces_and_usage() -> None:
    seen: list[Usage] = []
    with ScriptedServer(Reply("one two three", usage={"prompt_tokens": 4, "completion_tokens": 3})) as server:
        async with generator(server.base_url) as model:
            pieces = [piece async for piece in model.stream(PROMPT, on_usage=seen.append)]
        assert server.posts()[0]["stream_options"] == {"include_usage": True}
    assert pieces == ["one ", "two ", "three"]
    assert [(usage.input_tokens, usage.output_tokens) for usage in seen] == [(4, 3)]


@pytest.mark.parametrize(("after", "kept"), [(2, ["one ", "two "]), (3, ["one ", "two ", "three"]), (0, [])])
async def test_a_stream_that_breaks_is_a_bad_response(after: int, kept: list[str]) -> None:
    pieces: list[str] = []
    with ScriptedServer(Reply("one two three", broken_stream_after=after)) as server:
        async with generator(server.base_url) as model:
            with pytest.raises(ProviderError, match="broke") as caught:
                await collect(model, pieces)
        assert len(server.posts()) == 1
    assert pieces == kept
    assert (caught.value.kind, caught.value.retryable) == ("bad_response", True)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ('data: {"choices": [{"delta": {"content": "x"}}]}\n\n', "ended before"),
        (
            'data: {"choices": [{"delta": {"content": "x"}}]}\n\ndata: {"error": {"message": "out of memory"}}\n\n',
            "memory",
        ),
        ("data: {nonsense\n\n", "broke"),
        ("", "ended before"),
        ('{"choices": [{"message": {"content": "not a stream"}}]}', "ended before"),
        ('data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n', "empty"),
    ],
)
async def test_an_invalid_stream_is_a_bad_response(events: str, message: str) -> None:
    with ScriptedServer(Reply(raw_body=events, headers={"Content-Type": "text/event-stream"})) as server:
        async with generator(server.base_url) as model:
            with pytest.raises(ProviderError, match=message) as caught:
                [piece async for piece in model.stream(PROMPT)]
    assert caught.value.kind == "bad_response"


@pytest.mark.slow
async def test_a_stream_that_stalls_is_a_timeout() -> None:
    pieces: list[str] = []
    with ScriptedServer(Reply("one two three", broken_stream_after=1, stall=True)) as server:
        async with generator(server.base_url, timeout_seconds=1.0) as model:
            with pytest.raises(ProviderError) as caught:
                await collect(model, pieces)
    assert (caught.value.kind, pieces) == ("timeout", ["one "])


async def test_the_opening_of_a_stream_is_retried() -> None:
    with ScriptedServer([Reply(status=500), Reply("there")]) as server:
        async with generator(server.base_url) as model:
            assert [piece async for piece in model.stream(PROMPT)] == ["there"]


async def test_an_abandoned_stream_returns_its_slot() -> None:
    with ScriptedServer(Reply("one two three")) as server:
        async with generator(server.base_url, concurrency=1) as model:
            stream = model.stream(PROMPT)
            assert await anext(stream) == "one "
            await stream.aclose()
            assert (await model.generate(PROMPT)).text == "one two three"
