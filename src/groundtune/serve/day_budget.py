"""Keep the whole project within its budget of a day: refuse requests, or have the cheapest approach answer them.

All keys and processes together count. Requests that are under way when the budget is reached end as they began, so it
can be exceeded by what these cost.
"""

import asyncio
import math
from dataclasses import replace
from datetime import UTC, datetime

from groundtune.build.approach_registry import default_approach
from groundtune.build.fallback import chain_names
from groundtune.config import Config
from groundtune.records.spending import Spending, Spent, period_end
from groundtune.serve.errors import ErrorReply, RequestRefusedError
from groundtune.types import Answer

SPENT = "the budget of the day is spent"


class DayBudget:
    """What all requests of a day may cost together."""

    def __init__(self, spending: Spending) -> None:
        self._spending = spending

    async def require(self, config: Config) -> None:
        """Raise RequestRefusedError (429) when nothing is left."""
        if problem := await self._problem(config):
            raise RequestRefusedError(problem)

    async def is_spent(self, config: Config) -> bool:
        """Whether nothing is left, or nobody can tell."""
        return await self._problem(config) is not None

    async def stand_in(self, config: Config, approach: str | None) -> str | None:
        """Return the approach that answers because nothing is left; None while there is something.

        approach: the one that was asked; None: the project's choice. Raises RequestRefusedError (429) where none may.
        """
        problem = await self._problem(config)
        if problem is None:
            return None
        cheapest = chain_names(config, approach or default_approach(config))[-1]
        if config.serve.when_spent == "stop" or cheapest == (approach or default_approach(config)):
            raise RequestRefusedError(problem)
        return cheapest

    async def _problem(self, config: Config) -> ErrorReply | None:
        most = config.serve.budget_usd_per_day
        if most is None:
            return None
        spent = await asyncio.to_thread(self._spending.spent, None, "day")
        if spent.is_enforceable and spent.usd < most:
            return None
        return _refusal(most, spent)


def as_stand_in(answer: Answer) -> Answer:
    """Return the answer of a stand-in with the reason why it stands in."""
    return replace(answer, degradation=f"{SPENT}; {answer.approach} answered instead")


def _refusal(most: float, spent: Spent) -> ErrorReply:
    now = datetime.now(UTC)
    message = f"{SPENT}: ${most:,.2f} for all users together"
    if not spent.is_enforceable:
        message = "the budget of the day cannot be kept: nobody knows what answers cost; prices are set under [prices]"
    headers = {"Retry-After": str(math.ceil((period_end("day", now) - now).total_seconds()))}
    return ErrorReply(429, message, "insufficient_quota", "insufficient_quota", headers=headers)
