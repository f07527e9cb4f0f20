"""What only the index on object storage promises: a lock among machines, published catalogs, pins with a heartbeat."""

import asyncio
import json
import socket
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from groundtune import Project
from groundtune.errors import BusyError, FormatError, MissingError, UsageError
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.protocols import IndexGeneration
from groundtune.retrieve.stores import lance, object_catalog, object_lock, object_pins
from groundtune.retrieve.stores.object_index import ObjectGeneration, ObjectIndex
from groundtune.retrieve.stores.objects import Objects
from tests.conftest import MakeProject
from tests.object_server import BUCKET
from tests.retrieve.client import view
from tests.retrieve.storages import begin, entry, objects, open_generation, remove, write
from tests.retrieve.test_index_storages import rebuild

NOW = timedelta(0)
pytestmark = [pytest.mark.usefixtures("object_storage"), pytest.mark.slow]


@pytest.fixture
def index(tmp_path: Path) -> ObjectIndex:
    return machine(tmp_path, "one")


def machine(tmp_path: Path, name: str) -> ObjectIndex:
    """Return the same index as another machine opens it: with a cache of its own."""
    index = objects(tmp_path)
    assert isinstance(index, ObjectIndex)
    return ObjectIndex(index._objects.uri, cache=tmp_path / name)


async def names(index: ObjectIndex, generation: IndexGeneration, prefix: str) -> list[str]:
    listing = await index._objects.listing(generation.manifest.generation)
    return [name for name in listing if name.startswith(prefix)]


async def test_json_keeps_its_size_when_it_grows(index: ObjectIndex) -> None:
    sizes = set()
    for number in (9, 10, 1000):
        await index._objects.write_json("sizes.json", {"number": number})
        data = await index._objects.read("sizes.json")
        assert data is not None
        assert json.loads(data) == {"number": number}
        sizes.add(len(data))
    assert len(sizes) == 1


# -- the catalog ---------------------------------------------------------------------------------------------------


async def test_other_machines_read_what_was_published(index: ObjectIndex, tmp_path: Path) -> None:
    await rebuild(index, a="otter")
    other = await open_generation(machine(tmp_path, "two"), read_only=True)
    assert (await view(other, "otter"))["texts"] == ["otter"]
    writer = await open_generation(index)
    await write(writer, "b", "otter too")
    assert (await view(other, "otter"))["texts"] == ["otter", "otter too"]
    await writer.close()
    await other.close()


