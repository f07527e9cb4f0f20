"""Keep the generations of an index in a local folder: passages in LanceDB, the catalog in SQLite.

manifest.json              the current generation and its parts; replaced in one step, so a swap is atomic
next.json                  the same for a rebuild in progress
<generation>/              passages (LanceDB) and catalog.sqlite
<generation>/erased        when deleted passages were last erased from the files
<generation>/pins/         what readers still use
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import asdict
from pathlib import Path

from groundtune.common.files import read_json, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.errors import BusyError, FormatError, MissingError
from groundtune.protocols import IndexGeneration
from groundtune.retrieve.stores.generations import REBUILD, IndexParts, choose_generation
from groundtune.retrieve.stores.lance import LanceStore, snapshot_is_read
from groundtune.retrieve.stores.pins import ANY_VERSION, IN_USE, Pins, needed_versions, version_name
from groundtune.retrieve.stores.shared_snapshot import SharedSnapshot
from groundtune.retrieve.stores.sqlite_catalog import SqliteCatalog
from groundtune.types import IndexManifest
from groundtune.workspace import Workspace

MANIFEST_FORMAT = 1
"""Version of manifest.json and next.json; 0 differs only in that it names none."""
LOCK_RETRY_SECONDS = 0.1
"""Seconds between attempts to take the lock; the event loop stays free meanwhile."""
REPLACEMENT_SECONDS = 5.0
"""How long a snapshot waits for the moment between two batches of a run."""
REPLACEMENT_RETRY_SECONDS = 0.05
CATALOG = "catalog.sqlite"
ERASED = "erased"


class LocalIndex:
    """`IndexStorage` in a folder.

    lock: context manager that holds the lock of the single writer, or raises BusyError; None: one in this folder.
    Only the writer calls `begin_generation` and `finish_generation`.
    """

    def __init__(self, folder: Path, *, lock: Callable[[], AbstractContextManager[None]] | None = None) -> None:
        self.folder = folder
        self._lock = lock or Workspace(folder).writer_lock
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

    async def erase(self) -> None:
        current = _read(self._current)
        for folder in await asyncio.to_thread(lambda: sorted(self.folder.glob("g-*"))):
            if current is None or folder.name != current.generation:
                if await asyncio.to_thread(_pinned_versions, folder) != []:
                    raise snapshot_is_read()
                await asyncio.to_thread(shutil.rmtree, folder)
        self._next.unlink(missing_ok=True)
        if current is not None:
            generation = await LocalGeneration.open_to_write(current, self.folder / current.generation)
            try:
                await generation.erase()
            finally:
                await generation.close()

    async def open(self, manifest: IndexManifest, *, read_only: bool) -> IndexGeneration:
        folder = self.folder / manifest.generation
        if read_only:
            return await LocalGeneration.open_to_read(manifest, folder)
        return await LocalGeneration.open_to_write(manifest, folder)

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
        """Delete generations that were superseded before this run and that no process has open."""
        known = {m.generation for path in (self._current, self._next) if (m := _read_or_none(path))}
        for folder in self.folder.glob("g-*"):
            used = _pins(folder).names()
            if folder.name not in known and not used:
                shutil.rmtree(folder, ignore_errors=True)


class LocalGeneration:
    """`IndexGeneration` of a `LocalIndex`. resources: closed with it."""

    def __init__(
        self,
        manifest: IndexManifest,
        folder: Path,
        store: LanceStore,
        catalog: SqliteCatalog,
        resources: AsyncExitStack,
    ) -> None:
        self.manifest = manifest
        self.store = store
        self.vector_cache = store
        self.catalog = catalog
        self._folder = folder
        self._resources = resources

    @classmethod
    async def open_to_write(cls, manifest: IndexManifest, folder: Path) -> "LocalGeneration":
        """Open the generation as its only writer; create it if it does not exist."""
        erased = folder / ERASED
        if not folder.is_dir():
            folder.mkdir(parents=True)
            erased.touch()
        async with AsyncExitStack() as resources:
            catalog = await SqliteCatalog.open(folder / CATALOG)
            resources.push_async_callback(catalog.close)
            store = await LanceStore.open(
                folder,
                dimension=int(manifest.parts["dimension"]),
                language=str(manifest.parts["language"]),
                pinned=lambda: asyncio.to_thread(_pinned_versions, folder),
                erased=erased,
            )
            resources.callback(store.close)
            kept = resources.pop_all()
        return cls(manifest, folder, store, catalog, kept)

    @classmethod
    async def open_to_read(cls, manifest: IndexManifest, folder: Path) -> "LocalGeneration":
        """Open the generation as it is at every moment, and keep its folder from being deleted."""
        if not folder.is_dir():
            raise MissingError(f"the index {folder} is missing", hint=REBUILD)
        async with AsyncExitStack() as resources:
            _pin(folder, IN_USE, resources)
            catalog = await SqliteCatalog.open(folder / CATALOG, read_only=True)
            resources.push_async_callback(catalog.close)
            store = await LanceStore.open_to_read(folder)
            resources.callback(store.close)
            kept = resources.pop_all()
        return cls(manifest, folder, store, catalog, kept)

    async def version(self) -> str:
        return f"{self.manifest.generation}@{await self.store.version()}.{await self.catalog.changes()}"

    async def snapshot(self) -> IndexGeneration:
        async with AsyncExitStack() as resources, AsyncExitStack() as briefly:
            _pin(self._folder, ANY_VERSION, briefly)  # until it is known which version is needed
            catalog, version = await self._moment()
            resources.push_async_callback(catalog.close)
            _pin(self._folder, version_name(version), resources)
            store = await LanceStore.open_to_read(self._folder, version=version)
            resources.callback(store.close)
            kept = resources.pop_all()
        return SharedSnapshot(LocalGeneration(self.manifest, self._folder, store, catalog, kept))

    async def erase(self) -> None:
        """Erase what was deleted from the files. Raises BusyError while a snapshot reads an older state."""
        await self.store.erase()
        await self.catalog.erase()

    async def close(self) -> None:
        await self._resources.aclose()

    async def _moment(self) -> tuple[SqliteCatalog, int]:
        """Return the catalog, pinned, and the version of the passages that belongs to it.

        While documents are being replaced, passages and catalog differ. If that does not end, the last run was
        interrupted there, and readers see the difference too.
        """
        deadline = time.monotonic() + REPLACEMENT_SECONDS
        while True:
            version = await self.store.version()
            catalog = await SqliteCatalog.open_snapshot(self._folder / CATALOG)
            try:
                whole = not await catalog.unfinished() and await self.store.version() == version
            except BaseException:
                await catalog.close()
                raise
            if whole or time.monotonic() >= deadline:
                return catalog, version
            await catalog.close()
            await asyncio.sleep(REPLACEMENT_RETRY_SECONDS)


def _pins(folder: Path) -> Pins:
    return Pins(folder / "pins")


def _pin(folder: Path, name: str, resources: AsyncExitStack) -> None:
    """Pin a name until the resources are closed, if there is write permission."""
    if pin := _pins(folder).hold(name):
        resources.callback(pin.release)


def _pinned_versions(folder: Path) -> list[int] | None:
    """Return the versions that snapshots read; None while one of them is being taken."""
    return needed_versions(_pins(folder).names())


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
