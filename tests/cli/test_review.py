"""`groundtune review` and `groundtune collect` on the answers of a project without an index."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from groundtune.cli import main
from groundtune.dataset.examples import read_examples
from tests.workflows.test_promoting import EXACT, Shop


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    (tmp_path / "groundtune.toml").write_text('name = "acme"\n[review]\nsample = 1.0\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return Shop(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """Return what a command prints as JSON."""
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_each_decision_has_its_command(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    names = [shop.served(number + 1) for number in range(5)]
    assert run(capsys, "review", "accept", names[0], "--by", "ann")["state"] == "accepted"
    better = shop.workspace.root / "better.txt"
    better.write_text("It is 2.\n", encoding="utf-8")
    edited = run(capsys, "review", "edit", names[1], "--file", str(better), "--note", "too short")
    assert edited["state"] == "edited"
    assert run(capsys, "review", "reject", names[2])["state"] == "rejected"
    assert run(capsys, "review", "decline", names[3])["state"] == "declined"
    assert run(capsys, "review", "assign", names[4], "--to", "eve")["assignee"] == "eve"
    listed = run(capsys, "review", "--list")
    assert listed["counts"] == {"pending": 1, "accepted": 1, "edited": 1, "rejected": 1, "declined": 1}
    assert listed["questions"][names[0]] == "What is 1?"
    assert main(["review", "--list", "--state", "rejected"]) == 0
    shown = capsys.readouterr().out
    assert "1 rejected" in shown
    assert "What is 3?" in shown
    assert "What is 1?" not in shown
    promoted = run(capsys, "review", "promote")
    assert (len(promoted["new"]), promoted["pairs"], promoted["used"]) == (2, 1, False)
    assert run(capsys, "review", "promote", code=1)["new"] == []
    assert main(["review", "edit", names[1]]) == 2
    assert "the better answer is missing" in capsys.readouterr().err


def test_the_audit_log_shows_who_decided_what(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    name = shop.served(1)
    assert main(["review", "reject", name, "--by", "ann"]) == 0
    assert main(["audit", "show", name]) == 0
    assert "rejected, by ann" in capsys.readouterr().out
    assert main(["audit", "export"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["audit", "verify"]) == 0


def test_one_key_decides_in_a_terminal(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [shop.served(number + 1) for number in range(4)]
    keys: Iterator[str] = iter("aurxesdq")
    monkeypatch.setattr(typer, "getchar", lambda: next(keys))
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: "better")
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    assert main(["review", "--by", "ann"]) == 0
    shown = capsys.readouterr()
    assert "3 decisions recorded, 1 left" in shown.out
    assert "What is 1?" in shown.err
    states = {item.answer: item.state for item in shop.queue().items()}
    assert states == dict(zip(names, ("rejected", "edited", "pending", "declined"), strict=True))


def test_a_review_needs_a_terminal_or_records(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review"]) == 2
    assert "needs a terminal" in capsys.readouterr().err
    assert main(["review", "--state", "open"]) == 2
    assert "unknown state 'open'" in capsys.readouterr().err
    (shop.workspace.root / "groundtune.toml").write_text('name = "acme"\n[serve]\naudit = false\n', encoding="utf-8")
    assert main(["review", "--list"]) == 2
    assert "no answers are recorded" in capsys.readouterr().err


def test_collect_takes_good_answers(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.served(1, citations=[EXACT])
    shop.served(2)
    report = run(capsys, "collect", "--to", "good.jsonl")
    assert (len(report["new"]), report["left_out"]) == (1, {"not cited, and not sure": 1})
    (row,) = read_examples(shop.workspace.root / "good.jsonl")
    assert (row.input, row.origin) == ("What is 1?", "collected")
    assert main(["collect", "--to", "good.jsonl"]) == 1
