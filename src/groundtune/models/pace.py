"""How many calls of one endpoint may be under way, and when the next may start. Sends nothing itself."""

import asyncio
import heapq
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

MAX_WAIT_SECONDS = 60.0
"""A server that asks for a longer pause is not waited for, unless patience allows it."""
MAX_BACKOFF_SECONDS = 20.0
MIN_BACKOFF_SECONDS = 0.001
"""So that a refusal never leads to asking again at once, for ever."""


class Pace:
    """At most `slots` calls at a time, fewer after a refusal for asking too much; in order of arrival. One event loop.

    A refusal stops every call that has not started: for as long as the server asks, and a random time of up to
    `backoff_seconds` more, doubled with each refusal in a row. It also halves the calls that may be under way; after
    as many successes as there are such calls, one more is let through, up to `slots`. Refusals of calls that were
    already under way when the pace was lowered say nothing new: they lower it no further.
    """

    def __init__(self, slots: int, *, backoff_seconds: float) -> None:
        self.slots = slots
        self.limit = slots
        """Calls that may be under way now."""
        self.stalled_seconds = 0.0
        """Sum of the pauses since the last success."""
        self._backoff_seconds = max(backoff_seconds, MIN_BACKOFF_SECONDS)
        self._under_way = 0
        self._successes = 0
        self._refusals = 0
        self._lowered_at = float("-inf")
        self._resume_at = 0.0
        self._tickets = count()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def slot(self) -> AsyncIterator["Slot"]:
        """Waits for a free slot, and gives it back at the end."""
        slot = Slot(self, next(self._tickets))
        await slot.enter()
        try:
            yield slot
        finally:
            slot.leave()

    def pause_for(self, asked: float | None) -> float:
        """Seconds that a refusal with this Retry-After will stop the calls: drawn at random each time."""
        return (asked or 0.0) + random.uniform(0, backoff(self._backoff_seconds, self._refusals))

    def succeeded(self, began: float) -> None:
        """A call that was sent at `began` was answered."""
        self.stalled_seconds = 0.0
        if began <= self._lowered_at:
            return
        self._refusals = 0
        self._successes += 1
        if self._successes >= self.limit < self.slots:
            self.limit += 1
            self._successes = 0
            self._wake()

    def refused(self, began: float, pause: float, *, asked: bool) -> None:
        """A call that was sent at `began` was refused for asking too much; `asked`: the server named the pause."""
        now = asyncio.get_running_loop().time()
        if began > self._lowered_at:
            self._lowered_at = now
            self._refusals += 1
            self._successes = 0
            self.limit = max(1, self.limit // 2)
        elif not asked:
            return
        end = max(self._resume_at, now + pause)
        self.stalled_seconds += end - max(self._resume_at, now)
        self._resume_at = end

    async def take(self, ticket: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (ticket, turn))
        self._wake()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was let through in the same moment
                self.give_back()
            raise

    def give_back(self) -> None:
        self._under_way -= 1
        self._wake()

    def _wake(self) -> None:
        """Let through what may go; after a pause, a timer does it."""
        loop = asyncio.get_running_loop()
        if self._timer is None and self._waiting and loop.time() < self._resume_at:
            self._timer = loop.call_at(self._resume_at, self._rung)
        while self._waiting and self._under_way < self.limit and loop.time() >= self._resume_at:
            _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                self._under_way += 1
                turn.set_result(None)

    def _rung(self) -> None:
        self._timer = None
        self._wake()


class Slot:
    """The place of one call. After a refusal it is given up, and taken again before all calls that came later."""

    def __init__(self, pace: Pace, ticket: int) -> None:
        self.waited_seconds = 0.0
        """Spent on waiting after refusals."""
        self._pace = pace
        self._ticket = ticket
        self._held = False
        self._began = 0.0

    async def enter(self) -> None:
        await self._pace.take(self._ticket)
        self._held = True

    def leave(self) -> None:
        if self._held:
            self._held = False
            self._pace.give_back()

    def begin(self) -> None:
        """To be called when a request is sent."""
        self._began = asyncio.get_running_loop().time()

    def succeeded(self) -> None:
        """The request that was sent last was answered."""
        self._pace.succeeded(self._began)

    async def wait_out(self, asked: float | None, *, patience_seconds: float) -> bool:
        """After a refusal: slow down, and wait until this call may be sent again.

        False, without waiting and without holding up others, when that would take longer than `patience_seconds`:
        counted over all refusals of this call, and over all pauses of the endpoint since it last answered anything.
        """
        left = patience_seconds - max(self.waited_seconds, self._pace.stalled_seconds)
        if left < max(asked or 0.0, MIN_BACKOFF_SECONDS):
            return False
        pause = min(left, self._pace.pause_for(asked))
        loop = asyncio.get_running_loop()
        begin = loop.time()
        self._pace.refused(self._began, pause, asked=asked is not None)
        self.leave()
        await self.enter()
        self.waited_seconds += loop.time() - begin
        return True


def backoff(first: float, tries: int) -> float:
    """The longest pause after so many failures in a row, in seconds."""
    return float(min(MAX_BACKOFF_SECONDS, first * 2.0 ** min(tries, 64)))
