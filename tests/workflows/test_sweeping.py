"""A sweep over a small project: it finds what is better, says when nothing is, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from groundtune.cli import main
from groundtune.config.project_file import PassagesConfig
from groundtune.errors import UsageError
from groundtune.project import Project
from groundtune.workflows import sweep_candidates, sweeping

pytestmark = pytest.mark.slow

TOML = """# Ours: keep this line.
name = "shop"
[documents]
include = ["docs/**"]
[examples]
files = ["examples.jsonl"]
[passages]
max_tokens = 16  # too small
min_tokens = 0
context = "none"
[retrieval]
dense_weight = 1.0  # words count for nothing
"""
THINGS = ["kettle", "ladder", "drill", "tent", "lamp", "saddle"]
PARTS = ["handle", "cover", "hinge", "valve"]


def write_project(folder: Path, toml: str = TOML) -> None:
    """Documents of one thing each, whose name stands only in the heading, so that the context decides."""
    (folder / "docs").mkdir(parents=True)
    (folder / "groundtune.toml").write_text(toml)
    rows = []
    for number, thing in enumerate(THINGS):
        sections = [f"# The {thing}\n"]
        for at, part in enumerate(PARTS):
            code = f"{part[:2].upper()}-{100 + 10 * number + at}"
            quote = f"The replacement has the number {code} and fits all models."
            sections.append(f"## {part.capitalize()}\n\n{quote} Ask the workshop before you order one from us.\n")
            rows.append(
                {
                    "id": f"{thing}-{part}",
                    "input": f"Which number has the replacement {part} of the {thing}?",
                    "output": code,
                    "evidence": [{"source": f"docs/{thing}.md", "quote": quote}],
                    "split": "train",
                }
            )
        (folder / "docs" / f"{thing}.md").write_text("\n".join(sections))
    (folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try two other ways to split and two weights, to be quick."""
    variants = sweep_candidates._variants

    def two(present: PassagesConfig, limit: int) -> list[PassagesConfig]:
        tried = [("paragraph", 110), ("fixed", 128)]
        return [one for one in variants(present, limit) if (one.strategy, one.max_tokens) in tried]

    monkeypatch.setattr(sweep_candidates, "_variants", two)
    monkeypatch.setattr(sweeping, "WEIGHTS", (0.4, 1.0))


def test_better_settings_are_found_and_adopted_and_back(
    tmp_path: Path, few_candidates: None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_project(tmp_path)
    with Project.open(tmp_path) as project:
        project.ingest()
    capsys.readouterr()
    assert main(["evaluate", "--sweep", "--adopt", "--project", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "round 1 of 1, 2 of 3" in printed.err
    assert "Measurably better than the present settings" in printed.out
    assert "groundtune.toml: [passages] " in printed.out
    assert "in the new index, 0 embedded" in printed.out, "what the sweep embedded is used again"
    assert not (tmp_path / ".groundtune/sweep").exists()
    text = (tmp_path / "groundtune.toml").read_text()
    assert "# Ours: keep this line." in text
    with Project.open(tmp_path) as project:
        assert project.config.passages.context == "headings"
        assert project.config.retrieval.dense_weight == 0.4
        assert project.config.answers.max_passages < 6, "larger passages, so fewer fit into the same text"
        assert project.search("replacement hinge of the tent", k=1)[0].passage.source == "docs/tent.md"
        project.adopt(None)
    assert (tmp_path / "groundtune.toml").read_text() == TOML


def test_what_cannot_be_tried_is_said_and_time_ends_a_sweep(tmp_path: Path, few_candidates: None) -> None:
    hosted = 'kind = "openai"\nmodel = "e"\ndimension = 8\napi_key_env = "NO_SUCH_KEY"\n'
    write_project(tmp_path, f'{TOML}[sweep]\nrerankers = ["nobody"]\n[sweep.embedders.gone]\n{hosted}')
    manifest = tmp_path / ".groundtune/index/manifest.json"
    with Project.open(tmp_path) as project:
        project.ingest()
        before, unchanged = manifest.read_bytes(), list[bool]()
        no_time = project.config.sweep.model_copy(update={"minutes": 0})
        project.config = project.config.model_copy(update={"sweep": no_time})
        report = project.sweep(progress=lambda line: unchanged.append(manifest.read_bytes() == before))
        assert unchanged
        assert all(unchanged)
        assert project.ingest().embedded == 0, "the index is as it was"
    assert not (tmp_path / ".groundtune/sweep").exists()
    assert set(report.failed) == {"gone", "nobody"}
    assert "NO_SUCH_KEY" in report.failed["gone"]
    assert report.out_of_time
    assert len(report.rounds[0].scores) < report.candidates
    assert "The time was over before every candidate was tried" in str(report)
    assert (report.search_questions, report.questions, report.candidates) == (12, 12, 3)
    assert (report.present.settings.dense_weight, report.present.settings.max_passages) == (1.0, 6)
    recall = report.present.recall_by_text
    assert recall["half"] <= recall["same"] <= recall["twice"]


def test_too_few_questions_are_refused(tmp_path: Path) -> None:
    write_project(tmp_path)
    (tmp_path / "examples.jsonl").write_text('{"id": "1", "input": "?", "output": "x", "split": "train"}\n')
    with Project.open(tmp_path) as project:
        project.ingest()
        with pytest.raises(UsageError, match="at least two train or validation examples with evidence"):
            project.sweep()
    assert not (tmp_path / ".groundtune/sweep").exists()


def test_nothing_is_left_after_an_interruption(tmp_path: Path) -> None:
    write_project(tmp_path)
    with Project.open(tmp_path) as project:
        project.ingest()
    (tmp_path / ".groundtune/sweep").mkdir()
    (tmp_path / ".groundtune/sweep/left-by-a-killed-process").touch()
    command = [sys.executable, "-m", "groundtune", "evaluate", "--sweep"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "2 of" in line:
                break
        assert any((tmp_path / ".groundtune/sweep").iterdir())
        assert not (tmp_path / ".groundtune/sweep/left-by-a-killed-process").exists()
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait(60) == 130
    assert not (tmp_path / ".groundtune/sweep").exists()
