"""Open, share and pin connections to one database. Knows the codecs and settings of a session, and no table.

Connector         opens single connections
SharedConnections a pool for readers, and the writer's own connection while it holds the lock
PinnedConnections connections that all see the same moment, for a snapshot
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from groundtune.errors import ProviderError, UsageError, need
from groundtune.retrieve.stores.postgres.address import check_dsn, place
from groundtune.retrieve.stores.postgres.failures import connecting, is_lost, lost_connection, working
from groundtune.retrieve.stores.postgres.values import register_types

CONNECT_SECONDS = 15.0
READ_SECONDS = 60.0
"""Longest time that one query of a reader may take."""
IDLE_SECONDS = 300.0
"""Seconds after which the pool closes a connection that nobody uses."""
CONNECTIONS = 8
"""Most connections of one process for reading; further queries wait for a free one."""
PINNED_CONNECTIONS = 4

SESSION = (
    "SET client_min_messages = warning; "
    "SET jit = off; "  # compiling takes longer than most of these queries
    "SET plan_cache_mode = force_custom_plan; "  # the best plan depends on how much is in scope
    "SET random_page_cost = 1.1; "  # the usual 4 is for spinning disks and makes indexes look expensive
    "SET hnsw.ef_search = {ef_search}; "
    "SET hnsw.iterative_scan = relaxed_order; "
    "SET hnsw.max_scan_tuples = {max_scan_tuples}; "
    "SET hnsw.scan_mem_multiplier = 4"
)
NEVER_IDLE = ("idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_timeout", "statement_timeout")
"""Limits of the server that would end a session which holds the lock or a snapshot."""
WATCHED = {
    "client_connection_check_interval": "5s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
"""How soon the server notices that the writer's process or machine is gone, so that the lock becomes free."""
EF_SEARCH = 800
"""Candidates of the HNSW search. Among 100,000 passages of which most have near-duplicates, 400 find 93% of the ten
nearest, 800 95%; among 23,000 different ones 200 are enough.
"""
MAX_SCAN_TUPLES = 100_000
"""Rows of the HNSW index visited at most for a narrow scope; a search that ends with too few is repeated exactly."""


