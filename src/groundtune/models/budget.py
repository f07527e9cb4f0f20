"""Track the budget of paid calls in US dollars: a call starts only if its maximum cost is left. Makes no calls."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from groundtune.errors import BudgetError, ProviderError

ROUNDING = 1e-9
"""Tolerance for floating-point sums, in US dollars."""


class Budget:
    """Budget of paid calls: `async with budget.reserve(ceiling) as call: call.record_cost(usd)`. For one event loop.

    Without a limit, it only tracks spending. With one, the money spent plus the ceilings of the calls in progress never
    exceeds it. A ceiling covers one attempt: a failed attempt that may be billed counts as spent, and another ceiling
    is reserved before the next attempt (`charge_failed_attempt`). A call of unknown price keeps its ceiling reserved.
    """

    def __init__(self, limit_usd: float | None = None) -> None:
        self.limit_usd = limit_usd
        self.known_spent_usd = 0.0
        """Total of the known prices, plus the ceilings of failed attempts that may be billed."""
        self.unpriced_calls = 0
        """Number of calls whose price is unknown; they are not in `known_spent_usd`."""
        self._reserved = 0.0
        self._calls_in_progress = 0
        self._queue = asyncio.Lock()
        self._call_ended = asyncio.Event()

    @property
    def spent_usd(self) -> float | None:
        """Total spent; None when the price of any call is unknown."""
        return None if self.unpriced_calls else self.known_spent_usd

    @asynccontextmanager
    async def reserve(self, ceiling_usd: float | None, *, model: str = "MODEL") -> AsyncIterator["Reservation"]:
        """Reserve the maximum cost of one attempt during a call, waiting for other calls to finish if necessary.

        A call that ends in a timeout or a bad response, or is cancelled, counts at its ceiling, since it may be billed,
        and so does one that fails after output was received; at its price, if that was recorded. Other failures cost
        nothing. Raises BudgetError when the ceiling exceeds what can be left, or is unknown (None)
        under a limit.
        """
        if self.limit_usd is not None:
            await self._wait_for_room(ceiling_usd, self.limit_usd, model)
        reservation = Reservation(self, ceiling_usd, model)
        self._reserved += reservation.reserved_usd
        self._calls_in_progress += 1
        may_be_billed = True
        token = _CURRENT.set(reservation)
        try:
            yield reservation
        except ProviderError as error:
            may_be_billed = error.may_be_billed
            raise
        except (asyncio.CancelledError, GeneratorExit):  # the caller left, also in the middle of a stream
            raise
        except BaseException:
            may_be_billed = False
            raise
        else:
            reservation.answered = True
        finally:
            _CURRENT.reset(token)
            self._settle(reservation, may_be_billed=may_be_billed or reservation.output_received)

    def reserve_retry(self, reservation: "Reservation") -> None:
        """Count the failed attempt as spent, since it may be billed, and reserve another ceiling for the next one.

        Raises BudgetError if the remaining budget does not cover it immediately. Waiting could deadlock: other calls
        may be waiting for this call's slot at the endpoint.
        """
        if reservation.ceiling_usd is None:
            self.unpriced_calls += 1
        self.known_spent_usd += reservation.reserved_usd
        self._release(reservation)
        most = math.inf if self.limit_usd is None else self.limit_usd + ROUNDING
        if (
            reservation.ceiling_usd is not None
            and self.known_spent_usd + self._reserved + reservation.ceiling_usd > most
        ):
            raise self._used_up(reservation.ceiling_usd, most, reservation.model)
        reservation.reserved_usd = reservation.ceiling_usd or 0.0
        self._reserved += reservation.reserved_usd

    async def _wait_for_room(self, ceiling: float | None, limit: float, model: str) -> None:
        if ceiling is None:
            raise BudgetError(
                f"the budget cannot be enforced: the maximum cost of a call to {model} is unknown",
                hint=f'set input_per_million and output_per_million (0 if it is free) under [prices."{model}"], and '
                "max_output_tokens for the model; or omit --budget-usd",
            )
        async with self._queue:  # in order of arrival, so that cheap calls cannot starve an expensive one
            most = limit + ROUNDING
            while self.known_spent_usd + self._reserved + ceiling > most:
                if not self._calls_in_progress or self.known_spent_usd + ceiling > most:
                    raise self._used_up(ceiling, limit, model)
                self._call_ended.clear()
                await self._call_ended.wait()

    def _used_up(self, ceiling: float, limit: float, model: str) -> BudgetError:
        reserved = f", {_usd(self._reserved)} is reserved" if self._reserved > ROUNDING else ""
        unpriced = f" for {self.unpriced_calls:,} calls of unknown price" if reserved and self.unpriced_calls else ""
        return BudgetError(
            f"the budget of {_usd(limit)} does not cover the next call to {model}: "
            f"{_usd(self.known_spent_usd)} has been spent{reserved}{unpriced}, and the call could cost up to "
            f"{_usd(ceiling)} (worst case: one token per byte and the maximum output)",
            hint="raise --budget-usd, or lower max_output_tokens",
        )

    def _settle(self, reservation: "Reservation", *, may_be_billed: bool) -> None:
        self._calls_in_progress -= 1
        self._call_ended.set()
        if reservation.usd is not None:
            self.known_spent_usd += reservation.usd
        elif reservation.answered or (may_be_billed and reservation.ceiling_usd is None):
            self.unpriced_calls += 1
            return  # its ceiling stays reserved
        elif may_be_billed:
            self.known_spent_usd += reservation.reserved_usd
        self._release(reservation)

    def _release(self, reservation: "Reservation") -> None:
        self._reserved = max(0.0, self._reserved - reservation.reserved_usd)
        reservation.reserved_usd = 0.0


class Reservation:
    """Reservation and cost of one call."""

    def __init__(self, budget: Budget, ceiling: float | None, model: str) -> None:
        self.budget = budget
        self.ceiling_usd = ceiling
        """Maximum cost of one attempt; None when unknown."""
        self.model = model
        self.reserved_usd = ceiling or 0.0
        """Amount reserved for the call now."""
        self.usd: float | None = None
        self.answered = False
        """Whether the call was answered."""
        self.output_received = False
        """Whether the model has written something, even if the call failed afterwards."""

    def record_cost(self, usd: float | None) -> None:
        """Record the price of the call; None when unknown."""
        self.usd = usd


_CURRENT: ContextVar[Reservation | None] = ContextVar("reservation", default=None)
"""Reservation of the current call."""


def charge_failed_attempt(failure: ProviderError) -> None:
    """Charge a failed attempt to the current call's budget. Call it before each retry; a no-op without a budget.

    Raises BudgetError when the failed attempt may be billed and another one could cost more than is left.
    """
    reservation = _CURRENT.get()
    if reservation and failure.may_be_billed:
        reservation.budget.reserve_retry(reservation)


def mark_output_received(usd: float | None = None) -> None:
    """Record that the current call is billed although it fails: output was received. usd: its price, if known."""
    if reservation := _CURRENT.get():
        reservation.output_received = True
        reservation.record_cost(usd)


def _usd(amount: float) -> str:
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.4f}"
