"""`groundtune live`: what counts of reviews and ratings, what does not, and what is said about it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from groundtune import MissingError, Project
from groundtune.cli import main
from groundtune.project.validation import check_project
from groundtune.records.audit_log import AuditLog
from groundtune.records.feedback import FeedbackLog
from groundtune.review.queue import ReviewQueue, State
from tests.conftest import MakeProject

START = datetime(2027, 1, 1, tzinfo=UTC)


class Traffic:
    """A project whose server has answered, as its records say."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._log = AuditLog(project.workspace)
        self._feedback = FeedbackLog(project.workspace)
        self._queue = ReviewQueue(project.workspace, project.config.review)
        self._number = 0

    def answer(self, approach: str, question: str | None = None, **more: Any) -> str:
        """Record an answer; return its id."""
        self._number += 1
        moment = START + timedelta(hours=6 * self._number)
        record = {
            "id": f"{self._number:032x}", "time": moment.isoformat(timespec="milliseconds"), "approach": approach,
            "status": "answered", "caller": "ann", "key": None, "groups": [], "model": None, "passages": [],
            "citations": [], "confidence": 0.9, "degradation": None, "generator": "m", "cut": None,
        } | more  # fmt: skip
        texts = {"question": question or f"What is {self._number}?", "answer": f"{approach} says so."}
        self._log.append(record, texts)
        return str(record["id"])

    def pair(self, sent: State, second: State, **more: Any) -> tuple[str, str]:
        """Record an answer of rag and its shadow by tuned, and what a reviewer decided about the two."""
        question = more.pop("question", None) or f"What is {self._number + 1}?"
        answer = self.answer("rag", question, shadow="tuned")
        shadow = self.answer("tuned", question, shadow_of=answer, **more)
        for name, state in ((answer, sent), (shadow, second)):
            if state != "pending":
                text = "Better." if state == "edited" else None
                self._queue.decide(name, state, by="rita", text=text)
        return answer, shadow

    def rated(self, drawn: str, rating: str | None, *, caller: str, by: str | None = None, **more: Any) -> str:
        """Record an answer of a split of rag and tuned, and what a caller thinks of it."""
        split = {"choice": "rag", "second": "tuned", "share": 0.5, "by": "caller", "drawn": drawn}
        answer = self.answer(drawn, caller=caller, split=split, **more)
        if rating is not None:
            self._feedback.append(answer, rating, comment="", caller=by or caller)  # type: ignore[arg-type]
        return answer


@pytest.fixture
def traffic(make_project: MakeProject) -> Iterator[Traffic]:
    with Project.open(make_project({"docs/a.md": "# A\n\nOne.\n"}, toml="[review]\nsample = 0.0\n")) as project:
        yield Traffic(project)


def test_pairs_that_people_judged_are_compared(traffic: Traffic) -> None:
    states: list[tuple[State, State]] = [("accepted", "accepted")] * 6 + [("rejected", "accepted")] * 4
    for sent, second in [*states, ("edited", "accepted"), ("accepted", "rejected")]:
        traffic.pair(sent, second)
    traffic.pair("pending", "accepted")
    (live,) = traffic.project.compare_live().comparisons
    assert (live.kind, live.choice, live.second, live.n) == ("shadow", "rag", "tuned", 12)
    assert live.choice_share is not None
    assert live.second_share is not None
    assert (live.choice_share.mean, live.second_share.mean) == pytest.approx((7 / 12, 11 / 12))
    assert live.difference is not None
    assert live.difference.difference == pytest.approx(4 / 12)
    assert live.difference.low < 0 < live.difference.high
    assert not live.decided
    assert live.more is not None
    assert live.sentence == f"tuned beside rag: cannot tell yet, about {live.more:,} more pairs"
    assert live.notes == ("1 left out: a reviewer has yet to decide",)


def test_it_decides_when_one_is_measurably_better(traffic: Traffic) -> None:
    for _ in range(14):
        traffic.pair("rejected", "accepted")
    (live,) = traffic.project.compare_live().comparisons
    assert live.decided
    assert live.more is None
    assert live.sentence == "tuned is measurably better than rag on real questions"
    assert "tuned minus rag: +100 points" in str(traffic.project.compare_live())


