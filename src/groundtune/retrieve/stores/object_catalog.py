"""Keep the catalog of an index on object storage: the writer publishes copies of its SQLite file, readers load them.

<generation>/catalog.json       names the published copy, and the version of the passages that it belongs to
<generation>/catalog-ID.sqlite  a copy; never changed
<generation>/unfinished.json    documents that the writer may have changed since then: if it dies, the next one reads
                                their files again

The writer publishes when documents were removed, at most once in PUBLISH_SECONDS when others were changed, and when it
closes. Until then readers find new passages whose text is not in their catalog yet.
"""

import asyncio
import contextlib
import json
import shutil
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from groundtune.common.format_version import check_version, versioned
from groundtune.errors import MissingError
from groundtune.retrieve.stores.generations import REBUILD
from groundtune.retrieve.stores.objects import Objects
from groundtune.retrieve.stores.sqlite_catalog import SqliteCatalog
from groundtune.types import Document, DocumentState, FileRow

PUBLISH_SECONDS = 60.0
REFRESH_SECONDS = 1.0
"""How long a reader relies on what it last read of `catalog.json`."""
KEEP_COPIES = timedelta(minutes=10)
"""A reader may still be downloading a copy that was superseded this long ago."""
POINTER_FORMAT = 1
POINTER, UNFINISHED = "catalog.json", "unfinished.json"
TRIES = 5


@dataclass(frozen=True, slots=True)
class Published:
    """What `catalog.json` says."""

    name: str
    passages: int
    """Version of the passages that the catalog belongs to."""
    changes: int


class CatalogCopies:
    """The published copies of the catalog of one generation. cache: local folder for downloads."""

    def __init__(self, objects: Objects, generation: str, cache: Path) -> None:
        self._objects = objects
        self._generation = generation
        self._cache = cache

    async def latest(self) -> Published | None:
        """Return what was published last; None if nothing was."""
        data = await self._objects.read(self._at(POINTER))
        if data is None:
            return None
        path = f"{self._objects.uri}/{self._at(POINTER)}"
        values = check_version(json.loads(data), path=path, supported=POINTER_FORMAT, rebuild=REBUILD)
        return Published(**values)

    async def fetch(self, published: Published) -> Path:
        """Return a local file with the copy, downloaded unless it is there. Raises MissingError if it is gone."""
        path = self._cache / published.name
        if not path.exists():
            self._cache.mkdir(parents=True, exist_ok=True)
            partial = self._cache / f"{uuid.uuid4().hex[:12]}.partial"
            try:
                if not await self._objects.download(self._at(published.name), partial):
                    raise MissingError(f"{self._objects.uri}/{self._at(published.name)} is missing", hint=REBUILD)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
            for other in self._cache.glob("catalog-*.sqlite"):
                if other != path:
                    with contextlib.suppress(OSError):  # some systems do not delete what another process has open
                        other.unlink()
        return path

    async def open_latest(self) -> tuple[SqliteCatalog, Published]:
        """Download and open the copy that was published last. Raises MissingError if nothing was."""
        for attempt in range(TRIES):
            published = await self.latest()
            if published is None:
                break
            try:
                return await SqliteCatalog.open(await self.fetch(published), read_only=True), published
            except MissingError:  # superseded and deleted between reading its name and opening it
                if attempt == TRIES - 1:
                    raise
        raise MissingError(f"there is no catalog in {self._objects.uri}/{self._generation}", hint=REBUILD)

    async def publish(self, path: Path, *, passages: int, changes: int) -> Published:
        """Publish a file as the latest copy, and delete copies that no reader can be downloading any more."""
        published = Published(f"catalog-{uuid.uuid4().hex[:12]}.sqlite", passages, changes)
        await self._objects.upload(path, self._at(published.name))
        await self.point_to(published)
        await self._objects.delete(self._at(UNFINISHED))
        await self.drop_old(keep=KEEP_COPIES)
        return published

    async def drop_old(self, *, keep: timedelta) -> None:
        """Delete superseded copies, but for those that were written so recently."""
        latest = await self.latest()
        for name, written in (await self._objects.listing(self._generation)).items():
            old = written is not None and datetime.now(UTC) - written >= keep
            if old and name.startswith("catalog-") and (latest is None or name != latest.name):
                await self._objects.delete(self._at(name))

    async def point_to(self, published: Published) -> None:
        values = versioned(asdict(published), POINTER_FORMAT)
        await self._objects.write_json(self._at(POINTER), values)

    async def unfinished(self) -> list[tuple[str, str]]:
        """Return (document id, file) of the documents that a writer marked after the last copy."""
        data = await self._objects.read(self._at(UNFINISHED))
        return [(document, file) for document, file in json.loads(data)] if data else []

    async def save_unfinished(self, documents: Iterable[tuple[str, str]]) -> None:
        await self._objects.write_json(self._at(UNFINISHED), list(documents))

    def _at(self, name: str) -> str:
        return f"{self._generation}/{name}"


