"""Choose the examples a model is shown: a fixed set, or those nearest to the question. Never a test example."""

import asyncio
import hashlib
import io
import json
import logging
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from groundtune.common.conversations import HistoryUse, joined_text, searched_text
from groundtune.common.files import digest_text, write_atomic
from groundtune.protocols import Embedder
from groundtune.types import Example, Question, Shot, Vectors

EMBED_CHUNK = 2_048

log = logging.getLogger(__name__)


class FixedShots:
    """The same examples for every question. `ShotChooser`."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = tuple(examples)

    async def choose(self, question: Question) -> list[Shot]:
        return [Shot(example) for example in self._examples if _may_be_shown(example, question)]


class NearestShots:
    """The examples whose inputs are nearest to the question by cosine, the nearest last. `ShotChooser`.

    Embeds all examples on first use, and caches their vectors in `folder` when one is given. use_history: compare the
    conversations too, joined as for retrieval.
    """

    def __init__(
        self,
        embedder: Embedder,
        examples: Sequence[Example],
        *,
        count: int,
        folder: Path | None = None,
        use_history: bool = True,
    ) -> None:
        self._embedder = embedder
        self._examples = tuple(examples)
        self._count = count
        self._folder = folder
        self._use_history = use_history
        self._vectors: Vectors | None = None
        self._lock = asyncio.Lock()

    async def choose(self, question: Question) -> list[Shot]:
        vectors = await self._embedded()
        text = joined_text(question.text, question.history) if self._use_history else question.text
        (question_vector,) = await self._embedder.embed_queries([text])
        scores = vectors @ question_vector
        shots: list[Shot] = []
        for index in np.argsort(-scores, kind="stable"):
            example = self._examples[index]
            if _may_be_shown(example, question):
                shots.append(Shot(example, float(scores[index])))
            if len(shots) == self._count:
                break
        return shots[::-1]

    async def _embedded(self) -> Vectors:
        async with self._lock:
            if self._vectors is None:
                self._vectors = self._cached() if self._file else None
            if self._vectors is None:
                self._vectors = await self._embed()
        return self._vectors

    async def _embed(self) -> Vectors:
        inputs = self._inputs
        chunks = [
            await self._embedder.embed(inputs[start : start + EMBED_CHUNK])
            for start in range(0, len(inputs), EMBED_CHUNK)
        ]
        vectors = np.concatenate(chunks)
        if self._file:
            data = io.BytesIO()
            np.save(data, vectors)
            try:
                write_atomic(self._file, data.getvalue())
            except OSError as error:
                log.warning("vectors of examples could not be cached: %s", error)
        return vectors

    def _cached(self) -> Vectors | None:
        """Return the cached vectors; None when there are none or the file is truncated."""
        try:
            vectors = np.load(self._file) if self._file else None
        except (OSError, ValueError, EOFError):
            return None
        complete = vectors is not None and vectors.shape == (len(self._examples), self._embedder.dimension)
        return vectors if complete else None

    @property
    def _inputs(self) -> list[str]:
        """The texts that are compared with the question."""
        use: HistoryUse = "join" if self._use_history else "ignore"
        return [searched_text(example, use) for example in self._examples]

    @property
    def _file(self) -> Path | None:
        """Cache file, named after a digest of everything the vectors depend on."""
        if self._folder is None:
            return None
        inputs = json.dumps([self._embedder.digest, *self._inputs])
        return self._folder / f"{digest_text(inputs)[:32]}.npy"


def choose_fixed(examples: Sequence[Example], *, count: int, each_label: bool = False) -> list[Example]:
    """Choose `count` examples by a hash of their ids, independent of the order of the file.

    each_label: take them from every output in turn, at least one of each.
    """
    ordered = sorted(examples, key=lambda example: hashlib.sha256(example.id.encode(errors="surrogatepass")).digest())
    if not each_label:
        return ordered[:count]
    by_label: dict[str, list[Example]] = {}
    for example in ordered:
        by_label.setdefault(repr(_first(example.output)), []).append(example)
    in_turn = [example for turn in zip_longest(*by_label.values()) for example in turn if example is not None]
    return in_turn[: max(count, len(by_label))]


def _first(output: Any) -> Any:
    """Return the first of several correct outputs."""
    return output[0] if isinstance(output, list | tuple) and output else output


def _may_be_shown(example: Example, question: Question) -> bool:
    """Whether an example is neither the question itself nor restricted to groups that the user lacks."""
    same = example.input.strip() == question.text.strip() and example.history == question.history
    return not same and set(example.groups) <= set(question.scope.groups)
