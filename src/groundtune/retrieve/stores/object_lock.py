"""Hold the lock of the single writer of an index on object storage: a row in a LanceDB table.

LanceDB commits with a conditional write (If-None-Match), so of two processes that change the row at the same time one
starts over and then finds it taken. The holder renews the row; a holder that has not done so for STALE_SECONDS counts
as dead, so the clocks of the machines may differ by less than a minute.
"""

import asyncio
import contextlib
import os
import random
import re
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import lancedb
import pyarrow as pa

from groundtune.errors import BusyError, MissingError
from groundtune.retrieve.stores.objects import HINT

TABLE = "writer_lock"
RENEW_SECONDS = 20.0
STALE_SECONDS = 120.0
RETRY_SECONDS = 0.5
YOUNG, SETTLE_SECONDS = 10, 2.0
"""Creating the table is not one commit: whoever takes the lock in its first versions looks again after some seconds,
because another process that is creating it at the same time may have emptied it."""
KEEP_OLD_VERSIONS = timedelta(minutes=10)
SCHEMA = pa.schema({"owner": pa.string(), "holder": pa.string(), "renewed": pa.float64()}.items())
FREE: dict[str, Any] = {"owner": "", "holder": "", "renewed": 0.0}
CONFLICT_TEXTS = ("incompatible transaction", "conflict")
"""Error texts of LanceDB when another process has committed first."""
REASON = re.compile(r"<Message>(.*?)</Message>")


@contextlib.asynccontextmanager
async def hold_lock(
    uri: str, *, storage_options: Mapping[str, str], wait_seconds: float, on_loss: Callable[[], None]
) -> AsyncIterator[None]:
    """Hold the lock. Raises BusyError if it is not free in time, or if another process took it over meanwhile.

    on_loss: called as soon as that is known; the work is then cancelled.
    """
    table, owner = await _table(uri, storage_options), uuid.uuid4().hex
    await _acquire(table, owner, uri, time.monotonic() + wait_seconds)
    task, lost = asyncio.current_task(), asyncio.Event()

    async def renew() -> None:
        await _renew_until_lost(table, owner)
        lost.set()
        on_loss()
        if task:
            task.cancel()

    renewing = asyncio.create_task(renew())
    try:
        yield
    except asyncio.CancelledError:
        if lost.is_set() and task:
            task.uncancel()
            raise BusyError(f"another process took over the writer lock of {uri}", hint="run it again") from None
        raise
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        with contextlib.suppress(OSError, RuntimeError):  # the lock goes stale if it cannot be released
            await table.update(FREE, where=f"owner = '{owner}'")
            await table.optimize(cleanup_older_than=KEEP_OLD_VERSIONS)


async def _table(uri: str, storage_options: Mapping[str, str]) -> Any:
    """Open the table; create it with one row if there is none. Two processes may each add a row."""
    try:
        connection = await lancedb.connect_async(
            uri, storage_options=dict(storage_options), read_consistency_interval=timedelta(0)
        )
        table = await _open_or_create(connection)
        if await table.count_rows() == 0:
            await table.add([FREE])
    except (OSError, RuntimeError, ValueError) as error:
        reason = REASON.search(str(error))
        raise MissingError(f"cannot reach {uri}: {reason[1] if reason else str(error)[:200]}", hint=HINT) from error
    return table


async def _open_or_create(connection: Any) -> Any:
    with contextlib.suppress(ValueError):  # there is none
        return await connection.open_table(TABLE)
    try:
        await connection.create_table(TABLE, schema=SCHEMA)
    except (RuntimeError, ValueError) as error:
        if not (_is_conflict(error) or "already exists" in str(error)):
            raise
    return await connection.open_table(TABLE)


def _is_conflict(error: Exception) -> bool:
    return any(text in str(error).casefold() for text in CONFLICT_TEXTS)


async def _acquire(table: Any, owner: str, uri: str, deadline: float) -> None:
    since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    holder = f"process {os.getpid()} on {socket.gethostname()}, since {since}"
    while not await _try_to_acquire(table, owner, holder):
        if time.monotonic() >= deadline:
            others = _holders(await _rows(table), owner)
            named = f" ({others[0]})" if others and others[0] else ""
            raise BusyError(f"another process is writing to {uri}{named}", hint="wait until it is done")
        await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1.5))


async def _try_to_acquire(table: Any, owner: str, holder: str) -> bool:
    """Take every row that is free; give them back if another process holds one.

    Commits have an order: of two processes that took different rows, the one that committed later sees the other.
    """
    now = time.time()
    values = {"owner": owner, "holder": holder, "renewed": now}
    try:
        taken = await table.update(values, where=f"owner = '' OR renewed < {now - STALE_SECONDS}")
    except RuntimeError as error:
        if _is_conflict(error):
            return False
        raise
    if not taken.rows_updated:
        return False
    if await table.version() < YOUNG:
        await asyncio.sleep(SETTLE_SECONDS)
    rows = await _rows(table)
    if _holders(rows, owner) or not any(row["owner"] == owner for row in rows):
        await table.update(FREE, where=f"owner = '{owner}'")
        return False
    return True


async def _rows(table: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await table.query().to_arrow()).to_pylist()
    return rows


def _holders(rows: Sequence[dict[str, Any]], owner: str) -> list[str]:
    """Return the names of other processes that hold a row."""
    alive = time.time() - STALE_SECONDS
    return [row["holder"] for row in rows if row["owner"] not in ("", owner) and row["renewed"] >= alive]


async def _renew_until_lost(table: Any, owner: str) -> None:
    """Renew the lock until another process has it, or until it could not be renewed for too long."""
    renewed = time.monotonic()
    while time.monotonic() - renewed < STALE_SECONDS:
        await asyncio.sleep(RENEW_SECONDS)
        with contextlib.suppress(OSError, RuntimeError):
            done = await table.update({"renewed": time.time()}, where=f"owner = '{owner}'")
            if not done.rows_updated:
                return
            renewed = time.monotonic()
