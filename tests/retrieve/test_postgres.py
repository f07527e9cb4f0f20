"""What only the PostgreSQL storage promises: snapshots, one writer among machines, restarts, deleted bytes, errors."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundtune.errors import (
    BusyError,
    FormatError,
    GroundtuneError,
    IndexMismatchError,
    MissingError,
    ProviderError,
    UsageError,
    need,
)
from groundtune.protocols import IndexGeneration
from groundtune.retrieve.stores.postgres import connections, store
from groundtune.retrieve.stores.postgres import vectors as vector_index
from groundtune.retrieve.stores.postgres.address import check_dsn, place, read_dsn
from groundtune.retrieve.stores.postgres.schema import Tables, default_schema
from groundtune.retrieve.stores.postgres.storage import PostgresGeneration, PostgresIndex
from groundtune.retrieve.stores.postgres.values import decode_text, encode_text
from groundtune.retrieve.stores.postgres.words import plain_words
from groundtune.types import FileRow, IndexEntry, Passage, Scope
from tests.postgres_server import PostgresServer
from tests.retrieve.storages import OPEN, PARTS, begin, document, documents, entry, fill, open_generation, unit

ROOT = Path(__file__).parents[2]
Connect = Callable[[], Any]
OpenIndex = Callable[[], PostgresIndex]


@pytest.fixture
def schema(tmp_path: Path) -> str:
    return default_schema(tmp_path.name)


@pytest.fixture
def index(postgres_server: PostgresServer, schema: str) -> PostgresIndex:
    return PostgresIndex(lambda: postgres_server.dsn, schema=schema)


@pytest.fixture
async def generation(index: PostgresIndex) -> AsyncIterator[IndexGeneration]:
    opened = await open_generation(index)
    yield opened
    await opened.close()


@pytest.fixture
def own_server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """A server that the test may stop. Depends on the shared one, which skips the test if there can be none."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


async def run_sql(dsn: str, *statements: str) -> Any:
    """Run statements as the administrator; return the first value of the last one."""
    connection = await connections.Connector(dsn).connect()
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


# -- full text -----------------------------------------------------------------------------------------------------


def test_plain_words_leave_nothing_for_the_parser_of_the_database() -> None:
    assert plain_words("and/or a.b-c <b>X</b> it's 1,000 user@host.de") == "and or a b c b x b it s 1 000 user host de"
    assert plain_words("\x00 \ud800 🙈 !!! _") == ""
    assert plain_words("Cafe\u0301 ﬁne") == "café fine"
    assert plain_words("தமிழ் वर्णमाला 日本語") == "தமிழ் वर्णमाला 日本語"
    assert plain_words("x" * 65 + " short") == "short"


async def test_scores_are_bm25(generation: IndexGeneration) -> None:
    """The scores equal those of the formula, for every passage, also after changes."""
    rng = np.random.default_rng(1)
    texts = {f"d{i}": [f"w{w}x" for w in rng.zipf(1.5, size=rng.integers(3, 40)) % 50] for i in range(60)}
    await fill(generation.store, *(entry(name, " ".join(words)) for name, words in texts.items()))
    await generation.store.delete(["d7", "d8"])
    await fill(generation.store, entry("d9", "w1x w1x w2x"))
    del texts["d7"], texts["d8"]
    texts["d9"] = ["w1x", "w1x", "w2x"]
    mean = np.mean([len(words) for words in texts.values()])
    ceiling = 3.5 * np.log(1 + len(texts))
    expected: dict[str, float] = {}
    for term in ("w1x", "w2x", "w5x"):
        frequency = sum(term in words for words in texts.values())
        idf = np.log(1 + (len(texts) - frequency + 0.5) / (frequency + 0.5))
        for name, words in texts.items():
            if count := words.count(term):
                part = idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(words) / mean))
                expected[name] = expected.get(name, 0) + part / ceiling
    candidates = await generation.store.lexical("w1x w5x w2x w2x", k=100, scope=OPEN)
    assert {c.id.removesuffix(":0"): c.score for c in candidates} == pytest.approx(expected)


async def test_full_text_forgets_what_was_deleted(index: PostgresIndex, generation: IndexGeneration) -> None:
    await fill(generation.store, entry("a", "glockenspiel and otter"), entry("b", "otter"))
    await generation.store.delete(["a"])
    tables = Tables(index._schema, generation.manifest.generation)
    assert await run_sql(index._connector.dsn, f"SELECT array_agg(term) FROM {tables.terms}") == ["otter"]
    assert await run_sql(index._connector.dsn, f"SELECT count(*) FROM {tables.postings}") == 1
    assert await run_sql(index._connector.dsn, f"SELECT passages + 10 * words FROM {tables.totals}") == 11
    await generation.store.delete(["b"])
    assert await run_sql(index._connector.dsn, f"SELECT passages + 10 * words FROM {tables.totals}") == 0
    assert await generation.store.lexical("otter", k=3, scope=OPEN) == []


