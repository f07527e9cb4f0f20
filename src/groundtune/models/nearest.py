"""Input to label without a model that writes: by the nearest description, or by a vote of the shots. Trains nothing."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import numpy as np

from groundtune.protocols import Embedder
from groundtune.types import Generation, Prompt, Shot, Usage, Vectors

SHARPNESS = 20.0
"""How much more a nearer shot counts: a vote weighs exp(SHARPNESS x cosine)."""


class NearestGenerator:
    """`Generator` of labels by an embedder: of the shots that a prompt has, each votes for its label; without shots
    the label whose description is nearest is the reply.

    labels: name to description. nothing: the reply for a shot whose right output was to abstain. usd: what one answer
    costs, None where nobody knows. Confidence is the share of the vote. Source of the weighting: Dudani 1976, with an
    exponential weight.
    """

    name = "nearest"

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
        usage = Usage(seconds=time.perf_counter() - started, usd=self._usd)
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
        """Of the question to each text; vectors of texts are kept."""
        async with self._lock:
            new = [text for text in dict.fromkeys(texts) if text not in self._known]
            if new:
                self._known.update(zip(new, await self._embedder.embed(new), strict=True))
        (asked,) = await self._embedder.embed_queries([question])
        return [float(self._known[text] @ asked) for text in texts]

    def _label(self, shot: Shot) -> str:
        gold = shot.example.output
        if gold is None:
            return self._nothing
        return str(gold[0]) if isinstance(gold, list | tuple) else str(gold)


def _weights(scores: Sequence[float]) -> list[float]:
    values = np.asarray(scores, dtype=np.float64)
    return [float(weight) for weight in np.exp(SHARPNESS * (values - values.max()))]
