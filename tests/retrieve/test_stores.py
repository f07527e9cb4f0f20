"""The conformance suite of stores, run on every implementation."""

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundtune.protocols import Store
from groundtune.retrieve.stores import lance
from groundtune.retrieve.stores.lance import LanceStore
from groundtune.types import Candidate, IndexEntry, Passage, Scope, Vectors

DIMENSION = 16
Factory = Callable[[Path], Awaitable[Store]]


async def lancedb(folder: Path) -> Store:
    return await LanceStore.open(folder, dimension=DIMENSION)


STORES: list[Factory] = [lancedb]


@pytest.fixture(params=STORES, ids=lambda factory: factory.__name__)
def factory(request: pytest.FixtureRequest) -> Factory:
    store_factory: Factory = request.param
    return store_factory


@pytest.fixture
async def store(factory: Factory, tmp_path: Path) -> Store:
    return await factory(tmp_path / "store")


def unit(seed: int | None = None, *, near: Vectors | None = None, noise: float = 0.0) -> Vectors:
    rng = np.random.default_rng(seed)
    vector = rng.normal(size=DIMENSION) * (noise if near is not None else 1.0)
    vector = vector + near if near is not None else vector
    unit_vector: Vectors = (vector / np.linalg.norm(vector)).astype(np.float32)
    return unit_vector


def entry(
    document: str,
    text: str = "plain words",
    *,
    ordinal: int = 0,
    vector: Vectors | None = None,
    groups: Sequence[str] = ("*",),
    metadata: Mapping[str, str] | None = None,
    context: str = "",
    key: str | None = None,
) -> IndexEntry:
    passage = Passage(f"{document}:{ordinal}", document, f"{document}.md", ordinal, 0, len(text), text)
    if vector is None:
        vector = unit(abs(hash((document, ordinal))) % 2**32)
    return IndexEntry(passage, context, key or f"key-{document}-{ordinal}", vector, tuple(groups), dict(metadata or {}))


async def fill(store: Store, *entries: IndexEntry) -> None:
    await store.replace(list(dict.fromkeys(e.passage.document_id for e in entries)), entries)


def documents(results: Sequence[Candidate] | Sequence[Passage]) -> list[str]:
    return [item.id.rpartition(":")[0] if isinstance(item, Candidate) else item.document_id for item in results]


async def texts(store: Store, candidates: Sequence[Candidate]) -> list[str]:
    return sorted(passage.text for passage in (await store.read(candidates)).values())


OPEN = Scope()


async def test_an_empty_store_answers_with_nothing(store: Store) -> None:
    assert await store.count() == 0
    assert await store.dense(unit(1), k=3, scope=OPEN) == []
    assert await store.lexical("anything", k=3, scope=OPEN) == []
    assert await store.vectors(["a"]) == {}
    assert await store.passages("a") == []
    assert await store.scan(OPEN) == []
    await store.delete(["a"])
    await store.replace(["a"], [])
    await store.replace([], [])
    await store.optimize()


async def test_passages_are_returned_exactly_as_they_were_added(store: Store) -> None:
    text = "Zeile 1\n\tZeile 2 mit 'Anführung', \"zwei\", \\ und \u200d👩‍🔧 日本語 \U0001f600"
    passage = Passage("d:0", "d", "ordner/ä b.md", 0, 7, 7 + len(text), text, heading="A > B's", page=3)
    vector = unit(5)
    await store.replace(["d"], [IndexEntry(passage, "Kontext", "k", vector)])
    assert await store.scan(OPEN) == [passage]
    assert await store.passages("d") == [passage]
    (candidate,) = await store.dense(vector, k=5, scope=OPEN)
    assert candidate.id == passage.id
    assert await store.read([candidate]) == {passage.id: passage}
    assert np.array_equal(candidate.vector, vector)
    assert candidate.vector.dtype == np.float32
    (candidate,) = await store.lexical("Anführung", k=5, scope=OPEN)
    assert await store.read([candidate]) == {passage.id: passage}
    assert documents(await store.lexical("日本語", k=5, scope=OPEN)) == ["d"]