async def test_changes_are_published_now_and_then_and_removals_at_once(
    index: ObjectIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = await open_generation(index)
    await write(writer, "a", "otter")
    monkeypatch.setattr(object_catalog, "PUBLISH_SECONDS", 3600.0)
    reader = await open_generation(index, read_only=True)
    await write(writer, "b", "otter too")
    shown = await view(reader, "otter")
    assert (shown["read"], shown["texts"]) == (["otter", "otter too"], ["otter"])
    assert await names(index, writer, "unfinished") == ["unfinished.json"]
    await remove(writer, "a")
    shown = await view(reader, "otter")
    assert (shown["read"], shown["texts"]) == (["otter too"], ["otter too"])
    assert await names(index, writer, "unfinished") == []
    await write(writer, "c", "otter three")
    snapshot = await reader.snapshot()
    shown = await view(snapshot, "otter")
    assert shown["read"] == shown["texts"] == ["otter too"], "passages and texts of a snapshot belong together"
    await snapshot.close()
    await writer.close()
    assert (await view(reader, "otter"))["texts"] == ["otter three", "otter too"]
    await reader.close()


async def test_what_a_killed_writer_may_have_changed_is_read_again(
    index: ObjectIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = await open_generation(index)
    await write(writer, "a", "otter")
    monkeypatch.setattr(object_catalog, "PUBLISH_SECONDS", 3600.0)
    await write(writer, "b", "badger")
    await writer.catalog.mark_unfinished([("c", "c.md")])
    await writer.store.replace(["c"], [entry("c", "weasel")])  # and here it is killed: nothing is closed
    next_writer = await open_generation(machine(tmp_path, "two"))
    assert await next_writer.catalog.unfinished() == {"b.md": {"b"}, "c.md": {"c"}}
    assert set(await next_writer.catalog.files()) == {"a.md"}
    await write(next_writer, "b", "badger")
    await remove(next_writer, "c")
    await next_writer.close()
    last = await open_generation(machine(tmp_path, "three"))
    assert await last.catalog.unfinished() == {}
    assert set(await last.catalog.files()) == {"a.md", "b.md"}
    await last.close()


async def test_superseded_copies_are_deleted(
    index: ObjectIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = await open_generation(index)
    reader = await open_generation(machine(tmp_path, "two"), read_only=True)
    for number in range(5):
        await write(writer, "a", f"otter {number}")
        assert (await view(reader, "otter"))["texts"] == [f"otter {number}"]
    assert len(await names(index, writer, "catalog-")) > 5
    monkeypatch.setattr(object_catalog, "KEEP_COPIES", timedelta(seconds=-60))
    await write(writer, "a", "badger")
    assert len(await names(index, writer, "catalog-")) == 1
    assert (await view(reader, "badger"))["texts"] == ["badger"]
    assert len(list(tmp_path.glob("two/**/catalog-*.sqlite"))) == 1
    await writer.close()
    assert list(tmp_path.glob("one/**/writing-*")) == []
    await reader.close()


async def test_a_reader_refuses_a_catalog_of_a_newer_format(index: ObjectIndex) -> None:
    await rebuild(index, a="otter")
    manifest = await begin(index)
    pointer = f"{manifest.generation}/catalog.json"
    values: dict[str, Any] = json.loads(await index._objects.read(pointer) or b"")
    await index._objects.write(pointer, json.dumps({**values, "format": 99}).encode())
    with pytest.raises(FormatError, match="newer groundtune"):
        await index.open(manifest, read_only=True)
    await index._objects.write("manifest.json", json.dumps({"format": 99}).encode())
    with pytest.raises(FormatError, match="newer groundtune"):
        await index.current()
    await rebuild(index, a="badger")
    reader = await open_generation(index, read_only=True)
    assert (await view(reader, "badger"))["texts"] == ["badger"]
    await reader.close()


# -- the lock ------------------------------------------------------------------------------------------------------


async def test_only_one_of_many_gets_the_lock(
    index: ObjectIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_lock, "SETTLE_SECONDS", 2.0)
    holding = most = entered = 0

    async def work(number: int) -> None:
        nonlocal holding, most, entered
        async with machine(tmp_path, str(number)).writer_lock(wait_seconds=120):
            holding += 1
            entered += 1
            most = max(most, holding)
            await asyncio.sleep(0.05)
            holding -= 1

    await asyncio.gather(*(work(number) for number in range(6)))
    assert (most, entered) == (1, 6)
    table = await object_lock._table(index._objects.uri, index._objects.storage_options)
    await table.add([object_lock.FREE])  # as a process does that opens the table before another has filled it
    await asyncio.gather(*(work(number) for number in range(6)))
    assert (most, entered) == (1, 12)


async def test_the_holder_is_named(index: ObjectIndex, tmp_path: Path) -> None:
    async with index.writer_lock():
        with pytest.raises(BusyError, match=rf"process \d+ on {socket.gethostname()}, since 20.* UTC"):
            async with machine(tmp_path, "two").writer_lock():
                pass


async def test_a_dead_holder_is_replaced_and_a_living_one_is_not(
    index: ObjectIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_lock, "RENEW_SECONDS", 0.2)
    monkeypatch.setattr(object_lock, "STALE_SECONDS", 5.0)
    async with index.writer_lock():
        await asyncio.sleep(6)
        with pytest.raises(BusyError):
            async with machine(tmp_path, "two").writer_lock():
                pass
    table = await object_lock._table(index._objects.uri, index._objects.storage_options)
    await table.update({"owner": "dead", "holder": "somebody", "renewed": time.time() - 4})
    with pytest.raises(BusyError, match="somebody"):
        async with index.writer_lock():
            pass
    await asyncio.sleep(1.5)
    async with index.writer_lock():
        pass


async def test_a_writer_that_lost_the_lock_is_stopped_and_publishes_nothing(
    index: ObjectIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machine slept, say, and another process took over."""
    await rebuild(index, a="otter")
    monkeypatch.setattr(object_lock, "RENEW_SECONDS", 0.5)
    other = machine(tmp_path, "two")
    with pytest.raises(BusyError, match="took over"):  # noqa: PT012
        async with index.writer_lock():
            writer = await open_generation(index)
            try:
                table = await object_lock._table(index._objects.uri, index._objects.storage_options)
                await table.update({"owner": "another"})
                await asyncio.sleep(30)
                pytest.fail("it went on")
            finally:
                await writer.catalog.save_cursor("wiki", "1")
                await writer.close()
    await table.update(object_lock.FREE)
    async with other.writer_lock():
        reader = await open_generation(other, read_only=True)
        assert await reader.catalog.cursors() == {}
        await reader.close()
    async with index.writer_lock():
        writer = await open_generation(index)
        await writer.catalog.save_cursor("wiki", "2")
        await writer.close()
    reader = await open_generation(other, read_only=True)
    assert await reader.catalog.cursors() == {"wiki": "2"}
    await reader.close()


# -- pins ----------------------------------------------------------------------------------------------------------


async def test_a_snapshot_outlives_a_cleanup_until_its_process_dies(
    index: ObjectIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("KEEP_OLD_VERSIONS", NOW), ("SMALL_WRITES", 0)):
        monkeypatch.setattr(lance, name, value)
    writer = await open_generation(index)
    assert isinstance(writer, ObjectGeneration)
    await write(writer, "a", "otter")
    reader = await open_generation(machine(tmp_path, "two"), read_only=True)
    snapshot = await reader.snapshot()
    before = await view(snapshot, "otter")
    for number in range(3):
        await write(writer, "a", f"badger {number}")
        await writer.store.optimize()
    assert await view(snapshot, "otter") == before
    assert len(await writer.store._versions()) > 3
    monkeypatch.setattr(object_pins, "DEAD_AFTER", timedelta(seconds=-1))
    await writer.store.optimize()
    await write(writer, "a", "weasel")
    await writer.store.optimize()
    assert len(await writer.store._versions()) == 1
    await snapshot.close()
    await reader.close()
    await writer.close()


async def test_a_pin_is_renewed_while_it_is_held(index: ObjectIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_pins, "RENEW_SECONDS", 0.3)
    monkeypatch.setattr(object_pins, "DEAD_AFTER", timedelta(seconds=3))
    pins = object_pins.ObjectPins(index._objects, "g-1")
    assert await pins.names() == []
    pin = await pins.hold("v7")
    assert pin is not None
    await asyncio.sleep(5)
    assert await pins.names() == ["v7"]
    await pin.release()
    await pin.release()
    assert await pins.names() == []


# -- the server ----------------------------------------------------------------------------------------------------


async def test_a_server_that_cannot_be_reached_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
    with pytest.raises(MissingError, match=f"cannot reach s3://{BUCKET}/nowhere") as caught:
        await ObjectIndex(f"s3://{BUCKET}/nowhere", cache=tmp_path).current()
    assert "AWS_ENDPOINT_URL" in str(caught.value.hint)


async def test_a_bucket_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="cannot reach s3://no-such-bucket/x"):
        async with ObjectIndex("s3://no-such-bucket/x", cache=tmp_path).writer_lock():
            pass


def test_only_object_storage_is_accepted() -> None:
    with pytest.raises(UsageError, match="ftp://server/x"):
        Objects("ftp://server/x")


def test_a_project_ingests_and_another_machine_answers(make_project: MakeProject, embedder: BundledEmbedder) -> None:
    toml = f'[store]\nuri = "s3://{BUCKET}/shop"\n'
    office = make_project({"a.md": "# Refunds\n\nA refund is paid within 30 days.\n"}, toml=toml, name="office")
    laptop = make_project({}, toml=toml, name="laptop")
    with Project.open(office) as writer, Project.open(laptop) as reader:
        writer.session.embedder = reader.session.embedder = embedder
        assert writer.ingest().passages == 1
        assert "30 days" in reader.ask("When is a refund paid?").text
        (office / "a.md").write_text("# Refunds\n\nA refund is paid within 45 days.\n")
        writer.ingest()
        assert "45 days" in reader.ask("When is a refund paid?").text
        assert writer.ingest(rebuild=True).embedded == 1
        assert "45 days" in reader.ask("When is a refund paid?").text
        (office / "a.md").unlink()
        writer.ingest()
        assert reader.search("When is a refund paid?") == []
    assert not (office / ".groundtune/index").exists()