class PublishedCatalog:
    """`Catalog` of a reader: the copy that was published last."""

    def __init__(self, copies: CatalogCopies, catalog: SqliteCatalog, published: Published) -> None:
        self._copies = copies
        self._catalog = catalog
        self._users = {catalog: 0}
        self._published = published
        self._checked = time.monotonic()
        self._refreshing = asyncio.Lock()

    @classmethod
    async def open(cls, copies: CatalogCopies) -> "PublishedCatalog":
        return cls(copies, *await copies.open_latest())

    async def changes(self) -> int:
        async with self._latest():
            return self._published.changes

    async def close(self) -> None:
        for catalog in list(self._users):
            await catalog.close()

    @contextlib.asynccontextmanager
    async def _latest(self) -> AsyncIterator[SqliteCatalog]:
        """Use the latest copy, which stays open meanwhile."""
        await self._refresh()
        catalog = self._catalog
        self._users[catalog] += 1
        try:
            yield catalog
        finally:
            self._users[catalog] -= 1
            await self._close_unused()

    async def _refresh(self) -> None:
        async with self._refreshing:
            if time.monotonic() - self._checked < REFRESH_SECONDS:
                return
            published = await self._copies.latest()
            if published and published.name != self._published.name:
                self._catalog, published = await self._copies.open_latest()
                self._users[self._catalog] = 0
            self._published = published or self._published
            self._checked = time.monotonic()
        await self._close_unused()

    async def _close_unused(self) -> None:
        for catalog in [c for c, users in self._users.items() if not users and c is not self._catalog]:
            del self._users[catalog]
            await catalog.close()

    async def files(self) -> dict[str, FileRow]:
        async with self._latest() as catalog:
            return await catalog.files()

    async def document(self, source: str) -> Document | None:
        async with self._latest() as catalog:
            return await catalog.document(source)

    async def document_by_id(self, document_id: str) -> Document | None:
        async with self._latest() as catalog:
            return await catalog.document_by_id(document_id)

    async def document_states(self, file: str) -> dict[str, DocumentState]:
        async with self._latest() as catalog:
            return await catalog.document_states(file)

    async def unfinished(self) -> dict[str, set[str]]:
        async with self._latest() as catalog:
            return await catalog.unfinished()

    async def digest(self) -> str:
        async with self._latest() as catalog:
            return await catalog.digest()

    async def count(self) -> int:
        async with self._latest() as catalog:
            return await catalog.count()

    async def cursors(self) -> dict[str, str]:
        async with self._latest() as catalog:
            return await catalog.cursors()

    async def mark_unfinished(self, documents: Iterable[tuple[str, str]]) -> None:
        raise _read_only()

    async def save(self, rows: Iterable[tuple[FileRow, Sequence[tuple[Document, int]]]]) -> None:
        raise _read_only()

    async def save_rows(self, rows: Iterable[FileRow]) -> None:
        raise _read_only()

    async def remove(self, sources: Iterable[str]) -> None:
        raise _read_only()

    async def save_cursor(self, source: str, cursor: str | None) -> None:
        raise _read_only()


