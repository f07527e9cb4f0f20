"""The tickets demo on fewer rows: both training runs, and a comparison with approaches that need no training."""

import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from groundtune.cli import demo
from tests.test_triage import TRIAGE

pytestmark = pytest.mark.slow


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    """Three queues, 34 tickets each, and one epoch."""
    folder = tmp_path / "tickets"
    shutil.copytree(TRIAGE, folder, ignore=shutil.ignore_patterns(".groundtune"))
    by_label: dict[Any, list[str]] = defaultdict(list)
    for line in (TRIAGE / "tickets.jsonl").read_text(encoding="utf-8").splitlines():
        by_label[json.loads(line)["output"]].append(line)
    kept = [line for label in ("billing", "spare_parts", "app_account", None) for line in by_label[label][:34]]
    (folder / "tickets.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    file = folder / "groundtune.toml"
    text, table = file.read_text(encoding="utf-8"), '[tune.intents]\nkind = "classifier"\n'
    assert table in text
    file.write_text(text.replace(table, f"{table}epochs = 1\n"), encoding="utf-8")
    return folder


def test_the_tickets_are_trained_and_compared(tickets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = demo._tickets(tickets)
    means = {row["name"]: row["mean"] for row in summary["approaches"]}
    assert set(means) == {"prompt", "fewshot-fixed", "fewshot", "tuned:probe", "tuned:intents"}
    assert means["tuned:probe"] > means["prompt"]
    assert summary["sentence"]
    assert {row["errors"] for row in summary["approaches"]} == {0}
    printed = capsys.readouterr().out
    assert "on the validation split" in printed
    demo._tickets(tickets)
    assert capsys.readouterr().out.count("already trained") == 2
