"""The demo on fewer rows: it trains the real model twice, compares all approaches, and starts again where it was."""

import json
import shutil
from pathlib import Path

import pytest

from groundtune.cli import demo
from groundtune.errors import MissingError
from groundtune.models.builtin_models import builtin_models
from tests.test_handbook import HANDBOOK

KEPT = {"train": 10, "validation": 4, "test": 4}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example with few rows and few documents, and trainings of one step an epoch."""
    if not builtin_models()[demo.MODEL].is_here:
        pytest.skip(f"groundtune models get {demo.MODEL}")
    source = tmp_path / "example"
    shutil.copytree(HANDBOOK, source, ignore=shutil.ignore_patterns(".groundtune", "docs"))
    (source / "docs").mkdir()
    for name in ("policies", "products"):
        shutil.copytree(HANDBOOK / "docs" / name, source / "docs" / name)
    left, rows = dict(KEPT), []
    for line in (HANDBOOK / "examples.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if left.get(row["split"], 0) and all((source / each["source"]).exists() for each in row.get("evidence", [])):
            left[row["split"]] -= 1
            rows.append(line)
    (source / "examples.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    monkeypatch.setattr(demo, "_example", lambda _: source)
    monkeypatch.setattr(demo, "TABLES", demo.TABLES.replace("epochs = 4", "epochs = 1").replace("= 64", "= 16"))
    return tmp_path / "demo"


@pytest.mark.slow
def test_the_demo_answers_its_question_on_the_real_model(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo.run(small, json=True)
    captured = capsys.readouterr()
    summary = json.loads(captured.out)["comparison"]
    rows = {row["name"]: row for row in summary["approaches"]}
    assert set(rows) == {"prompt", "fewshot", "rag", "tuned", "hybrid", "quote-hybrid"}
    assert {row["errors"] for row in rows.values()} == {0}
    assert summary["sentence"]
    assert any("to see the machinery" in caveat for caveat in summary["caveats"])
    demo.run(small, json=True)
    assert capsys.readouterr().err.count("already trained") == 2


def test_without_the_model_the_demo_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(MissingError, match="is not on this machine yet"):
        demo.run(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()
