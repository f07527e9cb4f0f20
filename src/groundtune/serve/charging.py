"""Note what work for a request has cost, however the work ends. Limits nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from groundtune.errors import ProviderError
from groundtune.records.spending import Spending
from groundtune.types import Answer


@dataclass(slots=True)
class Cost:
    """What a request costs, in US dollars; None as long as that is unknown."""

    usd: float | None = None


@asynccontextmanager
async def charged(spending: Spending, key: str) -> AsyncIterator[Cost]:
    """Note what the block costs under a key; work that broke off, which may be billed, as unknown."""
    cost = Cost()
    try:
        yield cost
    except BaseException as error:
        if cost.usd is not None or _may_be_billed(error):
            await asyncio.shield(asyncio.to_thread(spending.add, key, cost.usd))
        raise
    await asyncio.to_thread(spending.add, key, cost.usd)


def cost_of(answer: Answer) -> float | None:
    """Return what an answer cost now; None when that is unknown."""
    return answer.usage.usd if answer.paid else 0.0


def _may_be_billed(error: BaseException) -> bool:
    """Whether a model's server may bill a request that ended so."""
    if isinstance(error, ProviderError):
        return error.may_be_billed
    return isinstance(error, asyncio.CancelledError | GeneratorExit | TimeoutError)