async def test_passages_that_changed_since_the_search_are_not_read(store: Store) -> None:
    await fill(store, *(entry(f"d{i}", f"otter {i}") for i in range(30)))
    candidates = await store.lexical("otter", k=30, scope=OPEN)
    assert len(await store.read(candidates)) == 30
    assert await store.read([]) == {}
    assert list(await store.read(candidates[::-1][:3])) != []
    await store.delete(["d3"])
    await store.replace(["d4"], [entry("d4", "otter anew")])
    left = await store.read(candidates)
    assert set(left) == {f"d{i}:0" for i in range(30)} - {"d3:0", "d4:0"}
    assert all(passage.text == f"otter {passage.document_id[1:]}" for passage in left.values())
    await store.optimize()
    later = await store.read(candidates)  # folded together, rows may have moved; none is taken for another
    assert all(left[name] == passage for name, passage in later.items())
    again = await store.lexical("otter", k=30, scope=OPEN)
    assert len(await store.read(again)) == 29


async def test_dense_is_cosine_best_first_and_at_most_k(store: Store) -> None:
    query = unit(0)
    entries = [entry(f"d{i}", vector=unit(i, near=query, noise=0.1 * i)) for i in range(1, 21)]
    entries.append(entry("opposite", vector=-query))
    await fill(store, *entries)
    exact = sorted(((float(e.vector @ query), e.passage.document_id) for e in entries), reverse=True)
    candidates = await store.dense(query, k=5, scope=OPEN)
    assert documents(candidates) == [document for _, document in exact[:5]]
    assert [c.score for c in candidates] == pytest.approx([cosine for cosine, _ in exact[:5]], abs=1e-5)
    everything = await store.dense(query, k=100, scope=OPEN)
    assert len(everything) == 21
    assert everything[-1].score == pytest.approx(-1, abs=1e-5)
    assert all(-1.0001 <= c.score <= 1.0001 for c in everything)


async def test_lexical_is_bm25_best_first_and_at_most_k(store: Store) -> None:
    await fill(
        store,
        entry("rare", "the heron stands in the pond"),
        entry("twice", "heron heron and nothing else at all, only more and more of other words to fill it"),
        *(entry(f"pond{i}", f"the pond number {i} freezes in winter") for i in range(10)),
        entry("none", "gravel path"),
    )
    candidates = await store.lexical("heron pond", k=20, scope=OPEN)
    assert documents(candidates)[0] == "rare"
    assert set(documents(candidates)) == {"rare", "twice", *(f"pond{i}" for i in range(10))}
    scores = [c.score for c in candidates]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0
    assert len(await store.lexical("pond", k=3, scope=OPEN)) == 3


async def test_lexical_stems_folds_and_reads_the_context(store: Store) -> None:
    await fill(
        store,
        entry("run", "Refunds were requested"),
        entry("accent", "Das Café öffnet"),
        entry("context", "It costs 30 euros", context="Price list > Wrenches"),
    )
    assert documents(await store.lexical("requesting a refund", k=5, scope=OPEN)) == ["run"]
    assert documents(await store.lexical("CAFE", k=5, scope=OPEN)) == ["accent"]
    assert documents(await store.lexical("wrench", k=5, scope=OPEN)) == ["context"]


@pytest.mark.parametrize(
    "query",
    ["", "   ", "the and of a", "!!! ??? …", "a'b\"c\\", "\x00", "((", "AND OR NOT", "*", "x" * 50_000, "🙈", "\ud800"],
)
async def test_a_query_of_no_words_is_no_error(store: Store, query: str) -> None:
    await fill(store, entry("d", "some plain words"))
    assert await store.lexical(query, k=5, scope=OPEN) == []


async def test_a_query_is_words_not_syntax(store: Store) -> None:
    await fill(store, entry("a", "alpha beta"), entry("b", "gamma"))
    for query in ('"alpha beta"', "+alpha -beta", "search:alpha", "alpha*", "alpha~2", "(alpha"):
        assert documents(await store.lexical(query, k=5, scope=OPEN)) == ["a"]


