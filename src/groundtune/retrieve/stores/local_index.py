"""Keep the generations of an index in a local folder: passages in LanceDB, the catalog in SQLite.

manifest.json              the current generation and its parts; replaced in one step, so a swap is atomic
next.json                  the same for a rebuild in progress
<generation>/              passages (LanceDB) and catalog.sqlite
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from groundtune.common.files import read_json, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.errors import BusyError, FormatError, MissingError
from groundtune.protocols import IndexGeneration
from groundtune.retrieve.stores.generations import REBUILD, IndexParts, choose_generation
from groundtune.retrieve.stores.lance import LanceStore
from groundtune.retrieve.stores.sqlite_catalog import SqliteCatalog
from groundtune.types import IndexManifest

MANIFEST_FORMAT = 1
"""Version of manifest.json and next.json; 0 differs only in that it names none."""
LOCK_RETRY_SECONDS = 0.1
"""Seconds between attempts to take the lock; the event loop stays free meanwhile."""


class LocalIndex:
    """`IndexStorage` in a folder. lock: context manager that holds the lock of the single writer, or raises BusyError.

    Only the writer calls `begin_generation` and `finish_generation`.
    """

    def __init__(self, folder: Path, *, lock: Callable[[], AbstractContextManager[None]]) -> None:
        self.folder = folder
        self._lock = lock
        self._current = folder / "manifest.json"
        self._next = folder / "next.json"

    async def current(self) -> IndexManifest | None:
        return _read(self._current)

    async def begin_generation(self, parts: IndexParts, *, rebuild: bool) -> IndexManifest:
        current, unfinished = _read_or_none(self._current), _read_or_none(self._next)
        if not rebuild:
            current = _read(self._current)  # raises FormatError if a newer groundtune wrote it
        manifest = choose_generation(current, unfinished, parts, rebuild=rebuild)
        if manifest != current:
            _write(self._next, manifest)
        await asyncio.to_thread(self._drop_old)
        return manifest

    async def finish_generation(self, manifest: IndexManifest) -> None:
        if manifest != _read_or_none(self._current):
            _write(self._current, manifest)
            self._next.unlink(missing_ok=True)

    async def open(self, manifest: IndexManifest, *, read_only: bool) -> IndexGeneration:
        folder = self.folder / manifest.generation
        if read_only and not folder.is_dir():
            raise MissingError(f"the index {folder} is missing", hint=REBUILD)
        catalog = await SqliteCatalog.open(folder / "catalog.sqlite", read_only=read_only)
        try:
            store = await LanceStore.open(
                folder,
                dimension=int(manifest.parts["dimension"]),
                language=str(manifest.parts["language"]),
                read_only=read_only,
            )
        except BaseException:
            await catalog.close()
            raise
        return LocalGeneration(manifest, store, catalog)

    @contextlib.asynccontextmanager
    async def writer_lock(self, *, wait_seconds: float = 0.0) -> AsyncIterator[None]:
        deadline = time.monotonic() + wait_seconds
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(self._lock())
                    break
                except BusyError:
                    if time.monotonic() >= deadline:
                        raise
                await asyncio.sleep(LOCK_RETRY_SECONDS)
            yield

    def _drop_old(self) -> None:
        known = {m.generation for path in (self._current, self._next) if (m := _read_or_none(path))}
        for folder in self.folder.glob("g-*"):
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


class LocalGeneration:
    """`IndexGeneration` of a `LocalIndex`."""

    def __init__(self, manifest: IndexManifest, store: LanceStore, catalog: SqliteCatalog) -> None:
        self.manifest = manifest
        self.store = store
        self.vector_cache = store
        self.catalog = catalog

    async def version(self) -> str:
        return f"{self.manifest.generation}@{await self.store.version()}.{await self.catalog.changes()}"

    async def snapshot(self) -> IndexGeneration:
        raise NotImplementedError

    async def close(self) -> None:
        await self.catalog.close()
        self.store.close()


def _read(path: Path) -> IndexManifest | None:
    if not path.exists():
        return None
    values = check_version(read_json(path), path=path, supported=MANIFEST_FORMAT, rebuild=REBUILD)
    try:
        return IndexManifest(values["generation"], values["parts"])
    except KeyError as error:
        raise MissingError(f"{path} is damaged: {error} is missing", hint=REBUILD) from None


def _read_or_none(path: Path) -> IndexManifest | None:
    """Return None also for a manifest that a newer groundtune wrote: a rebuild replaces it."""
    try:
        return _read(path)
    except FormatError:
        return None


def _write(path: Path, manifest: IndexManifest) -> None:
    write_json(path, versioned(asdict(manifest), MANIFEST_FORMAT))
