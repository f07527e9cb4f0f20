"""The conformance suite of stores and vector caches, run on every storage."""

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundtune.protocols import Store, VectorCache
from groundtune.types import IndexEntry, Passage, Scope
from tests.retrieve.storages import DIMENSION, OPEN, OpenStore, documents, entry, fill, ids, unit

ROOT = Path(__file__).parents[2]


async def test_an_empty_store_answers_with_nothing(index_store: Store, vector_cache: VectorCache) -> None:
    assert await index_store.count() == 0
    assert await index_store.dense(unit(1), k=3, scope=OPEN) == []
    assert await index_store.lexical("anything", k=3, scope=OPEN) == []
    assert await vector_cache.vectors(["a"]) == {}
    assert await index_store.passages("a") == []
    assert await index_store.scan(OPEN) == []
    await index_store.delete(["a"])
    await index_store.replace(["a"], [])
    await index_store.replace([], [])
    await index_store.optimize()


async def test_passages_are_returned_exactly_as_they_were_added(index_store: Store) -> None:
    text = "Zeile 1\n\tZeile 2 mit 'Anführung', \"zwei\", \\ und \u200d👩‍🔧 日本語 \U0001f600"
    passage = Passage("d:0", "d", "ordner/ä b.md", 0, 7, 7 + len(text), text, "A > B's", page=3, page_breaks=(9, 9, 20))
    passage = replace(passage, wider_start=2, wider_end=99, wider_heading="A")
    vector = unit(5)
    await index_store.replace(["d"], [IndexEntry(passage, "Kontext", "k", vector)])
    assert await index_store.scan(OPEN) == [passage]
    assert await index_store.passages("d") == [passage]
    (candidate,) = await index_store.dense(vector, k=5, scope=OPEN)
    assert candidate.id == passage.id
    assert await index_store.read([candidate.id], scope=OPEN) == {passage.id: passage}
    assert np.array_equal(candidate.vector, vector)
    assert candidate.vector.dtype == np.float32
    (candidate,) = await index_store.lexical("Anführung", k=5, scope=OPEN)
    assert await index_store.read([candidate.id], scope=OPEN) == {passage.id: passage}
    assert documents(await index_store.lexical("日本語", k=5, scope=OPEN)) == ["d"]


async def test_passages_are_read_by_id_as_they_are_now(index_store: Store) -> None:
    await fill(index_store, *(entry(f"d{i}", f"otter {i}") for i in range(30)))
    found = ids(await index_store.lexical("otter", k=30, scope=OPEN))
    assert len(await index_store.read(found, scope=OPEN)) == 30
    assert await index_store.read([], scope=OPEN) == {}
    assert await index_store.read(["d1:0", "d1:1", "it's", "none"], scope=OPEN) == {
        "d1:0": entry("d1", "otter 1").passage
    }
    await index_store.delete(["d3"])
    await index_store.replace(["d4"], [entry("d4", "otter anew")])
    expected = {f"d{i}:0": f"otter {i}" for i in range(30) if i != 3} | {"d4:0": "otter anew"}
    for _ in range(2):
        passages = await index_store.read(found, scope=OPEN)
        assert {name: passage.text for name, passage in passages.items()} == expected
        await index_store.optimize()


async def test_reading_stays_inside_the_scope(index_store: Store) -> None:
    """Whoever found a passage before it was closed to them must not read it afterwards."""
    await fill(index_store, entry("a", "otter", metadata={"year": "2025"}), entry("b", "otter", groups=["hr"]))
    names = ["a:0", "b:0"]
    assert set(await index_store.read(names, scope=OPEN)) == {"a:0"}
    assert set(await index_store.read(names, scope=Scope(groups=("hr",)))) == {"a:0", "b:0"}
    assert await index_store.read(names, scope=Scope(filters={"year": "2026"})) == {}
    await fill(index_store, entry("a", "otter in secret", groups=["hr"]))
    assert await index_store.read(names, scope=OPEN) == {}


