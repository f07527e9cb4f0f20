"""`groundtune drift`: what it says of planted changes, and that it says nothing where nothing has changed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from groundtune import MissingError, Project
from groundtune.cli import main
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.records.audit_log import AuditLog
from groundtune.records.feedback import FeedbackLog
from groundtune.workflows.canary import read_canary
from groundtune.workflows.kept_drift import read_kept_drift
from tests.conftest import MakeProject

REFUNDS = "When is the refund for order {} paid to my bank account?"
LAPTOPS = "How do I reset the password of laptop {} in the office?"


@pytest.fixture
def project(make_project: MakeProject, embedder: BundledEmbedder) -> Iterator[Project]:
    folder = make_project({"docs/refunds.md": "# Refunds\n\nA refund is paid within 30 days.\n"})
    with Project.open(folder) as project:
        project.session.embedder = embedder
        yield project


def serve_answers(project: Project, template: str, number: int, *, days_ago: float, **values: Any) -> list[str]:
    """Append records as the server does; return the ids of the answers."""
    log, start, ids = AuditLog(project.workspace), datetime.now(UTC) - timedelta(days=days_ago), []
    for place in range(number):
        time = (start + timedelta(seconds=place)).isoformat(timespec="milliseconds")
        usage = {"seconds": 1 + place / 100, "usd": 0.0, **values.get("usage", {})}
        record = {
            "id": f"{template[:4].lower().strip()}-{place}-{days_ago}",
            "time": time,
            "model": None,
            "status": "answered",
            "approach": "quote-hybrid",
            "best_score": 0.5 + place / 1000,
            "citations": [{"support": "exact"}],
            **values,
            "usage": usage,
        }
        log.append(record, {"question": template.format(place), "answer": "Within 30 days."})
        ids.append(record["id"])
    return ids


def test_nothing_is_measurable_where_nothing_has_changed(project: Project) -> None:
    serve_answers(project, REFUNDS, 25, days_ago=20)
    serve_answers(project, REFUNDS, 20, days_ago=2)
    report = project.drift()
    assert (report.recent, report.earlier, report.run) == (20, 25, None)
    assert not report.measurable
    assert report.actions == report.to_label == ()
    assert str(report).startswith("nothing measurable\n20 answers of the last 7 days, 25 before; no comparison\n")
    assert report.accuracy.unknown == "the project's choice was not compared"


def test_other_questions_are_listed_to_label(project: Project) -> None:
    alike = {"best_score": 0.5, "usage": {"seconds": 1.0}}
    serve_answers(project, REFUNDS, 25, days_ago=20, **alike)
    serve_answers(project, REFUNDS, 10, days_ago=3, **alike)
    other = serve_answers(project, LAPTOPS, 10, days_ago=2, **alike)
    report = project.drift(label=8)
    assert [action.kind for action in report.actions] == ["label"]
    assert report.actions[0].text == "label these 8: people ask other questions than before"
    kept = read_kept_drift(project.workspace)
    assert kept is not None
    assert (kept.summary, kept.changed, kept.recent) == (report.summary, ("questions",), 20)
    assert "laptop" not in (project.workspace.folder / "drift.json").read_text(), "no question has to be erased there"
    assert {row.id for row in report.to_label} <= set(other)
    assert len(report.to_label) == 8
    questions = next(signal for signal in report.signals if signal.measurable)
    assert (questions.name, questions.reference) == ("questions", "earlier traffic")


def test_worse_retrieval_and_slower_answers_are_told_apart(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_answers(project, REFUNDS, 25, days_ago=20)
    slow = serve_answers(project, REFUNDS, 25, days_ago=2, best_score=0.2, usage={"seconds": 9.0})
    feedback = FeedbackLog(project.workspace)
    for answer in slow[:12]:
        feedback.append(answer, "down", comment="", caller="anna")
    assert main(["drift", "-C", str(project.root), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["measurable"]
    assert [action["kind"] for action in report["actions"]] == ["re-index", "look"]
    signals = {signal["name"]: signal for signal in report["signals"]}
    assert signals["seconds"]["effect"]["low"] > 7
    assert signals["rated down"]["untested"] == "12 values now and 0 before; 10 each are needed"


def test_answers_that_were_asked_of_another_approach_do_not_count(project: Project) -> None:
    serve_answers(project, REFUNDS, 25, days_ago=20)
    serve_answers(project, REFUNDS, 25, days_ago=2)
    serve_answers(project, REFUNDS, 25, days_ago=1, approach="quote-bm25", model="quote-bm25", best_score=0.1)
    assert not project.drift().measurable


def test_without_records_it_says_so(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MissingError, match="no answer was recorded in the last 7 days"):
        project.drift()
    assert main(["drift", "-C", str(project.root)]) == 3
    assert "groundtune serve records them" in capsys.readouterr().err


def test_the_canary_is_frozen_first_and_compared_then(make_project: MakeProject, embedder: BundledEmbedder) -> None:
    rows = [
        {"id": f"e{number}", "input": f"When is a refund paid, {name}?", "output": "30 days", "split": "test"}
        for number, name in enumerate(("Anna", "Ben", "Carla", "Dora"))
    ]
    folder = make_project(
        {
            "docs/refunds.md": "# Refunds\n\nA refund is paid within 30 days.\n",
            "examples.jsonl": "\n".join(map(json.dumps, rows)),
        },
        toml='[documents]\ninclude = ["docs/**"]\n[examples]\nfiles = ["examples.jsonl"]\n[drift]\ncanary = 6\n',
    )
    with Project.open(folder) as project:
        project.session.embedder = embedder
        project.ingest()
        serve_answers(project, REFUNDS, 12, days_ago=2)
        first = project.drift()
        assert first.canary is None
        assert first.notes == ("canary: 4 answers are frozen now; the next run compares with them",)
        second = project.drift().canary
        assert second is not None
        assert (second.n, second.changed, second.passed, second.new_index) == (4, (), True, False)
        (folder / "docs/refunds.md").write_text("# Refunds\n\nA refund is paid within 60 days.\n")
        project.ingest()
        third = project.drift().canary
        assert third is not None
        assert (len(third.changed), len(third.worse), third.new_index) == (4, 4, True)
        kept = read_canary(project.workspace)
        assert kept is not None
        assert kept.last == third
        assert project.drift(canary=False).canary is None
