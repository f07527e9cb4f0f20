"""Reviewed and well-liked answers become train examples, once each; nothing reaches what is measured with."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from groundtune.config import CheckConfig
from groundtune.config.review_table import ReviewConfig
from groundtune.dataset.editing import merge_examples
from groundtune.dataset.examples import read_examples
from groundtune.measure.output_checks import make_checks
from groundtune.types import Example
from groundtune.workflows.promoting import PromotionBasis, PromotionReport, collect, promote
from groundtune.workflows.reviewing_answers import ServedAnswers, agreements, list_items
from tests.review.test_queue import Desk

EXACT = {"marker": 1, "support": "exact", "passage_id": None, "document_id": None, "source": "a.md"}
EXACT |= {"start": 0, "end": 1, "added": False}
WHOLE = {"approach": "rag", "degradation": None, "cut": None, "caller": "ann", "confidence": None, "key": None}
TESTED = Example("t1", "What is the number forty?", "40", split="test")


class Shop(Desk):
    """A project folder with the examples of a test split."""

    @property
    def file(self) -> Path:
        return self.workspace.root / "reviewed.jsonl"

    def served(self, number: int, **more: Any) -> str:
        return self.answer(number, **{**WHOLE, **more})

    def basis(self) -> PromotionBasis:
        merge_examples(self.workspace.root / "examples.jsonl", [TESTED])
        checks = make_checks([CheckConfig(name="no apology", absent="sorry")], self.workspace.root)
        return PromotionBasis([TESTED], ["*.jsonl"], "english", str.strip, checks)

    def promote(self) -> PromotionReport:
        parts = self.workspace, self.queue(), ServedAnswers(None), self.file, self.basis()
        return asyncio.run(promote(*parts, by="ann"))

    def collect(self, min_confidence: float = 0.9) -> PromotionReport:
        parts = self.workspace, self.queue(), ServedAnswers(None), self.file, self.basis()
        return asyncio.run(collect(*parts, min_confidence=min_confidence))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_decisions_become_train_rows_once_each(shop: Shop) -> None:
    accepted, edited, rejected, declined, pending = (shop.served(number) for number in range(5))
    queue = shop.queue()
    queue.decide(accepted, "accepted", by="ann")
    queue.decide(edited, "edited", by="ann", text="41 is better")
    queue.decide(rejected, "rejected", by="ann")
    queue.decide(declined, "declined", by="ann")
    report = shop.promote()
    assert (len(report.new), report.pairs, report.left_out, report.used) == (2, 1, {}, True)
    rows = {row.input: row for row in read_examples(shop.file)}
    assert {text: (row.output, row.rejected) for text, row in rows.items()} == {
        "What is 0?": ("42", None),
        "What is 1?": ("41 is better", "42"),
    }
    assert {row.split for row in rows.values()} == {"train"}
    before = shop.file.read_bytes()
    assert shop.promote().new == ()
    assert shop.file.read_bytes() == before
    queue.decide(pending, "accepted", by="ann")
    assert len(shop.promote().new) == 1
    assert shop.file.read_bytes().startswith(before)


def test_a_promotion_that_was_killed_before_it_was_recorded_adds_nothing_twice(shop: Shop) -> None:
    name = shop.served(1)
    shop.queue().decide(name, "accepted", by="ann")
    (new,) = shop.promote().new
    for file in shop.workspace.folder.glob("review.sqlite*"):
        file.unlink()
    for entry in shop.audit.entries_of(name):
        if entry.record.get("event") == "promoted":
            assert entry.record["example"] == new
    log = shop.workspace.folder / "audit.sqlite"
    log.unlink()
    shop.served(1)
    shop.queue().decide(name, "accepted", by="ann")
    assert shop.promote().new == ()
    assert len(read_examples(shop.file)) == 1
    assert shop.queue().item(name).promoted == new


def test_nearly_a_test_question_is_left_out_and_named(shop: Shop) -> None:
    name = "e" * 32
    shop.audit.append(
        {
            "id": name,
            "time": "2026-01-01",
            "status": "answered",
            "groups": [],
            "citations": [],
            "passages": [],
            **WHOLE,
        },
        {"question": "The number FORTY is what?", "answer": "40"},
    )
    shop.queue().decide(name, "accepted", by="ann")
    report = shop.promote()
    assert (report.new, report.left_out) == ((), {"is nearly in the test split (t1)": 1})
    assert not shop.file.exists()


def test_only_good_answers_are_collected(shop: Shop) -> None:
    sure, cited = shop.served(1, confidence=0.95), shop.served(2, citations=[EXACT])
    liked = shop.served(3)
    doubts = {
        "not cited, and not sure": shop.served(10),
        "abstained": shop.served(11, status="abstained"),
        "cut off at max_tokens": shop.served(12, confidence=1.0, cut="max_tokens"),
        "another approach stood in": shop.served(13, confidence=1.0, degradation="rag failed"),
        "a sentence is not supported": shop.served(
            14, confidence=1.0, citations=[EXACT, {**EXACT, "support": "missing"}]
        ),
        "somebody disliked it": shop.served(15, confidence=1.0),
        "rejected in review": shop.served(16, confidence=1.0),
        'it fails the check "no apology"': shop.served(17, text="sorry, 42", confidence=1.0),
    }
    shop.feedback.append(liked, "down", comment="", caller="x")
    shop.feedback.append(liked, "up", comment="", caller="x")  # the latest of a caller counts
    shop.feedback.append(doubts["somebody disliked it"], "up", comment="", caller="y")
    shop.feedback.append(doubts["somebody disliked it"], "down", comment="", caller="x")
    shop.feedback.append(doubts["abstained"], "up", comment="", caller="x")
    shop.queue().decide(doubts["rejected in review"], "rejected", by="ann")
    report = shop.collect()
    assert report.left_out == dict.fromkeys(doubts, 1)
    assert len(report.new) == len({sure, cited, liked})
    rows = read_examples(shop.file)
    assert [(row.input, row.origin, row.split) for row in rows] == [
        (f"What is {number}?", "collected", "train") for number in (1, 2, 3)
    ]
    assert shop.collect().new == ()


def test_the_list_tells_counts_and_how_far_reviewers_agree(shop: Shop) -> None:
    queue = shop.queue(ReviewConfig(sample=1.0, reviewers=2))
    for number in range(12):
        name = shop.served(number)
        queue.decide(name, "accepted" if number % 2 else "rejected", by="ann")
        queue.decide(name, "accepted" if number % 2 and number != 3 else "rejected", by="bob")
    (pair,) = agreements(queue.items())
    assert (pair.a, pair.b, pair.agreement.n) == ("ann", "bob", 12)
    assert pair.agreement.kappa is not None
    assert pair.agreement.kappa.mean == pytest.approx(5 / 6)
    listed = list_items(queue, ["accepted"])
    assert (listed.counts["accepted"], listed.counts["rejected"], listed.counts["pending"]) == (5, 6, 1)
    assert len(listed.items) == 5
    for part in ("5 accepted", "What is 1?", "ann, bob", "Cohen's kappa 0.83"):
        assert part in str(listed)
