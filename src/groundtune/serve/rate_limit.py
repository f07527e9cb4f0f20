"""Limit the requests a minute of each key. Counts in memory: each process has limits of its own."""

import math
import time

from groundtune.serve.errors import ErrorReply, RequestRefusedError


class RateLimit:
    """A bucket for each name, that fills evenly and holds the requests of one minute."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}
        """Requests left, and when that was counted."""

    def take(self, name: str, per_minute: int) -> None:
        """Count one request. Raises RequestRefusedError (429) when the bucket is empty."""
        now = time.monotonic()
        left, counted = self._buckets.get(name, (float(per_minute), now))
        left = min(per_minute, left + (now - counted) * per_minute / 60)
        if left < 1:
            self._buckets[name] = left, now
            seconds = math.ceil((1 - left) * 60 / per_minute)
            message = f"this key may send {per_minute:,} requests a minute: try again in {seconds} s"
            raise RequestRefusedError(
                ErrorReply(429, message, "rate_limit_error", "rate_limit", headers={"Retry-After": str(seconds)})
            )
        self._buckets[name] = left - 1, now
