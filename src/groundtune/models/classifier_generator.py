"""Classify inputs with a classifier trained by `groundtune tune`, or abstain where no label fits. Never trains.

Computes in float32 to match the trainer's output, and loads torch only after enough text has been processed.
"""

import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from groundtune.common.files import read_json
from groundtune.errors import need
from groundtune.models.hub import loading
from groundtune.models.local_embedder import FEW_TOKENS, embed_sorted
from groundtune.models.micro_batching import MicroBatcher
from groundtune.models.minilm import NumpyEncoder, TorchEncoder
from groundtune.stats.logits import energy, logistic, softmax
from groundtune.types import Generation, Prompt, Usage, Vectors

MODEL = "model"

Floats = NDArray[np.float64]
log = logging.getLogger(__name__)


class _ClassifierEncoder(Protocol):
    """Turn texts into token ids, and token ids into unit vectors."""

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, special tokens included, without truncation."""
        ...

    def cut(self, text: str, row: list[int], *, limit: int) -> list[int]:
        """Truncate a row that is longer than the limit, in the way the trainer does."""
        ...

    def vectors(self, rows: Sequence[Sequence[int]]) -> Vectors: ...


@dataclass(frozen=True, slots=True)
class _LoadedClassifier:
    encoder: _ClassifierEncoder
    labels: list[str]
    weight: Vectors
    bias: Vectors
    temperature: float
    threshold: float | None
    """Energy below which an input is out of scope; None without out-of-scope detection."""
    slope: float | None
    intercept: float | None
    limit: int
    """Maximum tokens of a text; the rest is truncated."""


class ClassifierGenerator:
    """`Generator` that labels inputs with the artifact in `folder`. For one event loop at a time.

    details: the artifact's details. nothing: the reply to an input that fits no label. The confidence is the
    probability that the reply is correct, calibrated on the validation rows (including any out-of-scope rows). The
    model is loaded on the first call. Concurrent questions are answered in one batch. A text longer than the model's
    limit is truncated, with a warning.
    """

    reads_messages = False
    """It reads the parts of a prompt, not the rendered messages."""

    def __init__(self, folder: Path, details: Mapping[str, Any], *, nothing: str) -> None:
        self.name = str(details.get("name") or folder.name)
        self._folder = folder / MODEL
        self._nothing = nothing
        self._lock = threading.Lock()
        self._loaded: _LoadedClassifier | None = None
        self._together = MicroBatcher(self._generations)

    async def generate(self, prompt: Prompt) -> Generation:
        """Return the label; `usage.seconds` is the time of its batch. Raises MissingError when files are missing."""
        return await self._together.generate(prompt.question)

    def classify(self, texts: Sequence[str]) -> tuple[list[str], list[float]]:
        """Return the label (or `nothing`) and the confidence of each text. Raises MissingError."""
        labels, probabilities, _ = self._classified(texts)
        return labels, probabilities

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return logits before temperature scaling: (n, labels), in the order of `labels`. Raises MissingError."""
        return self._logits(texts)[0]

    @property
    def labels(self) -> list[str]:
        """Labels of the classifier. Raises MissingError."""
        return list(self._load().labels)

    def _generations(self, texts: Sequence[str]) -> list[Generation]:
        start = time.perf_counter()
        labels, probabilities, tokens = self._classified(texts)
        seconds = time.perf_counter() - start
        return [
            Generation(
                label,
                Usage(input_tokens=count, seconds=seconds, usd=0.0, machine_seconds=seconds / len(texts)),
                probability,
            )
            for label, probability, count in zip(labels, probabilities, tokens, strict=True)
        ]

    def _classified(self, texts: Sequence[str]) -> tuple[list[str], list[float], list[int]]:
        loaded = self._load()
        logits, tokens = self._logits(texts)
        highest = softmax(logits / loaded.temperature).max(axis=1)
        energies = energy(logits)
        in_scope = _in_scope_probability(loaded, energies)
        labels, probabilities = [], []
        for row in range(len(texts)):
            abstains = loaded.threshold is not None and energies[row] < loaded.threshold
            labels.append(self._nothing if abstains else loaded.labels[int(logits[row].argmax())])
            if in_scope is None:
                probabilities.append(float(1 - highest[row] if abstains else highest[row]))
            else:
                probabilities.append(float(1 - in_scope[row] if abstains else in_scope[row] * highest[row]))
        return labels, probabilities, tokens

    def _logits(self, texts: Sequence[str]) -> tuple[Floats, list[int]]:
        loaded = self._load()
        if not texts:
            return np.zeros((0, len(loaded.labels))), []
        with self._lock:
            rows = loaded.encoder.rows(texts)
            for index, row in enumerate(rows):
                if len(row) > loaded.limit:
                    log.warning("%s: a text of %d tokens was truncated to %d", self.name, len(row), loaded.limit)
                    rows[index] = loaded.encoder.cut(texts[index], row, limit=loaded.limit)
            vectors = loaded.encoder.vectors(rows)
        return (vectors @ loaded.weight.T + loaded.bias).astype(np.float64), [len(row) for row in rows]

    def _load(self) -> _LoadedClassifier:
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._folder)
            return self._loaded


