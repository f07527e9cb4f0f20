"""Test the cache on disk: one call for identical requests, no cached failures, no error for a damaged file."""

import asyncio
import json
import logging
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundtune.errors import BudgetError, ProviderError
from groundtune.models.budget import Budget
from groundtune.models.generation_cache import CachedGenerator, GenerationCache, cache_key
from groundtune.models.hosted_generator import HostedGenerator
from groundtune.models.prices import TokenPrices
from groundtune.protocols import RepeatableGenerator
from groundtune.testing.scripted_server import Reply, Script, ScriptedServer
from groundtune.types import Generation, Message, Prompt, Usage

PRICE = {"m": {"input_per_million": 1.0, "output_per_million": 10.0}}
ANSWER = Reply("an answer")
CACHED = Generation("some text\n…", Usage(10, 2, 5, 0.25, 0.001), confidence=0.75)


@asynccontextmanager
async def cached(
    path: Path, script: Script = ANSWER, *, budget: Budget | None = None, **options: Any
) -> AsyncIterator[tuple[CachedGenerator, ScriptedServer]]:
    with ScriptedServer(script) as server:
        prices = TokenPrices(base_url=server.base_url, overrides=PRICE)
        options = {"prices": prices, "max_output_tokens": 50, "retries": 0, "backoff_seconds": 0.001, **options}
        model = HostedGenerator("m", base_url=server.base_url, **options)
        yield CachedGenerator(model, GenerationCache(path), budget=budget or Budget()), server
        await model.aclose()


class Gate:
    """A script that holds all requests until it is opened."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = iter(replies)
        self.open = threading.Event()

    def __call__(self, _: dict[str, Any]) -> Reply:
        self.open.wait(60)
        return next(self.replies)


async def waiting(model: CachedGenerator, server: ScriptedServer, count: int) -> None:
    """Return when `count` callers wait for the one call in progress."""
    async with asyncio.timeout(60):
        while len(server.posts()) < 1 or sum(flight.waiting for flight in model._flights.values()) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_repeated_request_costs_nothing(tmp_path: Path) -> None:
    budget = Budget(1.0)
    async with cached(tmp_path / "deep" / "c.sqlite", budget=budget) as (model, server):
        assert not (tmp_path / "deep").exists()
        assert isinstance(model, RepeatableGenerator)
        first = await model.generate(Prompt("two words"))
        spent = budget.known_spent_usd
        again = await model.generate(Prompt("two words"))
        other = await model.generate(Prompt("two other words"))
        assert len(server.posts()) == 2
    assert (first.cached, again.cached, other.cached) == (False, True, False)
    assert (again.text, again.usage) == (first.text, first.usage)
    assert spent == first.usage.usd == pytest.approx((2 * 1 + 2 * 10) / 1e6)


async def test_it_forwards_the_properties_of_the_generator(tmp_path: Path) -> None:
    async with cached(tmp_path / "c.sqlite", window=4096) as (model, _):
        inner = model._generator
        assert (model.name, model.window) == ("m", 4096)
        assert model.request(Prompt("x")) == inner.request(Prompt("x"))
        assert model.ceiling_usd(Prompt("x")) == inner.ceiling_usd(Prompt("x")) is not None


async def test_every_part_of_the_request_is_in_the_key(tmp_path: Path) -> None:
    prompts = [Prompt("x"), Prompt("x", messages=(Message("system", "x"),)), Prompt("x", schema={"type": "object"})]
    async with cached(tmp_path / "c.sqlite") as (model, server):
        for prompt in prompts * 2:
            await model.generate(prompt)
        assert len(server.posts()) == 3
    for options in ({"temperature": 0.5}, {"max_output_tokens": 51}):
        async with cached(tmp_path / "c.sqlite", **options) as (model, server):
            assert not (await model.generate(prompts[0])).cached


async def test_identical_concurrent_requests_share_one_call(tmp_path: Path) -> None:
    budget, gate = Budget(1.0), Gate(Reply("slow"))
    async with cached(tmp_path / "c.sqlite", gate, budget=budget) as (model, server):
        calls = asyncio.gather(*(model.generate(Prompt("x")) for _ in range(20)))
        await waiting(model, server, 20)
        gate.open.set()
        results = await calls
        assert len(server.posts()) == 1
    assert sorted(result.cached for result in results) == [False] + [True] * 19
    assert budget.known_spent_usd == results[0].usage.usd


async def test_a_failure_is_not_cached_and_reaches_every_waiting_caller(tmp_path: Path) -> None:
    gate = Gate(Reply("no", status=500), Reply("yes"))
    async with cached(tmp_path / "c.sqlite", gate) as (model, server):
        calls = asyncio.gather(*(model.generate(Prompt("x")) for _ in range(3)), return_exceptions=True)
        await waiting(model, server, 3)
        gate.open.set()
        results = await calls
        assert [type(result) for result in results] == [ProviderError] * 3
        assert (await model.generate(Prompt("x"))).text == "yes"
        assert len(server.posts()) == 2


async def test_the_call_continues_while_a_caller_waits(tmp_path: Path) -> None:
    gate = Gate(Reply("slow"))
    async with cached(tmp_path / "c.sqlite", gate) as (model, server):
        first, second = (asyncio.create_task(model.generate(Prompt("x"))) for _ in range(2))
        await waiting(model, server, 2)
        first.cancel()
        await asyncio.wait([first])
        gate.open.set()
        generation = await second
        assert (generation.text, generation.cached) == ("slow", False)
        assert len(server.posts()) == 1


async def test_the_call_is_cancelled_with_its_last_caller_and_the_next_one_is_new(tmp_path: Path) -> None:
    budget, gate = Budget(), Gate(Reply("slow"), Reply("slow"))
    async with cached(tmp_path / "c.sqlite", gate, budget=budget) as (model, server):
        tasks = [asyncio.create_task(model.generate(Prompt("x"))) for _ in range(2)]
        await waiting(model, server, 2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        gate.open.set()
        generation = await model.generate(Prompt("x"))
        assert (generation.text, generation.cached, len(server.posts())) == ("slow", False, 2)
        assert not model._flights
    ceiling = model.ceiling_usd(Prompt("x"))
    assert ceiling is not None
    assert generation.usage.usd is not None
    assert budget.known_spent_usd == pytest.approx(ceiling + generation.usage.usd)  # the cancelled call may be billed


async def test_a_paid_answer_is_cached_even_without_a_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This happens when another call exceeds the budget of the run: answers paid before that are kept."""
    busy, paid = ThreadPoolExecutor(1), threading.Event()
    asyncio.get_running_loop().set_default_executor(busy)
    async with cached(tmp_path / "c.sqlite") as (model, server):
        original = model._generator.generate

        async def generate(prompt: Prompt) -> Generation:
            generation = await original(prompt)
            busy.submit(paid.wait, 20)  # delays the write to the cache
            return generation

        monkeypatch.setattr(model._generator, "generate", generate)
        task = asyncio.create_task(model.generate(Prompt("two words")))
        while not model._budget.known_spent_usd:  # noqa: ASYNC110  nothing to await
            await asyncio.sleep(0.001)
        (flight,) = model._flights.values()
        task.cancel()
        await asyncio.wait([task, flight.task])
        assert task.cancelled()
        paid.set()
        again = await model.generate(Prompt("two words"))
        assert (again.text, again.cached, len(server.posts())) == ("an answer", True, 1)


