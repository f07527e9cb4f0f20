"""Keep the generations of an index in a PostgreSQL database, in a schema of its own. Reads no files.

One table names the current generation and the one being built; replacing a row is the swap. The lock of the single
writer is an advisory lock of its session, so it is free as soon as the process or its connection is gone.
"""

import asyncio
import contextlib
import json
import time
import weakref
from collections.abc import AsyncIterator, Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from groundtune.common.format_version import check_number
from groundtune.errors import BusyError, FormatError, MissingError, need
from groundtune.protocols import IndexGeneration
from groundtune.retrieve.stores.generations import REBUILD, IndexParts, choose_generation
from groundtune.retrieve.stores.postgres.catalog import PostgresCatalog
from groundtune.retrieve.stores.postgres.connections import (
    WATCHED,
    Connections,
    Connector,
    Pin,
    PinnedConnections,
    SharedConnections,
    WriterConnection,
    close,
    keep_alive,
    set_where_known,
)
from groundtune.retrieve.stores.postgres.failures import working
from groundtune.retrieve.stores.postgres.schema import (
    Tables,
    create_generation,
    create_generations,
    generations_table,
    quoted,
    writer_key,
)
from groundtune.retrieve.stores.postgres.store import PostgresStore
from groundtune.retrieve.stores.postgres.vectors import VectorSql, index_vectors
from groundtune.types import IndexManifest

TABLES_FORMAT = 1
"""Version of the tables of a generation."""
OLDEST_SERVER = 140_000
OLDEST_PGVECTOR = (0, 8)
LOCK_RETRY_SECONDS = 0.2
DROP_SECONDS = 2
"""How long to wait for a query that still reads an old generation before it is left to the next run."""
ERASE_SECONDS = 20
"""How long an erasure waits for queries that read a table."""
REPLACEMENT_SECONDS = 5.0
"""How long a snapshot waits for the moment between two batches of a run, when passages and catalog agree."""
REPLACEMENT_RETRY_SECONDS = 0.05
CURRENT, NEXT = "current", "next"


