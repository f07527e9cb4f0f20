"""What was forgotten is in no file of `.groundtune`, is not read again, and models that learnt it answer nobody."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundtune import Project, UsageError
from groundtune.ingest.forgotten import read_forgotten
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.project.validation import check_project
from groundtune.records.audit_log import AuditLog
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.tune.artifacts import write_artifact
from groundtune.tune.job import Job, TrainingRow, write_job
from groundtune.types import Artifact
from tests.serve.conftest import HTTP, model_table, running, write_project

MARKER = "Q7X-4411-ZEBRA"
SECRET = f"The spare key of Anna Holm has the number {MARKER} and hangs behind the boiler."
SOURCE = "docs/keys.md"
EXAMPLES = [
    {"id": "e1", "input": "Where does the spare key hang?", "output": "Behind the boiler.", "split": "test",
     "evidence": [{"source": SOURCE, "quote": SECRET}], "origin": "drafted"},
    {"id": "e2", "input": "When is a refund paid?", "output": "Within 30 days.", "split": "test"},
    {"id": "e3", "input": f"Who has {MARKER}?", "output": "Anna Holm.", "split": "train"},
]  # fmt: skip


def everywhere(folder: Path, text: str) -> list[str]:
    """Return the files below a folder that hold the text, also as JSON writes it."""
    forms = {text.encode(), json.dumps(text)[1:-1].encode(), text.casefold().encode()}
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path.relative_to(folder)) for path in files if any(form in path.read_bytes() for form in forms)]


def reply(body: Any) -> Reply:
    return Reply(f"{SECRET} [1]" if "key" in body["messages"][-1]["content"] else "Within 30 days of delivery [1].")


def add_model(project: Project, name: str, *, source: str) -> Artifact:
    """Add what a finished training leaves: rows, log and artifact."""
    folder = project.workspace.models / f"{name}-20260101-000000"
    rows = [TrainingRow("r1", "Where is the key?", SECRET, sources=(source,)), TrainingRow("r2", "a", "b")]
    write_job(Job(folder, name, "lora", "base", {}), rows, rows[1:])
    (folder / "log.txt").write_text(f"row 1: {SECRET}\n")
    details = [folder.name, name, "lora", "base", "d", "d", {}, {}, {}, {}, "2026-01-01", 1.0, 0.0]
    artifact = Artifact(*details, seen_documents=(source,))  # type: ignore[arg-type]
    write_artifact(folder, artifact)
    return artifact


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Path:
    """Return a project whose secret document was served, compared, drafted from and trained on."""
    with ScriptedServer(reply) as model:
        folder = write_project(
            tmp_path_factory.mktemp("used"), f'{model_table(model)}[examples]\nfiles = ["examples.jsonl"]\n'
        )
        (folder / SOURCE).write_text(f"# Keys\n\n{SECRET}\n")
        (folder / "docs/copy of keys.md").write_text(f"# Keys\n\n{SECRET}\n")
        (folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in EXAMPLES))
        with running(folder, embedder, model) as server:
            asked = HTTP.post(f"{server.url}/api/ask", json={"question": f"Where hangs the key {MARKER}?"})
            answer = json.loads(asked.text.rpartition("event: done\ndata: ")[2])["id"]
            rated = {"answer": answer, "rating": "down", "comment": f"It is {MARKER}!"}
            assert HTTP.post(f"{server.url}/v1/feedback", json=rated).status_code == 200
            HTTP.post(f"{server.url}/api/ask", json={"question": "When is a refund paid?"})
            server.project.compare(approaches=["rag"])
            add_model(server.project, "letters", source=SOURCE)
    return folder


@pytest.fixture
def project(used: Path, tmp_path: Path, embedder: BundledEmbedder) -> Iterator[Project]:
    """A copy of that project."""
    with Project.open(shutil.copytree(used, tmp_path / "project")) as opened:
        opened.session.embedder = embedder
        yield opened


def test_nothing_of_it_is_left(project: Project) -> None:
    folder = project.workspace.folder
    before = everywhere(folder, MARKER)
    for part in ("audit.sqlite", "feedback.sqlite", "generations.sqlite", "results.jsonl", "train.jsonl", "log.txt"):
        assert any(part in name for name in before), (part, before)
    assert any("catalog.sqlite" in name for name in before)
    assert any(".lance" in name for name in before)

    planned = project.forget(SOURCE, dry_run=True)
    assert everywhere(folder, MARKER) == before
    report = project.forget(SOURCE)
    assert everywhere(folder, MARKER) == []
    assert everywhere(folder, "behind the boiler") == []
    assert report.sources == ("docs/copy of keys.md", SOURCE)  # the same bytes
    assert report.models == ("letters-20260101-000000",)
    assert (report.audit, report.feedback) == (planned.audit, planned.feedback) == (2, 1)  # it was before both answers
    assert report.examples[0].dropped == ("e1",)
    assert report.examples[0].kept == ("e3",)
    assert report.left == ("examples.jsonl",)
    assert report.still_there == report.sources
    check = AuditLog(project.workspace).verify()
    assert (check.problem, check.records) == (None, 2)
    run = json.loads(next(project.workspace.runs.glob("*/results.jsonl")).read_text())
    assert (run["example"], run["output"], run["citations"]) == ("e2", None, [])
    assert run["scores"]
    assert project.report().verdict is not None


def test_it_does_not_come_back_unless_it_is_wanted(project: Project) -> None:
    report = project.forget("docs/k*.md")
    assert SOURCE in report.sources
    assert {row.row.source: row.row.status for row in project.ingest().files}[SOURCE] == "skipped"
    (project.root / SOURCE).rename(project.root / "docs/renamed.md")
    rows = {row.row.source: row.row for row in project.ingest(rebuild=True).files}
    assert rows["docs/renamed.md"].status == "skipped"
    assert "has the content of docs/" in (rows["docs/renamed.md"].reason or "")
    (project.root / SOURCE).write_text("# Keys\n\nKeys are kept by the caretaker.\n")
    assert {row.row.source: row.row.status for row in project.ingest().files}[SOURCE] == "skipped"
    checked = check_project(project.root)
    assert set(checked.forgotten) == set(report.sources)
    assert project.unforget(SOURCE) == (SOURCE,)
    assert {row.row.source: row.row.status for row in project.ingest().files}[SOURCE] == "indexed"
    with pytest.raises(UsageError, match="was not forgotten"):
        project.unforget(SOURCE)


def test_what_nobody_knows_cannot_be_forgotten(project: Project) -> None:
    with pytest.raises(UsageError, match="is no document"):
        project.forget("docs/none.md")
    with pytest.raises(UsageError, match="is a row"):
        project.forget("docs/t.csv#1")
    assert read_forgotten(project.workspace).sources == {}


def test_check_names_models_that_were_trained_on_it(project: Project) -> None:
    def finding() -> str:
        found = [each.message for each in check_project(project.root).findings if each.place.startswith("letters-")]
        return " ".join(found)

    assert finding() == ""
    project.forget(SOURCE)
    assert "was trained on docs/keys.md, forgotten since then; it answers nobody" in finding()
    assert project.forget(SOURCE, keep_models=True).kept_models == ("letters-20260101-000000",)
    assert finding() == ""
