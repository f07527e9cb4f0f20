"""What only the LanceDB store promises: bounded fragments, the vector index, repair of interrupted creations."""

import os
from pathlib import Path

import numpy as np
import pytest

from groundtune.errors import MissingError
from groundtune.retrieve.stores import lance
from groundtune.retrieve.stores.lance import LanceStore
from groundtune.types import Scope
from tests.retrieve.storages import DIMENSION, OPEN, documents, entry, fill, unit


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
    reader = await LanceStore.open_to_read(tmp_path / "s")
    assert documents(await reader.lexical("otter", k=5, scope=OPEN)) == ["d"]
    assert documents(await reader.dense(unit(1), k=5, scope=OPEN)) == ["d"]
    assert sorted(str(p) for p in tmp_path.rglob("*")) == before, "reading wrote something"
    assert os.access(tmp_path, os.R_OK)


async def test_a_reader_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no passages"):
        await LanceStore.open_to_read(tmp_path / "s")
    writer = await LanceStore.open(tmp_path / "s", dimension=DIMENSION)
    await fill(writer, entry("d", "otters"))
    await writer._table.drop_index("id_idx")  # written by an older groundtune
    reader = await LanceStore.open_to_read(tmp_path / "s")
    assert "id_idx" not in [index.name for index in await reader._table.list_indices()]
    assert set(await reader.read(["d:0"], scope=OPEN)) == {"d:0"}