async def test_hits_need_no_budget_and_misses_are_refused(tmp_path: Path) -> None:
    async with cached(tmp_path / "c.sqlite") as (model, _):
        await model.generate(Prompt("x"))
        cache = model._cache
        poor = CachedGenerator(model._generator, cache, budget=Budget(0.0))
        assert (await poor.generate(Prompt("x"))).cached
        with pytest.raises(BudgetError):
            await poor.generate(Prompt("y"))


def test_a_generation_survives_the_round_trip(tmp_path: Path) -> None:
    cache = GenerationCache(tmp_path / "c.sqlite")
    for number, generation in enumerate((CACHED, Generation("", Usage()), Generation("a\x00b" * 9))):
        cache.put(bytes([number]), generation)
        cached = cache.get(bytes([number]))
        assert cached is not None
        assert (cached.text, cached.usage, cached.confidence, cached.cached) == (
            generation.text,
            generation.usage,
            generation.confidence,
            True,
        )
    assert cache.get(b"none") is None
    cache.put(b"surrogate", Generation("\ud800"))
    assert cache.get(b"surrogate") is None


def test_the_key_depends_on_the_values_alone() -> None:
    assert cache_key({"a": 1, "b": [{"c": "ä\ud800"}]}) == cache_key({"b": [{"c": "ä\ud800"}], "a": 1})
    assert cache_key({"a": 1}) != cache_key({"a": "1"})