async def test_replace_substitutes_new_passages_for_old_ones(store: Store) -> None:
    await fill(store, *(entry("d", f"otter number {i}", ordinal=i) for i in range(5)), entry("other", "badger"))
    await store.replace(["d"], [entry("d", "weasel", ordinal=i) for i in range(2)])
    assert await store.lexical("otter", k=10, scope=OPEN) == []
    assert documents(await store.lexical("weasel", k=10, scope=OPEN)) == ["d", "d"]
    assert documents(await store.lexical("badger", k=10, scope=OPEN)) == ["other"]
    assert [p.ordinal for p in await store.passages("d")] == [0, 1]
    assert await store.count() == 3


async def test_replace_can_remove_one_document_and_add_another(store: Store) -> None:
    await fill(store, entry("old", "otter"), entry("stays", "badger"))
    await store.replace(["old", "new"], [entry("new", "weasel")])
    assert sorted(documents(await store.scan(OPEN))) == ["new", "stays"]


async def test_replace_twice_with_the_same_changes_nothing(store: Store) -> None:
    entries = [entry(f"d{i}", f"otter {i}") for i in range(4)]
    await fill(store, *entries)
    await fill(store, *entries)
    assert await store.count() == 4
    assert len(await store.dense(unit(1), k=10, scope=OPEN)) == 4


async def test_a_deletion_is_seen_at_once_at_every_stage(store: Store) -> None:
    entries = [entry(f"d{i}", f"otter {i}", vector=unit(i)) for i in range(30)]
    await fill(store, *entries)
    await store.optimize()
    await store.delete(["d3", "d4", "unknown", "it's"])
    assert "d3" not in documents(await store.dense(unit(3), k=30, scope=OPEN))
    assert not {"d3", "d4"} & set(documents(await store.lexical("otter", k=30, scope=OPEN)))
    assert len(await store.lexical("otter", k=30, scope=OPEN)) == 28
    assert await store.vectors(["key-d3-0"]) == {}
    assert not {"d3", "d4"} & set(documents(await store.scan(OPEN)))
    assert await store.passages("d3") == []
    assert await store.count() == 28


async def test_a_second_connection_sees_writes_at_once(factory: Factory, tmp_path: Path) -> None:
    writer = await factory(tmp_path / "s")
    reader = await factory(tmp_path / "s")
    await fill(writer, entry("a", "otter", vector=unit(1)))
    assert documents(await reader.lexical("otter", k=5, scope=OPEN)) == ["a"]
    assert documents(await reader.dense(unit(1), k=5, scope=OPEN)) == ["a"]
    await writer.delete(["a"])
    assert await reader.lexical("otter", k=5, scope=OPEN) == []
    assert await reader.dense(unit(1), k=5, scope=OPEN) == []
    assert await reader.count() == 0


POLL = """
    import asyncio, json, sys
    from pathlib import Path
    from tests_store import factory
    from groundtune.types import Scope
    import numpy as np

    async def main():
        store = await factory(Path(sys.argv[1]))
        seen = []
        vector = np.ones(16, dtype=np.float32) / 4
        print("ready", flush=True)
        while not Path(sys.argv[2]).exists():
            lexical = await store.lexical("otter", k=10, scope=Scope())
            scan = [p for p in await store.scan(Scope()) if p.document_id == "d"]
            dense = await store.dense(vector, k=10, scope=Scope())
            for found in (lexical, [c for c in dense if c.id.startswith("d:")]):
                read = await store.read(found)
                if len(read) == len(found):
                    seen.append(sorted(p.text for p in read.values()))
            seen.append(sorted(p.text for p in scan))
        print(json.dumps(seen))

    asyncio.run(main())
"""


