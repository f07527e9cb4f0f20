"""Measure a question before any approach is asked: what a router chooses by. Asks no language model."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from groundtune.protocols import Embedder, Retriever
from groundtune.types import Question

Signals = NDArray[np.float64]


class QuestionSignals:
    """The coordinates of a question's embedding, its length, and with a retriever the best score and its margin.

    Only what the user may see is searched. A question after others is measured alone, without its history.
    """

    def __init__(self, embedder: Embedder, retriever: Retriever | None) -> None:
        self._embedder = embedder
        self._retriever = retriever

    async def measure(self, questions: Sequence[Question]) -> Signals:
        """Return (questions, signals), those of the embedding first; NaN where a question has none."""
        vectors = await self._embedder.embed_queries([question.text for question in questions])
        others = [[math.log1p(len(question.text)), *await self._retrieved(question)] for question in questions]
        return np.concatenate([vectors.astype(np.float64), np.array(others)], axis=1)

    async def _retrieved(self, question: Question) -> list[float]:
        """Return the score of the best passage and its distance to the second; empty without a retriever."""
        if self._retriever is None:
            return []
        hits = await self._retriever.search(replace(question, history=()), k=2)
        scores = [hit.score for hit in hits]
        return [scores[0] if scores else math.nan, scores[0] - scores[1] if len(scores) > 1 else math.nan]