async def test_words_are_stemmed_in_the_language_of_the_index(index: PostgresIndex) -> None:
    async with index.writer_lock():
        manifest = await index.begin_generation({**PARTS, "language": "german"}, rebuild=False)
        opened = await index.open(manifest, read_only=False)
        texts = ("Die Häuser für Bücher", "Für über und während", "Ein Haus", "STRAßE", "Das Haus der Tänzer")
        await fill(opened.store, *(entry(f"d{i}", text) for i, text in enumerate(texts)))
        for question, expected in {
            "Haus": {"d0", "d2", "d4"},
            "buch": {"d0"},
            "tanzer": {"d4"},
            "Strasse": {"d3"},
            "für über": set(),
        }.items():
            assert set(documents(await opened.store.lexical(question, k=9, scope=OPEN))) == expected, question
        await opened.close()


# -- values --------------------------------------------------------------------------------------------------------


def test_text_that_the_database_cannot_store_is_escaped() -> None:
    for text in ("plain", "", "a\x00b", "\x1a", "\x1a0000", "\ud800 x \udfff", "é\x00"):
        assert decode_text(encode_text(text)) == text
        assert b"\x00" not in encode_text(text)


async def test_odd_text_is_returned_exactly(generation: IndexGeneration) -> None:
    odd = "a\x00b \x1a \ud800 otter"
    passage = Passage(f"{odd}:0", odd, odd, 0, 0, len(odd), odd, heading=odd)
    values = {odd: odd, "long": "x" * 9_000}
    await generation.store.replace([odd], [IndexEntry(passage, odd, odd, unit(1), (odd, "y" * 9_000), values)])
    for scope in (Scope(groups=(odd,)), Scope(groups=("y" * 9_000,)), Scope(groups=(odd,), filters=values)):
        assert await generation.store.scan(scope) == [passage]
        assert documents(await generation.store.lexical("otter", k=1, scope=scope)) == [odd]
    assert await generation.store.scan(Scope(groups=("y" * 8_999,))) == []
    assert await generation.store.embedded_texts([passage.id]) == {passage.id: f"{odd}\n{odd}"}
    row = FileRow("a.csv", "indexed", odd, 1, 1, groups=(odd,))
    saved = document("a", odd, title=odd, metadata=values)
    await generation.catalog.save([(row, [(saved, 1)])])
    assert await generation.catalog.document_by_id("a") == saved
    assert await generation.catalog.files() == {"a.csv": row}


