"""Texts that several indexes contain are embedded once."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from groundtune.common.files import digest_text
from groundtune.errors import ProviderError
from groundtune.ingest.shared_vectors import SharedVectors
from groundtune.protocols import TolerantEmbedder
from groundtune.types import Vectors


class Lengths:
    """Embeds a text by its length."""

    name, digest, dimension, max_tokens = "lengths", "lengths-1", 2, 99

    def __init__(self) -> None:
        self.asked: list[str] = []

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)

    embed_queries = embed


class Refusing(Lengths):
    async def embed_each(self, texts: Sequence[str]) -> list[Vectors | ProviderError]:
        vectors = await self.embed(texts)
        return [
            ProviderError("not this", kind="refused_text") if text == "no" else vector
            for text, vector in zip(texts, vectors, strict=True)
        ]


class Known:
    async def vectors(self, keys: Iterable[str]) -> dict[str, Vectors]:
        known = {digest_text("lengths-1\nknown"): np.array([7, 7], dtype=np.float32)}
        return {key: vector for key, vector in known.items() if key in set(keys)}


async def test_a_text_is_embedded_once_over_embedders_of_one_file(tmp_path: Path) -> None:
    inner, file = Lengths(), tmp_path / "vectors"
    shared = SharedVectors(inner, file, known=Known())
    assert isinstance(shared, TolerantEmbedder)
    assert (await shared.embed(["a", "bb", "a", "known"])).tolist() == [[1, 1], [2, 1], [1, 1], [7, 7]]
    assert inner.asked == ["a", "bb"]
    again = SharedVectors(inner, file)
    assert (await again.embed(["known", "bb", "ccc"])).tolist() == [[7, 7], [2, 1], [3, 1]]
    assert inner.asked == ["a", "bb", "ccc"]
    assert (shared.embedded, again.embedded) == (2, 1)
    assert (await again.embed([])).shape == (0, 2)
    many = [f"{number:04}" for number in range(1_200)]
    await again.embed(many)
    await again.embed(many)
    assert len(inner.asked) == 1_203
    assert (await again.embed_queries(["q", "q"])).tolist() == [[1, 1], [1, 1]]
    await again.embed_queries(["q"])
    assert inner.asked[1_203:] == ["q"]


async def test_a_refused_text_is_not_kept(tmp_path: Path) -> None:
    shared = SharedVectors(Refusing(), tmp_path / "vectors")
    for _ in range(2):
        good, refused = await shared.embed_each(["yes", "no"])
        assert isinstance(refused, ProviderError)
        assert not isinstance(good, ProviderError)
    with pytest.raises(ProviderError, match="not this"):
        await shared.embed(["yes", "no"])