@pytest.mark.slow
async def test_readers_never_see_none_or_both_of_a_replacement(factory: Factory, tmp_path: Path) -> None:
    """Two readers, one in this process and one in another, poll while a document of three passages is replaced."""
    vector = np.ones(DIMENSION, dtype=np.float32) / 4
    store = await factory(tmp_path / "s")
    versions = [
        [entry("d", f"otter version {v} part {i}", ordinal=i, vector=vector) for i in range(2 + v % 2)]
        for v in range(40)
    ]
    await fill(store, *versions[0], entry("other", "badger"))
    whole = [sorted(e.passage.text for e in version) for version in versions]
    (tmp_path / "tests_store.py").write_text(
        "from groundtune.retrieve.stores.lance import LanceStore\n"
        f"async def factory(folder): return await LanceStore.open(folder, dimension={DIMENSION})\n"
    )
    (tmp_path / "poll.py").write_text(textwrap.dedent(POLL))
    stop = tmp_path / "stop"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(tmp_path / "poll.py"), str(tmp_path / "s"), str(stop)), stdout=subprocess.PIPE
    )
    assert process.stdout
    assert await process.stdout.readline() == b"ready\n"
    reader = await factory(tmp_path / "s")
    seen: list[list[str]] = []
    done = False

    async def poll() -> None:
        while not done:
            candidates = await reader.lexical("otter", k=10, scope=OPEN)
            read = await texts(reader, candidates)
            if len(read) == len(candidates):
                seen.append(read)
            seen.append(sorted(p.text for p in await reader.passages("d")))

    polling = asyncio.create_task(poll())
    for number, version in enumerate(versions[1:]):
        await fill(store, *version)
        if number % 10 == 9:
            await store.optimize()
    done = True
    await polling
    stop.touch()
    rest, _ = await process.communicate()
    seen += json.loads(rest)
    assert len({tuple(version_seen) for version_seen in seen}) > 3  # the readers did look while it went on
    assert [version_seen for version_seen in seen if version_seen not in whole] == []


async def test_groups_are_applied_inside_the_search(store: Store) -> None:
    """200 forbidden passages are nearer and match better; the k allowed ones still come."""
    query = unit(0)
    near = [entry(f"no{i}", "otter otter", vector=unit(i, near=query, noise=0.01), groups=["hr"]) for i in range(200)]
    far = [
        entry(f"yes{i}", "a long text in which an otter is named once", vector=unit(1_000 + i, near=query, noise=0.5))
        for i in range(10)
    ]
    await fill(store, *near, *far)
    for scope, expected in ((OPEN, "yes"), (Scope(groups=("sales", "it's")), "yes"), (Scope(groups=("hr",)), "no")):
        for candidates in (
            await store.dense(query, k=10, scope=scope),
            await store.lexical("otter", k=10, scope=scope),
        ):
            assert len(candidates) == 10
            assert all(document.startswith(expected) for document in documents(candidates))
    assert len(await store.scan(OPEN)) == 10
    assert len(await store.scan(Scope(groups=("hr", "x")))) == 210


async def test_filters_are_applied_inside_the_search(store: Store) -> None:
    query = unit(0)
    near = [
        entry(f"no{i}", "otter otter", vector=unit(i, near=query, noise=0.01), metadata={"year": "2024"})
        for i in range(200)
    ]
    new = {"year": "2025", "team": "a"}
    far = [entry(f"yes{i}", "an otter", vector=unit(1_000 + i, near=query, noise=0.5), metadata=new) for i in range(10)]
    await fill(store, *near, *far)
    for filters in ({"year": "2025"}, {"year": ["2025", "2026"]}, {"year": "2025", "team": ["a", "b"]}):
        scope = Scope(filters=filters)
        for candidates in (
            await store.dense(query, k=10, scope=scope),
            await store.lexical("otter", k=10, scope=scope),
        ):
            assert len(candidates) == 10
            assert all(document.startswith("yes") for document in documents(candidates))
    for nothing in ({"year": "2026"}, {"team": "2025"}, {"year": []}, {"year": "2025", "team": "b"}, {"nope": "x"}):
        scope = Scope(filters=nothing)  # type: ignore[arg-type]
        assert await store.dense(query, k=10, scope=scope) == []
        assert await store.lexical("otter", k=10, scope=scope) == []
        assert await store.scan(scope) == []


ODD = [
    "it's",
    '"',
    "\\",
    "a'b''c",
    "x\ny",
    "100%",
    "_",
    "日本",
    "👩‍🔧",
    "a=b",
    "",
    " ",
    "') OR true --",
    "[1]",
    "{}",
    "*",
]