async def test_many_passages_are_read_in_one_call(index_store: Store) -> None:
    await fill(index_store, *(entry("d", f"otter {i}", ordinal=i) for i in range(2_500)))
    names = [f"d:{i}" for i in range(2_600)]
    assert len(await index_store.read(names, scope=OPEN)) == 2_500


async def test_dense_is_cosine_best_first_and_at_most_k(index_store: Store) -> None:
    query = unit(0)
    entries = [entry(f"d{i}", vector=unit(i, near=query, noise=0.1 * i)) for i in range(1, 21)]
    entries.append(entry("opposite", vector=-query))
    await fill(index_store, *entries)
    exact = sorted(((float(e.vector @ query), e.passage.document_id) for e in entries), reverse=True)
    candidates = await index_store.dense(query, k=5, scope=OPEN)
    assert documents(candidates) == [document for _, document in exact[:5]]
    assert [c.score for c in candidates] == pytest.approx([cosine for cosine, _ in exact[:5]], abs=1e-5)
    everything = await index_store.dense(query, k=100, scope=OPEN)
    assert len(everything) == 21
    assert everything[-1].score == pytest.approx(-1, abs=1e-5)
    assert all(-1.0001 <= c.score <= 1.0001 for c in everything)


async def test_lexical_is_bm25_best_first_and_at_most_k(index_store: Store) -> None:
    await fill(
        index_store,
        entry("rare", "the heron stands in the pond"),
        entry("twice", "heron heron and nothing else at all, only more and more of other words to fill it"),
        *(entry(f"pond{i}", f"the pond number {i} freezes in winter") for i in range(10)),
        entry("none", "gravel path"),
    )
    candidates = await index_store.lexical("heron pond", k=20, scope=OPEN)
    assert documents(candidates)[0] == "rare"
    assert set(documents(candidates)) == {"rare", "twice", *(f"pond{i}" for i in range(10))}
    scores = [c.score for c in candidates]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0
    assert max(scores) <= 1
    assert len(await index_store.lexical("pond", k=3, scope=OPEN)) == 3


async def test_lexical_finds_words_of_scripts_without_spaces(index_store: Store) -> None:
    await fill(
        index_store,
        entry("zh", "自行车送达后三十天内可以退货。"),
        entry("ja", "返品は配達から三十日以内です。"),
        entry("th", "คืนจักรยานได้ภายในสามสิบวันหลังจากได้รับสินค้า"),
        entry("en", "Bikes may be returned within thirty days."),
    )
    for text, document in (("三十天内可以退货", "zh"), ("三十日以内", "ja"), ("ภายในสามสิบวัน", "th"), ("thirty", "en")):
        assert documents(await index_store.lexical(text, k=5, scope=OPEN))[0] == document
    texts = await index_store.embedded_texts(["zh:0"])
    assert "自行车送达后三十天内可以退货。" in texts["zh:0"]


async def test_lexical_stems_folds_and_reads_the_context(index_store: Store) -> None:
    await fill(
        index_store,
        entry("run", "Refunds were requested"),
        entry("accent", "Das Café öffnet"),
        entry("context", "It costs 30 euros", context="Price list > Wrenches"),
    )
    assert documents(await index_store.lexical("requesting a refund", k=5, scope=OPEN)) == ["run"]
    assert documents(await index_store.lexical("CAFE", k=5, scope=OPEN)) == ["accent"]
    assert documents(await index_store.lexical("wrench", k=5, scope=OPEN)) == ["context"]


@pytest.mark.parametrize(
    "query",
    ["", "   ", "the and of a", "!!! ??? …", "a'b\"c\\", "\x00", "((", "AND OR NOT", "*", "x" * 50_000, "🙈", "\ud800"],
)
async def test_a_query_of_no_words_is_no_error(index_store: Store, query: str) -> None:
    await fill(index_store, entry("d", "some plain words"))
    assert await index_store.lexical(query, k=5, scope=OPEN) == []


async def test_a_query_is_words_not_syntax(index_store: Store) -> None:
    await fill(index_store, entry("a", "alpha beta"), entry("b", "gamma"))
    for query in ('"alpha beta"', "+alpha -beta", "search:alpha", "alpha*", "alpha~2", "(alpha"):
        assert documents(await index_store.lexical(query, k=5, scope=OPEN)) == ["a"]


