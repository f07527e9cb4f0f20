"""Test streams through cache and budget: cached texts in one piece, one call for all, nothing paid goes missing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from groundtune.errors import BudgetError, ProviderError
from groundtune.models.budget import Budget
from groundtune.models.generation_cache import CachedGenerator
from groundtune.protocols import StreamingGenerator
from groundtune.testing.scripted_server import Reply
from groundtune.types import Generation, Prompt
from tests.models.test_generation_cache import cached

PROMPT = Prompt("two words")
SLOW = Reply("a b c", piece_seconds=0.02)


async def collect(stream: AsyncIterator[str | Generation]) -> tuple[list[str], Generation]:
    pieces = [piece async for piece in stream]
    assert isinstance(pieces[-1], Generation)
    return [piece for piece in pieces if isinstance(piece, str)], pieces[-1]


async def test_a_stream_is_cached_charged_and_then_comes_in_one_piece(tmp_path: Path) -> None:
    budget = Budget(1.0)
    async with cached(tmp_path / "c.sqlite", Reply("one two"), budget=budget) as (model, server):
        assert isinstance(model, StreamingGenerator)
        pieces, generation = await collect(model.stream(PROMPT))
        assert (pieces, generation.text, generation.cached) == (["one ", "two"], "one two", False)
        assert budget.known_spent_usd == generation.usage.usd
        pieces, again = await collect(model.stream(PROMPT))
        assert (pieces, again.text, again.cached, again.usage) == (["one two"], "one two", True, generation.usage)
        assert (await model.generate(PROMPT)).cached
        assert len(server.posts()) == 1


async def test_streams_and_calls_of_one_request_share_one_call(tmp_path: Path) -> None:
    async with cached(tmp_path / "c.sqlite", SLOW) as (model, server):
        async with aclosing(model.stream(PROMPT)) as first:
            assert await anext(first) == "a "
            (late, joined), whole = await asyncio.gather(collect(model.stream(PROMPT)), model.generate(PROMPT))
            rest, generation = await collect(first)
        assert len(server.posts()) == 1
    assert (rest, late) == (["b ", "c"], ["a b c"])
    assert sorted([generation.cached, joined.cached, whole.cached]) == [False, True, True]


async def test_a_stream_joins_a_call_in_progress(tmp_path: Path) -> None:
    async with cached(tmp_path / "c.sqlite", Reply("a b", delay_seconds=0.1)) as (model, server):
        call = asyncio.create_task(model.generate(PROMPT))
        while not model._flights:  # noqa: ASYNC110  nothing to await
            await asyncio.sleep(0.001)
        pieces, _ = await collect(model.stream(PROMPT))
        assert (pieces, (await call).text, len(server.posts())) == (["a b"], "a b", 1)


async def test_a_stream_left_by_all_is_closed_and_counts_as_billed(tmp_path: Path) -> None:
    budget = Budget(1.0)
    long = Reply(pieces=["a "] * 400, piece_seconds=0.01)
    async with cached(tmp_path / "c.sqlite", [long, Reply("new")], budget=budget) as (model, server):
        async with aclosing(model.stream(PROMPT)) as stream:
            assert await anext(stream) == "a "
        async with asyncio.timeout(10):
            while not server.hang_ups:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert budget.known_spent_usd == model.ceiling_usd(PROMPT)
        assert (await collect(model.stream(PROMPT)))[0] == ["new"]


async def test_a_broken_stream_is_raised_after_its_pieces_and_not_cached(tmp_path: Path) -> None:
    async with cached(tmp_path / "c.sqlite", [Reply("a b c", broken_stream_after=2), Reply("whole")]) as (model, _):
        pieces: list[str | Generation] = []
        with pytest.raises(ProviderError):
            pieces.extend([pieces.append(piece) or piece async for piece in model.stream(PROMPT)])
        assert pieces == ["a ", "b "]
        assert (await collect(model.stream(PROMPT)))[0] == ["whole"]


async def test_the_budget_is_checked_before_the_first_piece(tmp_path: Path) -> None:
    async with cached(tmp_path / "c.sqlite", budget=Budget(0.0)) as (model, server):
        with pytest.raises(BudgetError):
            await collect(model.stream(PROMPT))
        assert server.posts() == []


class Whole:
    """A cacheable generator that cannot stream."""

    name = "whole"

    def request(self, prompt: Prompt) -> dict[str, str]:
        return {"question": prompt.question}

    def ceiling_usd(self, prompt: Prompt) -> float:
        return 0.0

    async def generate(self, prompt: Prompt) -> Generation:
        return Generation("all at once", confidence=0.5)


async def test_a_generator_that_cannot_stream_gives_one_piece(tmp_path: Path) -> None:
    async with cached(tmp_path / "c.sqlite") as (other, _):
        model = CachedGenerator(Whole(), other._cache, budget=Budget())
        assert model.has_confidence
        pieces, generation = await collect(model.stream(PROMPT))
    assert (pieces, generation.confidence) == (["all at once"], 0.5)
