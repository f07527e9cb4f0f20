"""The storages that the conformance suites run on, and what the suites put into them.

A factory returns the storage of a folder; called again with the same folder, also in another process, it returns
another client of the same storage. It may skip the test when what it needs is not there.
"""

import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from groundtune.common.files import digest_text
from groundtune.protocols import IndexGeneration, IndexStorage, Store
from groundtune.retrieve.stores import object_catalog, object_lock
from groundtune.retrieve.stores.local_index import LocalIndex
from groundtune.retrieve.stores.object_index import ObjectIndex
from groundtune.retrieve.stores.postgres.storage import PostgresIndex
from groundtune.types import Candidate, Document, FileRow, IndexEntry, IndexManifest, Passage, Scope, Vectors
from groundtune.workspace import Workspace
from tests.object_server import BUCKET
from tests.postgres_server import TEST_DATABASE

DIMENSION = 16
PARTS: dict[str, str | int] = {"embedder": "words", "dimension": DIMENSION, "language": "english"}
OPEN = Scope()

StorageFactory = Callable[[Path], IndexStorage]
OpenStore = Callable[[], Awaitable[Store]]
"""Opens another client of the same store."""


def local(folder: Path) -> IndexStorage:
    """LanceDB and SQLite in a folder."""
    workspace = Workspace(folder)
    return LocalIndex(workspace.index, lock=workspace.writer_lock)


def postgres(folder: Path) -> IndexStorage:
    """A schema of the tests' own PostgreSQL server, which the fixture `postgres_server` starts."""
    schema = f"test_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    return PostgresIndex(lambda: os.environ[TEST_DATABASE], schema=schema)


def objects(folder: Path) -> IndexStorage:
    """Object storage, on the server that the fixture `object_storage` starts. Every write is published at once."""
    object_catalog.PUBLISH_SECONDS = object_catalog.REFRESH_SECONDS = object_lock.SETTLE_SECONDS = 0
    return ObjectIndex(f"s3://{BUCKET}/{digest_text(str(folder))[:12]}", cache=folder / "cache")


STORAGES: dict[str, StorageFactory] = {"local": local, "postgres": postgres, "objects": objects}


async def begin(storage: IndexStorage) -> IndexManifest:
    """Return the current generation, made first if there is none."""
    async with storage.writer_lock():
        manifest = await storage.begin_generation(PARTS, rebuild=False)
        await (await storage.open(manifest, read_only=False)).close()
        await storage.finish_generation(manifest)
    return manifest


async def open_generation(storage: IndexStorage, *, read_only: bool = False) -> IndexGeneration:
    manifest = await storage.current() or await begin(storage)
    return await storage.open(manifest, read_only=read_only)


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


def document(name: str, text: str = "plain words", **values: object) -> Document:
    return Document(name, f"{name}.md", text, digest=f"digest of {text}", **values)  # type: ignore[arg-type]


async def fill(store: Store, *entries: IndexEntry) -> None:
    await store.replace(list(dict.fromkeys(e.passage.document_id for e in entries)), entries)


def documents(results: Sequence[Candidate] | Sequence[Passage]) -> list[str]:
    return [item.id.rpartition(":")[0] if isinstance(item, Candidate) else item.document_id for item in results]


def ids(candidates: Sequence[Candidate]) -> list[str]:
    return [candidate.id for candidate in candidates]


async def write(generation: IndexGeneration, name: str, text: str, *, vector: Vectors | None = None) -> None:
    """Add or replace a document of one passage, in store and catalog, as a run does."""
    file = f"{name}.md"
    await generation.catalog.mark_unfinished([(name, file)])
    await generation.store.replace([name], [entry(name, text, vector=vector)])
    row = FileRow(file, "indexed", None, 1, 1, f"digest of {text}", "s", ("*",))
    await generation.catalog.save([(row, [(document(name, text), 1)])])


async def remove(generation: IndexGeneration, name: str) -> None:
    """Remove a document from store and catalog, as a run does."""
    await generation.catalog.mark_unfinished([(name, f"{name}.md")])
    await generation.store.delete([name])
    await generation.catalog.remove([f"{name}.md"])
