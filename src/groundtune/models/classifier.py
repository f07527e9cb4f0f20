"""Input to label by a classifier that `groundtune tune` made, or to nothing where no label fits. Trains nothing.

It computes in float32, so that it says what the trainer said; without torch as long as it is asked little.
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

from groundtune.errors import GroundtuneError, MissingError, need
from groundtune.models.embed import FEW_TOKENS, embed_sorted
from groundtune.models.minilm import NumpyEncoder, TorchEncoder
from groundtune.models.together import Together
from groundtune.types import Generation, Prompt, Usage, Vectors
from groundtune.workspace import read_json

MODEL = "model"

Floats = NDArray[np.float64]
log = logging.getLogger(__name__)


class _Encoder(Protocol):
    """Texts to tokens to unit vectors."""

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids, special tokens included, however long."""
        ...

    def cut(self, text: str, row: list[int], *, limit: int) -> list[int]:
        """A row that is longer than the limit, as the trainer would have cut it."""
        ...

    def vectors(self, rows: Sequence[Sequence[int]]) -> Vectors: ...


@dataclass(frozen=True, slots=True)
class _Loaded:
    encoder: _Encoder
    labels: list[str]
    weight: Vectors
    bias: Vectors
    temperature: float
    threshold: float | None
    """Of the energy; None where nothing is out of scope."""
    slope: float | None
    intercept: float | None
    limit: int
    """Tokens that are read of a text."""


class ClassifierGenerator:
    """`Generator` of labels by the artifact in `folder`. For one event loop at a time; loads at the first question.

    details: those of the artifact. nothing: the reply to an input that fits no label. Confidence is the probability
    that the reply is right, calibrated on the validation rows; what they had out of scope is then counted in.
    Questions that wait together are answered together. A text longer than the model reads is cut, with a warning.
    """

    def __init__(self, folder: Path, details: Mapping[str, Any], *, nothing: str) -> None:
        self.name = str(details.get("name") or folder.name)
        self._folder = folder / MODEL
        self._nothing = nothing
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None
        self._together = Together(self._generations)

    async def generate(self, prompt: Prompt) -> Generation:
        """The label; `usage.seconds` are those of its batch. Raises MissingError when the files are not there."""
        return await self._together.ask(prompt.question)

    def classify(self, texts: Sequence[str]) -> tuple[list[str], list[float]]:
        """Label, or `nothing`, and confidence of each text. Raises MissingError."""
        labels, probabilities, _ = self._classified(texts)
        return labels, probabilities

    def logits(self, texts: Sequence[str]) -> Floats:
        """Before temperature: (n, labels), in the order of `labels`. Raises MissingError."""
        return self._logits(texts)[0]

    @property
    def labels(self) -> list[str]:
        """Those that it can say. Raises MissingError."""
        return list(self._load().labels)

    def _generations(self, texts: Sequence[str]) -> list[Generation]:
        began = time.perf_counter()
        labels, probabilities, tokens = self._classified(texts)
        seconds = time.perf_counter() - began
        return [
            Generation(label, Usage(input_tokens=count, seconds=seconds, usd=0.0), chance)
            for label, chance, count in zip(labels, probabilities, tokens, strict=True)
        ]

    def _classified(self, texts: Sequence[str]) -> tuple[list[str], list[float], list[int]]:
        loaded = self._load()
        found, tokens = self._logits(texts)
        raised = np.exp((found - found.max(axis=1, keepdims=True)) / loaded.temperature)
        highest = raised.max(axis=1) / raised.sum(axis=1)
        peak = found.max(axis=1)
        energy = peak + np.log(np.exp(found - peak[:, None]).sum(axis=1))
        inside = _chance(loaded, energy)
        labels, probabilities = [], []
        for row in range(len(texts)):
            outside = loaded.threshold is not None and energy[row] < loaded.threshold
            labels.append(self._nothing if outside else loaded.labels[int(found[row].argmax())])
            if inside is None:
                probabilities.append(float(1 - highest[row] if outside else highest[row]))
            else:
                probabilities.append(float(1 - inside[row] if outside else inside[row] * highest[row]))
        return labels, probabilities, tokens

    def _logits(self, texts: Sequence[str]) -> tuple[Floats, list[int]]:
        loaded = self._load()
        if not texts:
            return np.zeros((0, len(loaded.labels))), []
        with self._lock:
            rows = loaded.encoder.rows(texts)
            for place, row in enumerate(rows):
                if len(row) > loaded.limit:
                    log.warning("%s: a text of %d tokens was cut at %d", self.name, len(row), loaded.limit)
                    rows[place] = loaded.encoder.cut(texts[place], row, limit=loaded.limit)
            vectors = loaded.encoder.vectors(rows)
        return (vectors @ loaded.weight.T + loaded.bias).astype(np.float64), [len(row) for row in rows]

    def _load(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._folder)
            return self._loaded


def _chance(loaded: _Loaded, energy: Floats) -> Floats | None:
    """Of being in scope; None where no row out of scope said how likely that is."""
    if loaded.slope is None or loaded.intercept is None:
        return None
    chance: Floats = 1 / (1 + np.exp(-np.clip(loaded.slope * energy + loaded.intercept, -50, 50)))
    return chance


def _load(folder: Path) -> _Loaded:
    about = read_json(folder / "classifier.json")
    damaged = need("safetensors", extra="local").SafetensorError
    try:
        weights = need("safetensors.numpy", extra="local").load_file(folder / "head.safetensors")
        config = json.loads((folder / "encoder" / "config.json").read_bytes())
        fast = config.get("model_type") == "bert" and config.get("hidden_act") == "gelu"
        encoder = _Bert(folder / "encoder") if fast else _Any(folder / "encoder")
    except GroundtuneError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, damaged) as error:
        said = " ".join(str(error).split())[:300]
        raise MissingError(f"the classifier in {folder} cannot be loaded: {said}", hint="train it again") from error
    return _Loaded(
        encoder=encoder,
        labels=list(about["labels"]),
        weight=weights["weight"],
        bias=weights["bias"],
        temperature=float(about["temperature"]),
        threshold=about["threshold"],
        slope=about["slope"],
        intercept=about["intercept"],
        limit=int(about["max_tokens"]),
    )


class _Bert:
    """The architecture of the bundled encoder: on numpy for little, on torch for much."""

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


class _Any:
    """Every other encoder, by transformers; on CUDA where there is one."""

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
        found: list[list[int]] = self._tokenizer(list(texts), truncation=False)["input_ids"]
        return found

    def cut(self, text: str, row: list[int], *, limit: int) -> list[int]:
        found: list[int] = self._tokenizer(text, truncation=True, max_length=limit)["input_ids"]
        return found

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
