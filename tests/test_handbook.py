"""The handbook example is consistent: its index contains all quoted evidence, and the demo copies all of it."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from groundtune import Project
from groundtune.cli import main
from groundtune.cli.demo import QUESTIONS, _copy
from groundtune.errors import UsageError
from groundtune.measure.retrieval_quality import locate

pytestmark = pytest.mark.slow

HANDBOOK = Path(__file__).parent.parent / "examples/handbook"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "handbook"
    _copy("handbook", folder)
    return folder


@pytest.fixture(scope="module")
def handbook(copy: Path) -> Project:
    project = Project.open(copy)
    report = project.ingest()
    assert all(file.row.status == "indexed" for file in report.files), [
        file for file in report.files if file.row.reason
    ]
    return project


def test_it_is_what_the_readme_says() -> None:
    kinds = Counter(path.suffix for path in (HANDBOOK / "docs").rglob("*") if path.is_file())
    assert sum(kinds.values()) >= 40
    assert {".md", ".html", ".pdf", ".docx", ".pptx", ".xlsx", ".csv"} <= set(kinds)
    rows = [json.loads(line) for line in (HANDBOOK / "examples.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) >= 150
    assert sum(row["output"] is None for row in rows) >= 30
    assert {row["split"] for row in rows} == {"train", "validation", "test"}


def test_versions_are_found_and_nothing_else_contradicts(handbook: Project) -> None:
    report = handbook.check_documents()
    assert [(pair.older, pair.newer, pair.why) for pair in report.versions] == [
        ("docs/finance/expenses-2023.html", "docs/finance/expenses.md", "stated"),
        ("docs/hr/annual-leave-2022.md", "docs/hr/annual-leave.md", "stated"),
        ("docs/policies/returns-2023.md", "docs/policies/returns.md", "stated"),
        ("docs/products/heron-2-manual.md", "docs/products/heron-3-manual.pdf", "stated"),
    ]
    figures = {pair.differing for pair in report.outdated}
    assert {("14 days", "30 days"), ("£95", "£115"), ("eight", "five"), ("45 km", "70 km")} <= figures
    assert report.contradictions == ()
    assert report.stale == ()


def test_it_is_shipped_only_when_everything_is_in_place(
    handbook: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "handbook"
    shutil.copytree(handbook.root, folder)
    assert main(["check", "--ship", "-C", str(folder)]) == 1
    missing = "choice, asserted_wrong, canary, monitoring, fallback, review"
    assert capsys.readouterr().out.startswith(f"not ready to ship: {missing}\n")
    readme = (HANDBOOK / "README.md").read_text(encoding="utf-8")
    (toml,) = re.findall(r"^```toml\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    with (folder / "groundtune.toml").open("a", encoding="utf-8") as file:
        file.write(toml)
    (commands,) = re.findall(r"^```\n([^`]*check --ship\n)```", readme, re.MULTILINE)
    lines = commands.splitlines()
    assert [main([*line.split()[1:], "-C", str(folder)]) for line in lines] == [0] * len(lines), capsys.readouterr().out
    assert "ready to ship\n" in capsys.readouterr().out


def test_every_piece_of_evidence_is_in_a_passage(handbook: Project) -> None:
    lost = []
    for example in handbook.examples():
        for evidence in example.evidence:
            document = handbook.document(evidence.source)
            assert document is not None, evidence.source
            hits = handbook.search(evidence.quote, k=100, groups=document.groups, filters={})
            passages = [hit.passage for hit in hits if hit.passage.document_id == document.id]
            if not locate(evidence, document, passages, groups=document.groups).relevant:
                lost.append((example.id, evidence))
    assert lost == []


def test_offsets_hold_for_every_format(handbook: Project) -> None:
    sources = set()
    for question in ("trial period", "price", "battery", "holiday", "incident", "VPN", "delivery", "first day"):
        for hit in handbook.search(question, k=50, groups=["hr"]):
            document = handbook.document(hit.passage.source)
            assert document is not None
            assert document.text[hit.passage.start : hit.passage.end] == hit.passage.text
            sources.add(Path(hit.passage.source.partition("#")[0]).suffix)
    assert {".md", ".html", ".pdf", ".docx", ".pptx", ".xlsx", ".csv"} <= sources


def test_restricted_documents_answer_only_their_group(handbook: Project) -> None:
    question = "redundancy pay and salary bands"
    open_to_all = handbook.search(question, k=100)
    assert all("restricted" not in hit.passage.source for hit in open_to_all)
    assert any("restricted" in hit.passage.source for hit in handbook.search(question, k=20, groups=["hr"]))


def test_the_demo_questions_are_what_they_claim(handbook: Project) -> None:
    handbook.calibrate()
    answers = [handbook.ask(question) for question in QUESTIONS]
    assert [answer.status for answer in answers] == ["answered", "answered", "answered", "abstained"]
    assert all(c.support == "exact" for answer in answers for c in answer.citations)


def test_the_demo_never_overwrites_another_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        _copy("handbook", tmp_path)


def test_the_binary_documents_come_from_the_text_beside_them(tmp_path: Path) -> None:
    import shutil

    shutil.copytree(HANDBOOK, tmp_path / "handbook", ignore=shutil.ignore_patterns(".groundtune"))
    binaries = [p for p in (tmp_path / "handbook/docs").rglob("*") if p.suffix in {".pdf", ".docx", ".pptx", ".xlsx"}]
    for path in binaries:
        path.unlink()
    subprocess.run([sys.executable, str(tmp_path / "handbook/make_binaries.py")], check=True, capture_output=True)
    for path in binaries:
        original = HANDBOOK / path.relative_to(tmp_path / "handbook")
        from groundtune.ingest.loaders import load

        assert load(path) == load(original), path.name
