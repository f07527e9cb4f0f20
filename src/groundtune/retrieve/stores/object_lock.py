"""Hold the lock of the single writer of an index on object storage: a LanceDB table with one row.

LanceDB commits with a conditional write (If-None-Match), so of two processes that change the row at the same time one
starts over and then finds it taken. The holder renews the row; a holder that has not done so for STALE_SECONDS counts
as dead, so the clocks of the machines may differ by less than a minute.
"""

import asyncio
import contextlib
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import lancedb

from groundtune.errors import BusyError

TABLE = "writer_lock"
RENEW_SECONDS = 20.0
STALE_SECONDS = 120.0
RETRY_SECONDS = 0.5
FREE: dict[str, Any] = {"owner": "", "holder": "", "renewed": 0.0}
KEEP_OLD_VERSIONS = timedelta(minutes=10)


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
    connection = await lancedb.connect_async(
        uri, storage_options=dict(storage_options), read_consistency_interval=timedelta(0)
    )
    try:
        return await connection.open_table(TABLE)
    except ValueError:
        with contextlib.suppress(ValueError):  # another process has created it just now
            return await connection.create_table(TABLE, [FREE])
        return await connection.open_table(TABLE)


async def _acquire(table: Any, owner: str, uri: str, deadline: float) -> None:
    since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    holder = f"process {os.getpid()} on {socket.gethostname()}, since {since}".replace("'", "")
    while True:
        now = time.time()
        free = f"owner = '' OR renewed < {now - STALE_SECONDS}"
        taken = await table.update({"owner": owner, "holder": holder, "renewed": now}, where=free)
        if taken.rows_updated:
            return
        if time.monotonic() >= deadline:
            (row,) = (await table.query().to_arrow()).to_pylist()
            named = f" ({row['holder']})" if row["holder"] else ""
            raise BusyError(f"another process is writing to {uri}{named}", hint="wait until it is done")
        await asyncio.sleep(RETRY_SECONDS)


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
