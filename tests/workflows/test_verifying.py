"""A recorded verdict holds until something that it rests on changes; then it is said what, and what refreshes that."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from groundtune import Project, Verification
from groundtune.cli import main
from groundtune.errors import MissingError
from groundtune.measure.results import RESULTS, encode_result
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.types import Result
from groundtune.workflows.runs import run_folder
from groundtune.workflows.verdict_files import FILE, PAGE
from tests.conftest import MakeProject

pytestmark = pytest.mark.slow

TOML = """
[documents]
include = ["*.md"]
[examples]
files = ["examples.jsonl"]
[requirements]
max_p95_seconds = 60
"""
EXAMPLES = [
    {"id": f"e{at}", "input": question, "output": answer, "split": "test"}
    for at, (question, answer) in enumerate(
        [("How long do refunds take?", "30 days"), ("What does a lock cost?", "12 euros"), ("When do you open?", None)]
    )
]


@pytest.fixture
def compared(make_project: MakeProject, embedder: BundledEmbedder) -> Iterator[Project]:
    """A project with a comparison, and answers to `groundtune advise`."""
    files = {
        "refunds.md": "# Refunds\n\nA refund is paid within 30 days.\n",
        "locks.md": "# Locks\n\nA lock costs 12 euros.\n",
        "examples.jsonl": "".join(f"{json.dumps(example)}\n" for example in EXAMPLES),
        ".groundtune/advice.json": '{"citations": true, "problem": ["facts"]}',
    }
    with Project.open(make_project(files, toml=TOML)) as project:
        project.session.embedder = embedder
        project.ingest()
        project.compare(approaches=["quote-bm25", "quote-hybrid"])
        yield project


def verified(project: Project) -> Verification:
    """Verify as a new process would, which reads the project file again."""
    with Project.open(project.root) as opened:
        opened.session.embedder = project.session.embedder
        return opened.verify()


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_a_verdict_is_recorded_and_holds(compared: Project, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_folder(compared.workspace)
    record = json.loads((folder / FILE).read_text())
    report = compared.report()
    assert record["verdict"]["sentence"] == report.verdict.sentence
    assert record["evidence"]["n"] == 3
    assert set(record["evidence"]["digests"]) == {"documents", "examples", "prices", "settings", "matrix"}
    assert record["costs"] == json.loads(json.dumps(report.costs.summary()))
    assert {guide["guide"]: guide["says"] for guide in record["guides"]}["B"] == "rag"
    assert record["literature"]["rag"]["for"]
    text = (folder / PAGE).read_text()
    assert text.startswith(f"# {report.verdict.sentence}\n")
    assert "## What guides say" in text
    found = compared.verify()
    assert (found.holds, found.stale) == (True, ())
    assert "still holds" in str(found)
    assert main(("report", "--verify", "-C", str(compared.root), "--json")) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True


def test_what_is_stale_is_named_with_what_refreshes_it(compared: Project, capsys: pytest.CaptureFixture[str]) -> None:
    root, file = compared.root, compared.root / "groundtune.toml"
    append(root / "locks.md", "\nA chain costs 20 euros.\n")
    (stale,) = verified(compared).stale
    assert (stale.what, stale.sentence) == ("files", "1 file has changed and is not indexed")
    assert stale.command.startswith("groundtune ingest")
    compared.ingest()
    assert [each.what for each in verified(compared).stale] == ["documents"]
    append(root / "examples.jsonl", json.dumps({**EXAMPLES[0], "id": "e9", "input": "Refund?"}) + "\n")
    assert [each.what for each in verified(compared).stale] == ["documents", "examples"]
    costs = "[costs]\nmonths = 6\nassumptions.review_rate = 0.1\n"
    file.write_text(f'name = "test"\n{TOML.replace("60", "50")}\n{costs}')
    found = verified(compared)
    assert [each.what for each in found.stale] == ["documents", "examples", "requirements", "costs"]
    assert found.stale[2].sentence == "changed in groundtune.toml: max_p95_seconds"
    assert found.stale[3].sentence == "changed in groundtune.toml under [costs]: months, assumptions"
    assert found.follows
    assert main(("report", "--verify", "-C", str(root))) == 1
    assert "what it rests on has changed" in capsys.readouterr().out


def test_what_decides_besides_requirements_is_named(compared: Project) -> None:
    file = compared.root / "groundtune.toml"
    file.write_text(f'name = "test"\n{TOML}residency = "local"\n[compare]\nprefer_simpler = false\nprimary = "f1"\n')
    (stale,) = verified(compared).stale
    assert stale.sentence == "changed in groundtune.toml: prefer_simpler, residency, primary"
    assert stale.command == "groundtune compare: no model is asked again"


def test_an_index_of_an_older_version_is_stale(compared: Project) -> None:
    manifest = compared.workspace.folder / "index" / "manifest.json"
    values = json.loads(manifest.read_text())
    values["parts"]["splitter"] = "1"
    manifest.write_text(json.dumps(values))
    found = verified(compared)
    assert found.follows
    (stale,) = found.stale
    assert stale.what == "index"
    assert stale.sentence.startswith("the verdict needs the index, which cannot be used: ")
    assert stale.command.startswith("groundtune ingest --rebuild, then groundtune compare")


def test_a_verdict_by_another_score_holds_by_that_score(compared: Project) -> None:
    assert compared.report(primary="f1").verdict != compared.report().verdict
    compared.report(primary="f1")
    found = compared.verify()
    assert found.holds, str(found)


def test_a_comparison_refreshes_all_of_it(compared: Project) -> None:
    append(compared.root / "locks.md", "\nA chain costs 20 euros.\n")
    compared.ingest()
    assert not verified(compared).holds
    compared.compare(approaches=["quote-bm25", "quote-hybrid"])
    assert verified(compared).holds


def test_a_matrix_that_says_otherwise_is_told(compared: Project) -> None:
    folder = run_folder(compared.workspace)
    with (folder / RESULTS).open("ab") as rows:
        for at in range(3):
            rows.write(encode_result(Result(f"e{at}", "quote-bm25", "answered", "x", scores={"correct": 0.0})))
            rows.write(encode_result(Result(f"e{at}", "quote-hybrid", "answered", "x", scores={"correct": 0.0})))
    found = verified(compared)
    assert not found.follows
    assert "matrix" in [each.what for each in found.stale]
    assert "does not follow" in str(found)
    assert replace(found, recomputed=found.recorded).follows


def test_without_a_record_nothing_is_verified(compared: Project) -> None:
    (run_folder(compared.workspace) / FILE).unlink()
    with pytest.raises(MissingError, match="no verdict was recorded"):
        compared.verify()
