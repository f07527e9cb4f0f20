"""Keep the vectors of one embedder in a file, so that a text which several indexes contain is embedded once."""

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from groundtune.common.files import digest_text
from groundtune.errors import ProviderError
from groundtune.protocols import Embedder, TolerantEmbedder, VectorCache
from groundtune.types import Vectors

AT_ONCE = 500
"""Keys of one query; SQLite allows some thousands."""


class SharedVectors:
    """A `TolerantEmbedder` that asks another embedder only for texts that are neither in the file nor in the index.

    known: vectors of an index that the same embedder built. The keys are those of `IndexEntry.key`.
    """

    def __init__(self, embedder: Embedder, file: Path, *, known: VectorCache | None = None) -> None:
        self._embedder = embedder
        self._file = file
        self._known = known
        self._queries: dict[str, Vectors] = {}
        self.name = embedder.name
        self.digest = embedder.digest
        self.dimension = embedder.dimension
        self.max_tokens = embedder.max_tokens
        self.estimates_tokens = getattr(embedder, "estimates_tokens", False)
        self.embedded = 0
        """Texts for which the embedder was asked."""
        with closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector BLOB) WITHOUT ROWID")
            database.commit()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._embedder.count_tokens(texts)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed passages. Raises the ProviderError of the first text without a vector."""
        results = await self.embed_each(texts)
        vectors = []
        for result in results:
            if isinstance(result, ProviderError):
                raise result
            vectors.append(result)
        return np.array(vectors, dtype=np.float32).reshape(len(texts), self.dimension)

    async def embed_each(self, texts: Sequence[str]) -> Sequence[Vectors | ProviderError]:
        keys = [digest_text(f"{self.digest}\n{text}") for text in texts]
        vectors: dict[str, Vectors | ProviderError] = {**await asyncio.to_thread(self._read, keys)}
        if self._known:
            known = await self._known.vectors({key for key in keys if key not in vectors})
            await asyncio.to_thread(self._write, known)
            vectors |= known
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
        if missing:
            found = dict(zip(missing, await self._ask(list(missing.values())), strict=True))
            good = {key: vector for key, vector in found.items() if not isinstance(vector, ProviderError)}
            self.embedded += len(good)
            await asyncio.to_thread(self._write, good)
            vectors |= found
        return [vectors[key] for key in keys]

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        missing = list(dict.fromkeys(text for text in texts if text not in self._queries))
        if missing:
            self._queries.update(zip(missing, await self._embedder.embed_queries(missing), strict=True))
        return np.array([self._queries[text] for text in texts], dtype=np.float32)

    async def _ask(self, texts: Sequence[str]) -> Sequence[Vectors | ProviderError]:
        if isinstance(self._embedder, TolerantEmbedder):
            return await self._embedder.embed_each(texts)
        return list(await self._embedder.embed(texts))

    def _read(self, keys: Sequence[str]) -> dict[str, Vectors]:
        with closing(sqlite3.connect(self._file)) as database:
            return dict(self._rows(database, keys))

    @staticmethod
    def _rows(database: sqlite3.Connection, keys: Sequence[str]) -> Iterator[tuple[str, Vectors]]:
        for start in range(0, len(keys), AT_ONCE):
            chunk = keys[start : start + AT_ONCE]
            marks = ", ".join("?" * len(chunk))
            for key, blob in database.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", chunk):
                yield key, np.frombuffer(blob, dtype=np.float32)

    def _write(self, vectors: Mapping[str, Vectors]) -> None:
        rows = [(key, np.asarray(vector, dtype=np.float32).tobytes()) for key, vector in vectors.items()]
        with closing(sqlite3.connect(self._file)) as database:
            database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
            database.commit()