def _in_scope_probability(loaded: _LoadedClassifier, energies: Floats) -> Floats | None:
    """Return the probability that each input is in scope; None without out-of-scope rows to calibrate on."""
    if loaded.slope is None or loaded.intercept is None:
        return None
    return logistic(loaded.slope * energies + loaded.intercept)


def _load(folder: Path) -> _LoadedClassifier:
    settings = read_json(folder / "classifier.json")
    with loading(f"the classifier in {folder}", hint="train it again"):
        weights = need("safetensors.numpy", extra="local").load_file(folder / "head.safetensors")
        config = json.loads((folder / "encoder" / "config.json").read_bytes())
        fast = config.get("model_type") == "bert" and config.get("hidden_act") == "gelu"
        encoder = _BertEncoder(folder / "encoder") if fast else _TransformersEncoder(folder / "encoder")
    return _LoadedClassifier(
        encoder=encoder,
        labels=list(settings["labels"]),
        weight=weights["weight"],
        bias=weights["bias"],
        temperature=float(settings["temperature"]),
        threshold=settings["threshold"],
        slope=settings["slope"],
        intercept=settings["intercept"],
        limit=int(settings["max_tokens"]),
    )


class _BertEncoder:
    """Encoder with the architecture of the bundled one: numpy for few tokens, torch for many."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tokenizer = need("tokenizers", extra="local").Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._encoder: NumpyEncoder | TorchEncoder = NumpyEncoder(folder)
        self._dimension = int(json.loads((folder / "config.json").read_bytes())["hidden_size"])
        self._seen = 0

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def cut(self, text: str, row: list[int], *, limit: int) -> list[int]:
        return [*row[: limit - 1], row[-1]]

    def vectors(self, rows: Sequence[Sequence[int]]) -> Vectors:
        self._seen += sum(map(len, rows))
        if self._seen > FEW_TOKENS and isinstance(self._encoder, NumpyEncoder):
            self._encoder = TorchEncoder(self._folder, bfloat16=False)
        return embed_sorted(rows, self._encoder.encode, dimension=self._dimension)


class _TransformersEncoder:
    """Any other encoder, through transformers; on CUDA where available."""

    def __init__(self, folder: Path) -> None:
        self._torch, library = need("torch", extra="local"), need("transformers", extra="local")
        self._device = "cuda" if self._torch.cuda.is_available() else "cpu"
        self._tokenizer = library.AutoTokenizer.from_pretrained(folder)
        library.utils.logging.disable_progress_bar()
        model = library.AutoModel.from_pretrained(folder, dtype=self._torch.float32)
        if getattr(model, "pooler", None) is not None:
            model.pooler = None
        self._model = model.to(self._device).eval()

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        token_ids: list[list[int]] = self._tokenizer(list(texts), truncation=False)["input_ids"]
        return token_ids

    def cut(self, text: str, row: list[int], *, limit: int) -> list[int]:
        token_ids: list[int] = self._tokenizer(text, truncation=True, max_length=limit)["input_ids"]
        return token_ids

    def vectors(self, rows: Sequence[Sequence[int]]) -> Vectors:
        return embed_sorted(rows, self._encoded, dimension=int(self._model.config.hidden_size))

    def _encoded(self, rows: Sequence[Sequence[int]]) -> Vectors:
        torch, longest = self._torch, max(map(len, rows))
        pad = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], device=self._device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=self._device)
        with torch.inference_mode():
            states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            weights = mask.unsqueeze(-1).float()
            mean = (states * weights).sum(dim=1) / weights.sum(dim=1)
            unit: Vectors = torch.nn.functional.normalize(mean, dim=1).cpu().numpy()
        return unit