# -- vectors -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_20_000_vectors_are_found_approximately_and_narrow_groups_exactly(index: PostgresIndex) -> None:
    """Random vectors, the worst case: a group of 0.1% has a recall of 1; everything, and half of it, of 0.95."""
    count, dimension = 20_000, 48
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(count, dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = ["few" if i % 1_000 == 0 else "more" if i % 5 < 3 else "rest" for i in range(count)]
    async with index.writer_lock():
        manifest = await index.begin_generation({**PARTS, "dimension": dimension}, rebuild=False)
        opened = await index.open(manifest, read_only=False)
        entries = [entry(f"d{i}", f"w{i % 7}", vector=v, groups=[groups[i]]) for i, v in enumerate(vectors)]
        await fill(opened.store, *entries[:9_000])
        await index.finish_generation(manifest)
        assert not await _vectors_are_indexed(opened)
        await fill(opened.store, *entries[9_000:])
        await opened.store.optimize()
        assert not await _vectors_are_indexed(opened)
        await index.finish_generation(manifest)
        assert await _vectors_are_indexed(opened)
        recalls: dict[int, list[float]] = {}
        for number in range(40):
            query = rng.normal(size=dimension).astype(np.float32)
            query /= np.linalg.norm(query)
            for names in (("few",), ("few", "more"), ("few", "more", "rest")):
                visible = np.flatnonzero([group in names for group in groups])
                exact = visible[np.argsort(-(vectors[visible] @ query))[:10]]
                found = await opened.store.dense(query, k=10, scope=Scope(groups=names))
                got = {int(name[1:]) for name in documents(found)}
                recalls.setdefault(len(names), []).append(len(got & set(exact.tolist())) / 10)
                assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
                lexical = await opened.store.lexical(f"w{number % 7}", k=50, scope=Scope(groups=names))
                assert len(lexical) == min(50, sum(i % 7 == number % 7 for i in visible))
        assert np.mean(recalls[1]) == 1
        assert np.mean(recalls[2]) >= 0.95
        assert np.mean(recalls[3]) >= 0.95
        late = unit(3)
        late = np.resize(late, dimension) / np.linalg.norm(np.resize(late, dimension))
        everyone = Scope(groups=("few", "more", "rest"))
        await fill(opened.store, entry("late", vector=late, groups=["more"]))
        assert documents(await opened.store.dense(late, k=1, scope=everyone)) == ["late"]
        await opened.store.delete(["late"])
        assert documents(await opened.store.dense(late, k=1, scope=everyone)) != ["late"]
        await opened.close()


async def _vectors_are_indexed(opened: IndexGeneration) -> bool:
    assert isinstance(opened, PostgresGeneration)
    return bool(
        await opened._connections.fetch(
            "SELECT FROM pg_indexes WHERE indexdef LIKE '%hnsw%' AND schemaname = $1::text", opened._tables.schema
        )
    )


@pytest.mark.parametrize("dimension", [1, 1_900, 3_072, 5_000])
async def test_vectors_of_any_length_are_stored(
    index: PostgresIndex, dimension: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (store, vector_index):
        monkeypatch.setattr(module, "APPROXIMATE_FROM", 30)
    rng = np.random.default_rng(0)
    async with index.writer_lock():
        manifest = await index.begin_generation({**PARTS, "dimension": dimension}, rebuild=False)
        opened = await index.open(manifest, read_only=False)
        vectors = rng.normal(size=(40, dimension)).astype(np.float32)
        await fill(opened.store, *(entry(f"d{i}", vector=v / np.linalg.norm(v)) for i, v in enumerate(vectors)))
        await index.finish_generation(manifest)
        assert await _vectors_are_indexed(opened) == (dimension <= 4_000)
        query = (vectors[3] / np.linalg.norm(vectors[3])).astype(np.float32)
        best = (await opened.store.dense(query, k=3, scope=OPEN))[0]
        assert best.score == pytest.approx(1, abs=1e-5)
        assert dimension == 1 or np.array_equal(best.vector, query)
        await opened.close()


async def test_with_little_shared_memory_the_vector_index_is_built_by_one_worker(
    index: PostgresIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container often has 64 MB of it, and PostgreSQL then fails with: could not resize shared memory segment."""
    monkeypatch.setattr(vector_index, "APPROXIMATE_FROM", 5)
    create, tried = vector_index.create_index, []

    async def create_or_fail(*arguments: Any) -> None:
        tried.append(dict(arguments[-1]))
        if len(tried) == 1:
            raise need("asyncpg", extra="postgres").DiskFullError("could not resize shared memory segment")
        await create(*arguments)

    monkeypatch.setattr(vector_index, "create_index", create_or_fail)
    async with index.writer_lock():
        manifest = await index.begin_generation(PARTS, rebuild=False)
        opened = await index.open(manifest, read_only=False)
        await fill(opened.store, *(entry(f"d{i}") for i in range(9)))
        await index.finish_generation(manifest)
        assert await _vectors_are_indexed(opened)
        assert tried[1] == {"max_parallel_maintenance_workers": "0"}
        await opened.close()


# -- snapshots -----------------------------------------------------------------------------------------------------


async def test_a_snapshot_does_not_change(index: PostgresIndex, generation: IndexGeneration) -> None:
    await fill(generation.store, *(entry(f"d{i}", f"otter {i}", vector=unit(i)) for i in range(5)))
    await generation.catalog.save([(FileRow("d1.md", "indexed"), [(document("d1"), 1)])])
    snapshot = await generation.snapshot()
    pinned = await snapshot.version()
    assert pinned == await generation.version()
    before = [await snapshot.store.scan(OPEN), await snapshot.catalog.digest()]
    await generation.store.delete(["d1"])
    await fill(generation.store, entry("d2", "weasel"), entry("new", "otter"))
    await generation.catalog.remove(["d1.md"])
    await generation.store.optimize()
    assert await generation.version() != pinned
    assert await snapshot.version() == pinned
    assert [await snapshot.store.scan(OPEN), await snapshot.catalog.digest()] == before
    found = await asyncio.gather(*(snapshot.store.lexical("otter", k=9, scope=OPEN) for _ in range(20)))
    assert {tuple(sorted(documents(candidates))) for candidates in found} == {("d0", "d1", "d2", "d3", "d4")}
    assert documents(await snapshot.store.dense(unit(1), k=1, scope=OPEN)) == ["d1"]
    assert set(await snapshot.store.read(["d1:0", "new:0"], scope=OPEN)) == {"d1:0"}
    assert await snapshot.catalog.document_by_id("d1") == document("d1")
    same = await snapshot.snapshot()
    await snapshot.close()
    assert await same.store.count() == 5
    await same.close()
    assert sorted(documents(await generation.store.scan(OPEN))) == ["d0", "d2", "d3", "d4", "new"]


async def test_a_snapshot_cannot_be_changed_and_neither_can_a_reader(
    index: PostgresIndex, generation: IndexGeneration
) -> None:
    await fill(generation.store, entry("a"))
    snapshot = await generation.snapshot()
    reader = await open_generation(index, read_only=True)
    for opened in (snapshot, reader):
        for change in (
            lambda opened=opened: opened.store.delete(["a"]),
            lambda opened=opened: opened.store.replace(["b"], [entry("b")]),
            lambda opened=opened: opened.catalog.remove(["a.md"]),
        ):
            with pytest.raises(UsageError):
                await change()
        assert await opened.store.count() == 1
        await opened.close()


async def test_a_snapshot_outlives_the_limits_of_the_server_for_idle_sessions(own_server: PostgresServer) -> None:
    await run_sql(
        own_server.dsn,
        "ALTER SYSTEM SET idle_in_transaction_session_timeout = '300ms'",
        "ALTER SYSTEM SET idle_session_timeout = '300ms'",
        "ALTER SYSTEM SET transaction_timeout = '500ms'",
        "SELECT pg_reload_conf()",
    )
    index = PostgresIndex(lambda: own_server.dsn, schema="limits")
    await begin(index)
    async with index.writer_lock():
        manifest = await index.current()
        assert manifest is not None
        writer = await index.open(manifest, read_only=False)
        await fill(writer.store, entry("a", "otter"))
        snapshot = await writer.snapshot()
        assert await snapshot.store.count() == 1
        await asyncio.sleep(1)
        assert await snapshot.store.count() == 1
        assert await writer.store.count() == 1  # the pool has replaced its connections
        await fill(writer.store, entry("b", "otter"))
        await snapshot.close()
        await writer.close()


# -- generations ---------------------------------------------------------------------------------------------------


async def test_a_rebuild_is_built_alongside_and_swapped(index: PostgresIndex, generation: IndexGeneration) -> None:
    await fill(generation.store, entry("a", "otter"))
    reader = PostgresIndex(lambda: index._connector.dsn, schema=index._schema)
    other = {**PARTS, "embedder": "other", "dimension": 8}
    async with index.writer_lock():
        with pytest.raises(IndexMismatchError):
            await index.begin_generation(other, rebuild=False)
        manifest = await index.begin_generation(other, rebuild=True)
        assert await reader.current() == generation.manifest
        rebuilt = await index.open(manifest, read_only=False)
        await fill(rebuilt.store, entry("b", "weasel", vector=unit(1)[:8]))
        assert await index.begin_generation(other, rebuild=True) == manifest  # resumed
        assert await index.begin_generation(PARTS, rebuild=True) != manifest  # the first one is dropped
        with pytest.raises(BusyError, match="rebuilt"):
            await rebuilt.store.count()
        await rebuilt.close()
        manifest = await index.begin_generation(other, rebuild=True)
        await index.finish_generation(manifest)
        await index.finish_generation(manifest)
    assert await reader.current() == manifest
    assert documents(await generation.store.scan(OPEN)) == ["a"]  # still there for those who read it
    async with index.writer_lock():
        await index.begin_generation(other, rebuild=False)
    with pytest.raises(BusyError, match="rebuilt"):
        await generation.store.count()
    tables = await run_sql(index._connector.dsn, f"SELECT count(*) FROM pg_tables WHERE schemaname = '{index._schema}'")
    assert tables == 9


async def test_an_old_generation_is_kept_while_a_snapshot_reads_it(
    index: PostgresIndex, generation: IndexGeneration
) -> None:
    await fill(generation.store, entry("a", "otter"))
    snapshot = await generation.snapshot()
    assert await snapshot.store.count() == 1
    assert documents(await snapshot.store.scan(OPEN)) == ["a"]
    async with index.writer_lock():
        await index.finish_generation(await index.begin_generation(PARTS, rebuild=True))
        await index.begin_generation(PARTS, rebuild=False)
        assert documents(await snapshot.store.scan(OPEN)) == ["a"]
        await snapshot.close()
        await index.begin_generation(PARTS, rebuild=False)
    with pytest.raises(BusyError):
        await generation.store.count()


async def test_projects_share_a_database(postgres_server: PostgresServer, generation: IndexGeneration) -> None:
    other = await open_generation(PostgresIndex(lambda: postgres_server.dsn, schema='another "project\'s" schema'))
    await fill(other.store, entry("a", "otter"))
    assert await generation.store.count() == 0
    assert await other.store.count() == 1
    await other.close()


async def test_a_newer_format_is_refused_and_a_rebuild_replaces_it(
    index: PostgresIndex, generation: IndexGeneration
) -> None:
    await run_sql(index._connector.dsn, f'UPDATE "{index._schema}".generations SET format = 99', "SELECT 1")
    with pytest.raises(FormatError, match="newer groundtune"):
        await index.current()
    async with index.writer_lock():
        with pytest.raises(FormatError):
            await index.begin_generation(PARTS, rebuild=False)
        await index.finish_generation(await index.begin_generation(PARTS, rebuild=True))
    assert await index.current() is not None


def test_schemas_of_different_projects_differ() -> None:
    assert default_schema("handbook") == "groundtune_handbook"
    names = ["handbook", "Handbook", "hand book", "hand_book", "hand-book", "", "日本", "x" * 80, "x" * 81]
    schemas = [default_schema(name) for name in names]
    assert len(set(schemas)) == len(names)
    assert all(len(schema) < 60 for schema in schemas)


# -- the lock ------------------------------------------------------------------------------------------------------


async def test_there_is_one_writer(index: PostgresIndex, postgres_server: PostgresServer) -> None:
    other = PostgresIndex(lambda: postgres_server.dsn, schema=index._schema)
    elsewhere = PostgresIndex(lambda: postgres_server.dsn, schema=f"{index._schema}_2")
    async with index.writer_lock():
        with pytest.raises(BusyError, match=f"groundtune ingest, process {os.getpid()} on "):
            async with other.writer_lock():
                pass
        async with elsewhere.writer_lock():
            pass
        waiting = asyncio.create_task(_hold(other))
        await asyncio.sleep(0.3)
        assert not waiting.done()
    assert await waiting


async def _hold(index: PostgresIndex) -> bool:
    async with index.writer_lock(wait_seconds=20):
        return True


# -- restarts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", [False, True])
async def test_readers_survive_a_restart_of_the_server(own_server: PostgresServer, crash: bool) -> None:
    index = PostgresIndex(lambda: own_server.dsn, schema="restart")
    opened = await open_generation(index)
    await fill(opened.store, entry("a", "otter"), entry("b", "badger"))
    await opened.store.delete(["b"])
    await asyncio.gather(*(opened.store.lexical("otter", k=1, scope=OPEN) for _ in range(8)))  # fills the pool
    snapshot = await opened.snapshot()
    await asyncio.to_thread(own_server.stop, crash=crash)
    for _ in range(3):
        with pytest.raises(ProviderError) as caught:
            await opened.store.lexical("otter", k=1, scope=OPEN)
        assert str(own_server.folder) in caught.value.message
        assert caught.value.retryable
    with pytest.raises(ProviderError):
        await index.current()
    await asyncio.to_thread(own_server.start)
    found = await asyncio.gather(*(opened.store.lexical("otter badger", k=5, scope=OPEN) for _ in range(8)))
    assert [documents(candidates) for candidates in found] == [["a"]] * 8
    await fill(opened.store, entry("c", "otter"))
    with pytest.raises(ProviderError, match="lost"):
        await snapshot.store.count()
    await snapshot.close()
    await opened.close()


async def test_a_reader_that_was_idle_during_a_restart_notices_nothing(own_server: PostgresServer) -> None:
    opened = await open_generation(PostgresIndex(lambda: own_server.dsn, schema="restart"))
    await asyncio.gather(*(opened.store.count() for _ in range(8)))
    own_server.stop()  # without returning to the event loop
    own_server.start()
    assert await asyncio.gather(*(opened.store.count() for _ in range(8))) == [0] * 8
    await opened.close()


async def test_a_writer_that_lost_its_connection_never_writes_again(own_server: PostgresServer) -> None:
    index = PostgresIndex(lambda: own_server.dsn, schema="restart")
    manifest = await begin(index)
    async with index.writer_lock():
        opened = await index.open(manifest, read_only=False)
        await fill(opened.store, entry("a", "otter"))
        await asyncio.to_thread(own_server.stop)
        await asyncio.to_thread(own_server.start)
        other = PostgresIndex(lambda: own_server.dsn, schema="restart")
        async with other.writer_lock():
            for _ in range(2):
                with pytest.raises(ProviderError, match="lost"):
                    await fill(opened.store, entry("b", "otter"))
        assert documents(await opened.store.scan(OPEN)) == ["a"]
        await opened.close()


# -- deletion ------------------------------------------------------------------------------------------------------

ASK = """
    import asyncio, json, sys
    from groundtune.retrieve.stores.postgres.storage import PostgresIndex
    from groundtune.types import Scope
    from tests.retrieve.storages import OPEN, documents, open_generation, unit

    async def main():
        opened = await open_generation(PostgresIndex(lambda: sys.argv[1], schema=sys.argv[2]), read_only=True)
        lexical = await opened.store.lexical("glockenspiel xylophone", k=9, scope=OPEN)
        dense = await opened.store.dense(unit(7), k=9, scope=OPEN)
        read = await opened.store.read(["secret:0"], scope=OPEN)
        vectors = await opened.vector_cache.vectors(["key-secret-0"])
        document = await opened.catalog.document_by_id("secret")
        print(json.dumps([documents(lexical), documents(dense), list(read), list(vectors), document is None]))
        await opened.close()

    asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["VACUUM FULL", "rebuild"])
async def test_a_deleted_document_is_gone_for_every_client_and_from_the_disk(
    own_server: PostgresServer, tmp_path: Path, how: str
) -> None:
    index = PostgresIndex(lambda: own_server.dsn, schema="deletion")
    opened = await open_generation(index)
    words = "glockenspiel quixotry"
    secret = entry("secret", f"the {words} of zanzibar", vector=unit(7), metadata={"who": "quixotry"}, context=words)
    await fill(opened.store, secret, *(entry(f"d{i}", f"plain xylophone {i}") for i in range(3)))
    saved = document("secret", f"the {words} of zanzibar", title=words, metadata={"who": "quixotry"})
    await opened.catalog.save([(FileRow("secret.md", "indexed"), [(saved, 1)])])
    await run_sql(own_server.dsn, "CHECKPOINT", "SELECT 1")
    for word in (b"quixotri", b"quixotry", b"zanzibar", unit(7).astype("<f4").tobytes()):
        assert _words_on_disk(own_server, word) > 0
    lexical, dense, *_ = await _ask_elsewhere(own_server.dsn, tmp_path)
    assert "secret" in lexical
    assert "secret" in dense

    await opened.store.delete(["secret"])
    await opened.catalog.remove(["secret.md"])
    expected = [["d0", "d1", "d2"], ["d0", "d1", "d2"], [], [], True]
    for _ in range(2):
        lexical, dense, *others = await _ask_elsewhere(own_server.dsn, tmp_path)
        assert [sorted(lexical), sorted(dense), *others] == expected
        await asyncio.to_thread(own_server.stop)
        await asyncio.to_thread(own_server.start)

    erased = b"quixotri", b"quixotry", b"zanzibar", unit(7).astype("<f4").tobytes()
    if how == "VACUUM FULL":
        for table in Tables("deletion", opened.manifest.generation).all():
            await run_sql(own_server.dsn, f"VACUUM FULL {table}", "SELECT 1")
    else:
        await opened.close()
        async with index.writer_lock():
            manifest = await index.begin_generation(PARTS, rebuild=True)
            opened = await index.open(manifest, read_only=False)
            await fill(opened.store, entry("d1", "plain xylophone"))
            await index.finish_generation(manifest)
            assert _words_on_disk(own_server, *erased) > 0
        async with index.writer_lock():
            await index.begin_generation(PARTS, rebuild=False)
    await run_sql(own_server.dsn, "CHECKPOINT", "SELECT 1")
    assert _words_on_disk(own_server, *erased) == 0
    assert _words_on_disk(own_server, b"xylophon") > 0
    await opened.close()


async def _ask_elsewhere(dsn: str, folder: Path) -> list[Any]:
    out = await _start(folder, "ask", ASK, dsn, "deletion")
    printed, _ = await out.communicate()
    return list(json.loads(printed))


def _words_on_disk(server: PostgresServer, *words: bytes) -> int:
    """Count the data files that contain one of the words. The log of changes (pg_wal) is the server's own business."""
    files = [path for path in (server.data / "base").rglob("*") if path.is_file()]
    contents = (path.read_bytes() for path in files)
    return sum(any(word in content or word in content.lower() for word in words) for content in contents)


async def _start(folder: Path, name: str, code: str, *arguments: str) -> asyncio.subprocess.Process:
    script = folder / f"{name}.py"
    script.write_text(textwrap.dedent(code))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(script), *arguments),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
    )