async def test_replace_substitutes_new_passages_for_old_ones(index_store: Store) -> None:
    await fill(index_store, *(entry("d", f"otter number {i}", ordinal=i) for i in range(5)), entry("other", "badger"))
    await index_store.replace(["d"], [entry("d", "weasel", ordinal=i) for i in range(2)])
    assert await index_store.lexical("otter", k=10, scope=OPEN) == []
    assert documents(await index_store.lexical("weasel", k=10, scope=OPEN)) == ["d", "d"]
    assert documents(await index_store.lexical("badger", k=10, scope=OPEN)) == ["other"]
    assert [p.ordinal for p in await index_store.passages("d")] == [0, 1]
    assert await index_store.count() == 3


async def test_replace_can_remove_one_document_and_add_another(index_store: Store) -> None:
    await fill(index_store, entry("old", "otter"), entry("stays", "badger"))
    await index_store.replace(["old", "new"], [entry("new", "weasel")])
    assert sorted(documents(await index_store.scan(OPEN))) == ["new", "stays"]


async def test_replace_twice_with_the_same_changes_nothing(index_store: Store) -> None:
    entries = [entry(f"d{i}", f"otter {i}") for i in range(4)]
    await fill(index_store, *entries)
    await fill(index_store, *entries)
    assert await index_store.count() == 4
    assert len(await index_store.dense(unit(1), k=10, scope=OPEN)) == 4


async def test_a_deletion_is_seen_at_once_at_every_stage(index_store: Store, vector_cache: VectorCache) -> None:
    entries = [entry(f"d{i}", f"otter {i}", vector=unit(i)) for i in range(30)]
    await fill(index_store, *entries)
    await index_store.optimize()
    await index_store.delete(["d3", "d4", "unknown", "it's"])
    assert "d3" not in documents(await index_store.dense(unit(3), k=30, scope=OPEN))
    assert not {"d3", "d4"} & set(documents(await index_store.lexical("otter", k=30, scope=OPEN)))
    assert len(await index_store.lexical("otter", k=30, scope=OPEN)) == 28
    assert await vector_cache.vectors(["key-d3-0"]) == {}
    assert not {"d3", "d4"} & set(documents(await index_store.scan(OPEN)))
    assert await index_store.passages("d3") == []
    assert await index_store.count() == 28


async def test_a_second_connection_sees_writes_at_once(open_store: OpenStore) -> None:
    writer = await open_store()
    reader = await open_store()
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
    from tests.retrieve.storages import STORAGES, open_generation
    from groundtune.types import Scope
    import numpy as np

    async def main():
        storage = STORAGES[sys.argv[3]](Path(sys.argv[1]))
        store = (await open_generation(storage, read_only=True)).store
        seen, read = [], []
        vector = np.ones(16, dtype=np.float32) / 4
        print("ready", flush=True)
        while not Path(sys.argv[2]).exists():
            lexical = await store.lexical("otter", k=10, scope=Scope())
            scan = [p for p in await store.scan(Scope()) if p.document_id == "d"]
            dense = await store.dense(vector, k=10, scope=Scope())
            for found in (lexical, [c for c in dense if c.id.startswith("d:")]):
                passages = await store.read([c.id for c in found], scope=Scope())
                read.append([p.text for p in passages.values()])
            seen.append(sorted(p.text for p in scan))
        print(json.dumps([seen, read]))

    asyncio.run(main())
