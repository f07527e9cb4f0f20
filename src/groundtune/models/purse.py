"""What calls may cost and have cost, in US dollars: one starts only when its highest price is left. Calls nothing."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from groundtune.errors import BudgetError, ProviderError

BILLED_FAILURES = frozenset({"timeout", "bad_response"})
"""Kinds of ProviderError after which the provider may bill what it did."""

ROUNDING = 1e-9
"""US dollars: what adding up may be off by."""


class Purse:
    """`async with purse.reserve(ceiling) as slip: … slip.paid(usd)`. For one event loop; without a limit, it counts.

    With a limit, the ceilings of the calls under way and what was spent never add up to more. A ceiling is that of one
    try; a try without an answer that may be billed is spent, and another ceiling set aside before the next one
    (`before_another_try`). A call whose price turns out unknown keeps its ceiling set aside for good.
    """

    def __init__(self, limit_usd: float | None = None) -> None:
        self.limit_usd = limit_usd
        self.spent = 0.0
        """Of the calls with a known price, and the ceilings of failed tries that may be billed."""
        self.unknown = 0
        """Calls whose price is unknown; they are not in `spent`."""
        self._reserved = 0.0
        self._open = 0
        self._turn = asyncio.Lock()
        self._closed = asyncio.Event()

    @property
    def spent_usd(self) -> float | None:
        """All that was spent; None when the price of any call is unknown."""
        return None if self.unknown else self.spent

    @asynccontextmanager
    async def reserve(self, ceiling_usd: float | None, *, model: str = "MODEL") -> AsyncIterator["Slip"]:
        """Sets the highest price of one try aside while a call is made, waiting for other calls to end if it must.

        A call that ends in a timeout or a bad response, or is cancelled, counts with its ceiling: it may be billed.
        After other failures it costs nothing. Raises BudgetError when the ceiling is more than will be left, or is
        unknown (None) under a limit.
        """
        if self.limit_usd is not None:
            await self._wait_for_room(ceiling_usd, self.limit_usd, model)
        slip = Slip(self, ceiling_usd, model)
        self._reserved += slip.held
        self._open += 1
        may_be_billed = True
        before = _PRESENT.set(slip)
        try:
            yield slip
        except ProviderError as error:
            may_be_billed = error.kind in BILLED_FAILURES
            raise
        except asyncio.CancelledError:
            raise
        except BaseException:
            may_be_billed = False
            raise
        else:
            slip.settled = True
        finally:
            _PRESENT.reset(before)
            self._settle(slip, may_be_billed=may_be_billed)

    def again(self, slip: "Slip") -> None:
        """The try before may be billed: it is spent, and the next one is set aside.

        Raises BudgetError where there is no room for it at once: to wait here would be to wait for calls that may be
        waiting for this one's place at the endpoint.
        """
        if slip.ceiling is None:
            self.unknown += 1
        self.spent += slip.held
        self._let_go(slip)
        most = math.inf if self.limit_usd is None else self.limit_usd + ROUNDING
        if slip.ceiling is not None and self.spent + self._reserved + slip.ceiling > most:
            raise self._used_up(slip.ceiling, most, slip.model)
        slip.held = slip.ceiling or 0.0
        self._reserved += slip.held

    async def _wait_for_room(self, ceiling: float | None, limit: float, model: str) -> None:
        if ceiling is None:
            raise BudgetError(
                f"a budget cannot be kept: nobody knows what a call of {model} may cost",
                hint=f'[prices."{model}"] with input_per_million and output_per_million (0 where nobody bills), and '
                "max_output_tokens for the model; or no --budget-usd",
            )
        async with self._turn:  # in order of arrival, so that a dear call is not overtaken for ever
            most = limit + ROUNDING
            while self.spent + self._reserved + ceiling > most:
                if not self._open or self.spent + ceiling > most:
                    raise self._used_up(ceiling, limit, model)
                self._closed.clear()
                await self._closed.wait()

    def _used_up(self, ceiling: float, limit: float, model: str) -> BudgetError:
        aside = f", {_usd(self._reserved)} is set aside" if self._reserved > ROUNDING else ""
        return BudgetError(
            f"the budget of {_usd(limit)} does not cover the next call of {model}: {_usd(self.spent)} is spent{aside}, "
            f"and the call may cost up to {_usd(ceiling)} (a token for each byte, all output tokens)",
            hint="raise --budget-usd, or lower max_output_tokens",
        )

    def _settle(self, slip: "Slip", *, may_be_billed: bool) -> None:
        self._open -= 1
        self._closed.set()
        if slip.usd is not None:
            self.spent += slip.usd
        elif slip.settled or (may_be_billed and slip.ceiling is None):
            self.unknown += 1
            return  # what was reserved stays so
        elif may_be_billed:
            self.spent += slip.held
        self._let_go(slip)

    def _let_go(self, slip: "Slip") -> None:
        self._reserved = max(0.0, self._reserved - slip.held)
        slip.held = 0.0


class Slip:
    """What one call has cost."""

    def __init__(self, purse: Purse, ceiling: float | None, model: str) -> None:
        self.purse = purse
        self.ceiling = ceiling
        """Of one try; None when it is unknown."""
        self.model = model
        self.held = ceiling or 0.0
        """What is set aside for it now."""
        self.usd: float | None = None
        self.settled = False
        """Whether the call came to an answer."""

    def paid(self, usd: float | None) -> None:
        """None when it is unknown."""
        self.usd = usd


_PRESENT: ContextVar[Slip | None] = ContextVar("slip", default=None)
"""Of the call that is being made."""


def before_another_try(failure: ProviderError) -> None:
    """To be called by what sends a call again, before it does; nothing happens where no purse pays for it.

    Raises BudgetError when what failed may be billed, and another try might cost more than is left.
    """
    slip = _PRESENT.get()
    if slip and failure.kind in BILLED_FAILURES:
        slip.purse.again(slip)


def _usd(amount: float) -> str:
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.4f}"
