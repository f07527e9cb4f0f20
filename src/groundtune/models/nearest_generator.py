"""Classify inputs with an embedder alone: by nearest label description, or by a vote of the shots. Never trains."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import numpy as np

from groundtune.protocols import Embedder
from groundtune.types import Generation, Prompt, Shot, Usage, Vectors

SHARPNESS = 20.0
"""Steepness of the vote: a shot weighs exp(SHARPNESS x cosine)."""


class NearestGenerator:
    """`Generator` that picks a label by embedding similarity.

    If the prompt has shots, each votes for its label; otherwise the label with the nearest description wins.

    labels: name to description. nothing: the reply when a shot whose gold output is to abstain wins. usd: cost of one
    answer, None when unknown. The confidence is the winner's share of the vote. Distance-weighted voting as in
    Dudani 1976, with an exponential weight.
    """

    name = "nearest"
    reads_messages = False
    """It reads the parts of a prompt, not the rendered messages."""

    def __init__(self, embedder: Embedder, labels: Mapping[str, str], *, nothing: str, usd: float | None = 0.0) -> None:
        self._embedder = embedder
        self._labels = {name: about or name.replace("_", " ") for name, about in labels.items()}
        self._nothing = nothing
        self._usd = usd
        self._known: dict[str, Vectors] = {}
        self._lock = asyncio.Lock()

    async def generate(self, prompt: Prompt) -> Generation:
        started = time.perf_counter()
        votes = await self._by_shots(prompt) if prompt.shots else await self._by_description(prompt)
        total = sum(votes.values())
        winner = max(votes, key=lambda label: votes[label])
        seconds = time.perf_counter() - started
        usage = Usage(seconds=seconds, usd=self._usd, machine_seconds=seconds)
        return Generation(winner, usage, votes[winner] / total)

    async def _by_shots(self, prompt: Prompt) -> dict[str, float]:
        scores = [shot.score for shot in prompt.shots if shot.score is not None]
        if len(scores) < len(prompt.shots):
            scores = await self._cosines(prompt.question, [shot.example.input for shot in prompt.shots])
        votes: dict[str, float] = {}
        for shot, score in zip(prompt.shots, _weights(scores), strict=True):
            label = self._label(shot)
            votes[label] = votes.get(label, 0.0) + score
        return votes

    async def _by_description(self, prompt: Prompt) -> dict[str, float]:
        scores = await self._cosines(prompt.question, list(self._labels.values()))
        return dict(zip(self._labels, _weights(scores), strict=True))

    async def _cosines(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return the cosine of the question with each text. Caches the vectors of the texts."""
        async with self._lock:
            new = [text for text in dict.fromkeys(texts) if text not in self._known]
            if new:
                self._known.update(zip(new, await self._embedder.embed(new), strict=True))
        (question_vector,) = await self._embedder.embed_queries([question])
        return [float(self._known[text] @ question_vector) for text in texts]

    def _label(self, shot: Shot) -> str:
        gold = shot.example.output
        if gold is None:
            return self._nothing
        return str(gold[0]) if isinstance(gold, list | tuple) else str(gold)


def _weights(scores: Sequence[float]) -> list[float]:
    values = np.asarray(scores, dtype=np.float64)
    return [float(weight) for weight in np.exp(SHARPNESS * (values - values.max()))]
