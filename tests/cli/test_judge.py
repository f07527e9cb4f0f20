"""`groundtune judge` as a user runs it: figures with denominators, exit codes, --json."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundtune.cli import main
from groundtune.testing.scripted_server import Reply, ScriptedServer

LABELS = [("good", True)] * 8 + [("bad", False)] * 6 + [("good", False), ("!500", True)]


def echo(body: dict[str, Any]) -> Reply:
    answer = json.loads(body["messages"][1]["content"])["answer"]
    if answer.startswith("!"):
        return Reply("bad key", status=401)
    return Reply(json.dumps({"reason": "So it is.", "right": answer == "good"}))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    with ScriptedServer(echo) as server:
        (tmp_path / "groundtune.toml").write_text(
            f'name = "shop"\n[models.strong]\nkind = "openai"\nmodel = "m"\nbase_url = "{server.base_url}"\n'
            '[judge]\nmodel = "strong"\n'
        )
        yield tmp_path


def judge(folder: Path, rows: list[Any], *flags: str) -> int:
    lines = [json.dumps({"input": "q?", "answer": a, "gold": "g", "label": label}) for a, label in rows]
    (folder / "labels.jsonl").write_text("\n".join(lines))
    return main(["judge", "-C", str(folder), "--against", str(folder / "labels.jsonl"), *flags])


def test_figures_come_with_their_denominators(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge(project, [*LABELS, (None, False)]) == 0
    printed = capsys.readouterr()
    assert "17 rows: 15 judged, 1 decided without the judge (abstentions), 1 error" in printed.out
    assert "kappa 0.865 [" in printed.out
    assert "n=15" in printed.out
    assert "person: wrong" in printed.out
    assert "The first 1 of 1 disagreement:" in printed.out
    assert "person: wrong; judge: right: So it is." in printed.out
    assert "no verdict for 1 of 17 rows (bad_key 1); first on line 16" in printed.err
    assert "next: groundtune compare" in printed.err


def test_a_judge_that_disagrees_is_not_trusted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge(project, [("good", False), ("bad", True), ("good", True), ("bad", False)]) == 0
    assert "kappa 0.000 is below 0.4: do not rely on this judge" in capsys.readouterr().err


def test_one_json_object(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge(project, LABELS, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["judged"], report["by_rule"], report["errors"]) == (16, 15, 0, {"bad_key": 1})
    assert report["agreement"]["kappa"]["n"] == 15
    assert report["disagreements"][0]["line"] == 15


def test_when_every_call_fails_the_exit_code_is_that_of_a_provider(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judge(project, [("!500", True), ("!500", False), (None, True)]) == 4
    assert "no verdict for 2 of 3 rows" in capsys.readouterr().err


def test_problems_of_the_labels_and_a_missing_judge(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge(project, [("a", "yes"), ("a", None)]) == 2
    assert "2 problems" in capsys.readouterr().err
    (project / "groundtune.toml").write_text('name = "shop"\n')
    assert judge(project, LABELS) == 3
    assert "[judge]" in capsys.readouterr().err
