"""Cache generations by the full request, so that repeating a request costs nothing. Never caches a failure."""

import asyncio
import hashlib
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from groundtune.common.event_loop import closing
from groundtune.models.budget import Budget
from groundtune.protocols import RepeatableGenerator, StreamingGenerator
from groundtune.types import Generation, Prompt, Usage

VERSION = 2
"""Part of every key. Increase it when what is stored changes: 2 keeps thinking apart from the text. An older table is
replaced: its texts may hold thoughts, and nobody knows which of them were cut."""
BUSY_SECONDS = 5.0
"""Longest time that a write waits for another process."""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
_COLUMNS = ("key", "text", "usage", "confidence", "made", "reasoning", "cut", "warnings")
_OLD_COLUMNS = _COLUMNS[:5]
_TABLE = """CREATE TABLE IF NOT EXISTS generations
    (key BLOB PRIMARY KEY, text TEXT NOT NULL, usage TEXT NOT NULL, confidence REAL, made REAL NOT NULL,
    reasoning TEXT NOT NULL, cut TEXT, warnings TEXT NOT NULL)"""
_FIND = "SELECT text, usage, confidence, reasoning, cut, warnings FROM generations WHERE key = ?"
_KEEP = "INSERT OR REPLACE INTO generations VALUES (?, ?, ?, ?, ?, ?, ?, ?)"

OnPiece = Callable[[str], None]
"""Receives the pieces of a stream."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _CacheConnection:
    database: sqlite3.Connection
    inode: int


class GenerationCache:
    """An SQLite file shared by processes and threads, created on first use.

    It only grows; deleting it only means paying for the calls again. Problems with the file never raise an error: a
    damaged file is renamed to `….damaged-…` and replaced by a new one, and a file that cannot be opened, read or
    written is ignored. Both are logged as warnings.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._warnings: set[str] = set()

    def get(self, key: bytes) -> Generation | None:
        """Return the cached generation, with `cached` set, or None. Takes about 10 µs, so it needs no thread."""
        for _ in range(2):
            try:
                row = self._open().database.execute(_FIND, (key,)).fetchone()
                if row or not self._follow():
                    return _read(row) if row else None
            except sqlite3.Error as error:
                if not self._repaired(error):
                    return None
            except OSError as error:
                self._warn(f"cannot be used: {error}")
                return None
        return None

    def put(self, key: bytes, generation: Generation) -> None:
        """Store the generation, replacing any earlier one. May wait for other processes: call it in a thread."""
        row = (
            key,
            generation.text,
            json.dumps(asdict(generation.usage)),
            generation.confidence,
            time.time(),
            generation.reasoning,
            generation.cut,
            json.dumps(generation.warnings),
        )
        self._follow()
        for _ in range(2):
            try:
                self._open().database.execute(_KEEP, row)
                return
            except sqlite3.Error as error:
                if not self._repaired(error):
                    return
            except (OSError, UnicodeEncodeError) as error:  # UTF-8 cannot encode lone surrogates
                self._warn(f"cannot store this generation: {error}")
                return

    def close(self) -> None:
        """Close this thread's connection; the next call opens another."""
        opened: _CacheConnection | None = getattr(self._local, "opened", None)
        self._local.opened = None
        if opened:
            opened.database.close()

    def _open(self) -> _CacheConnection:
        opened: _CacheConnection | None = getattr(self._local, "opened", None)
        if opened is None:
            with self._lock:
                self._local.opened = opened = self._connect()
        return opened

    def _follow(self) -> bool:
        """Close the connection if the file was renamed or deleted. Return whether it was."""
        opened: _CacheConnection | None = getattr(self._local, "opened", None)
        try:
            replaced = opened is not None and opened.inode != self.path.stat().st_ino
        except OSError:
            replaced = True
        if replaced:
            self.close()
        return replaced

    def _connect(self) -> _CacheConnection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            _use_wal(database)
            database.execute("PRAGMA synchronous = NORMAL")
            _replace_old_table(database)
            database.execute(_TABLE)
            database.execute(_FIND, (b"",)).fetchone()  # fails if the table has other columns
            return _CacheConnection(database, self.path.stat().st_ino)
        except BaseException:
            database.close()
            raise

    def _repaired(self, error: sqlite3.Error) -> bool:
        """Return whether to retry: a damaged file was renamed, by this thread or by another one."""
        opened: _CacheConnection | None = getattr(self._local, "opened", None)
        self.close()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGE:
            self._warn(f"cannot be used: {error}")
            return False
        with self._lock:
            try:
                if self._was_repaired(opened):
                    return True
                damaged = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
                for suffix in ("-wal", "-shm"):
                    companion = self.path.with_name(self.path.name + suffix)
                    if companion.exists():
                        os.replace(companion, f"{damaged}{suffix}")  # noqa: PTH105
                self.path.rename(damaged)
            except FileNotFoundError:
                return True
            except OSError as reason:
                self._warn(f"is damaged ({error}) and cannot be renamed: {reason}")
                return False
        log.warning("%s is damaged (%s): renamed it to %s and started a new cache", self.path, error, damaged.name)
        return True

    def _was_repaired(self, opened: _CacheConnection | None) -> bool:
        """Return whether the damaged file has already been replaced."""
        if opened:
            return opened.inode != self.path.stat().st_ino
        try:
            self._connect().database.close()
        except sqlite3.Error:
            return False
        return True

    def _warn(self, problem: str) -> None:
        """Log each problem once."""
        if problem not in self._warnings:
            self._warnings.add(problem)
            log.warning("the cache %s %s; continuing without it", self.path, problem)


