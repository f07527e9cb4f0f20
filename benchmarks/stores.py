"""Claim: with a million passages, a hybrid query on PostgreSQL still takes well under a second, and a deletion shows at
once.

    python benchmarks/stores.py SQUAD.json [--passages 1000000] [--questions 100] [--store lance|postgres]

Unlike scale.py this fills a store directly: twenty passages a document, each a real passage with a tenth of its words
replaced, with the vector of the real one plus noise. Reading, splitting and embedding files is left out. Postgres: the
database at DATABASE_URL.
"""

import argparse
import asyncio
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import corpora
from common import DATABASE, STORES, database, machine, percentile, spread, table
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.protocols import IndexGeneration, IndexStorage, Store
from groundtune.retrieve.retriever import HybridRetriever
from groundtune.retrieve.stores.local_index import LocalIndex
from groundtune.retrieve.stores.postgres.address import read_dsn
from groundtune.retrieve.stores.postgres.storage import PostgresIndex
from groundtune.types import IndexEntry, Passage, Question, Scope, Vectors
from groundtune.workspace import Workspace

SEED = 5
PER_DOCUMENT = 20
BATCH = 2_000
OPTIMIZE_EVERY = 40
"""Batches after which the store is optimized, about as often as in an ingest of such documents."""
NOISE = 0.35
TEAMS = 50
WARM_UP = 10
RECALL_QUESTIONS = 50
SCHEMA = "groundtune_benchmark_stores"


