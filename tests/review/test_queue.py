"""The queue of served answers: what comes in, who gets it, what is decided, and that it follows from the logs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from groundtune.config.review_table import ReviewConfig
from groundtune.errors import MissingError, QuestionError
from groundtune.records.audit_log import AuditLog
from groundtune.records.feedback import FeedbackLog
from groundtune.review.queue import ERASED, QueueItem, ReviewQueue, settled
from groundtune.workflows.reviewing_answers import group_agreement, list_items
from groundtune.workspace import Workspace

ALL = ReviewConfig(sample=1.0)
NONE = ReviewConfig(sample=0.0)
START = datetime(2026, 1, 1, tzinfo=UTC)


class Desk:
    """A project folder with its logs."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace(folder)
        self.audit = AuditLog(self.workspace)
        self.feedback = FeedbackLog(self.workspace)

    def queue(self, settings: ReviewConfig = ALL) -> ReviewQueue:
        return ReviewQueue(self.workspace, settings)

    def answer(self, number: int, *, text: str = "42", **more: Any) -> str:
        name = f"{number:032x}"
        record = {"id": name, "time": (START + timedelta(minutes=number)).isoformat(timespec="milliseconds")}
        record |= {"status": "answered", "groups": [], "confidence": 0.9, "citations": [], "passages": []}
        self.audit.append({**record, **more}, {"question": f"What is {number}?", "answer": text})
        return name


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def names(items: list[QueueItem]) -> list[str]:
    return [item.answer for item in items]


def test_what_is_doubtful_comes_in_with_its_reason_and_in_order(desk: Desk) -> None:
    desk.answer(1)
    unsure = desk.answer(2, confidence=0.2)
    silent = desk.answer(3, status="abstained", confidence=None)
    unsupported = desk.answer(4, citations=[{"marker": 1, "support": "missing"}])
    unchecked = desk.answer(5, citations=[{"marker": 1, "support": "unchecked"}])
    disliked = desk.answer(6)
    desk.answer(7, confidence=None)
    desk.answer(8, status="broken off")
    desk.answer(9, citations=[{"marker": None, "support": "uncited"}])
    desk.feedback.append(disliked, "down", comment="", caller="x")
    desk.feedback.append(unchecked, "up", comment="", caller="x")
    desk.feedback.append("no-such-answer", "down", comment="", caller="x")
    items = desk.queue(NONE).items()
    assert [(item.answer, item.reasons) for item in items] == [
        (disliked, ("thumbs_down",)),
        (unsupported, ("unsupported",)),
        (unsure, ("low_confidence",)),
        (silent, ("abstained",)),
    ]


def test_a_sample_of_everything_is_the_same_each_time(desk: Desk) -> None:
    everything = [desk.answer(number) for number in range(60)]
    drawn = names(desk.queue(ReviewConfig(sample=0.5)).items())
    assert 15 <= len(drawn) <= 45
    (desk.workspace.folder / "review.sqlite").unlink()
    assert names(desk.queue(ReviewConfig(sample=0.5)).items()) == drawn
    assert set(drawn) < set(everything)


def test_a_queue_that_is_removed_is_made_anew(desk: Desk) -> None:
    first, second = desk.answer(1), desk.answer(2)
    queue = desk.queue()
    queue.decide(first, "edited", by="ann", text="better", note="too short")
    queue.assign(second, "bob", by="ann")
    queue.promoted({first: "review-1"}, file="reviewed.jsonl", by="ann")
    before = queue.items()
    for name in ("review.sqlite", "review.sqlite-wal", "review.sqlite-shm"):
        (desk.workspace.folder / name).unlink(missing_ok=True)
    assert desk.queue().items() == before
    assert [(item.state, item.assignee, item.promoted) for item in before] == [
        ("edited", None, "review-1"),
        ("pending", "bob", None),
    ]
    assert desk.audit.verify().problem is None
    data = (desk.workspace.folder / "review.sqlite").read_bytes()
    assert b"better" not in data
    assert b"too short" not in data


def test_another_audit_log_is_read_from_its_beginning(desk: Desk) -> None:
    old = [desk.answer(number) for number in range(3)]
    assert len(desk.queue().items()) == 3
    (desk.workspace.folder / "audit.sqlite").unlink()
    new = [desk.answer(number) for number in range(10, 16)]
    assert set(names(desk.queue().items())) == {*old, *new}


