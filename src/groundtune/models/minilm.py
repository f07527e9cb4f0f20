"""Token ids to unit vectors with the weights of a BERT sentence encoder. Never downloads, never trains.

Importing `transformers` for one question costs more than everything else `groundtune ask` does, so the forward pass
of this one architecture (BERT with mean pooling; Devlin 2018, arXiv 1810.04805) stands here in torch alone. A test
holds it against `sentence-transformers` on the same weights.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from groundtune.errors import MissingError, need
from groundtune.types import Vectors


class BertEncoder:
    """Weights of one BERT encoder in one dtype, on the CPU."""

    def __init__(self, folder: Path, *, bfloat16: bool) -> None:
        torch = need("torch", extra="local")
        load_file = need("safetensors.torch", extra="local").load_file
        config = json.loads((folder / "config.json").read_text())
        if config.get("model_type") != "bert":
            raise MissingError(f"{folder} holds a {config.get('model_type')} model, not a BERT encoder")
        self.dimension = int(config["hidden_size"])
        self._heads = int(config["num_attention_heads"])
        self._epsilon = float(config["layer_norm_eps"])
        dtype = torch.bfloat16 if bfloat16 else torch.float32
        weights = {k: v.to(dtype) for k, v in load_file(folder / "model.safetensors").items() if "ids" not in k}
        self._words = weights["embeddings.word_embeddings.weight"]
        self._positions = (
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = _pair(weights, "embeddings.LayerNorm")
        self._layers = [_layer(torch, weights, index) for index in range(int(config["num_hidden_layers"]))]

    def encode(self, ids: Sequence[Sequence[int]]) -> Vectors:
        """One batch of token ids, special tokens included; float32, (n, dimension), unit length."""
        torch = need("torch", extra="local")
        with torch.inference_mode():
            return self._forward(torch, ids)

    def _forward(self, torch: Any, ids: Sequence[Sequence[int]]) -> Vectors:
        functional = torch.nn.functional
        lengths = torch.tensor([len(row) for row in ids])
        n, longest = len(ids), int(lengths.max())
        padded = np.zeros((n, longest), dtype=np.int64)
        for index, row in enumerate(ids):
            padded[index, : len(row)] = row
        keep = torch.arange(longest)[None, :] < lengths[:, None]
        mask = None if bool(keep.all()) else keep[:, None, None, :]
        hidden = functional.embedding(torch.from_numpy(padded), self._words) + self._positions[:longest]
        hidden = functional.layer_norm(hidden, (self.dimension,), *self._norm, self._epsilon)
        for layer in self._layers:
            hidden = self._layer(functional, hidden, mask, layer)
        weight = keep[:, :, None].float()
        pooled = (hidden.float() * weight).sum(1) / weight.sum(1)
        result: Vectors = functional.normalize(pooled, dim=1).numpy()
        return result

    def _layer(self, functional: Any, hidden: Any, mask: Any, layer: dict[str, Any]) -> Any:
        n, length, _ = hidden.shape
        mixed = functional.linear(hidden, *layer["qkv"]).view(n, length, 3, self._heads, -1)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        attended = functional.linear(attended.transpose(1, 2).reshape(n, length, -1), *layer["out"])
        hidden = functional.layer_norm(hidden + attended, (self.dimension,), *layer["norm1"], self._epsilon)
        wide = functional.gelu(functional.linear(hidden, *layer["up"]))
        narrow = functional.linear(wide, *layer["down"])
        return functional.layer_norm(hidden + narrow, (self.dimension,), *layer["norm2"], self._epsilon)


def _pair(weights: dict[str, Any], name: str) -> tuple[Any, Any]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _layer(torch: Any, weights: dict[str, Any], index: int) -> dict[str, Any]:
    root = f"encoder.layer.{index}"
    projections = [_pair(weights, f"{root}.attention.self.{part}") for part in ("query", "key", "value")]
    return {
        "qkv": (torch.cat([w for w, _ in projections]), torch.cat([b for _, b in projections])),
        "out": _pair(weights, f"{root}.attention.output.dense"),
        "norm1": _pair(weights, f"{root}.attention.output.LayerNorm"),
        "up": _pair(weights, f"{root}.intermediate.dense"),
        "down": _pair(weights, f"{root}.output.dense"),
        "norm2": _pair(weights, f"{root}.output.LayerNorm"),
    }