# -- several processes ---------------------------------------------------------------------------------------------

WRITE = """
    import asyncio, sys
    from groundtune.retrieve.stores.postgres.storage import PostgresIndex
    from groundtune.types import FileRow
    from tests.retrieve.storages import document, entry, unit

    async def main():
        index = PostgresIndex(lambda: sys.argv[1], schema=sys.argv[2])
        async with index.writer_lock():
            opened = await index.open(await index.current(), read_only=False)
            for version in range(int(sys.argv[3])):
                parts = 2 + version % 2
                entries = [entry("d", f"otter v{version} of {parts}", ordinal=n, vector=unit(n)) for n in range(parts)]
                await opened.catalog.mark_unfinished([("d", "d.md")])
                old, new = f"gone{(version + 1) % 2}", f"gone{version % 2}"
                await opened.store.replace(["d", old], [*entries, entry(new, "otter")])
                await opened.catalog.save([(FileRow("d.md", "indexed"), [(document("d"), parts)])])
                print(version, flush=True)
            await opened.close()

    asyncio.run(main())
"""
POLL = """
    import asyncio, sys
    from groundtune.retrieve.stores.postgres.storage import PostgresIndex
    from tests.retrieve.storages import OPEN, open_generation, unit

    async def main():
        opened = await open_generation(PostgresIndex(lambda: sys.argv[1], schema=sys.argv[2]), read_only=True)
        print("ready", flush=True)
        asked = 0
        while await opened.catalog.document_by_id("end") is None:
            lexical = await opened.store.lexical("otter", k=10, scope=OPEN)
            dense = await opened.store.dense(unit(1), k=10, scope=OPEN)
            for found in (lexical, dense):
                assert sum(c.id.startswith("gone") for c in found) <= 1, found
                assert len([c for c in found if c.id.startswith("d:")]) in (0, 2, 3), found
            passages = await opened.store.passages("d")
            assert len({p.text for p in passages}) <= 1, passages
            assert all(p.text.endswith(f"of {len(passages)}") for p in passages), passages
            asked += 1
        print(asked)
        await opened.close()

    asyncio.run(main())
"""


