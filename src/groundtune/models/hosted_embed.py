"""Texts to unit vectors by any OpenAI-compatible embeddings endpoint. Never tokenizes: it cannot know how."""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Iterator, Sequence
from typing import Unpack
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import UsageError
from groundtune.models.endpoint import Asked, Connection
from groundtune.types import Vectors

PATH = "/embeddings"
OPTIONAL = {"encoding_format": None}
BYTES_PER_TOKEN = 3
SPECIAL_TOKENS = 2


class HostedEmbedder:
    """One embedding model. Use it from one event loop. `find_dimension` tells a dimension that nobody configured.

    Raises UsageError for a dimension below 1 and a `base_url` that is no URL.

    A request carries at most `batch_size` texts and `batch_bytes` bytes of UTF-8 (one longer text goes alone); at
    most `concurrency` are under way. `max_tokens` is what the model takes; longer texts are the server's to cut or
    refuse. The prefixes are for models trained with them, such as `search_document: ` and `search_query: `.
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
        **asked: Unpack[Asked],
    ) -> None:
        if dimension < 1:
            raise UsageError(f"dimension {dimension} of {model}", hint="configure it, or ask with find_dimension")
        self.name = model
        self.dimension = dimension
        self.max_tokens = max_tokens
        self._batch_size = batch_size
        self._batch_bytes = batch_bytes
        self._passage_prefix = passage_prefix
        self._query_prefix = query_prefix
        self._connection = Connection(model, concurrency=concurrency, **asked)

    @property
    def digest(self) -> str:
        """Of host and port, model, dimension and prefixes: a server that swaps the model behind a name is not seen."""
        place = urlsplit(self._connection.base_url).netloc.rpartition("@")[2].lower()
        parts = (place, self.name, str(self.dimension), self._passage_prefix, self._query_prefix)
        return f"hosted-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}"

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """An estimate, as no tokenizer is known: a token for each 3 bytes of UTF-8, and 2 special tokens.

        Against MiniLM's tokenizer on pieces of 800 characters: 1.4 times too high and never too low for English pages
        (n = 61), too low for 16 % of Python code, by up to 1.6 times (n = 518).
        """
        return [-(-len(text.encode()) // BYTES_PER_TOKEN) + SPECIAL_TOKENS for text in texts]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """float32, (n, dimension), unit length. Raises ProviderError, also when the dimension is another one."""
        return await self._embed([self._passage_prefix + text for text in texts])

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """As `embed`, with the prefix of questions."""
        return await self._embed([self._query_prefix + text for text in texts])

    async def aclose(self) -> None:
        """Close the sockets. The next call opens new ones."""
        await self._connection.aclose()

    async def _embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)

        async def fill(batch: range) -> None:
            vectors[batch.start : batch.stop] = await self._embed_batch(texts[batch.start : batch.stop])

        try:
            async with asyncio.TaskGroup() as group:  # the first failure cancels the others
                for batch in _batches(texts, size=self._batch_size, limit_bytes=self._batch_bytes):
                    group.create_task(fill(batch))
        except ExceptionGroup as failures:
            raise failures.exceptions[0]  # noqa: B904 - it carries its own cause
        return vectors

    async def _embed_batch(self, texts: Sequence[str]) -> Vectors:
        vectors = await _request(self._connection, texts)
        if vectors.shape[1] != self.dimension:
            raise self._connection.error(
                "bad_response",
                f"gives vectors of {vectors.shape[1]} dimensions; {self.dimension} are configured",
                hint=f"set dimension = {vectors.shape[1]}; an index built with other vectors must be built anew",
            )
        return vectors


async def find_dimension(model: str, **asked: Unpack[Asked]) -> int:
    """Dimension of the model's vectors, by embedding one word. Raises ProviderError."""
    connection = Connection(model, **asked)
    try:
        return int((await _request(connection, ["dimension"])).shape[1])
    finally:
        await connection.aclose()


async def _request(connection: Connection, texts: Sequence[str]) -> Vectors:
    """Unit vectors of one batch, in the order of `texts`, whatever the order of the answer."""
    # An empty text is an error at some servers, and one error would lose the batch.
    body = {"model": connection.model, "input": [text or " " for text in texts], "encoding_format": "base64"}
    answer, _ = await connection.post(PATH, body, optional=OPTIONAL)
    match answer:
        case {"data": list(rows)} if len(rows) == len(texts):
            vectors = _read(rows)
        case _:
            raise connection.malformed(f"not one vector for each of {len(texts)} texts")
    if vectors is None:
        raise connection.malformed("vectors that are no vectors of one length")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise connection.malformed("a vector without a direction (zero, infinite or not a number)")
    unit: Vectors = (vectors / lengths).astype(np.float32)
    return unit


def _read(rows: Sequence[object]) -> NDArray[np.float64] | None:
    """float64, (n, dimension), by the `index` of each row; None when rows are missing, twice or of uneven length."""
    found: dict[int, NDArray[np.float64]] = {}
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
        found[index] = vector
    ordered = [found.get(position) for position in range(len(rows))]
    vectors = [vector for vector in ordered if vector is not None and vector.ndim == 1 and vector.size]
    if len(vectors) < len(rows) or len({vector.size for vector in vectors}) != 1:
        return None
    return np.stack(vectors)


def _batches(texts: Sequence[str], *, size: int, limit_bytes: int) -> Iterator[range]:
    """Consecutive ranges of at most `size` texts and `limit_bytes` bytes; a longer text is alone in its range."""
    start, held = 0, 0
    for position, text in enumerate(texts):
        length = len(text.encode())
        if position > start and (position - start == size or held + length > limit_bytes):
            yield range(start, position)
            start, held = position, 0
        held += length
    if start < len(texts):
        yield range(start, len(texts))
