"""Extract a JSON object, or null, with an extractor trained by `groundtune tune`. Never trains, never invents a value.

Each value is copied from the input verbatim, or is one of the field's allowed values. Computes in float32 to match the
trainer's output.
"""

import json
import logging
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.common.batches import batches_by_length
from groundtune.common.files import read_json
from groundtune.errors import need
from groundtune.models.hub import loading
from groundtune.models.micro_batching import MicroBatcher
from groundtune.models.span_decoding import (
    DecodedObject,
    Layout,
    Unit,
    decode,
    group_tokens,
    layout_from_json,
    path_name,
    replace_surrogates,
)
from groundtune.stats.logits import logistic
from groundtune.types import Generation, Prompt, Usage

MODEL = "model"
BATCH_TOKENS = 4096
"""Tokens per forward pass."""

Floats = NDArray[np.float64]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Extraction:
    """The object extracted from a text."""

    output: dict[str, Any] | None
    """The object; None when the text has nothing to extract."""
    places: tuple[tuple[str, int, int], ...]
    """Field name, start and end offset of each value copied from the text."""
    confidence: float
    """Probability that the object is correct, calibrated on the validation rows where enough of them were wrong."""
    tokens: int


@dataclass(frozen=True, slots=True)
class _LoadedExtractor:
    tokenizer: Any
    model: Any
    heads: Mapping[str, tuple[Any, Any]]
    layout: Layout
    slope: float | None
    intercept: float | None
    limit: int
    """Maximum tokens of a text; the rest is truncated."""
    pad: int
    device: str


class ExtractorGenerator:
    """`Generator` that extracts objects, as JSON text, with the artifact in `folder`. For one event loop at a time.

    details: the artifact's details. The model is loaded on the first call. Concurrent questions are answered in one
    batch. A text longer than the model's limit is truncated, with a warning.
    """

    reads_messages = False
    """It reads the parts of a prompt, not the rendered messages."""

    def __init__(self, folder: Path, details: Mapping[str, Any]) -> None:
        self.name = str(details.get("name") or folder.name)
        self._folder = folder / MODEL
        self._lock = threading.Lock()
        self._loaded: _LoadedExtractor | None = None
        self._together = MicroBatcher(self._generations)

    async def generate(self, prompt: Prompt) -> Generation:
        """Return the object or `null`; `usage.seconds` is the time of its batch. Raises MissingError."""
        return await self._together.generate(prompt.question)

    def extract(self, texts: Sequence[str]) -> list[Extraction]:
        """Extract an object from each text, in order. Raises MissingError."""
        with self._lock:
            loaded = self._load()
            rows, units_of_rows = self._read(loaded, texts)
            scores = _scores(loaded, rows, units_of_rows)
        results = []
        for text, row, row_units, (tags, choices) in zip(texts, rows, units_of_rows, scores, strict=True):
            decoded = decode(loaded.layout, text, row_units, tags, choices)
            places = tuple(
                (path_name(loaded.layout.fields[span.field].path), span.start, span.end) for span in decoded.spans
            )
            results.append(Extraction(decoded.output, places, _confidence(loaded, decoded), len(row)))
        return results

    def _generations(self, texts: Sequence[str]) -> list[Generation]:
        start = time.perf_counter()
        results = self.extract(texts)
        seconds = time.perf_counter() - start
        return [
            Generation(
                json.dumps(result.output, ensure_ascii=False),
                Usage(input_tokens=result.tokens, seconds=seconds, usd=0.0, machine_seconds=seconds / len(texts)),
                result.confidence,
            )
            for result in results
        ]

    def _read(self, loaded: _LoadedExtractor, texts: Sequence[str]) -> tuple[list[list[int]], list[list[Unit]]]:
        rows, units_of_rows = [], []
        for text, encoding in zip(
            texts, loaded.tokenizer.encode_batch([replace_surrogates(text) for text in texts]), strict=True
        ):
            if encoding.overflowing:
                log.warning("%s: a text was truncated to %d tokens", self.name, loaded.limit)
            rows.append(encoding.ids)
            units_of_rows.append(group_tokens(encoding.offsets, encoding.word_ids, text=text, by=loaded.layout.unit))
        return rows, units_of_rows

    def _load(self) -> _LoadedExtractor:
        if self._loaded is None:
            self._loaded = _load(self._folder)
        return self._loaded


def _confidence(loaded: _LoadedExtractor, decoded: DecodedObject) -> float:
    if loaded.slope is None or loaded.intercept is None:
        return math.exp(decoded.score)
    return float(logistic(loaded.slope * decoded.score + loaded.intercept))


def _scores(
    loaded: _LoadedExtractor, rows: Sequence[Sequence[int]], units_of_rows: Sequence[Sequence[Unit]]
) -> list[tuple[Floats, list[Floats]]]:
    """Return the logits of each row, in batches of similar length: of its words (words, tags), of each choice."""
    scores: list[tuple[Floats, list[Floats]]] = [(np.zeros((0, 0)), [])] * len(rows)
    for batch in batches_by_length(list(map(len, rows)), budget=BATCH_TOKENS):
        tags, choices = _forward(loaded, [rows[row] for row in batch])
        for position, row in enumerate(batch):
            word_tokens = [unit.token for unit in units_of_rows[row]]
            scores[row] = (tags[position][word_tokens], [choice[position] for choice in choices])
    return scores


def _forward(loaded: _LoadedExtractor, rows: Sequence[Sequence[int]]) -> tuple[Floats, list[Floats]]:
    torch, longest = need("torch", extra="local"), max(map(len, rows))
    ids = torch.tensor([[*row, *[loaded.pad] * (longest - len(row))] for row in rows], device=loaded.device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=loaded.device)
    with torch.inference_mode():
        states = loaded.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        weights = mask.unsqueeze(-1).float()
        mean = (states * weights).sum(dim=1) / weights.sum(dim=1)
        linear = torch.nn.functional.linear
        tags = linear(states, *loaded.heads["tags"]).double().cpu().numpy()
        choices = [
            linear(mean, *loaded.heads[f"choice{at}"]).double().cpu().numpy() for at in range(len(loaded.heads) - 1)
        ]
    return tags, choices


def _load(folder: Path) -> _LoadedExtractor:
    torch, library = need("torch", extra="local"), need("transformers", extra="local")
    settings = read_json(folder / "extractor.json")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    library.utils.logging.disable_progress_bar()
    verbosity = library.utils.logging.get_verbosity()
    library.utils.logging.set_verbosity_error()  # a missing pooler is expected, and would be reported
    try:
        with loading(f"the extractor in {folder}", hint="train it again"):
            weights = need("safetensors.torch", extra="local").load_file(folder / "heads.safetensors", device=device)
            heads = {
                key: (weights[f"{key}.weight"], weights[f"{key}.bias"])
                for key in {weight.split(".")[0] for weight in weights}
            }
            tokenizer = need("tokenizers", extra="local").Tokenizer.from_file(
                str(folder / "encoder" / "tokenizer.json")
            )
            model = library.AutoModel.from_pretrained(folder / "encoder", dtype=torch.float32)
            layout = layout_from_json(settings["layout"])
    finally:
        library.utils.logging.set_verbosity(verbosity)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    tokenizer.no_padding()
    tokenizer.enable_truncation(int(settings["max_tokens"]))
    return _LoadedExtractor(
        tokenizer=tokenizer,
        model=model.to(device).eval(),
        heads=heads,
        layout=layout,
        slope=settings["slope"],
        intercept=settings["intercept"],
        limit=int(settings["max_tokens"]),
        pad=int(model.config.pad_token_id or 0),
        device=device,
    )