@pytest.mark.parametrize("how", ["no database", "torn", "other table", "garbage rows"])
def test_a_damaged_file_is_set_aside(how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "c.sqlite"
    if how == "no database":
        path.write_bytes(b"this is not a database, whatever its name says" * 100)
    elif how == "other table":
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE generations (other INTEGER)")
        database.close()
    else:
        cache = GenerationCache(path)
        for number in range(500):
            cache.put(number.to_bytes(32, "big"), Generation("text " * 50))
        cache._open().database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cache.close()
        content = path.read_bytes()
        path.write_bytes(
            content[:8192] + b"\xff" * 4096 * 10 if how == "torn" else content[:200] + b"\xee" * len(content)
        )
    cache = GenerationCache(path)
    with caplog.at_level(logging.WARNING):
        for number in (1, 250, 499):
            cache.get(number.to_bytes(32, "big"))
        cache.put(b"k", CACHED)
        hit = cache.get(b"k")
    assert hit is not None
    assert hit.text == CACHED.text
    assert [aside.name for aside in tmp_path.glob("c.sqlite.damaged-*")]
    assert "is damaged" in caplog.text


def test_one_thread_repairs_and_the_others_follow(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "c.sqlite"
    first, second = GenerationCache(path), GenerationCache(path)  # as two threads or processes
    for number in range(500):
        first.put(number.to_bytes(32, "big"), Generation("text " * 50))
        second.get(number.to_bytes(32, "big"))
    first._open().database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)
    first.put(b"k", CACHED)
    for number in range(500):
        second.get(number.to_bytes(32, "big"))
    second.put(b"l", CACHED)
    assert first.get(b"k") is not None
    assert first.get(b"l") is not None
    assert caplog.text.count("is damaged") == 1
    path.unlink()
    second.put(b"m", CACHED)
    assert GenerationCache(path).get(b"m") is not None


def test_an_unwritable_path_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = GenerationCache(tmp_path / "file" / "c.sqlite")
    for _ in range(3):
        assert cache.get(b"k") is None
        cache.put(b"k", CACHED)
    assert caplog.text.count("continuing without it") <= 2
    assert "continuing without it" in caplog.text


def test_a_row_of_another_version_is_a_miss(tmp_path: Path) -> None:
    cache = GenerationCache(tmp_path / "c.sqlite")
    for usage in ("nonsense", json.dumps({"furlongs": 3}), "[]"):
        cache._open().database.execute(
            "INSERT OR REPLACE INTO generations VALUES (?, 't', ?, 1, 1, '', NULL, '[]')", (b"k", usage)
        )
        assert cache.get(b"k") is None


def test_thinking_limit_and_warnings_are_kept(tmp_path: Path) -> None:
    cache = GenerationCache(tmp_path / "c.sqlite")
    generation = Generation("14 d", reasoning="Passage 1 says so.", cut="max_output_tokens", warnings=("a", "b"))
    cache.put(b"k", generation)
    assert GenerationCache(cache.path).get(b"k") == replace(generation, cached=True)


def test_a_table_of_version_1_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "c.sqlite"
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE generations (key BLOB PRIMARY KEY, text TEXT NOT NULL, usage TEXT NOT NULL, "
            "confidence REAL, made REAL NOT NULL)"
        )
        database.execute("INSERT INTO generations VALUES (?, '<think>Hm.</think> 14 days', '{}', NULL, 1)", (b"k",))
    database.close()
    first, second = GenerationCache(path), GenerationCache(path)
    assert first.get(b"k") is None
    assert second.get(b"k") is None
    first.put(b"k", CACHED)
    assert second.get(b"k") is not None
    assert [file.name for file in tmp_path.glob("*.damaged-*")] == []
    assert caplog.text == ""


WRITER = """
import sys
from pathlib import Path
from groundtune.models.generation_cache import GenerationCache
from groundtune.types import Generation
cache = GenerationCache(Path(sys.argv[1]))
for number in range(200):
    cache.put(f"{sys.argv[2]}-{number}".encode(), Generation(f"{sys.argv[2]} {number}"))
    assert cache.get(f"{sys.argv[2]}-{number}".encode()).text == f"{sys.argv[2]} {number}"
"""


def test_many_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(number)], stderr=subprocess.PIPE, text=True)
        for number in range(4)
    ]
    for writer in writers:
        _, stderr = writer.communicate(timeout=600)
        assert (writer.returncode, stderr) == (0, "")
    cache = GenerationCache(path)
    assert all(cache.get(f"{process}-{number}".encode()) for process in range(4) for number in range(200))


class Counting:
    """A generator that answers at once and counts its calls."""

    name = "counting"
    calls = 0

    def request(self, prompt: Prompt) -> Mapping[str, Any]:
        return {"messages": [[message.role, message.content] for message in prompt.messages], "model": self.name}

    def ceiling_usd(self, prompt: Prompt) -> float | None:
        return 0.0

    async def generate(self, prompt: Prompt) -> Generation:
        self.calls += 1
        return CACHED


async def test_a_hit_takes_well_under_a_fifth_of_a_millisecond(tmp_path: Path) -> None:
    model = CachedGenerator(Counting(), GenerationCache(tmp_path / "c.sqlite"), budget=Budget())
    prompts = [Prompt("x", messages=(Message("user", f"{n} " + "six thousand letters " * 300),)) for n in range(100)]
    await asyncio.gather(*(model.generate(prompt) for prompt in prompts))
    seconds = []
    for prompt in prompts * 3:
        begin = time.perf_counter()
        assert (await model.generate(prompt)).cached
        seconds.append(time.perf_counter() - begin)
    assert model._generator.calls == 100  # type: ignore[attr-defined]
    assert statistics.median(seconds) < 0.0002
    assert model.window is None
