"""Test streams of the hosted generator over real HTTP: pieces, usage, and every way a stream can break."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from groundtune.errors import ProviderError
from groundtune.models.hosted_generator import HostedGenerator
from groundtune.models.prices import TokenPrices
from groundtune.testing.scripted_server import Reply, Script, ScriptedServer
from groundtune.types import Generation, Prompt

PROMPT = Prompt("two words")


@asynccontextmanager
async def generator(base_url: str, **options: Any) -> AsyncIterator[HostedGenerator]:
    model = HostedGenerator("m", base_url=base_url, **{"backoff_seconds": 0.001, "timeout_seconds": 5.0, **options})
    try:
        yield model
    finally:
        await model.aclose()


async def collect(model: HostedGenerator, pieces: list[str]) -> Generation:
    """Collect the pieces, and return the generation, which comes last."""
    last: str | Generation = ""
    async for last in model.stream(PROMPT):
        if isinstance(last, str):
            pieces.append(last)
    assert isinstance(last, Generation)
    return last


async def test_a_stream_gives_pieces_and_the_generation() -> None:
    pieces: list[str] = []
    prices = TokenPrices(
        base_url="https://example.com", overrides={"m": {"input_per_million": 1.0, "output_per_million": 10.0}}
    )
    with ScriptedServer(Reply("one two three", usage={"prompt_tokens": 4, "completion_tokens": 3})) as server:
        async with generator(server.base_url, prices=prices) as model:
            streamed = await collect(model, pieces)
            whole = await model.generate(PROMPT)
        assert server.posts()[0]["stream_options"] == {"include_usage": True}
    assert pieces == ["one ", "two ", "three"]
    assert streamed.usage.seconds is not None
    assert replace(streamed, usage=replace(streamed.usage, seconds=whole.usage.seconds)) == whole
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (4, 3)
    assert whole.usage.usd == pytest.approx(34e-6)


def streamless(body: dict[str, Any]) -> Reply:
    return Reply("Streaming is not supported.", status=400) if "stream" in body else Reply("one two")


@pytest.mark.parametrize(("script", "calls"), [(Reply("one two", no_stream=True), 2), (streamless, 3)])
async def test_a_server_that_cannot_stream_gives_the_whole_text(script: Script, calls: int) -> None:
    with ScriptedServer(script) as server:
        async with generator(server.base_url) as model:
            for _ in range(2):
                pieces: list[str] = []
                assert (await collect(model, pieces)).usage.output_tokens == 2
                assert pieces == ["one two"]
        assert len(server.posts()) == calls
    if calls == 3:
        assert "stream_options" not in server.posts()[-1]


@pytest.mark.parametrize("write_bytes", [1, 2, 3, 7])
async def test_events_and_characters_may_arrive_in_parts(write_bytes: int) -> None:
    text, pieces = "30 Tage – „gewiß“ 😀 [1].", list[str]()
    reply = Reply(text, pieces=[text[:9], text[9:20], text[20:21], text[21:]], write_bytes=write_bytes)
    with ScriptedServer(reply) as server:
        async with generator(server.base_url) as model:
            assert (await collect(model, pieces)).text == text
    assert pieces == list(reply.pieces or ())


async def test_leaving_a_stream_closes_the_connection() -> None:
    with ScriptedServer(Reply(pieces=["a "] * 400, piece_seconds=0.01)) as server:
        async with generator(server.base_url) as model:
            async with aclosing(model.stream(PROMPT)) as stream:
                assert await anext(stream) == "a "
            async with asyncio.timeout(10):
                while not server.hang_ups:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("after", "kept", "tries"), [(2, ["one ", "two "], 1), (3, ["one ", "two ", "three"], 1), (0, [], 4)]
)
async def test_a_stream_that_breaks_is_a_bad_response(after: int, kept: list[str], tries: int) -> None:
    pieces: list[str] = []
    with ScriptedServer(Reply("one two three", broken_stream_after=after)) as server:
        async with generator(server.base_url) as model:
            with pytest.raises(ProviderError, match="broke") as caught:
                await collect(model, pieces)
        assert len(server.posts()) == tries, "only what fails before the first text is tried again"
    assert pieces == kept
    assert (caught.value.kind, caught.value.retryable) == ("bad_response", True)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ('data: {"choices": [{"delta": {"content": "x"}}]}\n\n', "ended before"),
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
    pieces: list[str] = []
    with ScriptedServer([Reply(status=500), Reply("there")]) as server:
        async with generator(server.base_url) as model:
            await collect(model, pieces)
    assert pieces == ["there"]


async def test_an_abandoned_stream_returns_its_slot() -> None:
    with ScriptedServer(Reply("one two three")) as server:
        async with generator(server.base_url, concurrency=1) as model:
            async with aclosing(model.stream(PROMPT)) as stream:
                assert await anext(stream) == "one "
            assert (await model.generate(PROMPT)).text == "one two three"


THOUGHT = Reply("Could be 30, could be 14.\n</think>\n\n14 days [1].")


async def test_a_thought_without_opening_mark_is_held_back_for_models_known_for_it() -> None:
    pieces: list[str] = []
    with ScriptedServer(THOUGHT) as server:
        model = HostedGenerator("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", base_url=server.base_url)
        last = await collect(model, pieces)
        await model.aclose()
    assert (pieces, last.text) == (["14 ", "days ", "[1]."], "14 days [1].")
    assert last.reasoning == "Could be 30, could be 14."


@pytest.mark.parametrize("first", ["stream", "whole"])
async def test_a_model_found_to_think_without_opening_mark_is_held_back_from_then_on(first: str) -> None:
    pieces: list[str] = []
    with ScriptedServer(THOUGHT) as server:
        async with generator(server.base_url) as model:
            if first == "whole":
                assert (await model.generate(PROMPT)).text == "14 days [1]."
            else:
                thought: list[str] = []
                last = await collect(model, thought)
                assert (last.text, last.reasoning) == ("14 days [1].", "Could be 30, could be 14.")
                assert "".join(thought).strip() == "Could be 30, could be 14."
            await collect(model, pieces)
    assert "".join(pieces) == "14 days [1]."


async def test_a_stream_that_begins_as_thoughts_do_is_held_back() -> None:
    pieces: list[str] = []
    with ScriptedServer(Reply("Okay, the user asks how long.\n</think>\n14 days")) as server:
        async with generator(server.base_url) as model:
            await collect(model, pieces)
    assert "".join(pieces) == "14 days"


async def test_a_stream_that_fails_before_its_text_is_tried_again() -> None:
    empty = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
    error = {"error": {"code": 429, "message": "slow down"}}
    pieces: list[str] = []
    with ScriptedServer([Reply(events=[empty, error]), Reply("there")]) as server:
        async with generator(server.base_url) as model:
            await collect(model, pieces)
        assert len(server.posts()) == 2
    assert pieces == ["there"]


async def test_a_thought_without_any_mark_that_is_cut_is_no_answer() -> None:
    cut = Reply("Okay, the user asks how long. Let me", finish_reason="length")
    with ScriptedServer(cut) as server:
        model = HostedGenerator("qwq-32b", base_url=server.base_url)
        pieces: list[str] = []
        with pytest.raises(ProviderError, match="all output tokens were used for thinking"):
            await collect(model, pieces)
        await model.aclose()
    assert pieces == [], "nothing of it is released"
    with ScriptedServer([THOUGHT, Reply("Could be 30, could be", finish_reason="length")]) as server:
        async with generator(server.base_url) as model:
            assert (await model.generate(PROMPT)).reasoning
            with pytest.raises(ProviderError, match="all output tokens were used for thinking"):
                await model.generate(PROMPT)
