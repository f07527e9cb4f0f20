"""Keep the generations of an index on object storage: passages in LanceDB, copies of the catalog beside them.

manifest.json, next.json, <generation>/ are those of `local_index.py`; the catalog and the pins are objects
(`object_catalog.py`, `object_pins.py`), and a table is the writer's lock (`object_lock.py`). One machine writes at a
time, any number read.
"""

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from groundtune.common.files import digest_text
from groundtune.common.format_version import check_version, versioned
from groundtune.errors import FormatError, MissingError
from groundtune.protocols import IndexGeneration
from groundtune.retrieve.stores.generations import REBUILD, IndexParts, choose_generation
from groundtune.retrieve.stores.lance import LanceStore, snapshot_is_read
from groundtune.retrieve.stores.object_catalog import CatalogCopies, PublishedCatalog, WorkingCatalog
from groundtune.retrieve.stores.object_lock import hold_lock
from groundtune.retrieve.stores.object_pins import ObjectPins
from groundtune.retrieve.stores.objects import Objects
from groundtune.retrieve.stores.pins import ANY_VERSION, IN_USE, needed_versions, version_name
from groundtune.retrieve.stores.shared_snapshot import SharedSnapshot
from groundtune.retrieve.stores.sqlite_catalog import SqliteCatalog
from groundtune.types import IndexManifest

MANIFEST_FORMAT = 1
CURRENT, NEXT = "manifest.json", "next.json"


