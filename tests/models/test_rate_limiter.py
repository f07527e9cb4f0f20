"""Test that rate limits slow calls down and lose none: against a server over real HTTP, and on `RateLimiter` itself."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from groundtune.errors import ProviderError
from groundtune.models import connection
from groundtune.models.hosted_generator import HostedGenerator
from groundtune.models.rate_limiter import MAX_BACKOFF_SECONDS, RateLimiter, max_backoff_seconds
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.types import Prompt

Script = Callable[[dict[str, Any]], Reply]


def at_most_at_a_time(calls: int, *, seconds: float = 0.01) -> tuple[Script, list[int]]:
    """Return a server script that refuses requests beyond `calls` at a time, and the count of its refusals."""
    lock, under_way, refused = threading.Lock(), 0, [0]

    def reply(body: dict[str, Any]) -> Reply:
        nonlocal under_way
        with lock:
            if under_way >= calls:
                refused[0] += 1
                return Reply("too many at a time", status=429)
            under_way += 1
        time.sleep(seconds)
        with lock:
            under_way -= 1
        return Reply(body["messages"][0]["content"])

    return reply, refused


def at_most_a_window(calls: int, *, window_seconds: float, says_when: bool) -> tuple[Script, list[int]]:
    """Return a server script that admits `calls` per time window, and the count of its refusals."""
    lock, taken, refused, begun = threading.Lock(), {}, [0], time.monotonic()

    def reply(body: dict[str, Any]) -> Reply:
        with lock:
            now = time.monotonic() - begun
            number = int(now / window_seconds)
            if taken.get(number, 0) >= calls:
                refused[0] += 1
                left = (number + 1) * window_seconds - now
                headers = {"retry-after-ms": f"{left * 1000:.0f}"} if says_when else {}
                return Reply("too many in this window", status=429, headers=headers)
            taken[number] = taken.get(number, 0) + 1
        return Reply(body["messages"][0]["content"])

    return reply, refused


async def ask(script: Script, calls: int, **options: Any) -> tuple[list[Any], float]:
    with ScriptedServer(script) as server:
        model = HostedGenerator("m", base_url=server.base_url, **{"backoff_seconds": 0.02, **options})
        begin = time.perf_counter()
        results = await asyncio.gather(*(model.generate(Prompt(str(n))) for n in range(calls)), return_exceptions=True)
        seconds = time.perf_counter() - begin
        await model.aclose()
    return results, seconds


async def refused_once(model: HostedGenerator) -> None:
    """Wait until a refusal has arrived and holds the calls."""
    async with asyncio.timeout(60):
        while not ((opened := model._connection._opened) and opened.rate_limiter.stalled_seconds):  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.mark.slow
async def test_200_calls_get_through_a_server_that_takes_3_at_a_time() -> None:
    script, refused = at_most_at_a_time(3)
    generations, seconds = await ask(script, 200, concurrency=32, patience_seconds=60, retries=0)
    assert [generation.text for generation in generations] == [str(n) for n in range(200)]
    assert refused[0] < 200
    assert seconds < 60  # 0.7 s at full speed


@pytest.mark.slow
@pytest.mark.parametrize("says_when", [True, False])
async def test_80_calls_get_through_a_server_that_takes_8_in_a_fifth_of_a_second(says_when: bool) -> None:
    script, refused = at_most_a_window(8, window_seconds=0.2, says_when=says_when)
    generations, seconds = await ask(script, 80, concurrency=16, patience_seconds=60, retries=0)
    assert [generation.text for generation in generations] == [str(n) for n in range(80)]
    assert refused[0] > 0
    assert seconds < 60  # 2 s at full speed
    # Time waited for the rate limit is not latency of the model.
    assert max(generation.usage.seconds for generation in generations) < seconds / 2


async def test_a_requested_pause_holds_every_call() -> None:
    times: list[float] = []

    def reply(body: dict[str, Any]) -> Reply:
        times.append(time.monotonic())
        return Reply("later", status=429, headers={"Retry-After": "0.4"}) if len(times) == 1 else Reply("there")

    with ScriptedServer(reply) as server:
        model = HostedGenerator("m", base_url=server.base_url, backoff_seconds=0.001, concurrency=4)
        first = asyncio.create_task(model.generate(Prompt("first")))
        await refused_once(model)
        await asyncio.gather(first, *(model.generate(Prompt("x")) for _ in range(3)))
        await model.aclose()
    assert len(times) == 5
    assert min(times[1:]) - times[0] >= 0.39


async def test_without_patience_a_rate_limit_counts_as_a_try() -> None:
    errors, _ = await ask(lambda body: Reply(status=429), 1, retries=2, backoff_seconds=0.001)
    assert isinstance(errors[0], ProviderError)
    assert (errors[0].kind, errors[0].retryable) == ("rate_limit", True)


async def test_patience_ends_and_other_calls_do_not_restart_it() -> None:
    begin = time.perf_counter()
    errors, _ = await ask(lambda body: Reply(status=429), 40, patience_seconds=0.5, concurrency=4)
    assert time.perf_counter() - begin < 15  # 40 x 0.5 s one after the other would be 20
    assert {error.kind for error in errors} == {"rate_limit"}
    assert all("s for the rate limit" in error.message for error in errors)


async def test_an_endpoint_that_never_answers_gets_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_WAIT_SECONDS", 0.2)
    errors, seconds = await ask(lambda body: Reply(status=429), 4, patience_seconds=60)
    assert [error.kind for error in errors] == ["rate_limit"] * 4
    assert seconds < 30
    replies = [Reply("there"), *(Reply(status=429) for _ in range(12)), Reply("there")]
    answers, seconds = await ask(replies, 2, patience_seconds=60, concurrency=1)
    assert [answer.text for answer in answers] == ["there", "there"], "once it has answered, it gets all the patience"
    assert seconds > 0.2


async def test_a_pause_longer_than_patience_fails_at_once_and_holds_no_call() -> None:
    replies = [Reply(status=429, headers={"Retry-After": "300"}), Reply("there")]
    with ScriptedServer(replies) as server:
        model = HostedGenerator("m", base_url=server.base_url, patience_seconds=100)
        begin = time.perf_counter()
        with pytest.raises(ProviderError, match="429"):
            await model.generate(Prompt("x"))
        assert (await model.generate(Prompt("x"))).text == "there"
        assert time.perf_counter() - begin < 60
        await model.aclose()


async def test_missing_credit_is_not_waited_for() -> None:
    errors, seconds = await ask(lambda body: Reply(status=429, code="insufficient_quota"), 2, patience_seconds=60)
    assert [error.retryable for error in errors] == [False, False]
    assert seconds < 30


async def test_other_failures_still_count_as_tries_beside_rate_limits() -> None:
    replies = [Reply(status=429), Reply(status=500), Reply(status=429), Reply(status=500), Reply(status=500)]
    with ScriptedServer(replies) as server:
        model = HostedGenerator("m", base_url=server.base_url, patience_seconds=60, retries=2, backoff_seconds=0.001)
        with pytest.raises(ProviderError, match="500"):
            await model.generate(Prompt("x"))
        assert len(server.posts()) == 5
        await model.aclose()


async def test_a_cancelled_call_returns_its_slot() -> None:
    replies = [Reply(status=429, headers={"Retry-After": "30"}), Reply("there")]
    with ScriptedServer(replies) as server:
        model = HostedGenerator("m", base_url=server.base_url, concurrency=1, patience_seconds=60)
        waiting = asyncio.create_task(model.generate(Prompt("x")))
        await refused_once(model)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(server.posts()) == 1
        await model.aclose()


async def test_the_limit_is_halved_once_for_a_burst_and_rises_with_successes() -> None:
    limiter = RateLimiter(8, backoff_seconds=0.001)
    began = asyncio.get_running_loop().time()
    for _ in range(8):
        limiter.record_refusal(began, 0.0, pause_given=False)
    assert limiter.limit == 4
    limiter.record_success(began)
    limits = []
    for _ in range(4 + 5 + 6 + 7 + 20):
        async with limiter.slot() as slot:
            slot.record_start()
            slot.record_success()
        limits.append(limiter.limit)
    assert [limits.index(n) + 1 for n in (5, 6, 7, 8)] == [4, 9, 15, 22]
    assert max(limits) == 8


async def test_calls_go_in_order_of_arrival_and_a_refused_one_goes_first() -> None:
    limiter = RateLimiter(1, backoff_seconds=0.001)
    order: list[str] = []

    async def call(name: str, *, refused: bool = False) -> None:
        async with limiter.slot() as slot:
            slot.record_start()
            await asyncio.sleep(0.01)
            if refused:
                assert await slot.wait_after_refusal(0.02, patience_seconds=5)
                assert slot.waited_seconds >= 0.02
            order.append(name)

    await asyncio.gather(call("a", refused=True), call("b"), call("c"))
    assert order == ["a", "b", "c"]


async def test_cancelled_waiters_lose_no_slot() -> None:
    limiter = RateLimiter(2, backoff_seconds=0.001)

    async def hold() -> None:
        async with limiter.slot():
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(hold()) for _ in range(60)]
    for number, task in enumerate(tasks):
        if number % 3:
            await asyncio.sleep(0.001)
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(30):
        async with limiter.slot(), limiter.slot():
            assert limiter._under_way == 2
    assert limiter._under_way == 0


def test_pauses_grow_to_a_limit() -> None:
    assert [max_backoff_seconds(0.5, n) for n in (0, 1, 5, 6, 10_000)] == [
        0.5,
        1.0,
        16.0,
        MAX_BACKOFF_SECONDS,
        MAX_BACKOFF_SECONDS,
    ]