class WorkingCatalog:
    """`Catalog` of the writer: a local file, of which copies are published."""

    def __init__(
        self,
        copies: CatalogCopies,
        path: Path,
        catalog: SqliteCatalog,
        *,
        published: Published | None,
        marked: Iterable[tuple[str, str]],
        passages: Callable[[], Awaitable[int]],
        may_publish: Callable[[], bool],
    ) -> None:
        self._copies = copies
        self._path = path
        self._catalog = catalog
        self._published = published
        self._published_at = time.monotonic()
        self._publishing = asyncio.Lock()
        self._marked = dict(marked)
        """Document id to file of those marked since the last copy."""
        self._passages = passages
        self._may_publish = may_publish

    @classmethod
    async def open(
        cls,
        copies: CatalogCopies,
        folder: Path,
        *,
        passages: Callable[[], Awaitable[int]],
        may_publish: Callable[[], bool],
    ) -> "WorkingCatalog":
        """Continue from the last copy and from what was marked after it.

        folder: where the local file is kept. passages: returns the version of the passages. may_publish: whether this
        is still the only writer.
        """
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        path = folder / f"writing-{uuid.uuid4().hex[:12]}.sqlite"
        published = await copies.latest()
        if published:
            await asyncio.to_thread(shutil.copyfile, await copies.fetch(published), path)
        marked = await copies.unfinished()
        catalog = await SqliteCatalog.open(path)
        await catalog.mark_unfinished(marked)
        working = cls(
            copies, path, catalog, published=published, marked=marked, passages=passages, may_publish=may_publish
        )
        if published is None:
            await working.publish()  # readers find an empty catalog instead of none
        return working

    async def changes(self) -> int:
        return await self._catalog.changes()

    async def publish(self) -> None:
        """Publish a copy, unless nothing has changed since the last one."""
        async with self._publishing:
            if not self._may_publish():
                return
            if self._published is None or await self._catalog.changes() != self._published.changes:
                await self._publish()
            elif self._published.passages != (version := await self._passages()):
                self._published = replace(self._published, passages=version)
                await self._copies.point_to(self._published)

    async def close(self) -> None:
        """Publish what has changed and delete the local file."""
        try:
            await self.publish()
        finally:
            await self._catalog.close()
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    async def mark_unfinished(self, documents: Iterable[tuple[str, str]]) -> None:
        marked = dict(documents)
        if marked:
            self._marked |= marked
            await self._copies.save_unfinished(self._marked.items())
            await self._catalog.mark_unfinished(marked.items())

    async def save(self, rows: Iterable[tuple[FileRow, Sequence[tuple[Document, int]]]]) -> None:
        await self._catalog.save(rows)
        await self._publish_if_due()

    async def save_rows(self, rows: Iterable[FileRow]) -> None:
        await self._catalog.save_rows(rows)
        await self._publish_if_due()

    async def remove(self, sources: Iterable[str]) -> None:
        await self._catalog.remove(removed := list(sources))
        if removed:
            await self.publish()

    async def save_cursor(self, source: str, cursor: str | None) -> None:
        await self._catalog.save_cursor(source, cursor)
        await self._publish_if_due()

    async def files(self) -> dict[str, FileRow]:
        return await self._catalog.files()

    async def document(self, source: str) -> Document | None:
        return await self._catalog.document(source)

    async def document_by_id(self, document_id: str) -> Document | None:
        return await self._catalog.document_by_id(document_id)

    async def document_states(self, file: str) -> dict[str, DocumentState]:
        return await self._catalog.document_states(file)

    async def unfinished(self) -> dict[str, set[str]]:
        return await self._catalog.unfinished()

    async def digest(self) -> str:
        return await self._catalog.digest()

    async def count(self) -> int:
        return await self._catalog.count()

    async def cursors(self) -> dict[str, str]:
        return await self._catalog.cursors()

    async def _publish_if_due(self) -> None:
        if time.monotonic() - self._published_at >= PUBLISH_SECONDS:
            await self.publish()

    async def _publish(self) -> None:
        copy = self._path.with_suffix(".copy")
        passages, changes = await self._passages(), await self._catalog.changes()
        try:
            await self._catalog.copy_to(copy)
            self._marked.clear()
            self._published = await self._copies.publish(copy, passages=passages, changes=changes)
        finally:
            copy.unlink(missing_ok=True)
        self._published_at = time.monotonic()


def _read_only() -> Exception:
    return sqlite3.OperationalError("attempt to write a readonly database")