class PostgresIndex:
    """`IndexStorage` in a database. schema: where the tables are; created with the first ingest.

    read_dsn: returns the database's address; called when it is first needed, so that a command that needs no index runs
    without one. Only the writer calls `begin_generation` and `finish_generation`.
    """

    def __init__(self, read_dsn: Callable[[], str], *, schema: str) -> None:
        self._read_dsn = read_dsn
        self._schema = schema
        self._writer: WriterConnection | None = None
        self._open: weakref.WeakSet[SharedConnections] = weakref.WeakSet()
        """Connections of open generations, lent to `current`, which is called before every question."""

    @cached_property
    def _connector(self) -> Connector:
        return Connector(self._read_dsn())

    @property
    def where(self) -> str:
        """Host and database, without user and password."""
        return self._connector.where

    async def current(self) -> IndexManifest | None:
        for shared in self._open:
            if shared.is_usable:
                return await self._manifest(shared, CURRENT)
        async with self._reading() as connection:
            return await self._manifest(connection, CURRENT)

    async def begin_generation(self, parts: IndexParts, *, rebuild: bool) -> IndexManifest:
        async with self._writing() as connection:
            await _check_server(connection, self.where)
            await self._create_schema(connection)
            vector_schema = await _create_extension(connection, self.where)
            current = await self._manifest(connection, CURRENT, strict=not rebuild)
            unfinished = await self._manifest(connection, NEXT, strict=False)
            manifest = choose_generation(current, unfinished, parts, rebuild=rebuild)
            if manifest != current:
                await self._create(connection, manifest, vector_schema)
            await self._drop_old(connection)
        return manifest

    async def finish_generation(self, manifest: IndexManifest) -> None:
        async with self._writing() as connection:
            tables = Tables(self._schema, manifest.generation)
            vectors = VectorSql(await _extension(connection, self.where), int(manifest.parts["dimension"]))
            await index_vectors(connection, tables, vectors)
            if manifest == await self._manifest(connection, CURRENT, strict=False):
                return
            async with connection.transaction():
                await self._record(connection, CURRENT, manifest)
                await connection.execute(f"DELETE FROM {generations_table(self._schema)} WHERE slot = $1", NEXT)

    async def erase(self) -> None:
        async with self._writing() as connection:
            current = await self._manifest(connection, CURRENT)
            await connection.execute(f"DELETE FROM {generations_table(self._schema)} WHERE slot = $1", NEXT)
            busy = BusyError(
                f"another process reads from an older state of the index in {self.where}",
                hint="wait until its comparison or training is done, then run the command again",
            )
            if await self._drop_old(connection):
                raise busy
            pg = need("asyncpg", extra="postgres")
            try:
                await connection.execute(f"SET lock_timeout = '{ERASE_SECONDS}s'")
                for table in Tables(self._schema, current.generation).all() if current else ():
                    await connection.execute(f"VACUUM (FULL) {table}")
            except pg.LockNotAvailableError:
                raise busy from None
            finally:
                await connection.execute("RESET lock_timeout")

    async def open(self, manifest: IndexManifest, *, read_only: bool) -> IndexGeneration:
        tables = Tables(self._schema, manifest.generation)
        pin = await Pin.hold(self._connector, tables.pin) if read_only else None
        try:
            async with self._reading() as connection:
                vector_schema = await _extension(connection, self.where)
                if not await connection.fetchval("SELECT to_regclass($1::text)", tables.totals):
                    raise MissingError(f"the index {manifest.generation} is not in {self.where}", hint=REBUILD)
            connector = Connector(self._connector.dsn, vector_schema)
            writer = None if read_only else self._writer
            if writer:
                async with writer.use() as connection:  # opened before the extension was known
                    await connector.prepare(connection)
            shared = SharedConnections(await connector.pool(), self.where, pin=pin, writer=writer)
        except BaseException:
            if pin:
                await pin.close()
            raise
        self._open.add(shared)
        return PostgresGeneration(manifest, shared, tables, connector)

    @contextlib.asynccontextmanager
    async def writer_lock(self, *, wait_seconds: float = 0.0) -> AsyncIterator[None]:
        deadline = time.monotonic() + wait_seconds
        connection = await self._connector.connect(purpose="ingest")
        try:
            with working(self.where):
                await keep_alive(connection)
                await set_where_known(connection, WATCHED)
                while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", writer_key(self._schema)):
                    if time.monotonic() >= deadline:
                        raise BusyError(
                            f"another process is writing to the index in {self.where}"
                            f"{await _holder(connection, self._schema)}",
                            hint="wait until it is done",
                        )
                    await asyncio.sleep(LOCK_RETRY_SECONDS)
            self._writer = WriterConnection(connection, self.where)
            yield
        finally:
            self._writer = None
            await close(connection)

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[Any]:
        connection = await self._connector.connect()
        try:
            with working(self.where):
                yield connection
        finally:
            await close(connection)

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[Any]:
        """Give the writer's connection, or one of its own to a caller that holds no lock."""
        async with self._writer.use() if self._writer else self._reading() as connection:
            with working(self.where):
                yield connection

    async def _manifest(self, connections: Any, slot: str, *, strict: bool = True) -> IndexManifest | None:
        """Read one of the two manifests. strict: raise FormatError if a newer groundtune wrote it, else None."""
        pg = need("asyncpg", extra="postgres")
        try:
            rows = await connections.fetch(
                f"SELECT format, generation, parts FROM {generations_table(self._schema)} WHERE slot = $1", slot
            )
        except (pg.UndefinedTableError, pg.InvalidSchemaNameError):
            return None
        if not rows:
            return None
        row = rows[0]
        try:
            check_number(row["format"], path=Path(self.where), supported=TABLES_FORMAT, rebuild=REBUILD)
        except FormatError:
            if strict:
                raise
            return None
        return IndexManifest(row["generation"], json.loads(row["parts"]))

    async def _record(self, connection: Any, slot: str, manifest: IndexManifest) -> None:
        await connection.execute(
            f"INSERT INTO {generations_table(self._schema)} VALUES ($1, $2, $3, $4) ON CONFLICT (slot) DO UPDATE "
            "SET format = excluded.format, generation = excluded.generation, parts = excluded.parts",
            *(slot, TABLES_FORMAT, manifest.generation, json.dumps(dict(manifest.parts))),
        )

    async def _create_schema(self, connection: Any) -> None:
        pg = need("asyncpg", extra="postgres")
        try:
            if not await connection.fetchval("SELECT to_regnamespace($1::text)", quoted(self._schema)):
                await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self._schema)}")
            await connection.execute(create_generations(self._schema))
        except pg.InsufficientPrivilegeError:
            raise MissingError(
                f"the user may not create tables in the schema {self._schema} of {self.where}",
                hint=f"an administrator runs: CREATE SCHEMA {quoted(self._schema)} AUTHORIZATION the_user",
            ) from None

    async def _create(self, connection: Any, manifest: IndexManifest, vector_schema: str) -> None:
        """Create the tables of a generation, unless a run that was interrupted has."""
        tables = Tables(self._schema, manifest.generation)
        async with connection.transaction():
            if not await connection.fetchval("SELECT to_regclass($1::text)", tables.totals):
                await connection.execute(
                    create_generation(tables, dimension=int(manifest.parts["dimension"]), vector_schema=vector_schema)
                )
            await self._record(connection, NEXT, manifest)

    async def _drop_old(self, connection: Any) -> bool:
        """Drop the tables of generations that are neither current nor being built, unless somebody reads them now.

        Return whether somebody does.
        """
        in_use = False
        pg = need("asyncpg", extra="postgres")
        rows = await connection.fetch(f"SELECT generation FROM {generations_table(self._schema)}")
        known = {Tables(self._schema, row["generation"]).plain("totals") for row in rows}
        found = await connection.fetch(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = $1::text AND tablename LIKE 'totals\\_%'",
            self._schema,
        )
        for row in found:
            if row["tablename"] in known:
                continue
            tables = Tables(self._schema, row["tablename"].removeprefix("totals_"))
            try:
                async with connection.transaction():
                    if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", tables.pin):
                        in_use = True
                        continue
                    await connection.execute(f"SET LOCAL lock_timeout = '{DROP_SECONDS}s'")
                    await connection.execute(f"DROP TABLE IF EXISTS {', '.join(tables.all())}")
            except pg.LockNotAvailableError:
                in_use = True
        return in_use