async def test_odd_characters_in_scopes_and_ids_mean_themselves(store: Store) -> None:
    await fill(
        store,
        *(entry(f"m{value}", "otter", metadata={"name": value}) for value in ODD),
        *(entry(f"g{value}", "otter", groups=[value]) for value in ODD if value != "*"),
    )
    for value in ODD:
        assert documents(await store.scan(Scope(filters={"name": value}))) == [f"m{value}"]
        if value != "*":
            scope = Scope(groups=(value,))
            visible = {d for d in documents(await store.lexical("otter", k=99, scope=scope)) if d.startswith("g")}
            assert visible == {f"g{value}"}
        assert len(await store.passages(f"m{value}")) == 1
        assert len(await store.vectors([f"key-m{value}-0"])) == 1
    await store.delete([f"m{value}" for value in ODD])
    assert await store.count() == len(ODD) - 1


async def test_vectors_by_key(store: Store) -> None:
    entries = [entry(f"d{i}", key=f"k{i}") for i in range(10)]
    await fill(store, *entries, entry("again", key="k3", vector=entries[3].vector))
    vectors = await store.vectors([*(f"k{i}" for i in range(2_500)), "it's"])
    assert sorted(vectors) == [f"k{i}" for i in range(10)]
    assert all(np.array_equal(vectors[e.key], e.vector) for e in entries)


async def test_what_was_embedded_is_the_context_and_the_text(store: Store) -> None:
    assert await store.embedded_texts(["a:0"]) == {}
    await fill(store, entry("a", "by card", context="Refunds > How"), entry("b", "open at nine"))
    embedded_texts = await store.embedded_texts(["a:0", "b:0", "c:0"])
    assert embedded_texts == {"a:0": "Refunds > How\nby card", "b:0": "open at nine"}


async def test_scan_is_in_reading_order(store: Store) -> None:
    await fill(store, *(entry(name, f"text {i}", ordinal=i) for i in (2, 0, 11, 1) for name in ("b", "a")))
    assert [(p.source, p.ordinal) for p in await store.scan(OPEN)] == [
        (source, ordinal) for source in ("a.md", "b.md") for ordinal in (0, 1, 2, 11)
    ]


async def test_many_documents_are_replaced_and_deleted_in_one_call(store: Store) -> None:
    entries = [entry(f"d{i}", f"otter {i}") for i in range(2_500)]
    await fill(store, *entries)
    await store.replace([e.passage.document_id for e in entries], [entry(f"d{i}", "weasel") for i in range(2_400)])
    assert await store.count() == 2_400
    await store.delete([f"d{i}" for i in range(2_399)])
    assert documents(await store.scan(OPEN)) == ["d2399"]


async def test_rows_are_searchable_before_and_alike_after_optimize(store: Store) -> None:
    rng = np.random.default_rng(3)
    words = [f"word{i}" for i in range(40)]
    for batch in range(40):
        texts = [" ".join(rng.choice(words, 12)) for _ in range(3)]
        await fill(store, *(entry(f"b{batch}-{i}", text) for i, text in enumerate(texts)))
        if batch % 7 == 0:
            await store.delete([f"b{batch}-0"])

    async def view() -> list[Any]:
        dense = await store.dense(unit(1), k=20, scope=OPEN)
        lexical = [await store.lexical(f"word{i} word{i + 1}", k=200, scope=OPEN) for i in range(5)]
        return [documents(dense), [sorted(documents(candidates)) for candidates in lexical], await store.scan(OPEN)]

    before = await view()
    assert all(before[1])
    await store.optimize()
    assert await view() == before
    await store.optimize()
    assert await view() == before


async def test_lexical_scores_are_alike_before_and_after_optimize(store: Store) -> None:
    """A few new passages must not change the ranking before the index is updated."""
    await fill(store, *(entry(f"d{i}", f"common text {i}") for i in range(50)))
    await store.optimize()
    await fill(store, entry("new", "common text with the heron"))
    before = await store.lexical("heron common", k=5, scope=OPEN)
    await store.optimize()
    after = await store.lexical("heron common", k=5, scope=OPEN)
    assert documents(before)[0] == documents(after)[0] == "new"


