"""Limit how many requests are worked on at once and how many wait; the rest get 429 and a time to come back."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from groundtune.serve.errors import ErrorReply, RequestRefusedError

LONGEST_WAIT = 60
"""Most seconds that a client is told to wait."""
WEIGHT = 0.2
"""Weight of the newest request in the running mean of their seconds."""


class Admission:
    """A bounded queue before a bounded number of slots. For one event loop."""

    def __init__(
        self, *, running: int, waiting: int, on_change: Callable[[int, int], None] = lambda running, waiting: None
    ) -> None:
        """running, waiting: the most of each. on_change: called with how many run and wait whenever that changes."""
        self._slots = asyncio.Semaphore(running)
        self._running = running
        self._most_waiting = waiting
        self._now_running = self._waiting = 0
        self._on_change = on_change
        self._mean_seconds = 1.0
        self._fewer: asyncio.Event | None = None
        """Set when a request has ended; None while nobody waits for that."""

    async def until_below(self, requests: int) -> None:
        """Wait until fewer than so many requests are at work or wait."""
        while self._now_running + self._waiting >= requests:
            self._fewer = self._fewer or asyncio.Event()
            await self._fewer.wait()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the slots. Raises RequestRefusedError (429) when too many wait for one."""
        if self._slots.locked() and self._waiting >= self._most_waiting:
            raise RequestRefusedError(self._too_many())
        self._count(waiting=1)
        try:
            await self._slots.acquire()
        finally:
            self._count(waiting=-1)
        self._count(running=1)
        start = time.monotonic()
        try:
            yield
        finally:
            self._slots.release()
            self._count(running=-1)
            self._mean_seconds += WEIGHT * (time.monotonic() - start - self._mean_seconds)

    def _count(self, *, running: int = 0, waiting: int = 0) -> None:
        self._now_running += running
        self._waiting += waiting
        self._on_change(self._now_running, self._waiting)
        if self._fewer and running + waiting < 0:
            self._fewer.set()
            self._fewer = None

    def _too_many(self) -> ErrorReply:
        """Return the refusal; the time to wait is that of the queue, as far as earlier requests tell."""
        seconds = math.ceil(self._mean_seconds * (self._waiting + 1) / self._running)
        headers = {"Retry-After": str(min(max(seconds, 1), LONGEST_WAIT))}
        message = f"{self._running:,} requests are running and {self._waiting:,} wait: try again later"
        return ErrorReply(429, message, "rate_limit_error", "overloaded", headers=headers)