class PostgresGeneration:
    """`IndexGeneration` of a `PostgresIndex`, or a snapshot of one."""

    def __init__(self, manifest: IndexManifest, connections: Connections, tables: Tables, connector: Connector) -> None:
        self.manifest = manifest
        self._connections = connections
        self._tables = tables
        self._connector = connector
        assert connector.vector_schema is not None
        self.store = PostgresStore(
            connections,
            tables,
            VectorSql(connector.vector_schema, int(manifest.parts["dimension"])),
            language=str(manifest.parts["language"]),
        )
        self.vector_cache = self.store
        self.catalog = PostgresCatalog(connections, tables)

    async def version(self) -> str:
        return f"{self.manifest.generation}@{await self.store.version()}"

    async def snapshot(self) -> IndexGeneration:
        same = self._connections.snapshot if isinstance(self._connections, PinnedConnections) else None
        deadline = time.monotonic() + REPLACEMENT_SECONDS
        while True:
            pinned = await PinnedConnections.take(self._connector, self._tables.pin, same=same)
            snapshot = PostgresGeneration(self.manifest, pinned, self._tables, self._connector)
            try:
                if same or time.monotonic() >= deadline or not await snapshot.catalog.unfinished():
                    return snapshot
            except BaseException:
                await snapshot.close()
                raise
            await snapshot.close()
            await asyncio.sleep(REPLACEMENT_RETRY_SECONDS)

    async def close(self) -> None:
        await self._connections.close()


# -- the server ----------------------------------------------------------------------------------------------------


async def _check_server(connection: Any, where: str) -> None:
    """Raise MissingError if the server is too old or the database cannot hold every text."""
    if int(await connection.fetchval("SELECT current_setting('server_version_num')")) < OLDEST_SERVER:
        raise MissingError(
            f"the server at {where} is older than PostgreSQL {OLDEST_SERVER // 10_000}", hint="update it"
        )
    encoding = await connection.fetchval("SELECT current_setting('server_encoding')")
    if encoding != "UTF8":
        raise MissingError(
            f"the database at {where} has the encoding {encoding}", hint="create one with ENCODING 'UTF8'"
        )


async def _create_extension(connection: Any, where: str) -> str:
    """Return the schema of the extension vector; create it if it does not exist and the user may."""
    pg = need("asyncpg", extra="postgres")
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except (pg.InsufficientPrivilegeError, pg.InvalidSchemaNameError):  # the latter without a schema to create it in
        raise MissingError(
            f"the extension vector is not in the database at {where}, and the user may not create it",
            hint="an administrator runs: CREATE EXTENSION vector",
        ) from None
    except (pg.FeatureNotSupportedError, pg.UndefinedFileError):
        raise MissingError(
            f"the server at {where} does not have the extension vector (pgvector)",
            hint="install pgvector 0.8 or newer on the server, then run: CREATE EXTENSION vector",
        ) from None
    return await _extension(connection, where)


async def _extension(connection: Any, where: str) -> str:
    """Return the schema of the extension vector. Raises MissingError if it is missing or too old."""
    row = await connection.fetchrow(
        "SELECT extversion AS version, nspname::text AS schema FROM pg_extension e "
        "JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'vector'"
    )
    if row is None:
        raise MissingError(
            f"the extension vector is not in the database at {where}",
            hint="an administrator runs: CREATE EXTENSION vector",
        )
    if tuple(int(part) for part in row["version"].split(".")[:2]) < OLDEST_PGVECTOR:
        raise MissingError(
            f"the database at {where} has pgvector {row['version']}; groundtune needs 0.8 or newer",
            hint="install it on the server, then run: ALTER EXTENSION vector UPDATE",
        )
    return str(row["schema"])


async def _holder(connection: Any, schema: str) -> str:
    """Format the holder of the lock: ` (groundtune ingest, process 12 on a-host)`; empty when it is unknown."""
    key = writer_key(schema) & (2**64 - 1)
    name = await connection.fetchval(
        "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' "
        "AND l.granted AND l.objsubid = 1 AND l.classid::bigint = $1 AND l.objid::bigint = $2 "
        "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        key >> 32,
        key & (2**32 - 1),
    )
    return f" ({name})" if name else ""
