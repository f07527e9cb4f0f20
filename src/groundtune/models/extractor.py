"""Input to a JSON object by an extractor that `groundtune tune` made, or to null. Trains nothing, invents no value.

What it says stands in the input, character by character, or is one of the values that it may choose from. It computes
in float32, so that it says what the trainer said.
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

from groundtune.errors import GroundtuneError, MissingError, need
from groundtune.models.together import Together
from groundtune.spans import Layout, Said, Unit, layout_of, name, say, units, whole
from groundtune.types import Generation, Prompt, Usage
from groundtune.workspace import read_json

MODEL = "model"
BATCH_TOKENS = 4096
"""Tokens of one forward pass."""

Floats = NDArray[np.float64]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was taken out of a text."""

    output: dict[str, Any] | None
    """None when there is nothing to take out of it."""
    places: tuple[tuple[str, int, int], ...]
    """Field, first character, the one after the last: where the values stand."""
    confidence: float
    """Probability that the object is right, calibrated on the validation rows where enough of them were wrong."""
    tokens: int


@dataclass(frozen=True, slots=True)
class _Loaded:
    tokenizer: Any
    model: Any
    heads: Mapping[str, tuple[Any, Any]]
    layout: Layout
    slope: float | None
    intercept: float | None
    limit: int
    """Tokens that are read of a text."""
    pad: int
    device: str


class ExtractorGenerator:
    """`Generator` of objects as JSON text by the artifact in `folder`. For one event loop at a time.

    details: those of the artifact. Loads at the first question. Questions that wait together are answered together.
    A text longer than the model reads is cut, with a warning.
    """

    def __init__(self, folder: Path, details: Mapping[str, Any]) -> None:
        self.name = str(details.get("name") or folder.name)
        self._folder = folder / MODEL
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None
        self._together = Together(self._generations)

    async def generate(self, prompt: Prompt) -> Generation:
        """The object, or `null`; `usage.seconds` are those of its batch. Raises MissingError without the files."""
        return await self._together.ask(prompt.question)

    def extract(self, texts: Sequence[str]) -> list[Extracted]:
        """In order. Raises MissingError."""
        with self._lock:
            loaded = self._load()
            rows, where = self._read(loaded, texts)
            scores = _scores(loaded, rows, where)
        found = []
        for text, row, own, (tags, choices) in zip(texts, rows, where, scores, strict=True):
            said = say(loaded.layout, text, own, tags, choices)
            places = tuple((name(loaded.layout.fields[one.field].path), one.start, one.end) for one in said.spans)
            found.append(Extracted(said.output, places, _confidence(loaded, said), len(row)))
        return found

    def scores(self, texts: Sequence[str]) -> list[tuple[Floats, list[Floats]]]:
        """Before any softmax: of the words (words, tags), and of each choice (values,). Raises MissingError."""
        with self._lock:
            loaded = self._load()
            return _scores(loaded, *self._read(loaded, texts))

    def _generations(self, texts: Sequence[str]) -> list[Generation]:
        began = time.perf_counter()
        found = self.extract(texts)
        seconds = time.perf_counter() - began
        return [
            Generation(
                json.dumps(one.output, ensure_ascii=False),
                Usage(input_tokens=one.tokens, seconds=seconds, usd=0.0),
                one.confidence,
            )
            for one in found
        ]

    def _read(self, loaded: _Loaded, texts: Sequence[str]) -> tuple[list[list[int]], list[list[Unit]]]:
        rows, where = [], []
        for text, one in zip(texts, loaded.tokenizer.encode_batch([whole(text) for text in texts]), strict=True):
            if one.overflowing:
                log.warning("%s: a text was cut at %d tokens", self.name, loaded.limit)
            rows.append(one.ids)
            where.append(units(one.offsets, one.word_ids, text=text, by=loaded.layout.unit))
        return rows, where

    def _load(self) -> _Loaded:
        if self._loaded is None:
            self._loaded = _load(self._folder)
        return self._loaded


def _confidence(loaded: _Loaded, said: Said) -> float:
    if loaded.slope is None or loaded.intercept is None:
        return math.exp(said.score)
    curve = loaded.slope * said.score + loaded.intercept
    return 1 / (1 + math.exp(-min(50.0, max(-50.0, curve))))


def _scores(
    loaded: _Loaded, rows: Sequence[Sequence[int]], where: Sequence[Sequence[Unit]]
) -> list[tuple[Floats, list[Floats]]]:
    """Rows of like length go through the model together."""
    found: list[tuple[Floats, list[Floats]]] = [(np.zeros((0, 0)), [])] * len(rows)
    batch: list[int] = []
    for place in [*sorted(range(len(rows)), key=lambda one: len(rows[one])), None]:
        if batch and (place is None or (len(batch) + 1) * len(rows[place]) > BATCH_TOKENS):
            tags, choices = _forward(loaded, [rows[one] for one in batch])
            for at, one in enumerate(batch):
                own = [unit.token for unit in where[one]]
                found[one] = (tags[at][own], [each[at] for each in choices])
            batch = []
        if place is not None:
            batch.append(place)
    return found


def _forward(loaded: _Loaded, rows: Sequence[Sequence[int]]) -> tuple[Floats, list[Floats]]:
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


def _load(folder: Path) -> _Loaded:
    torch, library = need("torch", extra="local"), need("transformers", extra="local")
    about = read_json(folder / "extractor.json")
    damaged = need("safetensors", extra="local").SafetensorError
    device = "cuda" if torch.cuda.is_available() else "cpu"
    library.utils.logging.disable_progress_bar()
    before = library.utils.logging.get_verbosity()
    library.utils.logging.set_verbosity_error()  # that the layer on the first token is not there is no news
    try:
        weights = need("safetensors.torch", extra="local").load_file(folder / "heads.safetensors", device=device)
        heads = {
            key: (weights[f"{key}.weight"], weights[f"{key}.bias"]) for key in {one.split(".")[0] for one in weights}
        }
        tokenizer = need("tokenizers", extra="local").Tokenizer.from_file(str(folder / "encoder" / "tokenizer.json"))
        model = library.AutoModel.from_pretrained(folder / "encoder", dtype=torch.float32)
        layout = layout_of(about["layout"])
    except GroundtuneError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, damaged) as error:
        said = " ".join(str(error).split())[:300]
        raise MissingError(f"the extractor in {folder} cannot be loaded: {said}", hint="train it again") from error
    finally:
        library.utils.logging.set_verbosity(before)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    tokenizer.no_padding()
    tokenizer.enable_truncation(int(about["max_tokens"]))
    return _Loaded(
        tokenizer=tokenizer,
        model=model.to(device).eval(),
        heads=heads,
        layout=layout,
        slope=about["slope"],
        intercept=about["intercept"],
        limit=int(about["max_tokens"]),
        pad=int(model.config.pad_token_id or 0),
        device=device,
    )
