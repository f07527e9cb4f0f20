"""Score a question and a passage together with a cross-encoder. Needs the extra `local`."""

import asyncio
from collections.abc import Sequence

from groundtune.common.model_loading import LOADING
from groundtune.errors import MissingError, need
from groundtune.types import Passage


class CrossEncoderReranker:
    """Any `sentence-transformers` cross-encoder, by hub name or path. Raises MissingError when it cannot be loaded."""

    def __init__(self, model: str, *, batch_size: int = 16) -> None:
        library = need("sentence_transformers", extra="local")
        self.name = model
        self._batch_size = batch_size
        try:
            with LOADING:
                self._model = library.CrossEncoder(model)
        except (OSError, ValueError) as error:
            raise MissingError(
                f"the reranker {model!r} cannot be loaded: {error}",
                hint="set [retrieval] reranker to a cross-encoder on the Hugging Face Hub, or to its folder",
            ) from error

    async def score(self, question: str, passages: Sequence[Passage]) -> list[float]:
        """Score the passages: higher is better, comparable within one question only."""
        if not passages:
            return []
        return await asyncio.to_thread(self._score, question, passages)

    def _score(self, question: str, passages: Sequence[Passage]) -> list[float]:
        pairs = [(question, passage.headed) for passage in passages]
        scores = self._model.predict(pairs, batch_size=self._batch_size, show_progress_bar=False)
        return [float(score) for score in scores]
