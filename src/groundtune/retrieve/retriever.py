"""Question to passages: BM25 and dense search side by side, fused, optionally reranked. Never reads files."""

import asyncio
from collections.abc import Sequence
from itertools import islice

from groundtune.protocols import Embedder, Reranker, Store
from groundtune.retrieve.duplicates import distinct
from groundtune.retrieve.fuse import DEFAULT_DENSE_WEIGHT, Fused, Shares, fuse, lexical_shares
from groundtune.types import Candidate, Hit, Question, Stage, Vectors

DEFAULT_CANDIDATES = 100


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
    ) -> None:
        self._store = store
        self._embedder = embedder
        self.dense_weight = dense_weight
        """Share of the cosine in the fused score."""
        self._candidates = candidates
        self._reranker = reranker
        self._rerank_candidates = rerank_candidates

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that can be looked at alone, in the order in which they work."""
        return ("bm25", "dense", "fused", "reranked") if self._reranker else ("bm25", "dense", "fused")

    async def shares(self, question: Question) -> Shares:
        """What BM25 adds to the fused score of each passage, before its weight."""
        found, collection = await asyncio.gather(
            self._store.lexical(question.text, k=self._candidates, scope=question.scope), self._store.count()
        )
        return lexical_shares(found, collection=collection, complete=len(found) < self._candidates)

    async def search(self, question: Question, *, k: int, stage: Stage | None = None) -> list[Hit]:
        """At most k hits, best first. Without `stage`: the whole chain, near-duplicates shown once."""
        width = max(k, self._candidates)
        match stage:
            case "bm25":
                found = await self._store.lexical(question.text, k=k, scope=question.scope)
                return [Hit(c.passage, c.score, {"bm25": c.score}) for c in found]
            case "dense":
                found = await self._dense(question, await self._vector(question), k)
                return [Hit(c.passage, c.score, {"dense": c.score}) for c in found]
            case "fused":
                return [_hit(item) for item in (await self._fused(question, width))[:k]]
            case "reranked":
                return (await self._rerank(question, await self._fused(question, width)))[:k]
            case None:
                fused = await self._fused(question, width)
                if self._reranker is None:
                    return [_hit(item) for item in islice(distinct(fused), k)]
                return (await self._rerank(question, list(distinct(fused))))[:k]

    async def _fused(self, question: Question, width: int) -> list[Fused]:
        vector = await self._vector(question)
        lexical, dense, collection = await asyncio.gather(
            self._store.lexical(question.text, k=width, scope=question.scope),
            self._dense(question, vector, width),
            self._store.count(),
        )
        return fuse(
            lexical,
            dense,
            vector,
            dense_weight=self.dense_weight,
            collection=collection,
            complete=len(lexical) < width,
        )

    async def _dense(self, question: Question, vector: Vectors, k: int) -> list[Candidate]:
        return await self._store.dense(vector, k=k, scope=question.scope)

    async def _vector(self, question: Question) -> Vectors:
        vector: Vectors = (await self._embedder.embed_queries([question.text]))[0]
        return vector

    async def _rerank(self, question: Question, fused: Sequence[Fused]) -> list[Hit]:
        """The best candidates in the reranker's order, then the others in their own."""
        if self._reranker is None:
            return [_hit(item) for item in fused]
        head, tail = fused[: self._rerank_candidates], fused[self._rerank_candidates :]
        scores = await self._reranker.score(question.text, [item.passage for item in head])
        ranked = sorted(zip(head, scores, strict=True), key=lambda pair: -pair[1])
        return [_hit(item, reranked=score) for item, score in ranked] + [_hit(item) for item in tail]


def _hit(item: Fused, *, reranked: float | None = None) -> Hit:
    stages = {"dense": item.dense, "fused": item.score}
    if item.bm25 is not None:
        stages["bm25"] = item.bm25
    if reranked is not None:
        stages["reranked"] = reranked
    return Hit(item.passage, item.score if reranked is None else reranked, stages)
