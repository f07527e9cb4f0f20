"""Limit the concurrent calls to one endpoint and slow down after rate limits. Never sends a request itself."""

import asyncio
import heapq
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

MAX_WAIT_SECONDS = 60.0
"""Longest Retry-After that is waited for; `patience_seconds` may allow more."""
MAX_BACKOFF_SECONDS = 20.0
MIN_BACKOFF_SECONDS = 0.001
"""Shortest pause after a 429; prevents a busy loop of retries."""


class RateLimiter:
    """Adaptive limit: at most `slots` calls at a time, fewer after a rate limit. First come, first served.

    A 429 delays every call that has not started, for as long as the server asks plus random jitter of up to
    `backoff_seconds`, doubled with each consecutive 429. It also halves the limit of concurrent calls. After as many
    successes as the limit, the limit rises by one, up to `slots`. 429s of calls that had started before the limit was
    lowered do not lower it again. For one event loop.
    """

    def __init__(self, slots: int, *, backoff_seconds: float) -> None:
        self.slots = slots
        self.limit = slots
        """Current limit of concurrent calls."""
        self.stalled_seconds = 0.0
        """Total of the pauses since the last success."""
        self.has_answered = False
        """Whether any call has been answered."""
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
        """Wait for a free slot, and return it at the end."""
        slot = Slot(self, next(self._tickets))
        await slot.acquire()
        try:
            yield slot
        finally:
            slot.release()

    def pause_for(self, retry_after: float | None) -> float:
        """Return the pause in seconds after a 429 with this Retry-After; random on each call."""
        return (retry_after or 0.0) + random.uniform(0, max_backoff_seconds(self._backoff_seconds, self._refusals))

    def record_success(self, began: float) -> None:
        """Record that a call sent at `began` was answered."""
        self.stalled_seconds = 0.0
        self.has_answered = True
        if began <= self._lowered_at:
            return
        self._refusals = 0
        self._successes += 1
        if self._successes >= self.limit < self.slots:
            self.limit += 1
            self._successes = 0
            self._wake()

    def record_refusal(self, began: float, pause: float, *, pause_given: bool) -> None:
        """Record that a call sent at `began` was rate-limited. pause_given: whether the server sent Retry-After."""
        now = asyncio.get_running_loop().time()
        if began > self._lowered_at:
            self._lowered_at = now
            self._refusals += 1
            self._successes = 0
            self.limit = max(1, self.limit // 2)
        elif not pause_given:
            return
        end = max(self._resume_at, now + pause)
        self.stalled_seconds += end - max(self._resume_at, now)
        self._resume_at = end

    async def acquire(self, ticket: int) -> None:
        """Wait for a free slot. The lowest ticket goes first."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (ticket, turn))
        self._wake()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # admitted at the same moment
                self.release()
            raise

    def release(self) -> None:
        self._under_way -= 1
        self._wake()

    def _wake(self) -> None:
        """Admit waiting calls up to the limit; during a pause, set a timer to do it later."""
        loop = asyncio.get_running_loop()
        if self._timer is None and self._waiting and loop.time() < self._resume_at:
            self._timer = loop.call_at(self._resume_at, self._resume)
        while self._waiting and self._under_way < self.limit and loop.time() >= self._resume_at:
            _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                self._under_way += 1
                turn.set_result(None)

    def _resume(self) -> None:
        self._timer = None
        self._wake()


class Slot:
    """The slot of one call. After a 429 it is released, and reacquired before all later calls."""

    def __init__(self, limiter: RateLimiter, ticket: int) -> None:
        self.waited_seconds = 0.0
        """Total time waited after 429s."""
        self._limiter = limiter
        self._ticket = ticket
        self._taken = False
        self._began = 0.0

    async def acquire(self) -> None:
        await self._limiter.acquire(self._ticket)
        self._taken = True

    def release(self) -> None:
        if self._taken:
            self._taken = False
            self._limiter.release()

    @property
    def endpoint_has_answered(self) -> bool:
        """Whether the endpoint has answered any call."""
        return self._limiter.has_answered

    def record_start(self) -> None:
        """Record that a request is being sent."""
        self._began = asyncio.get_running_loop().time()

    def record_success(self) -> None:
        """Record that the last request was answered."""
        self._limiter.record_success(self._began)

    async def wait_after_refusal(self, retry_after: float | None, *, patience_seconds: float) -> bool:
        """Slow down after a 429, and wait until this call may be sent again.

        Returns False, without waiting and without holding up other calls, if that would exceed `patience_seconds`. The
        limit applies to the time this call has waited, and to the endpoint's pauses since its last successful answer.
        """
        left = patience_seconds - max(self.waited_seconds, self._limiter.stalled_seconds)
        if left < max(retry_after or 0.0, MIN_BACKOFF_SECONDS):
            return False
        pause = min(left, self._limiter.pause_for(retry_after))
        loop = asyncio.get_running_loop()
        start = loop.time()
        self._limiter.record_refusal(self._began, pause, pause_given=retry_after is not None)
        self.release()
        await self.acquire()
        self.waited_seconds += loop.time() - start
        return True


def max_backoff_seconds(first: float, tries: int) -> float:
    """Return the longest pause in seconds after `tries` earlier failures in a row."""
    return float(min(MAX_BACKOFF_SECONDS, first * 2.0 ** min(tries, 64)))
