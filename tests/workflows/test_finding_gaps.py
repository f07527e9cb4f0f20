"""`groundtune gaps`: what people ask and the documents leave open, by topic and within access groups."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest

from groundtune import Project
from groundtune.cli import main
from groundtune.corpus.gaps import OpenQuestion, topics_of
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.records.audit_log import AuditLog
from groundtune.stats.clusters import groups_of
from tests.conftest import MakeProject

FILES = {
    "docs/a.md": "# Refunds\n\nA refund is paid within 30 days of delivery.\n",
    "docs/b.md": "# Money back\n\nA refund is paid within 60 days of delivery.\n",
    "docs/parking-2023.md": "# Parking 2023\n\nThe car park opens at seven in the morning for staff.\n",
    "docs/parking-2024.md": "# Parking 2024\n\nThe car park opens at eight in the morning for staff.\n",
    "docs/hr/pay.md": "# Pay\n\nThe pay band of grade nine ends at 91,000 pounds.\n",
}
ACCESS = '[documents]\ninclude = ["docs/**"]\n[[documents.access]]\ninclude = ["docs/hr/**"]\ngroups = ["hr"]\n'


@pytest.fixture
def project(make_project: MakeProject, embedder: BundledEmbedder) -> Iterator[Project]:
    with Project.open(make_project(FILES, toml=ACCESS)) as project:
        project.session.embedder = embedder
        project.ingest()
        yield project


def record(project: Project, question: str, source: str | None, groups: tuple[str, ...] = (), times: int = 1) -> None:
    """Append records of an answer that cites a document, or of an abstention."""
    hits = project.search(question, k=5, groups=groups) if source else []
    cited = [hit.passage.id for hit in hits if hit.passage.source == source]
    assert bool(cited) == bool(source)
    for _ in range(times):
        number = len(list(AuditLog(project.workspace).entries()))
        values = {
            "id": f"{number:032x}",
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "groups": list(groups),
            "status": "answered" if source else "abstained",
            "citations": [{"passage_id": passage, "support": "exact"} for passage in cited[:1]],
        }
        AuditLog(project.workspace).append(values, {"question": question, "answer": "…"})


def test_questions_are_listed_by_kind_and_topic(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    record(project, "When is a refund paid?", "docs/a.md", times=2)
    record(project, "When does the car park open?", "docs/parking-2023.md")
    record(project, "Is there a car park?", "docs/parking-2024.md")
    for dish in ("soup", "salad", "stew"):
        record(project, f"Which {dish} does the canteen serve today?", None, times=2)
    for device in ("laptop", "phone", "tablet"):
        record(project, f"How do I reset the password of my {device}?", None)
    report = project.gaps()
    kinds = {kind: [topic for topic in report.topics if topic.kind == kind] for kind in ("contradicting", "superseded")}
    (refund,) = kinds["contradicting"][0].questions
    assert (refund.question, refund.times, refund.sources) == ("When is a refund paid?", 2, ("docs/a.md", "docs/b.md"))
    assert refund.why == "30 days or 60 days"
    (parking,) = kinds["superseded"][0].questions
    assert (parking.sources, parking.why) == (("docs/parking-2023.md",), "replaced by docs/parking-2024.md")
    unanswered = [topic for topic in report.topics if topic.kind == "unanswered"]
    assert [(topic.times, len(topic.questions)) for topic in unanswered] == [(6, 3), (3, 3)]
    assert "canteen" in unanswered[0].label
    assert "password" in unanswered[1].label
    assert report.summary == "9 questions: 1 contradicting, 1 superseded, 6 unanswered"
    assert main(["gaps", "-C", str(project.root)]) == 0
    assert "Not answered by any document (2)" in capsys.readouterr().out


def test_questions_with_other_access_groups_are_left_out(project: Project) -> None:
    record(project, "What does grade nine earn in Iceland?", None, ("hr",))
    record(project, "Where is the bus stop?", None)
    everyone, hr = project.gaps(), project.gaps(groups=["hr"])
    assert [topic.questions[0].question for topic in everyone.topics] == ["Where is the bus stop?"]
    assert everyone.hidden == 1
    assert "1 question of people with other access groups left out" in str(everyone)
    assert (hr.asked, hr.hidden) == (2, 0)


def test_groups_that_no_word_tells_apart_are_one_topic() -> None:
    questions = [OpenQuestion("unanswered", f"How do I reset laptop {number}?", 1) for number in range(6)]
    apart = np.repeat(np.eye(4)[:2], 3, axis=0)
    (topic,) = topics_of("unanswered", questions, apart, "english")
    assert (topic.label, topic.times, len(topic.questions)) == ("laptop, reset", 6, 6)


def test_nothing_is_open_without_questions(project: Project) -> None:
    assert str(project.gaps()) == "0 questions: nothing is open"


def test_vectors_are_grouped_by_what_they_have_in_common() -> None:
    rng = np.random.default_rng(0)
    vectors = np.repeat(np.eye(8)[:3], [6, 4, 5], axis=0) + rng.normal(0, 0.05, (15, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert groups_of(vectors) == [list(range(6)), list(range(10, 15)), list(range(6, 10))]
    assert groups_of(vectors[:2]) == [[0], [1]]
    assert groups_of(np.empty((0, 3))) == []