class CachedGenerator:
    """A generator that answers from the cache and calls the wrapped generator only on a miss, within the budget.

    Identical concurrent requests share one call. Use it from one event loop.
    """

    def __init__(self, generator: RepeatableGenerator, cache: GenerationCache, *, budget: Budget) -> None:
        self._generator = generator
        self._cache = cache
        self._budget = budget
        self._flights: dict[bytes, _Flight] = {}
        self._warm = False

    @property
    def name(self) -> str:
        return self._generator.name

    @property
    def window(self) -> int | None:
        """Context window in tokens, prompt and answer together; None when the generator does not know it."""
        window: int | None = getattr(self._generator, "window", None)
        return window

    def request(self, prompt: Prompt) -> Mapping[str, Any]:
        return self._generator.request(prompt)

    def ceiling_usd(self, prompt: Prompt) -> float | None:
        return self._generator.ceiling_usd(prompt)

    @property
    def has_confidence(self) -> bool:
        """Whether generations may carry a confidence."""
        return getattr(self._generator, "has_confidence", True)

    @property
    def reads_messages(self) -> bool:
        """Whether the generator reads the rendered messages of a prompt."""
        return getattr(self._generator, "reads_messages", True)

    async def generate(self, prompt: Prompt) -> Generation:
        """Return the cached generation, with `cached` set, or generate a new one and cache it.

        Raises BudgetError when the budget does not cover the call, and any error of the generator.
        """
        key, hit = await self._look_up(prompt)
        if hit:
            return hit
        with self._boarded(key, prompt) as flight:
            return flight.claim(await asyncio.shield(flight.task))

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Generation]:
        """Yield the text in pieces as the wrapped generator streams it, and at the end the generation.

        A cached text comes in one piece, and so does that of a call already in progress or of a generator that cannot
        stream. A slow consumer does not slow down the call. Raises as `generate` does.
        """
        key, hit = await self._look_up(prompt)
        if hit:
            yield hit.text
            yield hit
            return
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        streamed = False
        with self._boarded(key, prompt, pieces.put_nowait) as flight:
            flight.task.add_done_callback(lambda _: pieces.put_nowait(None))
            while (piece := await pieces.get()) is not None:
                streamed = True
                yield piece
            generation = flight.claim(await flight.task)
        if not streamed:
            yield generation.text
        yield generation

    async def _look_up(self, prompt: Prompt) -> tuple[bytes, Generation | None]:
        if self._warm:
            return self._find(prompt)
        found = await asyncio.to_thread(self._find, prompt)  # the first call may have to hash the weights of the model
        self._warm = True
        return found

    def _find(self, prompt: Prompt) -> tuple[bytes, Generation | None]:
        key = cache_key(self._generator.request(prompt))
        return key, self._cache.get(key)

    @contextmanager
    def _boarded(self, key: bytes, prompt: Prompt, on_piece: OnPiece | None = None) -> Iterator["_Flight"]:
        """Join the call of this request, or start it; the last caller that leaves before its end cancels it."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(self._fetch(key, prompt, on_piece)))
            flight.task.add_done_callback(lambda task: self._landed(key, task))
        flight.waiting += 1
        try:
            yield flight
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():  # no caller is left
                self._flights.pop(key, None)
                flight.task.cancel()

    async def _fetch(self, key: bytes, prompt: Prompt, on_piece: OnPiece | None) -> Generation:
        ceiling = await asyncio.to_thread(self._generator.ceiling_usd, prompt)  # the first call reads the price table
        async with self._budget.reserve(ceiling, model=self.name) as reservation:
            generation = await self._call(prompt, on_piece)
            reservation.record_cost(generation.usage.usd)
        try:
            await asyncio.to_thread(self._cache.put, key, generation)
        except asyncio.CancelledError:  # no caller is left, but the answer is paid for: keep it for the next run
            self._cache.put(key, generation)
            raise
        return generation

    async def _call(self, prompt: Prompt, on_piece: OnPiece | None) -> Generation:
        if on_piece is None or not isinstance(self._generator, StreamingGenerator):
            return await self._generator.generate(prompt)
        text = ""
        async with closing(self._generator.stream(prompt)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Generation):
                    return piece
                text += piece
                on_piece(piece)
        return Generation(text)

    def _landed(self, key: bytes, task: "asyncio.Task[Generation]") -> None:
        if (flight := self._flights.get(key)) and flight.task is task:
            del self._flights[key]
        if not task.cancelled():
            task.exception()  # retrieve it, or asyncio logs it when no caller is left


@dataclass(slots=True)
class _Flight:
    task: "asyncio.Task[Generation]"
    waiting: int = 0
    claimed: bool = False
    """Whether one caller has already been charged; the others get the generation as cached."""

    def claim(self, generation: Generation) -> Generation:
        """Return the generation as the first caller gets it, or as all later ones do."""
        paid_here, self.claimed = not self.claimed, True
        return generation if paid_here else replace(generation, cached=True)


def cache_key(request: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 of the request as canonical JSON: sorted keys, no spaces, ASCII."""
    text = json.dumps([VERSION, request], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).digest()


def _read(row: tuple[str, str, float | None, str, str | None, str]) -> Generation | None:
    text, usage, confidence, reasoning, cut, warnings = row
    try:
        return Generation(
            text=text,
            usage=Usage(**json.loads(usage)),
            confidence=confidence,
            cached=True,
            reasoning=reasoning,
            cut=cut,
            warnings=tuple(map(str, json.loads(warnings))),
        )
    except (TypeError, ValueError):
        return None  # written by another version: a miss


def _replace_old_table(database: sqlite3.Connection) -> None:
    """Drop the table of version 1; another process may do so at the same time."""
    columns = tuple(row[1] for row in database.execute("PRAGMA table_info(generations)"))
    if columns == _OLD_COLUMNS:
        database.execute("BEGIN IMMEDIATE")
        if len(list(database.execute("PRAGMA table_info(generations)"))) == len(_OLD_COLUMNS):
            database.execute("DROP TABLE generations")
            database.execute(_TABLE)
        database.execute("COMMIT")


def _use_wal(database: sqlite3.Connection) -> None:
    """Allow readers during a write. SQLite applies no timeout to this switch, so wait for other processes here."""
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
