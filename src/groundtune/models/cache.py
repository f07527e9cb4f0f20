"""Keep what a generator made, by all that it was asked: the same request again costs nothing. Never keeps a failure."""

import asyncio
import hashlib
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from groundtune.models.purse import Purse
from groundtune.protocols import RepeatableGenerator
from groundtune.types import Generation, Prompt, Usage

VERSION = 1
"""Part of every key: a change of what is kept leaves the old rows unread."""
BUSY_SECONDS = 5.0
"""How long a write waits for another process."""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
_TABLE = """CREATE TABLE IF NOT EXISTS generations
    (key BLOB PRIMARY KEY, text TEXT NOT NULL, usage TEXT NOT NULL, confidence REAL, made REAL NOT NULL)"""
_FIND = "SELECT text, usage, confidence FROM generations WHERE key = ?"
_KEEP = "INSERT OR REPLACE INTO generations VALUES (?, ?, ?, ?, ?)"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Opened:
    database: sqlite3.Connection
    inode: int


class GenerationCache:
    """An SQLite file for many processes and threads, made at first use. It grows; deleting it costs only money.

    It never raises for the state of its file: a damaged one is renamed to `….damaged-…` and begun anew, one that
    cannot be opened, read or written is done without; both are said in the log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def get(self, key: bytes) -> Generation | None:
        """What was kept under the key, with `cached` set. Takes some 10 µs: nothing to leave the event loop for."""
        for _ in range(2):
            try:
                row = self._open().database.execute(_FIND, (key,)).fetchone()
                if row or not self._follow():
                    return _read(row) if row else None
            except sqlite3.Error as error:
                if not self._repaired(error):
                    return None
            except OSError as error:
                self._tell(f"cannot be used: {error}")
                return None
        return None

    def put(self, key: bytes, generation: Generation) -> None:
        """Keep it, in the place of what was there. Waits for other processes: call it in a thread."""
        row = (key, generation.text, json.dumps(asdict(generation.usage)), generation.confidence, time.time())
        self._follow()
        for _ in range(2):
            try:
                self._open().database.execute(_KEEP, row)
                return
            except sqlite3.Error as error:
                if not self._repaired(error):
                    return
            except (OSError, UnicodeEncodeError) as error:  # UTF-8 has no lone surrogates
                self._tell(f"cannot keep this: {error}")
                return

    def close(self) -> None:
        """Close this thread's connection; the next call opens another."""
        opened: _Opened | None = getattr(self._local, "opened", None)
        self._local.opened = None
        if opened:
            opened.database.close()

    def _open(self) -> _Opened:
        opened: _Opened | None = getattr(self._local, "opened", None)
        if opened is None:
            with self._lock:
                self._local.opened = opened = self._connect()
        return opened

    def _follow(self) -> bool:
        """Let go of a file that somebody has renamed or deleted; whether that was so."""
        opened: _Opened | None = getattr(self._local, "opened", None)
        try:
            gone = opened is not None and opened.inode != self.path.stat().st_ino
        except OSError:
            gone = True
        if gone:
            self.close()
        return gone

    def _connect(self) -> _Opened:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            _use_wal(database)
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(_TABLE)
            database.execute(_FIND, (b"",)).fetchone()  # another table of that name shows here
            return _Opened(database, self.path.stat().st_ino)
        except BaseException:
            database.close()
            raise

    def _repaired(self, error: sqlite3.Error) -> bool:
        """Whether it is worth another try: a damaged file was set aside, by this thread or by somebody else."""
        opened: _Opened | None = getattr(self._local, "opened", None)
        self.close()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGE:
            self._tell(f"cannot be used: {error}")
            return False
        with self._lock:
            try:
                if self._was_repaired(opened):
                    return True
                aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
                for end in ("-wal", "-shm"):
                    companion = self.path.with_name(self.path.name + end)
                    if companion.exists():
                        os.replace(companion, f"{aside}{end}")  # noqa: PTH105
                self.path.rename(aside)
            except FileNotFoundError:
                return True
            except OSError as reason:
                self._tell(f"is damaged ({error}) and cannot be set aside: {reason}")
                return False
        log.warning("%s is damaged (%s): it is now %s, and a new one is begun", self.path, error, aside.name)
        return True

    def _was_repaired(self, opened: _Opened | None) -> bool:
        """Whether the file that stands there now is another one than that which was found damaged."""
        if opened:
            return opened.inode != self.path.stat().st_ino
        try:
            self._connect().database.close()
        except sqlite3.Error:
            return False
        return True

    def _tell(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            log.warning("the cache %s %s; going on without it", self.path, what)


class CachedGenerator:
    """A generator that asks only for what the cache does not have, with money from the purse.

    Of equal requests under way, the first is made and the others wait for it. For one event loop.
    """

    def __init__(self, generator: RepeatableGenerator, cache: GenerationCache, *, purse: Purse) -> None:
        self._generator = generator
        self._cache = cache
        self._purse = purse
        self._flights: dict[bytes, _Flight] = {}
        self._warm = False

    @property
    def name(self) -> str:
        return self._generator.name

    @property
    def window(self) -> int | None:
        """Tokens that prompt and answer may have together; None when the generator does not say."""
        window: int | None = getattr(self._generator, "window", None)
        return window

    def request(self, prompt: Prompt) -> Mapping[str, Any]:
        return self._generator.request(prompt)

    def ceiling_usd(self, prompt: Prompt) -> float | None:
        return self._generator.ceiling_usd(prompt)

    async def generate(self, prompt: Prompt) -> Generation:
        """What was kept, with `cached` set, or a new generation, which is then kept.

        Raises BudgetError when the purse does not reach, and what the generator raises.
        """
        if self._warm:
            key, kept = self._find(prompt)
        else:  # the first time, a generator may have to look up what its weights are
            key, kept = await asyncio.to_thread(self._find, prompt)
            self._warm = True
        if kept:
            return kept
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(self._fetch(key, prompt)))
            flight.task.add_done_callback(lambda task: self._landed(key, task))
        flight.waiting += 1
        try:
            made = await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():  # nobody wants it any more
                self._flights.pop(key, None)
                flight.task.cancel()
        paid_here, flight.claimed = not flight.claimed, True
        return made if paid_here else replace(made, cached=True)

    def _find(self, prompt: Prompt) -> tuple[bytes, Generation | None]:
        key = key_of(self._generator.request(prompt))
        return key, self._cache.get(key)

    async def _fetch(self, key: bytes, prompt: Prompt) -> Generation:
        ceiling = await asyncio.to_thread(self._generator.ceiling_usd, prompt)  # the first reads the table of prices
        async with self._purse.reserve(ceiling, model=self.name) as slip:
            made = await self._generator.generate(prompt)
            slip.paid(made.usage.usd)
        try:
            await asyncio.to_thread(self._cache.put, key, made)
        except asyncio.CancelledError:  # nobody wants it any more, but it is paid: the next run does
            self._cache.put(key, made)
            raise
        return made

    def _landed(self, key: bytes, task: "asyncio.Task[Generation]") -> None:
        if (flight := self._flights.get(key)) and flight.task is task:
            del self._flights[key]
        if not task.cancelled():
            task.exception()  # seen here, so that one that nobody waits for any more is not logged


@dataclass(slots=True)
class _Flight:
    task: "asyncio.Task[Generation]"
    waiting: int = 0
    claimed: bool = False
    """Whether one of those who waited has been told what it cost."""


def key_of(request: Mapping[str, Any]) -> bytes:
    """SHA-256 of the request as canonical JSON: keys sorted, no spaces, ASCII."""
    text = json.dumps([VERSION, request], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).digest()


def _read(row: tuple[str, str, float | None]) -> Generation | None:
    text, usage, confidence = row
    try:
        return Generation(text=text, usage=Usage(**json.loads(usage)), confidence=confidence, cached=True)
    except (TypeError, ValueError):
        return None  # of another version: it is made again


def _use_wal(database: sqlite3.Connection) -> None:
    """Readers and a writer side by side. The switch does not wait for others by itself, as all else does."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > end:
                raise
            time.sleep(0.01)
