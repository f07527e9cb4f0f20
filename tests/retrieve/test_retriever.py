"""The retrieval pipeline over a real store and the real embedder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from groundtune.errors import BusyError, MissingError
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.protocols import Reranker, Retriever
from groundtune.retrieve.reranker import CrossEncoderReranker
from groundtune.retrieve.retriever import HybridRetriever
from groundtune.retrieve.stores.lance import LanceStore
from groundtune.types import Hit, IndexEntry, Passage, Question, Scope, Stage, Vectors

TEXTS = {
    "refund": "A refund is paid within 30 days of delivery when the seal is unbroken.",
    "refund-copy": "A refund is paid within 30 days of delivery when the seal is unbroken.",
    "refund-new": "A refund is paid within 45 days of delivery when the seal is unbroken.",
    "prices-2024": "Price list: the Wren costs 3,200 euros and the Robin costs 4,100 euros.",
    "prices-2025": "Price list: the Wren costs 3,400 euros and the Robin costs 4,300 euros.",
    "travel": "Employees book trains in second class; flights need the approval of the head of department.",
    "code": "Error XK-4471 means that the feed roller is jammed.",
    "lunch": "The canteen opens at noon.",
    "secret": "The refund fund of the board is kept in a separate account.",
}


class Longest:
    """Prefers long passages, whatever the question."""

    name = "longest"

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    async def score(self, question: str, passages: Sequence[Passage]) -> list[float]:
        self.asked.append((question, len(passages)))
        return [float(len(passage.text)) for passage in passages]


@pytest.fixture
async def store(tmp_path: Path, embedder: BundledEmbedder) -> LanceStore:
    store = await LanceStore.open(tmp_path / "s", dimension=embedder.dimension)
    vectors = await embedder.embed(list(TEXTS.values()))
    entries = [
        IndexEntry(
            Passage(f"{name}:0", name, f"{name}.md", 0, 0, len(text), text),
            "",
            name,
            vector,
            ("board",) if name == "secret" else ("*",),
            {"kind": name.split("-")[0]},
        )
        for (name, text), vector in zip(TEXTS.items(), vectors, strict=True)
    ]
    await store.replace(list(TEXTS), entries)
    return store


def names(hits: Sequence[Hit]) -> list[str]:
    return [hit.passage.document_id for hit in hits]


async def test_every_stage_can_be_requested_alone(store: LanceStore, embedder: BundledEmbedder) -> None:
    retriever = HybridRetriever(store, embedder)
    assert isinstance(retriever, Retriever)
    assert retriever.stages == ("bm25", "dense", "fused")
    question = Question("when is the refund paid")
    for stage in retriever.stages:
        hits = await retriever.search(question, k=3, stage=stage)
        assert len(hits) == 3
        assert names(hits)[0].startswith("refund")
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert all(hit.score == hit.stages[stage] for hit in hits)
    fused = await retriever.search(question, k=9, stage="fused")
    assert names(fused).count("refund") + names(fused).count("refund-copy") == 2  # duplicates stay in a single stage
    assert "bm25" not in next(hit for hit in fused if hit.passage.document_id == "lunch").stages


async def test_words_and_meaning_each_find_what_the_other_misses(store: LanceStore, embedder: BundledEmbedder) -> None:
    retriever = HybridRetriever(store, embedder)
    assert names(await retriever.search(Question("XK-4471"), k=1)) == ["code"]
    assert names(await retriever.search(Question("may I fly business to a customer?"), k=1)) == ["travel"]


async def test_near_duplicates_come_once_but_two_versions_both(store: LanceStore, embedder: BundledEmbedder) -> None:
    retriever = HybridRetriever(store, embedder)
    refunds = names(await retriever.search(Question("refund days of delivery seal"), k=9))
    assert len({"refund", "refund-copy"} & set(refunds)) == 1
    assert "refund-new" in refunds
    prices = names(await retriever.search(Question("what does the Wren cost"), k=2))
    assert sorted(prices) == ["prices-2024", "prices-2025"]


@pytest.mark.parametrize("stage", ["bm25", "dense", "fused", "reranked", None])
async def test_scope_holds_at_every_stage(store: LanceStore, embedder: BundledEmbedder, stage: Stage | None) -> None:
    retriever = HybridRetriever(store, embedder, reranker=Longest())
    text = "refund fund of the board"
    assert "secret" not in names(await retriever.search(Question(text), k=20, stage=stage))
    board = Scope(groups=("board",))
    assert "secret" in names(await retriever.search(Question(text, scope=board), k=20, stage=stage))
    prices = Scope(filters={"kind": "prices"})
    matches = names(await retriever.search(Question("Wren refund", scope=prices), k=20, stage=stage))
    assert sorted(matches) == ["prices-2024", "prices-2025"]


async def test_the_weight_moves_the_ranking(store: LanceStore, embedder: BundledEmbedder) -> None:
    question = Question("aviation journeys at noon")
    dense = await HybridRetriever(store, embedder, dense_weight=1.0).search(question, k=5)
    alone = await HybridRetriever(store, embedder).search(question, k=5, stage="dense")
    assert names(dense)[0] == names(alone)[0]
    lexical = await HybridRetriever(store, embedder, dense_weight=0.0).search(question, k=1)
    assert names(lexical) == ["lunch"]


async def test_one_search_serves_every_weight(store: LanceStore, embedder: BundledEmbedder) -> None:
    weights = [0.0, 0.4, 1.0]
    for question in (Question("when is the refund paid"), Question("XK-4471", scope=Scope(("board",)))):
        found = await HybridRetriever(store, embedder).search_by_weight(question, k=4, weights=weights)
        for weight, hits in zip(weights, found, strict=True):
            assert hits == await HybridRetriever(store, embedder, dense_weight=weight).search(question, k=4)


async def test_k_may_be_above_the_number_of_candidates(store: LanceStore, embedder: BundledEmbedder) -> None:
    retriever = HybridRetriever(store, embedder, candidates=2)
    assert len(await retriever.search(Question("refund"), k=50)) == 7  # all but the copy and the secret one
    assert len(await retriever.search(Question("refund"), k=1)) == 1


async def test_a_question_of_stop_words_still_finds_by_meaning(store: LanceStore, embedder: BundledEmbedder) -> None:
    retriever = HybridRetriever(store, embedder)
    assert await retriever.search(Question("the of and"), k=3, stage="bm25") == []
    assert len(await retriever.search(Question("the of and"), k=3)) == 3


async def test_duplicates_do_not_crowd_out_other_passages(store: LanceStore, embedder: BundledEmbedder) -> None:
    text = TEXTS["refund"]
    (vector,) = await embedder.embed([text])
    copies = [
        IndexEntry(Passage(f"c{n}:0", f"c{n}", f"c{n}.md", 0, 0, len(text), text), "", "copy", vector)
        for n in range(40)
    ]
    await store.replace([f"c{n}" for n in range(40)], copies)
    hits = await HybridRetriever(store, embedder).search(Question("refund days of delivery seal"), k=4)
    assert [hit.passage.text for hit in hits].count(text) == 1
    assert len(hits) == 4


class Written:
    """A store from which another process deletes between finding and reading passages, before it adds a new text."""

    def __init__(self, store: LanceStore, vector: Vectors, *, times: int) -> None:
        self.store = store
        self.vector = vector
        self.left = times

    async def read(self, ids: Sequence[str], *, scope: Scope) -> dict[str, Passage]:
        if self.left:
            self.left -= 1
            await self.store.delete(["refund"])
            passages = await self.store.read(ids, scope=scope)
            text = f"A refund is paid after {self.left} days, says the new rule."
            passage = Passage("refund:0", "refund", "refund.md", 0, 0, len(text), text)
            await self.store.replace(["refund"], [IndexEntry(passage, "", text, self.vector)])
            return passages
        return await self.store.read(ids, scope=scope)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.mark.parametrize("stage", ["bm25", "dense", "fused", "reranked", None])
async def test_the_search_is_retried_when_a_passage_is_gone_meanwhile(
    store: LanceStore, embedder: BundledEmbedder, stage: Stage | None
) -> None:
    (vector,) = await embedder.embed([TEXTS["refund"]])
    retriever = HybridRetriever(Written(store, vector, times=2), embedder, reranker=Longest())
    hits = await retriever.search(Question("refund paid"), k=9, stage=stage)
    (text,) = [hit.passage.text for hit in hits if hit.passage.document_id == "refund"]
    assert text == "A refund is paid after 0 days, says the new rule."


async def test_a_constantly_changing_index_raises_a_busy_error(store: LanceStore, embedder: BundledEmbedder) -> None:
    (vector,) = await embedder.embed([TEXTS["refund"]])
    with pytest.raises(BusyError, match="index keeps changing"):
        await HybridRetriever(Written(store, vector, times=1_000), embedder).search(Question("refund paid"), k=9)


async def test_the_reranker_has_the_last_word_on_the_best(store: LanceStore, embedder: BundledEmbedder) -> None:
    reranker = Longest()
    assert isinstance(reranker, Reranker)
    retriever = HybridRetriever(store, embedder, reranker=reranker, rerank_candidates=4)
    assert retriever.stages[-1] == "reranked"
    fused = await retriever.search(Question("refund"), k=9, stage="fused")
    assert reranker.asked == []
    hits = await retriever.search(Question("refund"), k=9, stage="reranked")
    assert reranker.asked == [("refund", 4)]
    lengths = [len(hit.passage.text) for hit in hits[:4]]
    assert lengths == sorted(lengths, reverse=True)
    assert {*names(hits[:4])} == {*names(fused[:4])}
    assert names(hits[4:]) == names(fused[4:])  # the others keep their order
    assert all("reranked" in hit.stages for hit in hits[:4])
    assert all("reranked" not in hit.stages for hit in hits[4:])
    whole = await retriever.search(Question("refund"), k=9)
    assert len({"refund", "refund-copy"} & set(names(whole))) == 1


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real cross-encoder with one small layer and random weights."""
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("cross") / "encoder"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "refund", "wren", "##s", "the", "paid", "price", "list"]
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=64, num_labels=1,
    )  # fmt: skip
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    BertForSequenceClassification(config).save_pretrained(folder)
    CrossEncoder(str(folder)).save_pretrained(str(folder))
    return folder


@pytest.mark.slow
async def test_a_cross_encoder_scores_every_passage(
    cross_encoder: Path, store: LanceStore, embedder: BundledEmbedder
) -> None:
    reranker = CrossEncoderReranker(str(cross_encoder), batch_size=2)
    assert isinstance(reranker, Reranker)
    passages = await store.scan(Scope())
    scores = await reranker.score("refund", passages)
    assert len(scores) == len(passages)
    assert all(isinstance(score, float) for score in scores)
    alone = [(await reranker.score("refund", [passage]))[0] for passage in passages]
    assert scores == pytest.approx(alone, abs=1e-5)  # batches do not mix passages up
    assert await reranker.score("refund", []) == []
    hits = await HybridRetriever(store, embedder, reranker=reranker).search(Question("refund"), k=5)
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


def test_a_cross_encoder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nowhere") as caught:
        CrossEncoderReranker(str(tmp_path / "nowhere"))
    assert caught.value.exit_code == 3