class Connections(Protocol):
    """Where a store or catalog gets its connections from."""

    @property
    def where(self) -> str:
        """Host and database, for messages."""
        ...

    async def fetch(self, sql: str, *arguments: object) -> list[Any]:
        """Run a query and return its rows."""
        ...

    def transaction(self) -> contextlib.AbstractAsyncContextManager[Any]:
        """Open a transaction that writes. Raises UsageError for a read-only view."""
        ...

    def maintenance(self) -> contextlib.AbstractAsyncContextManager[Any]:
        """Give a connection outside any transaction, as VACUUM needs it."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Connector:
    """Opens connections to one database. vector_schema: where the extension is; None while it is not installed."""

    dsn: str
    vector_schema: str | None = None

    @property
    def where(self) -> str:
        return place(self.dsn)

    async def connect(self, *, purpose: str = "reader", seconds: float | None = None) -> Any:
        """Open a connection. seconds: time limit of its commands. Raises ProviderError or MissingError."""
        pg = need("asyncpg", extra="postgres")
        check_dsn(self.dsn)
        with connecting(self.where):
            connection = await pg.connect(
                self.dsn,
                timeout=CONNECT_SECONDS,
                command_timeout=seconds,
                server_settings={"application_name": session_name(purpose)},
            )
            try:
                await self.prepare(connection)
            except BaseException:
                connection.terminate()
                raise
        return connection

    async def prepare(self, connection: Any) -> None:
        """Set codecs and settings of a new connection."""
        await register_types(connection, vector_schema=self.vector_schema)
        await connection.execute(SESSION.format(ef_search=EF_SEARCH, max_scan_tuples=MAX_SCAN_TUPLES))

    async def hold(self, pin: int, *, purpose: str) -> Any:
        """Open a connection that keeps a generation from being dropped for as long as it is open."""
        connection = await self.connect(purpose=purpose, seconds=READ_SECONDS)
        try:
            with working(self.where):
                await keep_alive(connection)
                await connection.execute("SELECT pg_advisory_lock_shared($1)", pin)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def pool(self) -> Any:
        """Return a pool that opens connections when they are needed; to be awaited first."""
        pg = need("asyncpg", extra="postgres")
        check_dsn(self.dsn)
        return pg.create_pool(
            self.dsn,
            min_size=0,
            max_size=CONNECTIONS,
            max_inactive_connection_lifetime=IDLE_SECONDS,
            timeout=CONNECT_SECONDS,
            command_timeout=READ_SECONDS,
            init=self.prepare,
            reset=_keep_settings,
            server_settings={"application_name": session_name("reader")},
        )


class WriterConnection:
    """The connection that holds the lock of the single writer; everything is written on it.

    If it breaks, the lock is gone and so is the right to write: it is never replaced.
    """

    def __init__(self, connection: Any, where: str) -> None:
        self._connection = connection
        self._where = where
        self._free = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def use(self) -> AsyncIterator[Any]:
        """Give the connection to one task at a time."""
        async with self._free:
            if self._connection.is_closed():
                raise ProviderError(
                    f"the connection to the database at {self._where} was lost, and with it the lock for writing",
                    kind="no_server",
                    retryable=True,
                    hint="run groundtune ingest again; it continues where it stopped",
                )
            yield self._connection


class Pin:
    """Keeps a generation from being dropped while a reader has it open: a shared lock of a session of its own."""

    def __init__(self, connector: Connector, key: int, connection: Any) -> None:
        self._connector = connector
        self._key = key
        self._connection = connection
        self._renewing = asyncio.Lock()

    @classmethod
    async def hold(cls, connector: Connector, key: int) -> "Pin":
        return cls(connector, key, await connector.hold(key, purpose="reader"))

    async def renew(self) -> None:
        """Hold it again if the connection was lost, as after a restart of the server."""
        async with self._renewing:
            if self._connection.is_closed():
                self._connection = await self._connector.hold(self._key, purpose="reader")

    async def close(self) -> None:
        await close(self._connection)


class SharedConnections:
    """`Connections` from a pool.

    pin: of a reader, which cannot write. writer: the connection to write on; None writes on one of the pool.
    """

    def __init__(
        self, pool: Any, where: str, *, pin: Pin | None = None, writer: WriterConnection | None = None
    ) -> None:
        self._pool = pool
        self._pin = pin
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self.where = where

    @property
    def is_usable(self) -> bool:
        """Whether it is open and belongs to the event loop that asks."""
        return not self._closed and self._loop is asyncio.get_running_loop()

    async def fetch(self, sql: str, *arguments: object) -> list[Any]:
        """Run a query; again on a new connection if the server was restarted since the last one."""
        with working(self.where):
            try:
                return await self._fetch(sql, arguments)
            except lost_connection() as error:
                if not is_lost(error):
                    raise
                await self._pool.expire_connections()
                if self._pin:
                    await self._pin.renew()
            return await self._fetch(sql, arguments)

    async def _fetch(self, sql: str, arguments: Sequence[object]) -> list[Any]:
        async with self._acquire() as connection:
            rows: list[Any] = await connection.fetch(sql, *arguments)
        return rows

    @contextlib.asynccontextmanager
    async def _acquire(self) -> AsyncIterator[Any]:
        with connecting(self.where):
            connection = await self._pool.acquire()
        try:
            yield connection
        finally:
            with contextlib.suppress(*lost_connection()):
                await self._pool.release(connection)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self.maintenance() as connection, connection.transaction():
            yield connection

    @contextlib.asynccontextmanager
    async def maintenance(self) -> AsyncIterator[Any]:
        if self._pin:
            raise UsageError("this index was opened for reading only")
        async with self._writer.use() if self._writer else self._acquire() as connection:
            with working(self.where):
                yield connection

    async def close(self) -> None:
        self._closed = True
        try:
            await asyncio.wait_for(self._pool.close(), CONNECT_SECONDS)
        except lost_connection():  # TimeoutError is an OSError
            self._pool.terminate()
        if self._pin:
            await self._pin.close()


class PinnedConnections:
    """`Connections` that all see the moment at which the snapshot was taken. Cannot write."""

    def __init__(self, connector: Connector, keeper: Any, snapshot: str) -> None:
        self._connector = connector
        self._keeper = keeper
        """Its open transaction keeps the snapshot; it runs no query that could abort it."""
        self.snapshot = snapshot
        self._slots = asyncio.Semaphore(PINNED_CONNECTIONS)
        self._idle: list[Any] = []
        self.where = connector.where

    @classmethod
    async def take(cls, connector: Connector, pin: int, *, same: str | None = None) -> "PinnedConnections":
        """Take a snapshot of this moment, or one of the same moment as another snapshot. pin: of the generation."""
        keeper = await connector.hold(pin, purpose="snapshot")
        try:
            with working(connector.where):
                await _begin(keeper, same)
                name = await keeper.fetchval("SELECT pg_export_snapshot()")
        except BaseException:
            keeper.terminate()
            raise
        return cls(connector, keeper, name)

    async def fetch(self, sql: str, *arguments: object) -> list[Any]:
        async with self._slots:
            connection = self._idle.pop() if self._idle else await self._join()
            try:
                with working(self.where):
                    rows: list[Any] = await connection.fetch(sql, *arguments)
            except BaseException:
                connection.terminate()  # its transaction is aborted
                raise
            self._idle.append(connection)
        return rows

    def transaction(self) -> contextlib.AbstractAsyncContextManager[Any]:
        raise UsageError("a snapshot of the index cannot be changed")

    maintenance = transaction

    async def close(self) -> None:
        for connection in (*self._idle, self._keeper):
            await close(connection)
        self._idle.clear()

    async def _join(self) -> Any:
        """Open another connection that sees the same moment."""
        if self._keeper.is_closed():
            raise ProviderError(
                f"the connection to the database at {self.where} was lost, and with it the snapshot of the index",
                kind="no_server",
                retryable=True,
                hint="take a new snapshot",
            )
        connection = await self._connector.connect(purpose="snapshot", seconds=READ_SECONDS)
        try:
            with working(self.where):
                await keep_alive(connection)
                await _begin(connection, self.snapshot)
        except BaseException:
            connection.terminate()
            raise
        return connection


async def _begin(connection: Any, snapshot: str | None) -> None:
    """Begin a transaction that sees one moment until it ends: this one, or that of a snapshot."""
    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    if snapshot is not None:
        await connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")  # takes no parameters; the server named it


async def keep_alive(connection: Any) -> None:
    """Switch off the limits of the server that would end this session while it waits."""
    await set_where_known(connection, dict.fromkeys(NEVER_IDLE, "0"))


async def set_where_known(connection: Any, settings: dict[str, str]) -> None:
    """Change those settings that the server's version has."""
    for name, value in settings.items():
        with contextlib.suppress(need("asyncpg", extra="postgres").PostgresError):
            await connection.execute(f"SET {name} = '{value}'")


async def close(connection: Any) -> None:
    """Close a connection, also a broken one."""
    try:
        await connection.close(timeout=CONNECT_SECONDS)
    except lost_connection():  # TimeoutError is an OSError
        connection.terminate()


def session_name(purpose: str) -> str:
    """Return the name that the database shows for a session; PostgreSQL cuts it off at 63 bytes."""
    return f"groundtune {purpose}, process {os.getpid()} on {socket.gethostname()}"


async def _keep_settings(connection: Any) -> None:
    """Instead of asyncpg's reset, which costs a round trip: sessions of the pool change no setting."""
