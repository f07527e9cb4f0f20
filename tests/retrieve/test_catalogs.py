"""The conformance suite of catalogs, run on every storage, and what only SQLite promises."""

import asyncio
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest

from groundtune.errors import FormatError, MissingError
from groundtune.note import Note
from groundtune.protocols import Catalog
from groundtune.retrieve.stores.sqlite_catalog import CATALOG_FORMAT, SqliteCatalog
from groundtune.text_box import TextBox
from groundtune.types import Document, DocumentState, FileRow
from tests.retrieve.storages import StorageFactory, document, open_generation


def row(source: str, *, documents: int = 1, digest: str = "d") -> FileRow:
    return FileRow(source, "indexed", None, documents, documents, digest, "s", ("*",))


async def test_an_empty_catalog_knows_nothing(catalog: Catalog) -> None:
    assert await catalog.files() == {}
    assert await catalog.document("a.md") is None
    assert await catalog.document_by_id("a") is None
    assert await catalog.document_states("a.md") == {}
    assert await catalog.unfinished() == {}
    assert await catalog.cursors() == {}
    assert await catalog.count() == 0
    await catalog.save([])
    await catalog.save_rows([])
    await catalog.remove([])
    await catalog.remove(["a.md"])
    await catalog.mark_unfinished([])
    await catalog.save_cursor("wiki", None)


async def test_rows_and_documents_are_returned_exactly_as_saved(catalog: Catalog) -> None:
    failed = FileRow("a\n'🦦.md", "failed", "why", 0, 0, None, "s", ("a", "b"))
    text = "Zeile 1\n\tZeile 2 mit 'Anführung', \"zwei\", \\ und \u200d👩\u200d🔧 日本語 \U0001f600"
    whole = Document(
        "id", "t.csv#1", text, "It's a title", "text/csv", (0, 7), "digest", ("hr", "it's"), {"year": "2025", "x": "y'"}
    )
    whole = replace(whole, boxes=(TextBox(0, 7, 1, 0.1, 0.25, 0.5, 0.3), TextBox(9, 12, 2, 0.0, 0.5, 1.0, 1.0)))
    await catalog.save([(failed, []), (row("t.csv"), [(whole, 3)])])
    assert await catalog.files() == {failed.source: failed, "t.csv": row("t.csv")}
    assert await catalog.document("t.csv#1") == whole
    assert await catalog.document_by_id("id") == whole
    assert await catalog.document("t.csv") is None
    assert await catalog.document_states("t.csv") == {"id": DocumentState("digest", 3)}
    assert await catalog.count() == 1


async def test_notes_are_returned_exactly_as_saved(catalog: Catalog) -> None:
    notes = (Note("no_text_layer", 3, (2, 3, 400)), Note("hidden_sheet", 1, (), ("sheet 'Löhne' \U0001f600",)))
    noted = replace(row("a.pdf"), notes=notes)
    await catalog.save([(noted, [(document("a"), 1)]), (row("b.md"), [])])
    assert await catalog.files() == {"a.pdf": noted, "b.md": row("b.md")}
    fewer = replace(noted, notes=notes[:1])
    await catalog.save_rows([fewer, replace(row("b.md"), notes=notes)])
    assert await catalog.files() == {"a.pdf": fewer, "b.md": replace(row("b.md"), notes=notes)}


async def test_saving_a_file_replaces_its_documents(catalog: Catalog) -> None:
    await catalog.save([(row("t.csv", documents=2), [(document("a"), 1), (document("b"), 1)])])
    await catalog.save([(row("other.csv"), [(document("c"), 1)])])
    await catalog.save([(row("t.csv"), [(document("b", "new words"), 2)])])
    assert await catalog.document_by_id("a") is None
    changed = await catalog.document_by_id("b")
    assert changed is not None
    assert changed.text == "new words"
    assert await catalog.count() == 2
    await catalog.remove(["t.csv"])
    assert set(await catalog.files()) == {"other.csv"}
    assert await catalog.document_by_id("b") is None
    assert await catalog.count() == 1


async def test_rows_are_updated_without_touching_documents(catalog: Catalog) -> None:
    await catalog.save([(row("a.md"), [(document("a"), 1)])])
    touched = row("a.md", digest="other")
    await catalog.save_rows([touched])
    assert await catalog.files() == {"a.md": touched}
    assert await catalog.document_by_id("a") == document("a")


async def test_unfinished_documents_are_remembered_until_their_file_is_saved_or_removed(catalog: Catalog) -> None:
    await catalog.mark_unfinished([("a", "a.md"), ("b", "b.csv"), ("c", "b.csv"), ("d", "d.md")])
    await catalog.mark_unfinished([("a", "a.md")])
    assert await catalog.unfinished() == {"a.md": {"a"}, "b.csv": {"b", "c"}, "d.md": {"d"}}
    await catalog.save([(row("b.csv"), [])])
    await catalog.remove(["d.md"])
    await catalog.save_rows([row("a.md")])
    assert await catalog.unfinished() == {"a.md": {"a"}}