def test_what_does_not_count_is_counted(traffic: Traffic) -> None:
    traffic.pair("accepted", "rejected", question="Same?")
    traffic.pair("rejected", "accepted", question="same? ")
    traffic.pair("accepted", "declined")
    traffic.pair("accepted", "accepted", degradation="tuned failed; rag answered instead")
    traffic.answer("rag", shadow="tuned")
    broken = traffic.answer("rag", shadow="tuned")
    traffic.answer("tuned", status="broken off", shadow_of=broken)
    erased, _ = traffic.pair("accepted", "accepted")
    AuditLog(traffic.project.workspace).erase([erased])
    (live,) = traffic.project.compare_live().comparisons
    assert live.n == 1
    assert live.more is None, "one pair says nothing of how many are needed"
    assert sorted(live.notes) == [
        "1 left out: a reviewer could not tell",
        "1 left out: another approach stood in",
        "1 left out: no second answer: it failed",
        "1 left out: no second answer: the server was busy or stopped, the budget spent, or the caller not allowed",
        "1 left out: the question was asked before",
        "1 left out: the text was erased",
    ]


def test_one_rating_counts_of_each_caller_and_only_of_whoever_asked(traffic: Traffic) -> None:
    for number in range(12):
        traffic.rated("rag", "up" if number < 6 else "down", caller=f"user {number}")
        traffic.rated("tuned", "up", caller=f"other {number}")
    traffic.rated("rag", "up", caller="user 1")
    traffic.rated("rag", "down", caller="someone", by="somebody else")
    traffic.rated("tuned", None, caller="silent")
    (live,) = traffic.project.compare_live().comparisons
    assert (live.kind, live.judged, live.n) == ("split", "helpful", 24)
    assert live.choice_share is not None
    assert live.second_share is not None
    assert (live.choice_share.mean, live.second_share.mean) == (0.5, 1.0)
    assert live.notes == (
        "2 left out: not rated by whoever asked",
        "1 left out: an earlier answer to the same caller was rated",
    )


def test_a_model_that_changed_meanwhile_is_named_and_can_be_left_out(traffic: Traffic) -> None:
    traffic.pair("accepted", "accepted")
    for _ in range(5):
        traffic.pair("accepted", "accepted", generator="m2")
    (live,) = traffic.project.compare_live().comparisons
    assert live.notes[-1].startswith("tuned: several models wrote its answers (5 by m2, 1 by m)")
    (later,) = traffic.project.compare_live(since=(START + timedelta(days=1)).date()).comparisons
    assert 0 < later.n < 6
    assert not any("several models" in note for note in later.notes)


def test_reviewers_do_not_learn_which_answer_is_which(traffic: Traffic) -> None:
    answer, shadow = traffic.pair("pending", "pending")
    FeedbackLog(traffic.project.workspace).append(answer, "down", comment="useless", caller="ann")
    doubtful = traffic.answer("rag", confidence=0.1)
    offered = []
    while item := traffic.project.next_review(by="rita", skip=offered):
        offered.append(item.item.answer)
        if item.item.answer != doubtful:
            hidden = (item.answer.approach, item.answer.confidence, item.comments, item.item.reasons)
            assert hidden == (None, None, (), ("compared",))
            assert item.answer.time == "2027-01-01T06:00:00.000+00:00", "both have the time of the one that was sent"
    assert offered == [*sorted((answer, shadow)), doubtful]
    listed = str(traffic.project.reviews())
    assert "compared with another answer" in listed
    assert "not helpful" not in listed


def test_an_accepted_second_answer_becomes_an_example_too(traffic: Traffic) -> None:
    traffic.pair("rejected", "accepted", question="What is one?")
    report = traffic.project.promote(by="rita")
    assert len(report.new) == 1
    collected = traffic.project.collect(traffic.project.root / "collected.jsonl", min_confidence=0.5)
    assert collected.new == (), "collect takes nothing that nobody saw"


def test_a_second_approach_that_cannot_exist_is_found_by_check(make_project: MakeProject) -> None:
    toml = '[serve.shadow]\napproach = "tunned"\n[serve.split]\napproach = "quote-bm25"\n'
    folder = make_project({"docs/a.md": "# A\n\nOne.\n"}, toml=toml, name="typo")
    found = {finding.place: finding.message for finding in check_project(folder).findings}
    assert found["serve.shadow.approach"] == 'there is no approach "tunned"'
    assert "serve.split.approach" not in found


def test_the_command(traffic: Traffic, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(traffic.project.root)
    assert main(["live", "-C", folder]) == 3
    assert "[serve.shadow]" in capsys.readouterr().err
    with pytest.raises(MissingError, match="no answer was drawn"):
        traffic.project.compare_live()
    traffic.pair("accepted", "rejected")
    traffic.rated("rag", "up", caller="ann")
    assert main(["live", "-C", folder]) == 0
    shown = capsys.readouterr().out
    assert "tuned beside rag: cannot tell yet" in shown
    assert "too little was judged" in shown
    assert main(["live", "-C", folder, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["kind"] for each in told["comparisons"]] == ["shadow", "split"]
    assert told["comparisons"][0]["difference"]["difference"] == -1
    assert told["comparisons"][1]["second_share"] is None
    assert main(["live", "-C", folder, "--since", "yesterday"]) == 2