@pytest.mark.slow
async def test_two_processes_ask_while_another_writes(
    index: PostgresIndex, generation: IndexGeneration, tmp_path: Path
) -> None:
    where = index._connector.dsn, index._schema
    readers = [await _start(tmp_path, f"poll{n}", POLL, *where) for n in range(2)]
    for reader in readers:
        assert reader.stdout is not None
        assert await reader.stdout.readline() == b"ready\n"
    writer = await _start(tmp_path, "write", WRITE, *where, "60")
    await writer.communicate()
    assert writer.returncode == 0
    await generation.catalog.save([(FileRow("end.md", "indexed"), [(document("end"), 1)])])
    for reader in readers:
        printed, _ = await reader.communicate()
        assert reader.returncode == 0
        assert int(printed) > 3
    assert sorted(documents(await generation.store.scan(OPEN))) == ["d", "d", "d", "gone1"]


@pytest.mark.slow
async def test_a_killed_writer_leaves_the_state_before_its_batch_and_the_lock(
    index: PostgresIndex, generation: IndexGeneration, tmp_path: Path
) -> None:
    """Killed at several moments: passages and full text agree, nothing is half written, and the next writer goes on."""
    where = index._connector.dsn, index._schema
    for attempt in range(5):
        writer = await _start(tmp_path, "write", WRITE, *where, "100000")
        assert writer.stdout is not None
        assert await writer.stdout.readline()
        await asyncio.sleep(0.03 * attempt)
        writer.send_signal(signal.SIGKILL)
        await writer.wait()
        async with index.writer_lock(wait_seconds=10):
            passages = await generation.store.passages("d")
            assert all(p.text == passages[0].text and p.text.endswith(f"of {len(passages)}") for p in passages)
            found = await generation.store.lexical("otter", k=10, scope=OPEN)
            assert sorted(c.id for c in found) == sorted(p.id for p in await generation.store.scan(OPEN))
            assert len(found) == len(passages) + 1 == await generation.store.count()
    done = await _start(tmp_path, "write", WRITE, *where, "3")
    await done.communicate()
    assert done.returncode == 0
    assert [p.text for p in await generation.store.passages("d")] == ["otter v2 of 2"] * 2
    assert await generation.catalog.unfinished() == {}


