"""Retrieve passages: BM25 and dense search in parallel, fused, optionally reranked. Never reads files."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from groundtune.errors import BusyError
from groundtune.protocols import Embedder, Reranker, Store
from groundtune.retrieve.fusion import DEFAULT_DENSE_WEIGHT, FusedCandidate, LexicalShares, fuse, lexical_shares
from groundtune.retrieve.near_duplicates import FetchedCandidate, duplicate_of
from groundtune.types import Candidate, Hit, Passage, Question, Stage, Vectors

DEFAULT_CANDIDATES = 100
MAX_TRIES = 10


class _GoneError(Exception):
    """A passage disappeared between being found and being read."""


class HybridRetriever:
    """`Retriever` over one store. Groups and filters are applied inside both searches."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        *,
        dense_weight: float = DEFAULT_DENSE_WEIGHT,
        candidates: int = DEFAULT_CANDIDATES,
        reranker: Reranker | None = None,
        rerank_candidates: int = 30,
        language: str = "english",
    ) -> None:
        self._store = store
        self._embedder = embedder
        self.dense_weight = dense_weight
        """Share of the cosine in the fused score."""
        self._candidates = candidates
        self._reranker = reranker
        self._rerank_candidates = rerank_candidates
        self._language = language

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that can be requested alone, in the order in which they run."""
        return ("bm25", "dense", "fused", "reranked") if self._reranker else ("bm25", "dense", "fused")

    async def lexical_shares(self, question: Question) -> LexicalShares:
        """Return what BM25 contributes to the fused score of each passage, before weighting."""
        candidates = await self._store.lexical(question.text, k=self._candidates, scope=question.scope)
        return lexical_shares(candidates, complete=len(candidates) < self._candidates)

    async def search(self, question: Question, *, k: int, stage: Stage | None = None) -> list[Hit]:
        """Return at most k hits, best first. Without `stage`: the whole pipeline, near-duplicates removed.

        The search is retried when the index changes between finding and reading; BusyError when it keeps changing.
        """
        for _ in range(MAX_TRIES):
            with contextlib.suppress(_GoneError):
                return await self._search(question, k, stage)
        raise BusyError("the index keeps changing during the search", hint="wait for the ingest to finish")

    async def search_by_weight(self, question: Question, *, k: int, weights: Sequence[float]) -> list[list[Hit]]:
        """Return what `search` would find with each of these weights, without reranking; searches once for all."""
        for _ in range(MAX_TRIES):
            with contextlib.suppress(_GoneError):
                return await self._search_by_weight(question, k, weights)
        raise BusyError("the index keeps changing during the search", hint="wait for the ingest to finish")

    async def _search_by_weight(self, question: Question, k: int, weights: Sequence[float]) -> list[list[Hit]]:
        vector, lexical, dense = await self._both(question, width := max(k, self._candidates))
        known = await self._passages(question, list({one.id: one for one in (*lexical, *dense)}.values()))
        found = []
        for weight in weights:
            fused = fuse(lexical, dense, vector, dense_weight=weight, complete=len(lexical) < width)
            found.append([_hit(item) for item in await self._distinct(question, fused, k, known)])
        return found

    async def _search(self, question: Question, k: int, stage: Stage | None) -> list[Hit]:
        width = max(k, self._candidates)
        match stage:
            case "bm25":
                lexical = await self._store.lexical(question.text, k=k, scope=question.scope)
                return await self._alone(question, lexical, stage)
            case "dense":
                dense = await self._dense(question, await self._vector(question), k)
                return await self._alone(question, dense, stage)
            case "fused":
                fused = await self._fused(question, width)
                return [_hit(item) for item in await self._read(question, fused[:k])]
            case "reranked":
                fused = await self._fused(question, width)
                return (await self._rerank(question, await self._read(question, fused)))[:k]
            case None:
                fused = await self._fused(question, width)
                if self._reranker is None:
                    return [_hit(item) for item in await self._distinct(question, fused, k)]
                distinct = await self._distinct(question, fused, max(k, self._rerank_candidates))
                return (await self._rerank(question, distinct))[:k]

    async def _alone(self, question: Question, candidates: Sequence[Candidate], stage: Stage) -> list[Hit]:
        passages = await self._passages(question, candidates)
        return [Hit(passages[candidate.id], candidate.score, {stage: candidate.score}) for candidate in candidates]

    async def _distinct(
        self,
        question: Question,
        ranked: Sequence[FusedCandidate],
        count: int,
        known: Mapping[str, Passage] | None = None,
    ) -> list[FetchedCandidate]:
        """Return the first `count` candidates without near-duplicates, reading only as many passages as needed.

        A candidate kept names the sources of those that repeat it. known: the passages, if they were read before.
        """
        kept: list[FetchedCandidate] = []
        for start in range(0, len(ranked), 2 * count):
            for item in await self._read(question, ranked[start : start + 2 * count], known):
                index = duplicate_of(item, kept, language=self._language)
                if index is not None:
                    kept[index] = kept[index].naming(item.passage.source)
                elif len(kept) < count:
                    kept.append(item)
            if len(kept) == count:
                break
        return kept

    async def _read(
        self, question: Question, ranked: Sequence[FusedCandidate], known: Mapping[str, Passage] | None = None
    ) -> list[FetchedCandidate]:
        passages = known or await self._passages(question, [item.candidate for item in ranked])
        return [FetchedCandidate(item, passages[item.candidate.id]) for item in ranked]

    async def _passages(self, question: Question, candidates: Sequence[Candidate]) -> dict[str, Passage]:
        passages = await self._store.read([candidate.id for candidate in candidates], scope=question.scope)
        if len(passages) < len(candidates):
            raise _GoneError
        return passages

    async def _fused(self, question: Question, width: int) -> list[FusedCandidate]:
        vector, lexical, dense = await self._both(question, width)
        return fuse(lexical, dense, vector, dense_weight=self.dense_weight, complete=len(lexical) < width)

    async def _both(self, question: Question, width: int) -> tuple[Vectors, Sequence[Candidate], Sequence[Candidate]]:
        """Return the vector of the question, and what BM25 and dense search find."""
        lexical, (vector, dense) = await asyncio.gather(
            self._store.lexical(question.text, k=width, scope=question.scope),
            self._embedded_and_dense(question, width),
        )
        return vector, lexical, dense

    async def _embedded_and_dense(self, question: Question, k: int) -> tuple[Vectors, list[Candidate]]:
        vector = await self._vector(question)
        return vector, await self._dense(question, vector, k)

    async def _dense(self, question: Question, vector: Vectors, k: int) -> list[Candidate]:
        return await self._store.dense(vector, k=k, scope=question.scope)

    async def _vector(self, question: Question) -> Vectors:
        vector: Vectors = (await self._embedder.embed_queries([question.text]))[0]
        return vector

    async def _rerank(self, question: Question, fetched: Sequence[FetchedCandidate]) -> list[Hit]:
        """Return the best candidates in the reranker's order, then the others in their own."""
        if self._reranker is None:
            return [_hit(item) for item in fetched]
        head, tail = fetched[: self._rerank_candidates], fetched[self._rerank_candidates :]
        scores = await self._reranker.score(question.text, [item.passage for item in head])
        ranked = sorted(zip(head, scores, strict=True), key=lambda pair: -pair[1])
        return [_hit(item, reranked=score) for item, score in ranked] + [_hit(item) for item in tail]


def _hit(item: FetchedCandidate, *, reranked: float | None = None) -> Hit:
    fused = item.fused
    stages = {"dense": fused.dense, "fused": fused.score}
    if fused.bm25 is not None:
        stages["bm25"] = fused.bm25
    if reranked is not None:
        stages["reranked"] = reranked
    return Hit(item.passage, fused.score if reranked is None else reranked, stages, item.also_in)
