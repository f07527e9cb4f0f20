"""Limit the requests a minute of each key, over all processes that serve the project. Forgets with the machine.

The counts are in `.groundtune/rates.sqlite`. They are written without waiting for the disk, so that a request pays only
microseconds for them.
"""

import math
import sqlite3
import threading
import time
from pathlib import Path

from groundtune.serve.errors import ErrorReply, RequestRefusedError

BUSY_SECONDS = 5.0
TABLE = "CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, left REAL NOT NULL, counted REAL NOT NULL)"
"""Requests left to each key, and when that was counted, in seconds of the machine's monotonic clock."""


class RateLimit:
    """A bucket for each name, that fills evenly and holds the requests of one minute."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None

    def take(self, name: str, per_minute: int) -> None:
        """Count one request. Raises RequestRefusedError (429) when the bucket is empty."""
        with self._lock:
            left = self._take(name, per_minute)
        if left < 1:
            seconds = math.ceil((1 - left) * 60 / per_minute)
            message = f"this key may send {per_minute:,} requests a minute: try again in {seconds} s"
            headers = {"Retry-After": str(seconds)}
            raise RequestRefusedError(ErrorReply(429, message, "rate_limit_error", "rate_limit", headers=headers))

    def _take(self, name: str, per_minute: int) -> float:
        """Take one request out of a bucket, if there is one; return how many there were."""
        database = self._opened = self._opened or self._open()
        database.execute("BEGIN IMMEDIATE")
        try:
            now = time.monotonic()
            row = database.execute("SELECT left, counted FROM buckets WHERE name = ?", (name,)).fetchone()
            left, counted = row or (float(per_minute), now)
            if counted > now:  # the machine was started again since
                left, counted = float(per_minute), now
            left = min(per_minute, left + (now - counted) * per_minute / 60)
            row = (name, left - 1 if left >= 1 else left, now)
            database.execute("INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)", row)
        finally:
            database.execute("COMMIT")
        return float(left)

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        database.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {TABLE};")
        return database
