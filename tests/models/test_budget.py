"""Test the budget: reserved and spent amounts, and calls that are refused in advance."""

import asyncio
from contextlib import nullcontext
from typing import Any

import pytest

from groundtune.errors import BudgetError, MissingError, ProviderError, ProviderFailure
from groundtune.models.budget import Budget, charge_failed_attempt
from groundtune.models.hosted_generator import HostedGenerator
from groundtune.models.prices import TokenPrices
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.types import Prompt


async def spend(budget: Budget, ceiling: float | None, usd: float | None, *, seconds: float = 0.0) -> None:
    async with budget.reserve(ceiling, model="m") as reservation:
        await asyncio.sleep(seconds)
        reservation.record_cost(usd)


async def test_without_a_limit_it_counts() -> None:
    budget = Budget()
    await asyncio.gather(spend(budget, 1.0, 0.25), spend(budget, None, 0.5), spend(budget, 0.0, 0.0))
    assert (budget.known_spent_usd, budget.unpriced_calls, budget.spent_usd) == (0.75, 0, 0.75)
    await spend(budget, 1.0, None)
    assert (budget.known_spent_usd, budget.unpriced_calls, budget.spent_usd) == (0.75, 1, None)


async def test_the_limit_is_reached_and_never_passed() -> None:
    budget, most = Budget(0.30), 0.0

    async def call() -> None:
        nonlocal most
        async with budget.reserve(0.10) as reservation:
            most = max(most, budget.known_spent_usd + budget._reserved)
            await asyncio.sleep(0.001)
            reservation.record_cost(0.10)

    results = await asyncio.gather(*(call() for _ in range(10)), return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["NoneType"] * 3 + ["BudgetError"] * 7
    assert most == pytest.approx(0.30)
    assert budget.known_spent_usd == pytest.approx(0.30)


async def test_calls_wait_for_others_that_may_turn_out_cheap() -> None:
    budget = Budget(1.0)
    await asyncio.gather(*(spend(budget, 0.9, 0.001, seconds=0.001) for _ in range(20)))
    assert budget.known_spent_usd == pytest.approx(0.02)


async def test_an_expensive_call_is_not_overtaken_forever() -> None:
    budget, order = Budget(1.0), []

    async def call(name: str, ceiling: float) -> None:
        async with budget.reserve(ceiling) as reservation:
            order.append(name)
            await asyncio.sleep(0.002)
            reservation.record_cost(0.0)

    await asyncio.gather(call("a", 0.5), call("expensive", 1.0), call("b", 0.1), call("c", 0.1))
    assert order == ["a", "expensive", "b", "c"]


async def test_the_error_says_what_is_spent_and_how_to_fix_it() -> None:
    budget = Budget(0.5)
    await spend(budget, 0.4, 0.4)
    with pytest.raises(BudgetError) as caught:
        await spend(budget, 0.2, 0.1)
    error = caught.value
    assert error.exit_code == 1
    assert error.message == (
        "the budget of $0.5000 does not cover the next call to m: $0.4000 has been spent, and the call could cost up "
        "to $0.2000 (worst case: one token per byte and the maximum output)"
    )
    assert "--budget-usd" in (error.hint or "")
    await spend(budget, 0.1, 0.1)  # a cheaper call still fits


async def test_an_unknown_price_is_refused_under_a_limit() -> None:
    with pytest.raises(BudgetError, match="maximum cost of a call to m is unknown") as caught:
        await spend(Budget(1.0), None, None)
    assert '[prices."m"]' in (caught.value.hint or "")
    await spend(Budget(), None, None)


async def test_a_call_of_unknown_price_keeps_its_ceiling_reserved() -> None:
    budget = Budget(1.0)
    await spend(budget, 0.6, None)
    assert (budget.known_spent_usd, budget.unpriced_calls, budget.spent_usd) == (0.0, 1, None)
    with pytest.raises(BudgetError, match=r"\$0\.6000 is reserved"):
        await spend(budget, 0.6, 0.1)
    await spend(budget, 0.4, 0.1)


@pytest.mark.parametrize(
    ("kind", "spent"),
    [("timeout", 0.25), ("bad_response", 0.25), ("rate_limit", 0), ("bad_key", 0), ("server", 0), ("no_server", 0)],
)
async def test_a_failure_that_may_be_billed_counts_with_its_ceiling(kind: ProviderFailure, spent: float) -> None:
    budget = Budget(1.0)
    with pytest.raises(ProviderError):
        async with budget.reserve(0.25):
            raise ProviderError("no", kind=kind)
    assert (budget.known_spent_usd, budget.unpriced_calls, budget._reserved) == (spent, 0, 0)


async def test_a_cancelled_call_may_be_billed_and_a_missing_model_not() -> None:
    budget = Budget(1.0)
    call = asyncio.create_task(spend(budget, 0.25, 0.1, seconds=5))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    with pytest.raises(MissingError):
        async with budget.reserve(0.25):
            raise MissingError("no weights")
    assert (budget.known_spent_usd, budget.unpriced_calls, budget._reserved) == (0.25, 0, 0)


async def tried(budget: Budget, *failures: ProviderFailure, ceiling: float = 0.25, usd: float = 0.1) -> None:
    async with budget.reserve(ceiling, model="m") as reservation:
        for kind in failures:
            await asyncio.sleep(0.001)
            charge_failed_attempt(ProviderError("no", kind=kind))
        reservation.record_cost(usd)


@pytest.mark.parametrize(
    ("failures", "spent"),
    [(["timeout"], 0.35), (["timeout", "bad_response"], 0.6), (["server", "rate_limit", "no_server"], 0.1)],
)
async def test_a_failed_attempt_that_may_be_billed_counts_as_spent(
    failures: list[ProviderFailure], spent: float
) -> None:
    budget = Budget(1.0)
    await tried(budget, *failures)
    assert (budget.known_spent_usd, budget.unpriced_calls, budget._reserved) == (pytest.approx(spent), 0, 0)


async def test_no_retry_that_the_remaining_budget_does_not_cover() -> None:
    budget = Budget(0.6)
    with pytest.raises(BudgetError, match=r"\$0\.5000 has been spent, and the call could cost up to \$0\.2500"):
        await tried(budget, "timeout", "timeout")
    assert (budget.known_spent_usd, budget._reserved) == (0.5, 0)


async def test_retries_never_wait_for_each_other() -> None:
    """Together, the calls hold the whole budget when each of them needs a retry."""
    budget = Budget(1.0)
    async with asyncio.timeout(5):
        results = await asyncio.gather(*(tried(budget, "timeout", usd=0.0) for _ in range(9)), return_exceptions=True)
    assert {type(result) for result in results} <= {type(None), BudgetError}
    assert budget.known_spent_usd <= 1.0
    assert budget._reserved == 0
    budget = Budget(10.0)
    async with asyncio.timeout(5):
        await asyncio.gather(*(tried(budget, "timeout", usd=0.0) for _ in range(20)))
    assert budget.known_spent_usd == pytest.approx(5.0)


@pytest.mark.parametrize(("limit", "requests"), [(1.0, 2), (0.003, 1)])
async def test_an_attempt_that_timed_out_counts_even_if_the_next_one_succeeds(limit: float, requests: int) -> None:
    replies = [Reply("late", stall=True), Reply("30 days", usage={"prompt_tokens": 9, "completion_tokens": 2})]
    price = {"m": {"input_per_million": 1.0, "output_per_million": 10.0}}
    with ScriptedServer(lambda _: replies.pop(0)) as server:
        prices = TokenPrices(base_url=server.base_url, overrides=price)
        options: Any = {"prices": prices, "max_output_tokens": 200, "timeout_seconds": 0.3, "backoff_seconds": 0.001}
        model, budget = HostedGenerator("m", base_url=server.base_url, **options), Budget(limit)
        ceiling = model.ceiling_usd(Prompt("x"))
        assert ceiling is not None
        assert ceiling < 0.003 < 2 * ceiling
        with nullcontext() if requests == 2 else pytest.raises(BudgetError):
            async with budget.reserve(ceiling) as reservation:
                reservation.record_cost((await model.generate(Prompt("x"))).usage.usd)
        await model.aclose()
        assert len(server.posts()) == requests
    assert budget.known_spent_usd == pytest.approx(ceiling + (29e-6 if requests == 2 else 0))
    assert budget._reserved == 0


async def test_nothing_is_charged_outside_of_a_call() -> None:
    charge_failed_attempt(ProviderError("no", kind="timeout"))


async def test_a_failure_without_a_ceiling_is_unknown() -> None:
    budget = Budget()
    with pytest.raises(ProviderError):
        async with budget.reserve(None):
            raise ProviderError("no", kind="timeout")
    assert (budget.known_spent_usd, budget.unpriced_calls) == (0.0, 1)


async def test_a_cancelled_waiting_call_reserves_nothing() -> None:
    budget = Budget(1.0)
    first = asyncio.create_task(spend(budget, 1.0, 0.0, seconds=0.02))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(spend(budget, 1.0, 0.0))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.gather(first, spend(budget, 1.0, 0.5))
    assert (budget.known_spent_usd, budget._reserved) == (0.5, 0)


async def test_a_limit_of_zero_admits_free_calls() -> None:
    budget = Budget(0.0)
    await spend(budget, 0.0, 0.0)
    with pytest.raises(BudgetError):
        await spend(budget, 0.01, 0.0)


HALF = [{"choices": [{"delta": {"content": "half "}}]}, {"error": {"code": 502, "message": "upstream is down"}}]
TOLD = '{"error": {"code": 502, "message": "upstream is down"}}'


@pytest.mark.parametrize(
    ("reply", "spent"),
    [
        (Reply(raw_body=TOLD), 0.0),  # told in a 200: nothing was written
        (Reply("", usage={"prompt_tokens": 1000, "completion_tokens": 100}), 0.0011),  # billed as counted
        (Reply("", usage={}), 0.00115),  # billed, nobody knows how much
    ],
)
async def test_a_failed_call_counts_if_it_is_billed(reply: Reply, spent: float) -> None:
    prices = TokenPrices(base_url="", overrides={"m": {"input_per_million": 1, "output_per_million": 1}})
    with ScriptedServer(reply) as server:
        model = HostedGenerator(
            "m", base_url=server.base_url, prices=prices, max_output_tokens=1000, retries=2, backoff_seconds=0.001
        )
        budget = Budget(1.0)
        prompt = Prompt("q" * 6)
        with pytest.raises(ProviderError):
            async with budget.reserve(model.ceiling_usd(prompt), model="m"):
                await model.generate(prompt)
        await model.aclose()
    assert budget.known_spent_usd == pytest.approx(spent)
    assert budget._reserved == 0.0


async def test_half_a_stream_with_an_error_counts_once() -> None:
    prices = TokenPrices(base_url="", overrides={"m": {"input_per_million": 1, "output_per_million": 1}})
    with ScriptedServer(Reply(events=HALF)) as server:
        model = HostedGenerator("m", base_url=server.base_url, prices=prices, max_output_tokens=1000)
        budget, ceiling = Budget(1.0), model.ceiling_usd(Prompt("q"))

        async def call() -> None:
            async with budget.reserve(ceiling, model="m"):
                [_ async for _ in model.stream(Prompt("q"))]

        with pytest.raises(ProviderError, match="upstream is down"):
            await call()
        await model.aclose()
    assert budget.known_spent_usd == ceiling