@pytest.mark.slow
async def test_many_small_writes_stay_bounded(tmp_path: Path) -> None:
    """300 writes of one passage each with `optimize` in between: the number of fragments does not grow with them."""
    store = await LanceStore.open(tmp_path / "s", dimension=DIMENSION)
    most = 0
    for number in range(300):
        await fill(store, entry(f"d{number % 60}", f"otter {number}"))
        if number % 10 == 9:
            await store.optimize()
            stats = await store._table.stats()
            most = max(most, stats["fragment_stats"]["num_fragments"])
    assert most <= lance.SMALL_WRITES + 12
    assert await store.count() == 60
    assert len(await store.lexical("otter", k=100, scope=OPEN)) == 60


async def test_above_the_threshold_the_vector_index_finds_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance, "APPROXIMATE_FROM", 2_000)
    monkeypatch.setattr(lance, "PARTITION_PASSAGES", 50, raising=False)
    store = await LanceStore.open(tmp_path / "s", dimension=DIMENSION)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2_500, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    entries = [
        entry(f"d{i}", vector=v, groups=["few"] if i % 50 == 0 else ["many"], metadata={"n": str(i % 7)})
        for i, v in enumerate(vectors)
    ]
    await fill(store, *entries[:1_000])
    await store.optimize()
    assert await _vector_indexes(store) == []
    await fill(store, *entries[1_000:])
    await store.optimize()
    assert len(await _vector_indexes(store)) == 1
    everyone, few = Scope(groups=("few", "many")), Scope(groups=("few",))
    chosen = [i for i in range(2_500) if i % 50 == 0]
    hits = narrow = 0
    for number in range(40):
        query = unit(number + 9_000)
        returned = {int(d[1:]) for d in documents(await store.dense(query, k=10, scope=everyone))}
        hits += len(returned & set(np.argsort(-(vectors @ query))[:10].tolist()))
        order = sorted(chosen, key=lambda i: -float(vectors[i] @ query))
        got = [int(d[1:]) for d in documents(await store.dense(query, k=10, scope=few))]
        narrow += got == order[:10]
    assert hits / 400 > 0.75  # random vectors are the worst case for partitions
    assert narrow == 40  # a narrow scope is searched whole
    query = unit(123)
    assert documents(await store.dense(vectors[77], k=1, scope=everyone)) == ["d77"]
    await fill(store, entry("late", vector=query, groups=["many"]))
    assert documents(await store.dense(query, k=1, scope=everyone)) == ["late"]
    await store.delete(["late", "d77"])
    assert documents(await store.dense(query, k=1, scope=everyone)) != ["late"]
    assert documents(await store.dense(vectors[77], k=1, scope=everyone)) != ["d77"]
    await store.optimize()
    assert len(await _vector_indexes(store)) == 1


async def _vector_indexes(store: LanceStore) -> list[str]:
    names = [index.name for index in await store._table.list_indices()]
    return [name for name in names if name.startswith(lance.VECTOR_INDEX)]


@pytest.mark.parametrize("missing", [["search_idx"], ["groups_idx", "tags_idx"], ["search_idx", "key_idx"]])
async def test_a_table_whose_creation_was_interrupted_gets_its_indexes(tmp_path: Path, missing: list[str]) -> None:
    half = await LanceStore.open(tmp_path / "s", dimension=DIMENSION)
    whole = {index.name for index in await half._table.list_indices()}
    for name in missing:
        await half._table.drop_index(name)
    store = await LanceStore.open(tmp_path / "s", dimension=DIMENSION)
    assert {index.name for index in await store._table.list_indices()} == whole
    await fill(store, entry("d", "otters"))
    assert documents(await store.lexical("otter", k=5, scope=OPEN)) == ["d"]


async def test_a_folder_that_may_not_be_written_can_be_read(tmp_path: Path) -> None:
    writer = await LanceStore.open(tmp_path / "s", dimension=DIMENSION)
    await fill(writer, entry("d", "otters", vector=unit(1)))
    before = sorted(str(p) for p in tmp_path.rglob("*"))
    reader = await LanceStore.open(tmp_path / "s", dimension=DIMENSION)
    assert documents(await reader.lexical("otter", k=5, scope=OPEN)) == ["d"]
    assert documents(await reader.dense(unit(1), k=5, scope=OPEN)) == ["d"]
    assert sorted(str(p) for p in tmp_path.rglob("*")) == before, "reading wrote something"
    assert os.access(tmp_path, os.R_OK)
