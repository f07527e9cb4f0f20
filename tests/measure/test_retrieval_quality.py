import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import UsageError
from groundtune.measure.retrieval_quality import RankedPassage, RetrievalReport, evaluate_stages, locate
from groundtune.stats.ranking_metrics import ndcg_at, recall_at, reciprocal_rank
from groundtune.types import Document, Evidence, Example, Hit, Passage, Question, Stage

IDS = [f"p{at}" for at in range(12)]


@pytest.fixture(scope="module")
def ranx() -> Iterator[Any]:
    """Import ranx without JIT compilation, which takes longer than all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        if "NUMBA_DISABLE_JIT" not in os.environ:
            patch.setenv("NUMBA_DISABLE_JIT", "1")
        yield pytest.importorskip("ranx")


@pytest.mark.slow
def test_metrics_agree_with_ranx(ranx: Any) -> None:
    rng = random.Random(0)
    ranked = {f"q{at}": rng.sample(IDS, k=rng.randint(1, 12)) for at in range(60)}
    gold = {query: rng.sample([*IDS, "absent"], k=rng.randint(1, 5)) for query in ranked}
    qrels = ranx.Qrels({query: dict.fromkeys(ids, 1) for query, ids in gold.items()})
    run = ranx.Run(
        {query: {passage_id: 1 / (at + 1) for at, passage_id in enumerate(ids)} for query, ids in ranked.items()}
    )
    names = ["ndcg@10", "ndcg@3", "mrr", "recall@1", "recall@5", "recall@10"]
    theirs = ranx.evaluate(qrels, run, names, return_mean=False)
    for at, query in enumerate(sorted(ranked)):
        order, relevant = ranked[query], [{passage_id} for passage_id in gold[query]]
        ours = [
            ndcg_at(order, relevant),
            ndcg_at(order, relevant, 3),
            reciprocal_rank(order, relevant),
            *(recall_at(order, relevant, k) for k in (1, 5, 10)),
        ]
        assert ours == pytest.approx([theirs[name][at] for name in names]), query


@given(
    st.permutations(IDS),
    st.lists(st.sets(st.sampled_from([*IDS, "absent"]), max_size=4), min_size=1, max_size=4),
    st.integers(1, 12),
)
def test_metrics_lie_between_0_and_1(ranked: list[str], relevant: list[set[str]], k: int) -> None:
    for value in (recall_at(ranked, relevant, k), ndcg_at(ranked, relevant, k), reciprocal_rank(ranked, relevant)):
        assert 0 <= value <= 1
    assert recall_at(ranked, relevant, 1) <= recall_at(ranked, relevant, k)


def test_two_passages_with_the_same_evidence_count_once() -> None:
    assert ndcg_at(["a", "b", "x"], [{"a", "b"}]) == 1.0
    assert ndcg_at(["a", "x", "y"], [{"a", "b"}]) == 1.0
    assert ndcg_at(["x", "b", "a"], [{"a", "b"}]) == pytest.approx(0.6309, abs=1e-4)


def test_one_passage_with_two_pieces_of_evidence_is_a_perfect_start() -> None:
    assert ndcg_at(["ab", "x"], [{"ab"}, {"ab"}]) == 1.0
    assert ndcg_at(["x", "ab"], [{"ab"}, {"ab"}]) == pytest.approx(0.6309, abs=1e-4)


def test_evidence_without_a_passage_lowers_the_metrics() -> None:
    assert recall_at(["a"], [{"a"}, set()], 10) == 0.5
    assert ndcg_at(["a"], [{"a"}, set()]) == pytest.approx(1 / 1.6309, abs=1e-4)
    assert reciprocal_rank(["a"], [set()]) == 0.0


@pytest.mark.parametrize("figure", [ndcg_at, reciprocal_rank, lambda *args: recall_at(*args, 5)])
def test_metrics_require_evidence(figure: Any) -> None:
    with pytest.raises(ValueError):
        figure(["a"], [])


TEXT = "Refunds are paid. You may return it within 30 days of delivery to our shop. Ask us."
DOCUMENT = Document("d1", "returns.md", TEXT)
QUOTE = "you may  return it within 30 days of delivery"


def passage(id_: str, text: str, document: Document = DOCUMENT, heading: str = "") -> Passage:
    start = max(0, document.text.find(text))
    return Passage(id_, document.id, document.source, 0, start, start + len(text), text, heading)


WHOLE = passage("whole", TEXT[18:76])
HALF = passage("half", "You may return it within")
REST = passage("rest", "30 days of delivery to our shop.")


def test_a_passage_matches_with_the_larger_piece_that_a_prompt_gets() -> None:
    evidence = Evidence("returns.md", DOCUMENT.text)
    wider = replace(HALF, wider_start=0, wider_end=len(DOCUMENT.text))
    assert locate(evidence, DOCUMENT, [wider, REST]).relevant == {HALF.id}
    assert locate(evidence, DOCUMENT, [wider, REST]).cause == "ranked too low"


def test_half_a_quote_matches_only_if_no_passage_has_the_whole() -> None:
    evidence = Evidence("returns.md", QUOTE)
    assert locate(evidence, DOCUMENT, [WHOLE, HALF, REST]).relevant == {"whole"}
    split = locate(evidence, DOCUMENT, [HALF, REST])
    assert (split.relevant, split.cause) == ({"half"}, "split across passages")  # 5 of 9 words; the rest has 4


@pytest.mark.parametrize(
    ("document", "quote", "passages", "cause"),
    [
        (None, QUOTE, [], "not ingested"),
        (DOCUMENT, "Shipping is free of charge", [WHOLE], "not ingested"),
        (DOCUMENT, QUOTE, [passage("x", "You may"), passage("y", "delivery")], "split across passages"),
        (DOCUMENT, QUOTE, [WHOLE], "ranked too low"),
        (Document("d1", "returns.md", TEXT, groups=("hr",)), QUOTE, [WHOLE], "no access"),
    ],
)
def test_the_cause_of_a_miss(document: Document | None, quote: str, passages: list[Passage], cause: str) -> None:
    assert locate(Evidence("returns.md", quote), document, passages, groups=("sales",)).cause == cause


class Ranker:
    """Return fixed lists by question text and stage, and record the questions."""

    def __init__(self, lists: dict[tuple[str, Stage], Sequence[Passage]]) -> None:
        self.lists = lists
        self.asked: list[Question] = []

    async def search(self, question: Question, *, k: int, stage: Stage | None = None) -> list[Hit]:
        self.asked.append(question)
        assert stage
        return [Hit(item, 1.0) for item in self.lists[question.text, stage]][:k]


OTHER = passage("other", "One two three four five six seven eight nine ten eleven twelve thirteen", heading="A > B")
EXAMPLES = [
    Example("q1", "first", "30 days", (Evidence("returns.md", QUOTE),), groups=("hr",)),
    Example("q2", "second", "x", (Evidence("gone.md", "no such text"),)),
    Example("q3", "unanswerable"),
]
LISTS: dict[tuple[str, Stage], Sequence[Passage]] = {
    ("first", "bm25"): [OTHER, WHOLE],
    ("second", "bm25"): [OTHER],
    ("first", "dense"): [WHOLE],
    ("second", "dense"): [],
}


async def report(ranker: Ranker, examples: Sequence[Example] = EXAMPLES) -> RetrievalReport:
    looked_up: list[str] = []

    async def find_document(source: str) -> Document | None:
        looked_up.append(source)
        return DOCUMENT if source == DOCUMENT.source else None

    async def passages_of(document_id: str) -> list[Passage]:
        assert document_id == "d1"
        return [WHOLE, OTHER]

    done = await evaluate_stages(
        ranker, examples, stages=["bm25", "dense"], find_document=find_document, passages_of=passages_of, k=5
    )
    assert len(looked_up) == len(set(looked_up))
    return done


async def test_every_stage_is_measured_on_the_same_questions() -> None:
    ranker = Ranker(LISTS)
    done = await report(ranker)
    assert (done.k, done.questions, done.skipped) == (5, 2, 1)
    bm25, dense = done.stages
    assert set(bm25.metrics) == {"recall@1", "recall@5", "ndcg@5", "mrr"}
    assert [bm25.metrics[name].mean for name in ("recall@1", "recall@5", "mrr")] == [0.0, 0.5, 0.25]
    assert [dense.metrics[name].mean for name in ("recall@1", "recall@5", "mrr")] == [0.5, 0.5, 0.5]
    assert bm25.metrics["mrr"].n == 2
    assert {question.scope.groups for question in ranker.asked if question.text == "first"} == {("hr",)}


async def test_the_worst_questions_report_what_was_retrieved_instead_and_why() -> None:
    bm25, dense = (await report(Ranker(LISTS))).stages
    missing, late = bm25.worst
    assert (missing.example, missing.rank, missing.cause) == ("q2", None, "not ingested")
    words = "One two three four five six seven eight nine ten eleven twelve …"
    assert missing.instead == late.instead == (RankedPassage("returns.md", "A > B", words),)
    assert (late.question, late.source, late.quote) == ("first", "returns.md", QUOTE)
    assert (late.rank, late.cause) == (2, None)
    assert [miss.example for miss in dense.worst] == ["q2"]
    assert (bm25.failures, bm25.pieces) == (1, 2)
    assert bm25.causes == {
        "not ingested": 1.0,
        "no access": 0.0,
        "split across passages": 0.0,
        "ranked too low": 0.0,
    }


async def test_without_failures_all_shares_are_0() -> None:
    bm25, _ = (await report(Ranker(LISTS), EXAMPLES[:1])).stages
    assert bm25.failures == 0
    assert set(bm25.causes.values()) == {0.0}


async def test_examples_without_evidence_cannot_be_evaluated() -> None:
    with pytest.raises(UsageError):
        await report(Ranker(LISTS), EXAMPLES[2:])


async def test_exceptions_of_the_retriever_propagate() -> None:
    with pytest.raises(KeyError):
        await report(Ranker({}))
