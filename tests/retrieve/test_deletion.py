"""What is deleted is found by nobody: in no stage, by no other client, in no other process, after no restart.

Run on every storage. What the files still hold is said in test_local_index.py.
"""

from pathlib import Path
from typing import Any

import pytest

from groundtune.errors import BusyError, MissingError
from groundtune.protocols import IndexGeneration
from groundtune.retrieve.stores.postgres.storage import PostgresIndex
from groundtune.types import Document, FileRow, Scope
from tests.retrieve.client import client, view
from tests.retrieve.storages import PARTS, StorageFactory, documents, entry, open_generation, remove, unit, write

SECRET = "otter"
NOTHING: dict[str, Any] = {"lexical": [], "read": [], "embedded": [], "texts": []}


def found(shown: dict[str, Any]) -> dict[str, Any]:
    return {key: shown[key] for key in NOTHING}


async def write_all(generation: IndexGeneration) -> None:
    for number in range(20):
        await write(generation, f"d{number}", f"badger {number}")
    await write(generation, "secret", f"the {SECRET} lives here", vector=unit(7))


async def test_a_deletion_reaches_every_client_at_once(storage_factory: StorageFactory, tmp_path: Path) -> None:
    writer = await open_generation(storage_factory(tmp_path / "storage"))
    await write_all(writer)
    reader = await open_generation(storage_factory(tmp_path / "storage"), read_only=True)
    assert all(found(await view(reader, SECRET)).values())
    assert documents(await reader.store.dense(unit(7), k=1, scope=Scope())) == ["secret"]
    await remove(writer, "secret")
    for generation in (reader, writer):
        assert found(await view(generation, SECRET)) == NOTHING
        assert documents(await generation.store.dense(unit(7), k=1, scope=Scope())) != ["secret"]
        assert await generation.store.read(["secret:0"], scope=Scope()) == {}
        assert await generation.store.passages("secret") == []
        assert await generation.store.embedded_texts(["secret:0"]) == {}
        assert await generation.vector_cache.vectors(["key-secret-0"]) == {}
        assert await generation.catalog.document("secret.md") is None
        assert await generation.catalog.document_by_id("secret") is None
        assert await generation.catalog.document_states("secret.md") == {}
        assert "secret.md" not in await generation.catalog.files()
    await writer.store.optimize()
    assert found(await view(reader, SECRET)) == NOTHING
    await reader.close()
    await writer.close()
    for read_only in (True, False):
        again = await open_generation(storage_factory(tmp_path / "storage"), read_only=read_only)
        assert found(await view(again, SECRET)) == NOTHING
        assert await again.store.count() == 20
        await again.close()


async def test_an_edit_leaves_nothing_of_the_old_text(storage_factory: StorageFactory, tmp_path: Path) -> None:
    writer = await open_generation(storage_factory(tmp_path / "storage"))
    await write_all(writer)
    reader = await open_generation(storage_factory(tmp_path / "storage"), read_only=True)
    await write(writer, "secret", "weasel")
    assert found(await view(reader, SECRET)) == NOTHING
    assert (await view(reader, "weasel"))["texts"] == ["weasel"]
    await reader.close()
    await writer.close()


async def test_a_passage_that_was_closed_to_a_user_is_gone_for_them(
    storage_factory: StorageFactory, tmp_path: Path
) -> None:
    writer = await open_generation(storage_factory(tmp_path / "storage"))
    await write_all(writer)
    reader = await open_generation(storage_factory(tmp_path / "storage"), read_only=True)
    await writer.store.replace(["secret"], [entry("secret", f"the {SECRET} lives here", groups=["hr"])])
    assert found(await view(reader, SECRET))["read"] == []
    assert documents(await reader.store.lexical(SECRET, k=9, scope=Scope(groups=("hr",)))) == ["secret"]
    await reader.close()
    await writer.close()


async def test_the_documents_of_a_file_go_with_it(storage_factory: StorageFactory, tmp_path: Path) -> None:
    writer = await open_generation(storage_factory(tmp_path / "storage"))
    rows = [Document(f"r{n}", f"t.csv#{n}", f"{SECRET} {n}", digest=str(n)) for n in range(50)]
    await writer.store.replace([row.id for row in rows], [entry(row.id, row.text) for row in rows])
    await writer.catalog.save([(FileRow("t.csv", "indexed", None, 50, 50, "d", "s"), [(row, 1) for row in rows])])
    assert len((await view(writer, SECRET))["texts"]) == 50
    await writer.store.delete([row.id for row in rows])
    await writer.catalog.remove(["t.csv"])
    shown = await view(writer, SECRET)
    assert found(shown) == NOTHING
    assert (shown["documents"], shown["passages"]) == (0, [0, 0, 0])
    await writer.close()


@pytest.mark.slow
async def test_a_deletion_reaches_another_process_at_once(
    storage_factory: StorageFactory, storage_name: str, tmp_path: Path
) -> None:
    writer = await open_generation(storage_factory(tmp_path / "storage"))
    await write_all(writer)
    async with client(storage_name, tmp_path / "storage") as other:
        await other.ask("open")
        assert all(found(await other.ask(f"view {SECRET}")).values())
        await remove(writer, "secret")
        assert found(await other.ask(f"view {SECRET}")) == NOTHING
        await writer.store.optimize()
        await writer.close()
        assert found(await other.ask(f"view {SECRET}")) == NOTHING
        await other.ask("close")
        await other.ask("open")
        assert found(await other.ask(f"view {SECRET}")) == NOTHING
        await other.ask("close")


async def test_an_erasure_leaves_one_version_and_one_generation(
    storage_factory: StorageFactory, tmp_path: Path
) -> None:
    storage = storage_factory(tmp_path / "storage")
    writer = await open_generation(storage)
    await write_all(writer)
    snapshot = await (reader := await open_generation(storage, read_only=True)).snapshot()
    await remove(writer, "secret")
    await writer.close()
    async with storage.writer_lock():
        rebuilt = await storage.begin_generation(PARTS, rebuild=True)
        await (await storage.open(rebuilt, read_only=False)).close()
        if not isinstance(storage, PostgresIndex):  # where a snapshot is a transaction, which keeps its own rows
            with pytest.raises(BusyError, match="older state of the index"):
                await storage.erase()
        await snapshot.close()
        await storage.erase()
        with pytest.raises(MissingError):
            await storage.open(rebuilt, read_only=True)
    assert found(await view(reader, SECRET)) == NOTHING
    assert documents(await reader.store.lexical("badger", k=1, scope=Scope()))
    await reader.close()
