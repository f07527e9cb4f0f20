"""Stop asking an endpoint that keeps failing, and try it again now and then. Never sleeps and starts no task."""

import time
from collections.abc import Callable
from typing import Literal

FAILURES = 3
"""Failures in a row after which nothing is asked for a while."""
PAUSE_SECONDS = 10.0
MAX_PAUSE_SECONDS = 300.0

Admission = Literal["call", "probe"]


class CircuitBreaker:
    """Whether an endpoint may be asked now.

    After `FAILURES` failures in a row it is not, for `PAUSE_SECONDS`; then a single call is let through as a probe. If
    the probe succeeds, everything is as before; if it fails, the pause is twice as long, up to `MAX_PAUSE_SECONDS`.

    Whoever was admitted calls exactly one of `succeeded`, `failed` and `left`. Use it from one event loop. clock: of
    seconds, which never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._pause = PAUSE_SECONDS
        self._next_probe: float | None = None
        """When a probe may be made; None while calls are made freely."""
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether nothing is asked but probes."""
        return self._next_probe is not None

    def admit(self) -> Admission | None:
        """Return how a call that begins now is made; None: it must not be made."""
        if self._next_probe is None:
            return "call"
        if self._probing or self._clock() < self._next_probe:
            return None
        self._probing = True
        return "probe"

    def succeeded(self, admission: Admission) -> None:
        """Record that the endpoint replied. A call from before a pause does not end the pause: its probe does."""
        if admission == "probe" or self._next_probe is None:
            self._failures, self._pause, self._next_probe, self._probing = 0, PAUSE_SECONDS, None, False

    def failed(self, admission: Admission) -> None:
        """Record that the endpoint did not reply in time. A call from before a pause does not lengthen it."""
        if admission == "probe":
            self._pause = min(2 * self._pause, MAX_PAUSE_SECONDS)
            self._next_probe, self._probing = self._clock() + self._pause, False
        elif self._next_probe is None:
            self._failures += 1
            if self._failures >= FAILURES:
                self._next_probe = self._clock() + self._pause

    def left(self, admission: Admission) -> None:
        """Record that the call ended without saying anything about the endpoint; the next one may be the probe."""
        if admission == "probe":
            self._probing = False
