"""What only the local index promises: pins that die with their process, small files, erased bytes, format versions."""

import asyncio
import datetime
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundtune.errors import FormatError, MissingError
from groundtune.protocols import IndexGeneration, IndexStorage
from groundtune.retrieve.stores import lance, local_index
from groundtune.retrieve.stores.local_index import MANIFEST_FORMAT, LocalGeneration
from groundtune.retrieve.stores.pins import Pins
from groundtune.types import Vectors
from tests.retrieve.client import ROOT, client, view
from tests.retrieve.storages import PARTS, entry, fill, local, open_generation, remove, unit, write
from tests.retrieve.test_index_storages import rebuild

NOW = datetime.timedelta(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def index(folder: Path) -> IndexStorage:
    return local(folder)


@pytest.fixture
def _clean_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old versions are deleted, and deleted passages erased, at every `optimize`, which also compacts every time."""
    monkeypatch.setattr(lance, "KEEP_OLD_VERSIONS", NOW)
    monkeypatch.setattr(lance, "ERASE_AFTER", NOW)
    monkeypatch.setattr(lance, "SMALL_WRITES", 0)


clean_up_at_once = pytest.mark.usefixtures("_clean_up_at_once")


def generations(folder: Path) -> set[str]:
    return {path.name for path in (folder / ".groundtune/index").glob("g-*")}


def pins(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / ".groundtune/index").glob("g-*/pins/*"))


def holding(folder: Path, needle: bytes) -> list[str]:
    """Return the files that contain these bytes."""
    return [
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()
    ]


async def versions(generation: IndexGeneration) -> int:
    assert isinstance(generation, LocalGeneration)
    return len(await generation.store._versions())


# -- pins ----------------------------------------------------------------------------------------------------------


@clean_up_at_once
async def test_a_snapshot_outlives_a_cleanup_and_frees_the_files_when_closed(index: IndexStorage, folder: Path) -> None:
    writer = await open_generation(index)
    await write(writer, "a", "otter")
    snapshot = await writer.snapshot()
    before = await view(snapshot, "otter")
    for number in range(5):
        await write(writer, "a", f"badger {number}")
        await writer.store.optimize()
    assert await view(snapshot, "otter") == before
    assert await versions(writer) > 5
    await snapshot.close()
    assert pins(folder) == []
    await write(writer, "a", "weasel")
    await writer.store.optimize()
    assert await versions(writer) == 1
    await writer.close()


@clean_up_at_once
@pytest.mark.slow
async def test_a_killed_process_pins_nothing(index: IndexStorage, folder: Path) -> None:
    await rebuild(index, a="otter")
    old = generations(folder)
    async with client("local", folder) as other:
        await other.ask("open")
        await other.ask("snapshot")
        before = await other.ask("view otter")
        writer = await open_generation(index)
        for number in range(3):
            await write(writer, "a", f"badger {number}")
            await writer.store.optimize()
        assert await versions(writer) > 3
        await rebuild(index, a="weasel")
        await rebuild(index, a="weasel")
        assert old < generations(folder)
        assert await other.ask("view otter") == before
        assert len(pins(folder)) == 2
        await other.kill()
    await writer.store.optimize()
    await write(writer, "a", "badger")
    await writer.store.optimize()
    assert await versions(writer) == 1
    assert pins(folder) == []
    await writer.close()
    await rebuild(index, a="weasel")
    assert not old & generations(folder)


@clean_up_at_once
async def test_while_a_snapshot_is_being_taken_every_version_stays(index: IndexStorage, folder: Path) -> None:
    writer = await open_generation(index)
    pin = Pins(folder / ".groundtune/index" / writer.manifest.generation / "pins").hold(local_index.ANY_VERSION)
    assert pin is not None
    for number in range(3):
        await write(writer, "a", f"badger {number}")
        await writer.store.optimize()
    assert await versions(writer) > 3
    pin.release()
    pin.release()
    await write(writer, "a", "weasel")
    await writer.store.optimize()
    assert await versions(writer) == 1
    await writer.close()


async def test_a_version_stays_ten_minutes_after_it_was_superseded(
    index: IndexStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However old it is: a search that began before the change may still read it."""
    monkeypatch.setattr(lance, "SMALL_WRITES", 0)
    writer = await open_generation(index)
    await write(writer, "a", "otter")
    reader = await open_generation(index, read_only=True)
    assert isinstance(reader, LocalGeneration)
    await reader.store._table.checkout(await reader.store.version())  # a search that takes its time
    monkeypatch.setattr(lance, "KEEP_OLD_VERSIONS", datetime.timedelta(seconds=1))
    await asyncio.sleep(1.1)
    await write(writer, "a", "badger")
    await writer.store.optimize()
    assert (await view(reader, "otter"))["read"] == ["otter"]
    await asyncio.sleep(1.1)
    await write(writer, "b", "weasel")
    await writer.store.optimize()
    assert await versions(writer) < 9
    await reader.close()
    await writer.close()


def test_pins_are_known_by_name_and_end_once(tmp_path: Path) -> None:
    pins = Pins(tmp_path / "pins")
    assert pins.names() == []
    held = [pins.hold(name) for name in ("v7", "v7", "open")]
    assert sorted(pins.names()) == ["open", "v7", "v7"]
    for pin in held:
        assert pin is not None
        pin.release()
        pin.release()
    assert pins.names() == []
    assert list((tmp_path / "pins").iterdir()) == []
    (tmp_path / "pins/v3-dead.pin").touch()
    assert pins.names() == []
    assert list((tmp_path / "pins").iterdir()) == []


READ = """
    import asyncio, json, os, sys
    from tests.retrieve.client import view
    from tests.retrieve.storages import local, open_generation
    from pathlib import Path

    async def read(folder):
        reader = await open_generation(local(Path(folder)), read_only=True)
        snapshot = await reader.snapshot()
        shown = [(await view(generation, "otter"))["texts"] for generation in (reader, snapshot)]
        same = await snapshot.version() == await reader.version()
        await snapshot.close()
        await reader.close()
        return shown, same

    asyncio.run(read(sys.argv[2]))  # imports what the other user may not read
    os.setgid(65534)
    os.setuid(65534)
    print(json.dumps(asyncio.run(read(sys.argv[1]))))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root to become another user")
async def test_a_folder_without_write_permission_is_read_without_pins(
    index: IndexStorage, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await rebuild(index, a="otter")
    base = tmp_path_factory.getbasetemp()
    for parent in (folder, folder.parent, base, *base.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o011)
    warm = tmp_path_factory.mktemp("warm")
    await rebuild(local(warm), a="otter")
    before = sorted(str(path) for path in folder.rglob("*"))
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", textwrap.dedent(READ), str(folder), str(warm)],
        capture_output=True, text=True, check=False, cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == [[["otter"], ["otter"]], True]
    assert sorted(str(path) for path in folder.rglob("*")) == before


# -- files ---------------------------------------------------------------------------------------------------------


def handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
async def test_opening_and_closing_leaks_no_files(index: IndexStorage, folder: Path) -> None:
    writer = await open_generation(index)
    await write(writer, "a", "otter")

    async def cycle() -> None:
        reader = await open_generation(index, read_only=True)
        snapshot = await reader.snapshot()
        await view(snapshot, "otter")
        await reader.close()
        await snapshot.close()

    for _ in range(5):
        await cycle()
    before = handles()
    for number in range(200):
        await cycle()
        if number % 20 == 0:
            await write(writer, "a", f"otter {number}")
    assert handles() <= before
    assert pins(folder) == []
    await writer.close()


async def test_the_log_of_the_catalog_shrinks_when_the_writer_closes(index: IndexStorage, folder: Path) -> None:
    writer = await open_generation(index)
    log = folder / ".groundtune/index" / writer.manifest.generation / "catalog.sqlite-wal"
    snapshot = await writer.snapshot()
    for number in range(50):
        await write(writer, f"d{number}", "otter " * 10_000)
    await writer.close()
    grown = log.stat().st_size
    assert grown > 1_000_000, "the snapshot keeps it from being reused"
    assert (await view(snapshot, "otter"))["texts"] == []
    await snapshot.close()
    writer = await open_generation(index)
    reader = await open_generation(index, read_only=True)
    await write(writer, "a", "badger")
    await writer.close()
    assert log.stat().st_size == 0
    await reader.close()


# -- erasing -------------------------------------------------------------------------------------------------------


def noise(seed: int) -> Vectors:
    vector = np.random.default_rng(seed).normal(size=16).astype(np.float32)
    unit_vector: Vectors = vector / np.linalg.norm(vector)
    return unit_vector


@clean_up_at_once
@pytest.mark.parametrize("kept", [9, 3_000])
async def test_no_bytes_of_a_deleted_document_stay_in_the_files(
    index: IndexStorage, folder: Path, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text in the catalog and vectors in the table and in its index are stored as they are, so they can be looked for.

    Texts in the table are compressed; they are in the same rows as the vectors.
    """
    monkeypatch.setattr(lance, "APPROXIMATE_FROM", 1_000)
    monkeypatch.setattr(lance, "PARTITION_PASSAGES", 100)
    writer = await open_generation(index)
    secret, vector = "the otter lives at 10 Downing Street", unit(7)
    await fill(writer.store, *(entry(f"d{n}", f"badger {n}", vector=unit(n + 99)) for n in range(kept)))
    await write(writer, "secret", secret, vector=vector)
    await writer.store.optimize()
    await writer.close()
    assert any("passages.lance" in path for path in holding(folder, vector.tobytes()))
    assert any("catalog" in path for path in holding(folder, secret.encode()))
    writer = await open_generation(index)
    await remove(writer, "secret")
    await writer.store.optimize()
    await writer.close()
    assert holding(folder, vector.tobytes()) == []
    assert holding(folder, secret.encode()) == []
    assert holding(folder, b"Downing") == []
    reader = await open_generation(index, read_only=True)
    assert await reader.store.count() == kept
    shown = await view(reader, "badger")
    assert len(shown["lexical"]) == len(shown["read"]) == kept
    await reader.close()


async def test_erasing_is_for_once_a_day(index: IndexStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance, "KEEP_OLD_VERSIONS", NOW)
    writer = await open_generation(index)
    assert isinstance(writer, LocalGeneration)
    await fill(writer.store, *(entry(f"d{n}", f"badger {n}") for n in range(100)))
    erased = writer._folder / local_index.ERASED

    async def marked() -> int:
        return (await writer.store._versions())[-1].deleted_rows

    await remove(writer, "d1")
    await writer.store.optimize()
    assert await marked() == 1, "it was made today"
    os.utime(erased, (1e9, 1e9))
    await writer.store.optimize()
    assert await marked() == 0
    await remove(writer, "d2")
    await writer.store.optimize()
    assert await marked() == 1
    erased.unlink()  # made by an older groundtune
    await writer.store.optimize()
    assert await marked() == 0
    assert await writer.store.count() == 98
    await writer.close()


# -- formats -------------------------------------------------------------------------------------------------------


async def test_a_manifest_names_its_format_and_a_newer_one_is_refused(index: IndexStorage, folder: Path) -> None:
    await rebuild(index, a="otter")
    path = folder / ".groundtune/index/manifest.json"
    values: dict[str, Any] = json.loads(path.read_bytes())
    assert values["format"] == MANIFEST_FORMAT
    path.write_text(json.dumps({key: value for key, value in values.items() if key != "format"}))
    reader = await open_generation(index, read_only=True)  # written before there were formats
    assert (await view(reader, "otter"))["texts"] == ["otter"]
    await reader.close()
    path.write_text(json.dumps({**values, "format": MANIFEST_FORMAT + 1}))
    for work in (index.current(), index.begin_generation(PARTS, rebuild=False)):
        with pytest.raises(FormatError, match="newer groundtune"):
            await work
    await rebuild(index, a="badger")
    reader = await open_generation(index, read_only=True)
    assert (await view(reader, "badger"))["texts"] == ["badger"]
    await reader.close()


@pytest.mark.parametrize("content", ["", "[]", '{"generation": "g-1"}'])
async def test_a_damaged_manifest_is_refused(index: IndexStorage, folder: Path, content: str) -> None:
    await rebuild(index, a="otter")
    (folder / ".groundtune/index/manifest.json").write_text(content)
    with pytest.raises(MissingError, match="is damaged"):
        await index.current()