async def test_the_digest_follows_documents_and_groups_only(catalog: Catalog) -> None:
    digests = [await catalog.digest()]
    for change in (
        (row("a.md"), [(document("a"), 1)]),
        (row("a.md"), [(document("a", "other words"), 1)]),
        (row("a.md"), [(document("a", "other words", groups=("hr",)), 1)]),
        (row("b.md"), [(document("b"), 1)]),
    ):
        await catalog.save([change])
        digests.append(await catalog.digest())
    assert len(set(digests)) == 5
    await catalog.save_rows([row("a.md", digest="other")])
    await catalog.save_cursor("wiki", "7")
    await catalog.mark_unfinished([("x", "x.md")])
    assert await catalog.digest() == digests[-1]
    await catalog.remove(["b.md"])
    assert await catalog.digest() == digests[-2]


async def test_cursors_are_kept_by_source(catalog: Catalog) -> None:
    await catalog.save_cursor("wiki", "1")
    await catalog.save_cursor("mail's", '{"page": 3}')
    await catalog.save_cursor("wiki", "2")
    assert await catalog.cursors() == {"wiki": "2", "mail's": '{"page": 3}'}
    await catalog.save_cursor("wiki", None)
    assert await catalog.cursors() == {"mail's": '{"page": 3}'}


async def test_a_reader_sees_what_was_saved(storage_factory: StorageFactory, tmp_path: Path) -> None:
    writer = await open_generation(storage_factory(tmp_path / "storage"))
    reader = await open_generation(storage_factory(tmp_path / "storage"), read_only=True)
    await writer.catalog.save([(row("a.md"), [(document("a"), 1)])])
    await writer.catalog.save_cursor("wiki", "1")
    assert await reader.catalog.document_by_id("a") == document("a")
    assert await reader.catalog.cursors() == {"wiki": "1"}
    await writer.catalog.remove(["a.md"])
    assert await reader.catalog.document_by_id("a") is None
    await writer.close()
    await reader.close()
    again = await open_generation(storage_factory(tmp_path / "storage"), read_only=True)
    assert await again.catalog.cursors() == {"wiki": "1"}
    await again.close()


async def test_many_calls_at_once_are_all_done(catalog: Catalog) -> None:
    await asyncio.gather(*(catalog.save([(row(f"{n}.md"), [(document(f"d{n}"), 1)])]) for n in range(50)))
    found = await asyncio.gather(*(catalog.document_by_id(f"d{n}") for n in range(50)))
    assert found == [document(f"d{n}") for n in range(50)]


# -- SQLite --------------------------------------------------------------------------------------------------------


async def test_the_event_loop_stays_free_while_sqlite_waits(tmp_path: Path) -> None:
    catalog = await SqliteCatalog.open(tmp_path / "c.sqlite")
    other = sqlite3.connect(tmp_path / "c.sqlite")
    other.execute("BEGIN IMMEDIATE")
    saving = asyncio.create_task(catalog.save_cursor("wiki", "1"))
    started = time.perf_counter()
    await asyncio.sleep(0.05)
    assert time.perf_counter() - started < 5  # it waits up to 30 seconds for the lock
    assert not saving.done()
    other.rollback()
    other.close()
    await saving
    assert await catalog.cursors() == {"wiki": "1"}
    await catalog.close()


def old(path: Path) -> None:
    """Turn a catalog into one of format 0."""
    db = sqlite3.connect(path)
    db.executescript("DROP TABLE cursors; DROP TABLE changes; PRAGMA user_version = 0;")
    db.close()


async def test_an_older_catalog_is_read_as_it_is_and_migrated_by_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    catalog = await SqliteCatalog.open(path)
    await catalog.save([(row("a.md"), [(document("a"), 1)])])
    await catalog.close()
    old(path)
    reader = await SqliteCatalog.open(path, read_only=True)
    assert await reader.document_by_id("a") == document("a")
    assert (await reader.cursors(), await reader.changes()) == ({}, 0)
    writer = await SqliteCatalog.open(path)
    await writer.save_cursor("wiki", "1")
    assert await writer.document_by_id("a") == document("a")
    assert (await reader.cursors(), await reader.changes()) == ({"wiki": "1"}, 1)  # also by readers opened before
    await reader.close()
    await writer.close()


async def test_a_catalog_without_notes_is_read_and_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    catalog = await SqliteCatalog.open(path)
    await catalog.save([(row("a.md"), [(document("a"), 1)])])
    await catalog.close()
    db = sqlite3.connect(path)
    db.executescript(
        "ALTER TABLE files DROP COLUMN notes; ALTER TABLE documents DROP COLUMN boxes; PRAGMA user_version = 1;"
    )
    db.close()
    reader = await SqliteCatalog.open(path, read_only=True)
    assert await reader.files() == {"a.md": row("a.md")}
    assert await reader.document_by_id("a") == document("a")
    writer = await SqliteCatalog.open(path)
    noted = replace(row("a.md"), notes=(Note("picture", 2),))
    await writer.save_rows([noted])
    assert await writer.files() == await reader.files() == {"a.md": noted}
    await reader.close()
    await writer.close()


async def test_a_newer_catalog_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    await (await SqliteCatalog.open(path)).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {CATALOG_FORMAT + 1}")
    db.close()
    for read_only in (True, False):
        with pytest.raises(FormatError, match="newer groundtune") as caught:
            await SqliteCatalog.open(path, read_only=read_only)
        assert "groundtune ingest --rebuild" in str(caught.value.hint)


async def test_a_catalog_that_is_missing_or_damaged_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        await SqliteCatalog.open(tmp_path / "nothing.sqlite", read_only=True)
    (tmp_path / "damaged.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(MissingError):
        await SqliteCatalog.open(tmp_path / "damaged.sqlite", read_only=True)
