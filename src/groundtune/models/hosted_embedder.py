"""Embed texts as unit vectors with any OpenAI-compatible endpoint. Never tokenizes: the tokenizer is unknown."""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Iterator, Sequence
from typing import Unpack
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import ProviderError, UsageError
from groundtune.models.connection import Connection, ConnectionOptions
from groundtune.models.refused_parameters import Alternatives
from groundtune.types import Vectors

PATH = "/embeddings"
OPTIONAL: Alternatives = {"encoding_format": [None]}
BYTES_PER_TOKEN = 3
SPECIAL_TOKENS = 2
PATIENCE_SECONDS = 600.0
"""How long a request with passages may wait for rate limits: an ingest slows down to what the server allows."""
MAY_BE_THE_TEXT = frozenset({"bad_request", "bad_response", "server"})
"""Kinds of failure that one text of a batch may cause, or their number."""


class HostedEmbedder:
    """One embedding model. Use it from one event loop.

    A request carries at most `batch_size` texts and `batch_bytes` bytes of UTF-8 (a longer text goes alone). At most
    `concurrency` requests for passages run at a time, and as many for questions, which do not wait behind passages and
    have less patience with rate limits. `max_tokens` is the model's limit; the server truncates or rejects longer
    texts. The prefixes are for models trained with them, such as `search_document: ` and `search_query: `.

    Raises UsageError when `dimension` is below 1 or `base_url` is not a URL.
    """

    def __init__(
        self,
        model: str,
        *,
        dimension: int,
        max_tokens: int = 512,
        concurrency: int = 4,
        batch_size: int = 32,
        batch_bytes: int = 60_000,
        passage_prefix: str = "",
        query_prefix: str = "",
        **options: Unpack[ConnectionOptions],
    ) -> None:
        if dimension < 1:
            raise UsageError(
                f"dimension {dimension} of {model} is below 1", hint="set dimension to the size of its vectors"
            )
        self.name = model
        self.dimension = dimension
        self.max_tokens = max_tokens
        self._batch_size = batch_size
        self._batch_bytes = batch_bytes
        self._passage_prefix = passage_prefix
        self._query_prefix = query_prefix
        self._connection = Connection(model, concurrency=concurrency, **options)
        options.setdefault("patience_seconds", PATIENCE_SECONDS)
        self._patient = Connection(model, concurrency=concurrency, **options)

    @property
    def digest(self) -> str:
        """Digest of host and port, model, dimension and prefixes. Cannot detect a server that swaps the model."""
        place = urlsplit(self._connection.base_url).netloc.rpartition("@")[2].lower()
        parts = (place, self.name, str(self.dimension), self._passage_prefix, self._query_prefix)
        return f"hosted-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}"

    estimates_tokens = True

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Estimate the tokens of each text: one per 3 bytes of UTF-8, plus 2 special tokens.

        Compared with MiniLM's tokenizer on chunks of 800 characters, this is 1.4 times too high and never too low for
        English pages (n = 61), and too low for 16% of Python code, by a factor of up to 1.6 (n = 518).
        """
        return [-(-len(text.encode()) // BYTES_PER_TOKEN) + SPECIAL_TOKENS for text in texts]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors: float32, (n, dimension). Raises ProviderError, also for a different dimension."""
        return await self._embed([self._passage_prefix + text for text in texts], self._patient)

    async def embed_each(self, texts: Sequence[str]) -> list[Vectors | ProviderError]:
        """Return the vector of each text, float32 (dimension,), or why it has none; see `TolerantEmbedder`.

        A batch that the server refuses is halved until it is known which texts are refused, or how many are accepted in
        one request. Whether the server works at all is then tried with one short text.
        """
        results: list[Vectors | ProviderError] = []
        texts = [self._passage_prefix + text for text in texts]
        batches = list(_batches(texts, size=self._batch_size, limit_bytes=self._batch_bytes))
        running = [asyncio.create_task(self._each(texts[batch.start : batch.stop])) for batch in batches]
        failure: ProviderError | None = None
        try:
            for batch, task in zip(batches, running, strict=True):
                results += [failure] * len(batch) if failure and not task.done() else await task
                failure = failure or _failure(results[-len(batch) :])
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return results

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors as `embed` does, with the query prefix."""
        return await self._embed([self._query_prefix + text for text in texts], self._connection)

    async def aclose(self) -> None:
        """Close the connections. The next call opens new ones."""
        await self._connection.aclose()
        await self._patient.aclose()

    async def _embed(self, texts: Sequence[str], connection: Connection) -> Vectors:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)

        async def fill(batch: range) -> None:
            vectors[batch.start : batch.stop] = await self._embed_batch(texts[batch.start : batch.stop], connection)

        try:
            async with asyncio.TaskGroup() as group:  # the first failure cancels the others
                for batch in _batches(texts, size=self._batch_size, limit_bytes=self._batch_bytes):
                    group.create_task(fill(batch))
        except ExceptionGroup as failures:
            raise failures.exceptions[0]  # noqa: B904 - it has its own cause
        return vectors

    async def _each(self, texts: Sequence[str], *, works: bool = False) -> list[Vectors | ProviderError]:
        """Return the vectors of one batch, or of its parts if it is refused. works: the server embeds other texts."""
        try:
            return list(await self._embed_batch(texts, self._patient))
        except ProviderError as error:
            if error.kind not in MAY_BE_THE_TEXT or not (works or await self._works()):
                return [error] * len(texts)
            if len(texts) == 1:
                return [ProviderError(error.message, kind="refused_text", hint=error.hint)]
        half = len(texts) // 2
        results = [
            *await self._each(texts[:half], works=True),
            *await self._each(texts[half:], works=True),
        ]
        if not any(isinstance(result, ProviderError) for result in results):
            self._batch_size = min(self._batch_size, max(half, len(texts) - half))  # only the number was too large
        return results

    async def _works(self) -> bool:
        """Whether the server embeds a short text."""
        try:
            await self._embed_batch(["text"], self._patient)
        except ProviderError:
            return False
        return True

    async def _embed_batch(self, texts: Sequence[str], connection: Connection) -> Vectors:
        vectors = await _request(connection, texts)
        if vectors.shape[1] != self.dimension:
            raise connection.provider_error(
                "bad_response",
                f"returned vectors of {vectors.shape[1]} dimensions; {self.dimension} are configured",
                hint=f"set dimension = {vectors.shape[1]}; an index with vectors of another dimension must be rebuilt",
            )
        return vectors


def _failure(results: Sequence[Vectors | ProviderError]) -> ProviderError | None:
    """Return the first error that concerns the server, not one text."""
    errors = (result for result in results if isinstance(result, ProviderError))
    return next((error for error in errors if error.kind != "refused_text"), None)


async def _request(connection: Connection, texts: Sequence[str]) -> Vectors:
    """Return the unit vectors of one batch in the order of `texts`, whatever the order of the response."""
    # Some servers reject an empty text, which would fail the whole batch.
    body = {"model": connection.model, "input": [text or " " for text in texts], "encoding_format": "base64"}
    answer, _ = await connection.post(PATH, body, optional=OPTIONAL)
    match answer:
        case {"data": list(rows)} if len(rows) == len(texts):
            vectors = _read(rows)
        case _:
            raise connection.bad_response(f"it does not have one vector for each of the {len(texts)} texts")
    if vectors is None:
        raise connection.bad_response("its embeddings are not vectors of one length")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise connection.bad_response("it contains a zero, infinite or NaN vector")
    unit: Vectors = (vectors / lengths).astype(np.float32)
    return unit


def _read(rows: Sequence[object]) -> NDArray[np.float64] | None:
    """Return the vectors ordered by `index`: float64, (n, dimension). None if rows are missing, repeated or uneven."""
    by_index: dict[int, NDArray[np.float64]] = {}
    for position, row in enumerate(rows):
        match row:
            case {"embedding": str(packed), **rest}:
                try:
                    vector = np.frombuffer(base64.b64decode(packed, validate=True), dtype="<f4").astype(np.float64)
                except (binascii.Error, ValueError):
                    return None
            case {"embedding": list(numbers), **rest}:
                try:
                    vector = np.array(numbers, dtype=np.float64)
                except (TypeError, ValueError):
                    return None
            case _:
                return None
        index = rest.get("index", position)
        if not isinstance(index, int):
            return None
        by_index[index] = vector
    ordered = [by_index.get(position) for position in range(len(rows))]
    vectors = [vector for vector in ordered if vector is not None and vector.ndim == 1 and vector.size]
    if len(vectors) < len(rows) or len({vector.size for vector in vectors}) != 1:
        return None
    return np.stack(vectors)


def _batches(texts: Sequence[str], *, size: int, limit_bytes: int) -> Iterator[range]:
    """Yield consecutive ranges of at most `size` texts and `limit_bytes` bytes; a longer text gets its own range."""
    start, batch_bytes = 0, 0
    for position, text in enumerate(texts):
        length = len(text.encode())
        if position > start and (position - start == size or batch_bytes + length > limit_bytes):
            yield range(start, position)
            start, batch_bytes = position, 0
        batch_bytes += length
    if start < len(texts):
        yield range(start, len(texts))