class KnownQuestions(BundledEmbedder):
    """Returns vectors of questions that were embedded before."""

    def __init__(self, vectors: dict[str, Vectors]) -> None:
        super().__init__()
        self._vectors = vectors

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self._vectors[text] for text in texts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squad", type=Path)
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--store", choices=STORES, default="lance")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="groundtune-stores-"))
    try:
        asyncio.run(_run(options, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if options.store == "postgres":
            asyncio.run(database(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))


async def _run(options: argparse.Namespace, folder: Path) -> None:
    corpus = corpora.squad(options.squad)
    questions = [query.text for query in random.Random(SEED).sample(corpus.questions, options.questions)]
    texts = [document.text for document in corpus.documents.values()]
    embedder = BundledEmbedder()
    real, asked = await embedder.embed(texts), await embedder.embed_queries(questions)
    print(f"{machine()}, store {options.store}", flush=True)
    storage: IndexStorage = (
        PostgresIndex(lambda: read_dsn(DATABASE), schema=SCHEMA)
        if options.store == "postgres"
        else LocalIndex(folder / "index", lock=Workspace(folder).writer_lock)
    )
    parts: dict[str, str | int] = {"dimension": embedder.dimension, "language": "english"}
    async with storage.writer_lock():
        manifest = await storage.begin_generation(parts, rebuild=True)
        generation = await storage.open(manifest, read_only=False)
        vectors = await _fill(generation.store, texts, real, options.passages)
        started = time.perf_counter()
        await generation.store.optimize()
        await storage.finish_generation(manifest)
        print(f"last optimize and vector index: {time.perf_counter() - started:.0f} s (load {os.getloadavg()[0]:.1f})")
        print(f"size on disk: {await _size(options.store, folder) / 1e9:.2f} GB\n", flush=True)
        await _ask(generation, KnownQuestions(dict(zip(questions, asked, strict=True))), questions, asked, vectors)
        await _delete(generation, options.passages)
        await generation.close()


async def _fill(store: Store, texts: Sequence[str], real: Vectors, passages: int) -> Vectors:
    """Fill the store, print the rate, and return the vectors in half precision."""
    kept, seconds = [], 0.0
    for number, (entries, vectors) in enumerate(_batches(texts, real, passages)):
        started = time.perf_counter()
        await store.replace(list(dict.fromkeys(entry.passage.document_id for entry in entries)), entries)
        if number % OPTIMIZE_EVERY == OPTIMIZE_EVERY - 1:
            await store.optimize()
        seconds += time.perf_counter() - started
        kept.append(vectors.astype(np.float16))
        if number % 50 == 49:
            print(f"{(number + 1) * BATCH:,} passages, {seconds:.0f} s (load {os.getloadavg()[0]:.1f})", flush=True)
    print(f"{passages:,} passages in {seconds:.0f} s: {passages / seconds:.0f}/s")
    stored: Vectors = np.concatenate(kept)
    return stored


def _batches(texts: Sequence[str], real: Vectors, passages: int) -> Iterator[tuple[list[IndexEntry], Vectors]]:
    draw, rng = random.Random(SEED), np.random.default_rng(SEED)
    words = [word for text in texts for word in text.split()]
    for start in range(0, passages, BATCH):
        origins = rng.integers(0, len(texts), min(BATCH, passages - start))
        noise = rng.normal(size=(len(origins), real.shape[1])).astype(np.float32)
        vectors = real[origins] + noise * np.float32(NOISE / real.shape[1] ** 0.5)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        entries = []
        for row, origin in enumerate(origins):
            number = start + row
            document, ordinal = f"d{number // PER_DOCUMENT}", number % PER_DOCUMENT
            text = " ".join(draw.choice(words) if draw.random() < 0.1 else word for word in texts[origin].split())
            passage = Passage(f"{document}:{ordinal}", document, f"{document}.md", ordinal, 0, len(text), text)
            team = {"team": f"t{number // PER_DOCUMENT % TEAMS}"}
            entries.append(IndexEntry(passage, "", f"k{number}", vectors[row], metadata=team))
        yield entries, vectors


async def _ask(
    generation: IndexGeneration, embedder: KnownQuestions, questions: Sequence[str], asked: Vectors, stored: Vectors
) -> None:
    retriever = HybridRetriever(generation.store, embedder)
    rows: list[Sequence[str]] = [("scope", "p50 ms", "p95 ms", "recall@10 vs exact", "n")]
    for name, scope in (("everything", Scope()), ("a filter, 2%", Scope(filters={"team": "t7"}))):
        seconds = []
        for text in (*questions[:WARM_UP], *questions):
            started = time.perf_counter()
            await retriever.search(Question(text, scope=scope), k=8)
            seconds.append(time.perf_counter() - started)
        times = [1_000 * value for value in seconds[WARM_UP:]]
        recall = await _recall(generation.store, asked[:RECALL_QUESTIONS], stored, scope)
        rows.append(
            (name, f"{percentile(times, 0.5):.1f}", f"{percentile(times, 0.95):.1f}", f"{recall:.3f}", str(len(times)))
        )
    table(rows)
    print(f"(load {os.getloadavg()[0]:.1f})\n", flush=True)


async def _recall(store: Store, asked: Vectors, stored: Vectors, scope: Scope) -> float:
    """Return the share of the ten exact nearest neighbours that the store finds."""
    numbers = np.arange(len(stored))
    if scope.filters:
        numbers = numbers[numbers // PER_DOCUMENT % TEAMS == 7]
    similarities = np.concatenate([part.astype(np.float32) @ asked.T for part in np.array_split(stored[numbers], 50)])
    shares = []
    for column, vector in enumerate(asked):
        exact = numbers[np.argpartition(-similarities[:, column], 10)[:10]]
        near = await store.dense(vector, k=100, scope=scope)
        names = {f"d{number // PER_DOCUMENT}:{number % PER_DOCUMENT}" for number in exact}
        shares.append(len(names & {candidate.id for candidate in near[:10]}) / 10)
    return float(np.mean(shares))


async def _delete(generation: IndexGeneration, passages: int) -> None:
    seconds = []
    for number in random.Random(SEED).sample(range(passages // PER_DOCUMENT), 20):
        started = time.perf_counter()
        await generation.store.delete([f"d{number}"])
        seconds.append(time.perf_counter() - started)
        assert await generation.store.passages(f"d{number}") == []
    print(f"deleting one document of {PER_DOCUMENT} passages: {spread(seconds, unit=' s', digits=3)}")


async def _size(store: str, folder: Path) -> float:
    if store == "lance":
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    sizes = f"SELECT pg_total_relation_size(oid) AS size FROM pg_class WHERE relnamespace = '{SCHEMA}'::regnamespace"
    size: Any = await database(f"SELECT sum(size) FROM ({sizes} AND relkind = 'r') s")
    return float(size)


if __name__ == "__main__":
    main()