"""


@pytest.mark.slow
async def test_readers_never_see_none_or_both_of_a_replacement(
    storage_name: str, open_store: OpenStore, tmp_path: Path
) -> None:
    """Two readers, one in this process and one in another, poll while a document of three passages is replaced."""
    vector = np.ones(DIMENSION, dtype=np.float32) / 4
    store = await open_store()
    versions = [
        [entry("d", f"otter version {v} part {i}", ordinal=i, vector=vector) for i in range(2 + v % 2)]
        for v in range(40)
    ]
    await fill(store, *versions[0], entry("other", "badger"))
    whole = [sorted(e.passage.text for e in version) for version in versions]
    (tmp_path / "poll.py").write_text(textwrap.dedent(POLL))
    stop = tmp_path / "stop"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(tmp_path / "poll.py"), str(tmp_path / "storage"), str(stop), storage_name),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
    )
    assert process.stdout
    assert await process.stdout.readline() == b"ready\n"
    reader = await open_store()
    seen: list[list[str]] = []
    read: list[list[str]] = []
    done = False

    async def poll() -> None:
        while not done:
            candidates = await reader.lexical("otter", k=10, scope=OPEN)
            read.append([passage.text for passage in (await reader.read(ids(candidates), scope=OPEN)).values()])
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
    more_seen, more_read = json.loads(rest)
    seen, read = seen + more_seen, read + more_read
    assert len({tuple(version_seen) for version_seen in seen}) > 3  # the readers did look while it went on
    assert [version_seen for version_seen in seen if version_seen not in whole] == []
    dense_too = [{text for text in texts if text != "badger"} for texts in read]
    assert [texts for texts in dense_too if not any(texts <= set(version) for version in whole)] == []


async def test_groups_are_applied_inside_the_search(index_store: Store) -> None:
    """200 forbidden passages are nearer and match better; the k allowed ones still come."""
    query = unit(0)
    near = [entry(f"no{i}", "otter otter", vector=unit(i, near=query, noise=0.01), groups=["hr"]) for i in range(200)]
    far = [
        entry(f"yes{i}", "a long text in which an otter is named once", vector=unit(1_000 + i, near=query, noise=0.5))
        for i in range(10)
    ]
    await fill(index_store, *near, *far)
    for scope, expected in ((OPEN, "yes"), (Scope(groups=("sales", "it's")), "yes"), (Scope(groups=("hr",)), "no")):
        for candidates in (
            await index_store.dense(query, k=10, scope=scope),
            await index_store.lexical("otter", k=10, scope=scope),
        ):
            assert len(candidates) == 10
            assert all(document.startswith(expected) for document in documents(candidates))
    assert len(await index_store.scan(OPEN)) == 10
    assert len(await index_store.scan(Scope(groups=("hr", "x")))) == 210


async def test_filters_are_applied_inside_the_search(index_store: Store) -> None:
    query = unit(0)
    near = [
        entry(f"no{i}", "otter otter", vector=unit(i, near=query, noise=0.01), metadata={"year": "2024"})
        for i in range(200)
    ]
    new = {"year": "2025", "team": "a"}
    far = [entry(f"yes{i}", "an otter", vector=unit(1_000 + i, near=query, noise=0.5), metadata=new) for i in range(10)]
    await fill(index_store, *near, *far)
    for filters in ({"year": "2025"}, {"year": ["2025", "2026"]}, {"year": "2025", "team": ["a", "b"]}):
        scope = Scope(filters=filters)
        for candidates in (
            await index_store.dense(query, k=10, scope=scope),
            await index_store.lexical("otter", k=10, scope=scope),
        ):
            assert len(candidates) == 10
            assert all(document.startswith("yes") for document in documents(candidates))
    for nothing in ({"year": "2026"}, {"team": "2025"}, {"year": []}, {"year": "2025", "team": "b"}, {"nope": "x"}):
        scope = Scope(filters=nothing)  # type: ignore[arg-type]
        assert await index_store.dense(query, k=10, scope=scope) == []
        assert await index_store.lexical("otter", k=10, scope=scope) == []
        assert await index_store.scan(scope) == []


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


async def test_odd_characters_in_scopes_and_ids_mean_themselves(index_store: Store, vector_cache: VectorCache) -> None:
    await fill(
        index_store,
        *(entry(f"m{value}", "otter", metadata={"name": value}) for value in ODD),
        *(entry(f"g{value}", "otter", groups=[value]) for value in ODD if value != "*"),
    )
    for value in ODD:
        assert documents(await index_store.scan(Scope(filters={"name": value}))) == [f"m{value}"]
        if value != "*":
            scope = Scope(groups=(value,))
            visible = {d for d in documents(await index_store.lexical("otter", k=99, scope=scope)) if d.startswith("g")}
            assert visible == {f"g{value}"}
        assert len(await index_store.passages(f"m{value}")) == 1
        assert len(await vector_cache.vectors([f"key-m{value}-0"])) == 1
    await index_store.delete([f"m{value}" for value in ODD])
    assert await index_store.count() == len(ODD) - 1


async def test_vectors_by_key(index_store: Store, vector_cache: VectorCache) -> None:
    entries = [entry(f"d{i}", key=f"k{i}") for i in range(10)]
    await fill(index_store, *entries, entry("again", key="k3", vector=entries[3].vector))
    vectors = await vector_cache.vectors([*(f"k{i}" for i in range(2_500)), "it's"])
    assert sorted(vectors) == [f"k{i}" for i in range(10)]
    assert all(np.array_equal(vectors[e.key], e.vector) for e in entries)


async def test_what_was_embedded_is_the_context_and_the_text(index_store: Store) -> None:
    assert await index_store.embedded_texts(["a:0"]) == {}
    await fill(index_store, entry("a", "by card", context="Refunds > How"), entry("b", "open at nine"))
    embedded_texts = await index_store.embedded_texts(["a:0", "b:0", "c:0"])
    assert embedded_texts == {"a:0": "Refunds > How\nby card", "b:0": "open at nine"}


async def test_scan_is_in_reading_order(index_store: Store) -> None:
    await fill(index_store, *(entry(name, f"text {i}", ordinal=i) for i in (2, 0, 11, 1) for name in ("b", "a")))
    assert [(p.source, p.ordinal) for p in await index_store.scan(OPEN)] == [
        (source, ordinal) for source in ("a.md", "b.md") for ordinal in (0, 1, 2, 11)
    ]


async def test_many_documents_are_replaced_and_deleted_in_one_call(index_store: Store) -> None:
    entries = [entry(f"d{i}", f"otter {i}") for i in range(2_500)]
    await fill(index_store, *entries)
    await index_store.replace(
        [e.passage.document_id for e in entries], [entry(f"d{i}", "weasel") for i in range(2_400)]
    )
    assert await index_store.count() == 2_400
    await index_store.delete([f"d{i}" for i in range(2_399)])
    assert documents(await index_store.scan(OPEN)) == ["d2399"]


async def test_rows_are_searchable_before_and_alike_after_optimize(index_store: Store) -> None:
    rng = np.random.default_rng(3)
    words = [f"word{i}" for i in range(40)]
    for batch in range(40):
        texts = [" ".join(rng.choice(words, 12)) for _ in range(3)]
        await fill(index_store, *(entry(f"b{batch}-{i}", text) for i, text in enumerate(texts)))
        if batch % 7 == 0:
            await index_store.delete([f"b{batch}-0"])

    async def view() -> list[Any]:
        dense = await index_store.dense(unit(1), k=20, scope=OPEN)
        lexical = [await index_store.lexical(f"word{i} word{i + 1}", k=200, scope=OPEN) for i in range(5)]
        return [
            documents(dense),
            [sorted(documents(candidates)) for candidates in lexical],
            await index_store.scan(OPEN),
        ]

    before = await view()
    assert all(before[1])
    await index_store.optimize()
    assert await view() == before
    await index_store.optimize()
    assert await view() == before


async def test_lexical_scores_are_alike_before_and_after_optimize(index_store: Store) -> None:
    """A few new passages must not change the ranking before the index is updated."""
    await fill(index_store, *(entry(f"d{i}", f"common text {i}") for i in range(50)))
    await index_store.optimize()
    await fill(index_store, entry("new", "common text with the heron"))
    before = await index_store.lexical("heron common", k=5, scope=OPEN)
    await index_store.optimize()
    after = await index_store.lexical("heron common", k=5, scope=OPEN)
    assert documents(before)[0] == documents(after)[0] == "new"