def test_an_item_is_offered_to_one_person_at_a_time(desk: Desk) -> None:
    first, second = desk.answer(1), desk.answer(2)
    queue = desk.queue()
    assert [answer for answer, _ in queue.waiting_for("ann")] == [first, second]
    assert queue.open(first, "ann")
    assert [answer for answer, _ in queue.waiting_for("bob")] == [second]
    assert not queue.open(first, "bob")
    assert queue.open(second, "ann"), "who goes on leaves the item before to others"
    assert queue.open(first, "bob")
    queue.decide(first, "accepted", by="bob")
    assert not queue.open(first, "ann"), "it was decided meanwhile"
    third = desk.answer(3)
    queue.assign(third, "eve", by="ann")
    assert queue.waiting_for("bob") == []
    assert [answer for answer, _ in queue.waiting_for("eve")] == [third]
    fourth = desk.answer(4)
    queue.fill()
    assert queue.open(fourth, "ann")
    queue.assign(fourth, "bob", by="ann")
    assert (fourth, ()) in queue.waiting_for("bob"), "at once, though ann had it open"


def test_more_than_two_reviewers_have_one_agreement(desk: Desk) -> None:
    queue = desk.queue(ReviewConfig(sample=1.0, reviewers=3))
    for number in range(12):
        name = desk.answer(number)
        for by in ("ann", "bob", "eve"):
            queue.decide(name, "rejected" if number % 3 == 0 or (by, number) == ("eve", 1) else "accepted", by=by)
    group = group_agreement(queue.items())
    assert group is not None
    assert (group.people, group.items) == (3, 12)
    assert group.kappa is not None
    assert group.kappa.low < group.kappa.mean < 1
    assert "all 3 together on 12 items: Fleiss' kappa 0.8" in str(list_items(queue, []))
    assert group_agreement([item for item in queue.items() if len(item.votes) > 3]) is None


def test_a_decision_can_be_changed_by_who_made_it_until_it_is_an_example(desk: Desk) -> None:
    name = desk.answer(1)
    queue = desk.queue()
    assert queue.decide(name[:32], "accepted", by="ann").state == "accepted"
    with pytest.raises(QuestionError, match="ann decided meanwhile"):
        queue.decide(name, "rejected", by="bob")
    assert queue.decide(name, "pending", by="ann").state == "pending"
    assert queue.decide(name, "rejected", by="bob").state == "rejected"
    queue.promoted({name: "review-1"}, file="f", by="bob")
    with pytest.raises(QuestionError, match="is an example already"):
        queue.decide(name, "pending", by="bob")
    with pytest.raises(QuestionError, match="needs its text"):
        queue.decide(name, "edited", by="bob", text=" ")
    with pytest.raises(MissingError):
        queue.decide("f" * 32, "accepted", by="bob")


def test_several_reviewers_have_to_agree(desk: Desk) -> None:
    name = desk.answer(1)
    queue = desk.queue(ReviewConfig(sample=1.0, reviewers=2))
    assert queue.decide(name, "accepted", by="ann").state == "pending"
    assert queue.waiting_for("ann") == []
    assert queue.decide(name, "rejected", by="bob").state == "pending"
    item = queue.decide(name, "rejected", by="eve")
    assert item.state == "rejected"
    assert [(vote.by, vote.state) for vote in item.votes] == [
        ("ann", "accepted"),
        ("bob", "rejected"),
        ("eve", "rejected"),
    ]


@pytest.mark.parametrize(
    ("votes", "reviewers", "state"),
    [
        ([], 1, "pending"),
        (["accepted"], 1, "accepted"),
        (["accepted"], 2, "pending"),
        (["accepted", "accepted"], 2, "accepted"),
        (["accepted", "rejected"], 2, "pending"),
        (["accepted", "rejected", "edited"], 3, "pending"),
        (["accepted", "rejected", "edited", "edited"], 3, "edited"),
    ],
)
def test_what_most_say_counts(votes: list[Any], reviewers: int, state: str) -> None:
    assert settled(votes, reviewers) == state


def test_an_item_whose_text_is_erased_is_declined_and_its_edits_are_erased_too(desk: Desk) -> None:
    gone, edited = desk.answer(1), desk.answer(2)
    queue = desk.queue()
    queue.decide(edited, "edited", by="ann", text="a secret")
    assert desk.audit.erase({gone, edited}) == 2
    assert queue.entry(gone) is None
    queue.close_erased(gone)
    assert {item.answer: item.state for item in queue.items()} == {gone: "declined", edited: "edited"}
    assert [entry.texts.get("note") for entry in desk.audit.entries_of(gone)] == [None, ERASED]
    assert all(not entry.texts for entry in desk.audit.entries_of(edited))
    assert b"a secret" not in (desk.workspace.folder / "audit.sqlite").read_bytes()
    assert desk.audit.verify().problem is None
