"""The conformance suite of index storages: generations, the writer lock, snapshots; run on every storage."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundtune.errors import BusyError, IndexMismatchError, MissingError
from groundtune.protocols import Catalog, IndexGeneration, IndexStorage, Store, VectorCache
from tests.retrieve.client import client, view
from tests.retrieve.storages import OPEN, PARTS, StorageFactory, begin, documents, open_generation, remove, write

OTHER_PARTS = {**PARTS, "embedder": "other words"}


async def rebuild(storage: IndexStorage, **texts: str) -> None:
    """Build a new generation with one document per text, and switch to it."""
    async with storage.writer_lock():
        manifest = await storage.begin_generation(PARTS, rebuild=True)
        generation = await storage.open(manifest, read_only=False)
        for name, text in texts.items():
            await write(generation, name, text)
        await generation.store.optimize()
        await generation.close()
        await storage.finish_generation(manifest)


# -- generations ---------------------------------------------------------------------------------------------------


async def test_there_is_nothing_before_the_first_run(storage: IndexStorage) -> None:
    assert await storage.current() is None


async def test_the_first_generation_becomes_current_when_it_is_finished(
    storage: IndexStorage, storage_factory: StorageFactory, tmp_path: Path
) -> None:
    async with storage.writer_lock():
        manifest = await storage.begin_generation(PARTS, rebuild=False)
        assert manifest.parts == PARTS
        assert await storage.current() is None
        assert await storage.begin_generation(PARTS, rebuild=False) == manifest, "an interrupted one is resumed"
        await (await storage.open(manifest, read_only=False)).close()
        await storage.finish_generation(manifest)
        await storage.finish_generation(manifest)
    assert await storage.current() == manifest
    assert await storage_factory(tmp_path / "storage").current() == manifest
    async with storage.writer_lock():
        assert await storage.begin_generation(PARTS, rebuild=False) == manifest


async def test_its_parts_satisfy_the_protocols(generation: IndexGeneration) -> None:
    assert isinstance(generation.store, Store)
    assert isinstance(generation.catalog, Catalog)
    assert isinstance(generation.vector_cache, VectorCache)


async def test_other_parts_need_a_rebuild(storage: IndexStorage) -> None:
    manifest = await begin(storage)
    async with storage.writer_lock():
        with pytest.raises(IndexMismatchError, match="embedder: built with words, now configured as other words") as e:
            await storage.begin_generation(OTHER_PARTS, rebuild=False)
        assert e.value.hint == "groundtune ingest --rebuild"
        assert await storage.current() == manifest
        other = await storage.begin_generation(OTHER_PARTS, rebuild=True)
        assert other.generation != manifest.generation
        assert await storage.current() == manifest
        assert await storage.begin_generation(OTHER_PARTS, rebuild=True) == other, "an interrupted one is resumed"
        again = await storage.begin_generation({**OTHER_PARTS, "language": "german"}, rebuild=True)
        assert again.generation not in (manifest.generation, other.generation)
        await (await storage.open(again, read_only=False)).close()
        await storage.finish_generation(again)
    assert await storage.current() == again


async def test_a_rebuild_after_a_rebuild_starts_over(storage: IndexStorage) -> None:
    await rebuild(storage, a="otter")
    first = await storage.current()
    await rebuild(storage, a="badger")
    assert await storage.current() != first


async def test_a_rebuild_is_not_seen_until_it_is_finished(storage: IndexStorage) -> None:
    await rebuild(storage, a="otter")
    async with storage.writer_lock():
        manifest = await storage.begin_generation(PARTS, rebuild=True)
        building = await storage.open(manifest, read_only=False)
        await write(building, "a", "badger")
        reader = await open_generation(storage, read_only=True)
        assert (await view(reader, "otter"))["read"] == ["otter"]
        await building.close()
        await storage.finish_generation(manifest)
    assert (await view(reader, "otter"))["read"] == ["otter"], "a reader keeps what it has opened"
    later = await open_generation(storage, read_only=True)
    assert (await view(later, "badger"))["read"] == ["badger"]
    await reader.close()
    await later.close()


async def test_a_superseded_generation_stays_while_someone_reads_it(storage: IndexStorage) -> None:
    await rebuild(storage, a="otter")
    reader = await open_generation(storage, read_only=True)
    for _ in range(3):
        await rebuild(storage, a="badger")
    assert (await view(reader, "otter"))["texts"] == ["otter"]
    manifest = reader.manifest
    await reader.close()
    await rebuild(storage, a="badger")
    with pytest.raises(MissingError):
        await storage.open(manifest, read_only=True)


async def test_a_generation_that_never_was_is_missing(storage: IndexStorage) -> None:
    manifest = await begin(storage)
    with pytest.raises(MissingError):
        await storage.open(replace(manifest, generation="g-000000000000"), read_only=True)


async def test_one_writer_at_a_time(storage_factory: StorageFactory, tmp_path: Path) -> None:
    one, other = storage_factory(tmp_path / "storage"), storage_factory(tmp_path / "storage")
    async with one.writer_lock():
        with pytest.raises(BusyError):
            async with other.writer_lock():
                pass
        with pytest.raises(BusyError):
            async with other.writer_lock(wait_seconds=0.2):
                pass
        waiting = asyncio.create_task(_lock_once(other))
        await asyncio.sleep(0.2)
        assert not waiting.done()
    await waiting
    with pytest.raises(RuntimeError, match="in the middle"):
        async with one.writer_lock():
            raise RuntimeError("in the middle")
    await _lock_once(other)


async def _lock_once(storage: IndexStorage) -> None:
    async with storage.writer_lock(wait_seconds=60):
        pass


# -- versions and snapshots ----------------------------------------------------------------------------------------


async def test_every_state_has_its_own_version(storage: IndexStorage) -> None:
    writer = await open_generation(storage)
    reader = await open_generation(storage, read_only=True)
    versions = [await reader.version()]
    for step in (write(writer, "a", "otter"), write(writer, "a", "badger"), remove(writer, "a")):
        await step
        versions.append(await reader.version())
        assert await reader.version() == await writer.version()
    assert len(set(versions)) == 4
    assert all(version.startswith(f"{reader.manifest.generation}@") for version in versions)
    await reader.close()
    await writer.close()
    await rebuild(storage)
    again = await open_generation(storage, read_only=True)
    assert await again.version() not in versions
    await again.close()


async def test_a_snapshot_shows_its_moment(storage: IndexStorage) -> None:
    writer = await open_generation(storage)
    for name in ("a", "b", "c"):
        await write(writer, name, f"otter {name}")
    reader = await open_generation(storage, read_only=True)
    version = await reader.version()
    snapshot = await reader.snapshot()
    before = await view(snapshot, "otter")
    assert before == await view(reader, "otter")
    assert await snapshot.version() == version
    await write(writer, "a", "badger")
    await remove(writer, "b")
    await write(writer, "d", "otter d")
    await writer.store.optimize()
    assert await view(snapshot, "otter") == before
    assert await snapshot.version() == version
    same = await snapshot.snapshot()
    assert (await view(reader, "otter"))["texts"] == ["otter c", "otter d"]
    await reader.close()
    await snapshot.close()
    assert await view(same, "otter") == before, "a snapshot of a snapshot shows the same moment"
    await same.close()
    newer = await writer.snapshot()
    assert (await view(newer, "otter"))["texts"] == ["otter c", "otter d"]
    await newer.close()
    await writer.close()


async def test_a_snapshot_reads_vectors_passages_and_rows_of_its_moment(storage: IndexStorage) -> None:
    writer = await open_generation(storage)
    await write(writer, "a", "otter")
    await writer.catalog.save_cursor("wiki", "1")
    snapshot = await writer.snapshot()
    await remove(writer, "a")
    await writer.catalog.save_cursor("wiki", "2")
    assert set(await snapshot.vector_cache.vectors(["key-a-0"])) == {"key-a-0"}
    assert documents(await snapshot.store.passages("a")) == ["a"]
    assert documents(await snapshot.store.scan(OPEN)) == ["a"]
    assert set(await snapshot.catalog.files()) == {"a.md"}
    assert await snapshot.catalog.document("a.md") is not None
    assert await snapshot.catalog.cursors() == {"wiki": "1"}
    await snapshot.close()
    await writer.close()


@pytest.mark.slow
async def test_a_snapshot_never_shows_half_of_a_replacement(storage: IndexStorage) -> None:
    """Passages and texts of every snapshot agree, though snapshots are taken while documents are replaced."""
    writer = await open_generation(storage)
    await write(writer, "a", "otter 0")
    reader = await open_generation(storage, read_only=True)
    seen: list[list[Any]] = []
    done = asyncio.Event()

    async def look() -> None:
        while not done.is_set():
            snapshot = await reader.snapshot()
            found = await view(snapshot, "otter")
            seen.append([found["read"], found["texts"]])
            await snapshot.close()

    looking = asyncio.create_task(look())
    for number in range(1, 40):
        await write(writer, "a", f"otter {number}")
        await asyncio.sleep(0.01)
    done.set()
    await looking
    assert len({str(pair) for pair in seen}) > 2
    assert [pair for pair in seen if pair[0] != pair[1]] == []
    await reader.close()
    await writer.close()


@pytest.mark.slow
async def test_a_snapshot_of_another_process_outlives_rebuilds(
    storage: IndexStorage, storage_name: str, tmp_path: Path
) -> None:
    await rebuild(storage, a="otter one", b="otter two")
    async with client(storage_name, tmp_path / "storage") as other:
        await other.ask("open")
        version = await other.ask("snapshot")
        before = await other.ask("view otter")
        assert before["texts"] == ["otter one", "otter two"]
        writer = await open_generation(storage)
        for number in range(30):
            await write(writer, "a", f"badger {number}")
        await remove(writer, "b")
        await writer.store.optimize()
        await writer.close()
        assert await other.ask("view otter") == before
        for _ in range(3):
            await rebuild(storage, c="weasel")
            assert await other.ask("view otter") == before
        assert version.startswith("g-")
        await other.ask("close")
