"""Turn token ids into unit vectors with a BERT sentence encoder. Never downloads, never trains.

Importing `transformers` takes longer than everything else that `groundtune ask` does for a question, and importing
`torch` takes as long as the rest. So the forward pass of this one architecture (BERT with mean pooling; Devlin 2018,
arXiv 1810.04805) is written out here: in numpy for a few texts, in torch for many. A test compares both with
`sentence-transformers` on the same weights.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import MissingError, need
from groundtune.types import Vectors

Floats = NDArray[np.float32]
Rows = Sequence[Sequence[int]]
"""Token ids of each text, special tokens included."""
ONE_THREAD_TOKENS = 256
"""Up to so many tokens torch computes in one thread, as numpy always does. On matrices this small several threads gain
little; on a busy machine they wait for each other, and burn processor time while they do: a question took 20 times as
much with two threads as with one, on two cores that others used too."""


class EncoderConfig:
    """The values of `config.json` that the forward pass needs."""

    def __init__(self, folder: Path) -> None:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if values.get("model_type") != "bert":
            raise MissingError(f"{folder} contains a {values.get('model_type')} model, not a BERT encoder")
        self.dimension = int(values["hidden_size"])
        self.heads = int(values["num_attention_heads"])
        self.layers = int(values["num_hidden_layers"])
        self.epsilon = float(values["layer_norm_eps"])


class NumpyEncoder:
    """Encode in float32 with numpy. Ready in 0.1 s; for questions and the sentences of a few passages."""

    def __init__(self, folder: Path) -> None:
        self._config = EncoderConfig(folder)
        load_file = need("safetensors.numpy", extra="local").load_file
        weights: dict[str, Floats] = load_file(folder / "model.safetensors")
        self._words = weights["embeddings.word_embeddings.weight"]
        self._positions = (
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = _pair(weights, "embeddings.LayerNorm")
        self._layers = [_layer(weights, index, np.concatenate) for index in range(self._config.layers)]
        self._one_thread = _one_thread("blas")

    def encode(self, rows: Rows) -> Vectors:
        """Return unit vectors: float32, (n, dimension). Texts are concatenated, so there is no padding.

        Uses one thread: on matrices this small, synchronising several takes longer than the work.
        """
        with self._one_thread():
            return self._forward(rows)

    def _forward(self, rows: Rows) -> Vectors:
        ends = np.cumsum([len(row) for row in rows])
        spans = list(zip([0, *ends[:-1]], ends, strict=True))
        ids = np.concatenate([np.asarray(row) for row in rows])
        places = np.concatenate([np.arange(len(row)) for row in rows])
        hidden = self._normed(self._words[ids] + self._positions[places], self._norm)
        for layer in self._layers:
            mixed = _linear(hidden, layer["qkv"]).reshape(len(ids), 3, self._config.heads, -1)
            attended = np.concatenate([_attend(mixed[start:end]) for start, end in spans])
            hidden = self._normed(hidden + _linear(attended, layer["out"]), layer["norm1"])
            narrow = _linear(_gelu(_linear(hidden, layer["up"])), layer["down"])
            hidden = self._normed(hidden + narrow, layer["norm2"])
        pooled = np.stack([hidden[start:end].mean(axis=0) for start, end in spans])
        unit: Vectors = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return unit

    def _normed(self, hidden: Floats, norm: tuple[Floats, Floats]) -> Floats:
        centred = hidden - hidden.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", centred, centred)[:, None] / self._config.dimension
        normed: Floats = centred / np.sqrt(variance + np.float32(self._config.epsilon)) * norm[0] + norm[1]
        return normed


class TorchEncoder:
    """Encode many texts with torch, in float32, or in bfloat16 for CPUs that multiply it in hardware."""

    def __init__(self, folder: Path, *, bfloat16: bool) -> None:
        self._config = EncoderConfig(folder)
        self._torch = torch = need("torch", extra="local")
        load_file = need("safetensors.torch", extra="local").load_file
        dtype = torch.bfloat16 if bfloat16 else torch.float32
        loaded = load_file(folder / "model.safetensors")
        weights = {name: value.to(dtype) for name, value in loaded.items() if "ids" not in name}
        self._words = weights["embeddings.word_embeddings.weight"]
        self._positions = (
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = _pair(weights, "embeddings.LayerNorm")
        self._layers = [_layer(weights, index, torch.cat) for index in range(self._config.layers)]
        self._one_thread = _one_thread("openmp")

    def encode(self, rows: Rows) -> Vectors:
        """Return unit vectors: float32, (n, dimension). Fastest when the texts have similar lengths."""
        few = sum(map(len, rows)) <= ONE_THREAD_TOKENS
        self._torch.get_num_threads()  # at its first call in a thread, torch sets the number of threads there
        with self._torch.inference_mode(), self._one_thread() if few else nullcontext():
            return self._forward(rows)

    def _forward(self, rows: Rows) -> Vectors:
        torch, functional = self._torch, self._torch.nn.functional
        lengths = torch.tensor([len(row) for row in rows])
        longest = int(lengths.max())
        padded = np.zeros((len(rows), longest), dtype=np.int64)
        for index, row in enumerate(rows):
            padded[index, : len(row)] = row
        keep = torch.arange(longest)[None, :] < lengths[:, None]
        mask = None if bool(keep.all()) else keep[:, None, None, :]
        words = functional.embedding(torch.from_numpy(padded), self._words) + self._positions[:longest]
        hidden = self._normed(self._rounded(words.flatten(0, 1)), self._norm)
        for layer in self._layers:
            hidden = self._layer(hidden, (len(rows), longest), mask, layer)
        weight = keep[:, :, None].float()
        pooled = (hidden[: keep.numel()].view(*keep.shape, -1).float() * weight).sum(1) / weight.sum(1)
        unit: Vectors = functional.normalize(pooled, dim=1).numpy()
        return unit

    def _layer(self, hidden: Any, shape: tuple[int, int], mask: Any, layer: dict[str, Any]) -> Any:
        """hidden: (tokens rounded up, dimension); shape: texts, and tokens of the longest one."""
        functional = self._torch.nn.functional
        n, length = shape
        mixed = functional.linear(hidden, *layer["qkv"])[: n * length].view(n, length, 3, self._config.heads, -1)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        attended = functional.linear(self._rounded(attended.transpose(1, 2).flatten(2).flatten(0, 1)), *layer["out"])
        hidden = self._normed(hidden + attended, layer["norm1"])
        wide = functional.gelu(functional.linear(hidden, *layer["up"]))
        return self._normed(hidden + functional.linear(wide, *layer["down"]), layer["norm2"])

    def _rounded(self, tokens: Any) -> Any:
        """Append zeros up to the next size of `round_up`."""
        missing = round_up(len(tokens)) - len(tokens)
        return self._torch.nn.functional.pad(tokens, (0, 0, 0, missing)) if missing else tokens

    def _normed(self, hidden: Any, norm: tuple[Any, Any]) -> Any:
        return self._torch.nn.functional.layer_norm(hidden, (self._config.dimension,), *norm, self._config.epsilon)


def round_up(tokens: int) -> int:
    """Return one of 48 sizes up to 4,096; from 32 tokens on, at most a quarter larger.

    torch keeps code and buffers for the sizes of the matrices it has multiplied, about 3 MB each in bfloat16. With the
    sizes as they come, 300 batches made a process grow by 700 MB; with these, by 150 MB.
    """
    step = 8
    while tokens > 8 * step and step < 128:
        step *= 2
    return -(-tokens // step) * step


def _one_thread(api: str) -> Callable[[], AbstractContextManager[Any]]:
    """Return what holds the libraries of a kind that are loaded by now, "blas" or "openmp", to one thread."""
    libraries = need("threadpoolctl", extra="local").ThreadpoolController().select(user_api=api)
    return partial(libraries.limit, limits=1)


def _pair(weights: dict[str, Any], name: str) -> tuple[Any, Any]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _layer(weights: dict[str, Any], index: int, join: Any) -> dict[str, Any]:
    root = f"encoder.layer.{index}"
    projections = [_pair(weights, f"{root}.attention.self.{part}") for part in ("query", "key", "value")]
    return {
        "qkv": (join([w for w, _ in projections]), join([b for _, b in projections])),
        "out": _pair(weights, f"{root}.attention.output.dense"),
        "norm1": _pair(weights, f"{root}.attention.output.LayerNorm"),
        "up": _pair(weights, f"{root}.intermediate.dense"),
        "down": _pair(weights, f"{root}.output.dense"),
        "norm2": _pair(weights, f"{root}.output.LayerNorm"),
    }


def _linear(hidden: Floats, layer: tuple[Floats, Floats]) -> Floats:
    result: Floats = hidden @ layer[0].T + layer[1]
    return result


def _attend(mixed: Floats) -> Floats:
    """Apply self-attention to one text: (tokens, 3, heads, size) to (tokens, heads · size)."""
    query, key, value = mixed.transpose(1, 2, 0, 3)
    scores = query @ key.transpose(0, 2, 1) * np.float32(query.shape[-1] ** -0.5)
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    scores /= scores.sum(axis=-1, keepdims=True)
    attended: Floats = (scores @ value).transpose(1, 0, 2).reshape(mixed.shape[0], -1)
    return attended


def _gelu(x: Floats) -> Floats:
    """Return x · Φ(x), with Abramowitz and Stegun's formula 7.1.26 for the error function (error at most 1.5e-7)."""
    z = np.abs(x) * np.float32(2**-0.5)
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = np.full_like(t, 1.061405429)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = series * t + np.float32(coefficient)
    tail = series * t * np.exp(-z * z)  # 1 - erf(z)
    result: Floats = x * np.where(x >= 0, 1 - tail / 2, tail / 2)
    return result