async def test_a_replacement_that_fails_changes_nothing(generation: IndexGeneration) -> None:
    await fill(generation.store, entry("a", "otter"), entry("b", "badger"))
    version = await generation.version()
    with pytest.raises(GroundtuneError):
        await generation.store.replace(["a", "c"], [entry("a", "weasel"), entry("c", vector=np.ones(3, np.float32))])
    assert await generation.version() == version
    assert documents(await generation.store.lexical("otter", k=3, scope=OPEN)) == ["a"]
    assert await generation.store.lexical("weasel", k=3, scope=OPEN) == []


# -- errors --------------------------------------------------------------------------------------------------------

SECRET = "hunter2"


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_URL", raising=False)
    with pytest.raises(MissingError, match="SOME_URL") as caught:
        read_dsn("SOME_URL")
    assert "export SOME_URL=postgresql://" in str(caught.value.hint)
    monkeypatch.setenv("SOME_URL", f" postgresql://me:{SECRET}@db.example/app \n")
    assert read_dsn("SOME_URL") == f"postgresql://me:{SECRET}@db.example/app"


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        (f"postgresql://me:{SECRET}@db.example:5432/app?sslmode=require", "db.example:5432/app"),
        (f"postgres://me:{SECRET}@[::1]:5432/app", "[::1]:5432/app"),
        (f"postgresql:///app?host=/run/pg&user=me&password={SECRET}", "/run/pg/app"),
        (f"postgresql://me:{SECRET}@a:1,b:2/app", "a:1,b:2/app"),
        (f"postgresql://me:{SECRET}%40x@/", "localhost/"),
        (f"postgresql://me:{SECRET}@[bad/app", "the database"),
    ],
)
def test_a_place_has_no_password(dsn: str, expected: str) -> None:
    assert place(dsn) == expected