class ObjectIndex:
    """`IndexStorage` below a URI. cache: local folder for copies of the catalog.

    All methods raise MissingError if the storage cannot be reached.
    """

    def __init__(self, uri: str, *, cache: Path) -> None:
        self._objects = Objects(uri)
        self._cache = cache / digest_text(self._objects.uri)[:12]
        self._lock_lost = False

    async def current(self) -> IndexManifest | None:
        return await self._read(CURRENT)

    async def begin_generation(self, parts: IndexParts, *, rebuild: bool) -> IndexManifest:
        unfinished = await self._read_or_none(NEXT)
        current = await (self._read_or_none(CURRENT) if rebuild else self._read(CURRENT))
        manifest = choose_generation(current, unfinished, parts, rebuild=rebuild)
        if manifest != current:
            await self._write(NEXT, manifest)
        await self._drop_old()
        return manifest

    async def finish_generation(self, manifest: IndexManifest) -> None:
        if manifest != await self._read_or_none(CURRENT):
            await self._write(CURRENT, manifest)
            await self._objects.delete(NEXT)

    async def erase(self) -> None:
        current = await self._read(CURRENT)
        for name in await self._objects.listing(""):
            if name.startswith("g-") and (current is None or name != current.generation):
                if needed_versions(await ObjectPins(self._objects, name).names()) != []:
                    raise snapshot_is_read()
                await self._objects.delete_folder(name)
        await self._objects.delete(NEXT)
        await asyncio.to_thread(shutil.rmtree, self._cache, ignore_errors=True)
        if current is not None:
            generation = await self.open(current, read_only=False)
            assert isinstance(generation, ObjectGeneration)
            try:
                await generation.erase()
            finally:
                await generation.close()

    async def open(self, manifest: IndexManifest, *, read_only: bool) -> IndexGeneration:
        place = _Place(self._objects, manifest, await asyncio.to_thread(self._cache_of, manifest))
        if read_only:
            return await ObjectGeneration.open_to_read(place)
        return await ObjectGeneration.open_to_write(place, may_publish=lambda: not self._lock_lost)

    @contextlib.asynccontextmanager
    async def writer_lock(self, *, wait_seconds: float = 0.0) -> AsyncIterator[None]:
        self._lock_lost = False

        def lose() -> None:
            self._lock_lost = True

        options = self._objects.storage_options
        async with hold_lock(self._objects.uri, storage_options=options, wait_seconds=wait_seconds, on_loss=lose):
            yield

    def _cache_of(self, manifest: IndexManifest) -> Path:
        """Return the folder for copies of this generation's catalog, and delete those of other generations."""
        folder = self._cache / manifest.generation
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:  # no write permission
            return Path(tempfile.mkdtemp(prefix="groundtune-"))
        for other in self._cache.iterdir():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        return folder

    async def _drop_old(self) -> None:
        """Delete generations that were superseded before this run and that no process has open."""
        known = [await self._read_or_none(name) for name in (CURRENT, NEXT)]
        names = {manifest.generation for manifest in known if manifest}
        for name in await self._objects.listing(""):
            if name.startswith("g-") and name not in names and not await ObjectPins(self._objects, name).names():
                await self._objects.delete_folder(name)

    async def _read(self, name: str) -> IndexManifest | None:
        data = await self._objects.read(name)
        if data is None:
            return None
        path = f"{self._objects.uri}/{name}"
        try:
            values = check_version(json.loads(data), path=path, supported=MANIFEST_FORMAT, rebuild=REBUILD)
            return IndexManifest(values["generation"], values["parts"])
        except (ValueError, KeyError) as error:
            raise MissingError(f"{path} is damaged: {error}", hint=REBUILD) from None

    async def _read_or_none(self, name: str) -> IndexManifest | None:
        """Return None also for a manifest that a newer groundtune wrote: a rebuild replaces it."""
        try:
            return await self._read(name)
        except FormatError:
            return None

    async def _write(self, name: str, manifest: IndexManifest) -> None:
        await self._objects.write_json(name, versioned(asdict(manifest), MANIFEST_FORMAT))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a generation is kept."""

    objects: Objects
    manifest: IndexManifest
    cache: Path

    @property
    def uri(self) -> str:
        return f"{self.objects.uri}/{self.manifest.generation}"

    @property
    def copies(self) -> CatalogCopies:
        return CatalogCopies(self.objects, self.manifest.generation, self.cache)

    @property
    def pins(self) -> ObjectPins:
        return ObjectPins(self.objects, self.manifest.generation)

    async def pin(self, name: str, resources: AsyncExitStack) -> None:
        if pin := await self.pins.hold(name):
            resources.push_async_callback(pin.release)


class ObjectGeneration:
    """`IndexGeneration` of an `ObjectIndex`. resources: closed with it."""

    def __init__(
        self,
        place: _Place,
        store: LanceStore,
        catalog: PublishedCatalog | WorkingCatalog | SqliteCatalog,
        resources: AsyncExitStack,
    ) -> None:
        self.manifest = place.manifest
        self.store = store
        self.vector_cache = store
        self.catalog = catalog
        self._place = place
        self._resources = resources

    @classmethod
    async def open_to_write(cls, place: _Place, *, may_publish: Callable[[], bool]) -> "ObjectGeneration":
        """Open the generation as its only writer; create it if it does not exist."""
        parts = place.manifest.parts
        async with AsyncExitStack() as resources:
            store = await LanceStore.open(
                place.uri,
                dimension=int(parts["dimension"]),
                language=str(parts["language"]),
                storage_options=place.objects.storage_options,
                pinned=lambda: _pinned_versions(place),
                erased=place.cache / "erased",
            )
            resources.callback(store.close)
            catalog = await WorkingCatalog.open(
                place.copies, place.cache, passages=store.version, may_publish=may_publish
            )
            resources.push_async_callback(catalog.close)
            kept = resources.pop_all()
        return cls(place, store, catalog, kept)

    @classmethod
    async def open_to_read(cls, place: _Place) -> "ObjectGeneration":
        """Open the generation as it is at every moment, and keep it from being deleted."""
        async with AsyncExitStack() as resources:
            catalog = await PublishedCatalog.open(place.copies)
            resources.push_async_callback(catalog.close)
            await place.pin(IN_USE, resources)
            store = await LanceStore.open_to_read(place.uri, storage_options=place.objects.storage_options)
            resources.callback(store.close)
            kept = resources.pop_all()
        return cls(place, store, catalog, kept)

    @classmethod
    async def open_snapshot(cls, place: _Place) -> "ObjectGeneration":
        """Open the catalog that was published last, with the passages that belong to it."""
        async with AsyncExitStack() as resources, AsyncExitStack() as briefly:
            await place.pin(ANY_VERSION, briefly)  # until it is known which version is needed
            catalog, published = await place.copies.open_latest()
            resources.push_async_callback(catalog.close)
            await place.pin(version_name(published.passages), resources)
            store = await LanceStore.open_to_read(
                place.uri, version=published.passages, storage_options=place.objects.storage_options
            )
            resources.callback(store.close)
            kept = resources.pop_all()
        return cls(place, store, catalog, kept)

    async def version(self) -> str:
        return f"{self.manifest.generation}@{await self.store.version()}.{await self.catalog.changes()}"

    async def snapshot(self) -> IndexGeneration:
        if isinstance(self.catalog, WorkingCatalog):
            await self.catalog.publish()
        return SharedSnapshot(await ObjectGeneration.open_snapshot(self._place))

    async def erase(self) -> None:
        """Erase what was deleted from the objects. Raises BusyError while a snapshot reads an older state."""
        assert isinstance(self.catalog, WorkingCatalog)
        await self.store.erase()
        await self.catalog.publish()
        await self._place.copies.drop_old(keep=timedelta.min)  # whatever the clocks say

    async def close(self) -> None:
        await self._resources.aclose()


async def _pinned_versions(place: _Place) -> list[int] | None:
    """Return the versions that snapshots read; None while one of them is being taken."""
    return needed_versions(await place.pins.names())