@pytest.mark.parametrize(
    "dsn", [f"host=db password={SECRET}", f"mysql://me:{SECRET}@db/app", f"postgresql+asyncpg://me:{SECRET}@db/app"]
)
def test_what_is_not_the_address_of_a_postgres_is_refused(dsn: str) -> None:
    with pytest.raises(MissingError) as caught:
        check_dsn(dsn)
    assert SECRET not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("127.0.0.1:1/app", ProviderError, "cannot reach the database at 127.0.0.1:1/app: connection refused"),
        ("localhost:notaport/app", MissingError, "wrong"),
        ("/app?host=/nowhere", ProviderError, "cannot reach the database at /nowhere/app"),
    ],
)
async def test_an_unreachable_database_is_named_without_the_password(
    postgres_server: PostgresServer, address: str, error: type[GroundtuneError], words: str
) -> None:
    index = PostgresIndex(lambda: f"postgresql://me:{SECRET}@{address}", schema="x")
    for call in (index.current, lambda: begin(index)):
        with pytest.raises(error, match=words) as caught:
            await call()
        assert SECRET not in f"{caught.value!r} {caught.value.hint}"
        assert caught.value.hint


@pytest.fixture
async def limited(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The address of a new database without the extension, for a user who owns nothing in it."""
    name = "limited"
    await run_sql(
        postgres_server.dsn, f"CREATE ROLE {name} LOGIN", f"CREATE DATABASE {name}", "SELECT 1"
    )  # each statement runs outside a transaction
    yield postgres_server.dsn.replace("postgres@/postgres", f"{name}@/{name}")
    await run_sql(postgres_server.dsn, f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}", "SELECT 1")


async def test_every_missing_permission_says_what_the_administrator_does(
    limited: str, postgres_server: PostgresServer
) -> None:
    admin = limited.replace("limited@/", "postgres@/")
    index = PostgresIndex(lambda: limited, schema="mine")
    assert await index.current() is None
    with pytest.raises(MissingError, match="may not create tables in the schema mine") as caught:
        await begin(index)
    assert 'CREATE SCHEMA "mine" AUTHORIZATION' in str(caught.value.hint)

    await run_sql(admin, 'CREATE SCHEMA "mine" AUTHORIZATION limited', "SELECT 1")
    with pytest.raises(MissingError, match="vector") as caught:
        await begin(index)
    assert "CREATE EXTENSION vector" in str(caught.value.hint)

    await run_sql(admin, "CREATE SCHEMA elsewhere", "CREATE EXTENSION vector SCHEMA elsewhere", "SELECT 1")
    with pytest.raises(MissingError, match="permission denied for schema elsewhere"):
        await begin(index)
    await run_sql(admin, "GRANT USAGE ON SCHEMA elsewhere TO limited", "SELECT 1")
    await run_sql(admin, "UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'", "SELECT 1")
    with pytest.raises(MissingError, match=r"pgvector 0\.7\.4; groundtune needs 0\.8") as caught:
        await begin(index)
    assert "ALTER EXTENSION vector UPDATE" in str(caught.value.hint)
    await run_sql(admin, "UPDATE pg_extension SET extversion = '0.10.0' WHERE extname = 'vector'", "SELECT 1")

    opened = await open_generation(index)
    await fill(opened.store, entry("a", "otter", vector=unit(1)))
    assert documents(await opened.store.dense(unit(1), k=1, scope=OPEN)) == ["a"]
    await opened.close()


async def test_a_reader_needs_no_permission_to_write(limited: str) -> None:
    admin = limited.replace("limited@/", "postgres@/")
    writer = await open_generation(PostgresIndex(lambda: admin, schema="mine"))
    await fill(writer.store, entry("a", "otter", vector=unit(1)))
    reading = PostgresIndex(lambda: limited, schema="mine")
    with pytest.raises(MissingError, match="permission denied for schema mine"):
        await reading.current()
    await run_sql(
        admin,
        "GRANT USAGE ON SCHEMA mine TO limited",
        "GRANT SELECT ON ALL TABLES IN SCHEMA mine TO limited",
        "SELECT 1",
    )
    reader = await open_generation(reading, read_only=True)
    assert documents(await reader.store.lexical("otter", k=1, scope=OPEN)) == ["a"]
    assert documents(await reader.store.dense(unit(1), k=1, scope=OPEN)) == ["a"]
    snapshot = await reader.snapshot()
    assert await snapshot.store.count() == 1
    await snapshot.close()
    await reader.close()
    await writer.close()


async def test_a_database_in_another_encoding_is_refused(postgres_server: PostgresServer) -> None:
    await run_sql(
        postgres_server.dsn,
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
        "SELECT 1",
    )
    index = PostgresIndex(lambda: postgres_server.dsn.replace("/postgres?", "/latin?"), schema="x")
    with pytest.raises(MissingError, match="LATIN1"):
        await begin(index)
    await run_sql(postgres_server.dsn, "DROP DATABASE latin WITH (FORCE)", "SELECT 1")


async def test_a_query_that_takes_too_long_is_given_up(
    index: PostgresIndex, generation: IndexGeneration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READ_SECONDS", 0.3)
    reader = await open_generation(index, read_only=True)
    assert isinstance(reader, PostgresGeneration)
    with pytest.raises(ProviderError, match="took too long"):
        await reader._connections.fetch("SELECT pg_sleep(5)")
    assert await reader.store.count() == 0
    snapshot = await reader.snapshot()
    with pytest.raises(ProviderError, match="took too long"):
        await snapshot._connections.fetch("SELECT pg_sleep(5)")  # type: ignore[attr-defined]
    assert await snapshot.store.count() == 0
    await snapshot.close()
    await reader.close()
