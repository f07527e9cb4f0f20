"""Reviewing drafts: every key is on disk at once, undo restores the line, a saved page does the same."""

import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundtune.cli import main
from groundtune.dataset.examples import read_examples
from groundtune.dataset.reviewing import unreviewed_sentence
from groundtune.errors import ConfigError, MissingError
from groundtune.types import Document, Example
from groundtune.workflows.reviewing import ReviewReport, around, review

LINES = [
    '{"id": "own", "input": "Mine?",   "output": "Yes"}',
    '{"id": "d1", "input": "How long?", "output": "six weeks", "evidence": [{"source": "a.md", "quote": "six weeks", '
    '"start": 5, "end": 14}], "split": "test", "tags": ["fact"], "origin": "drafted"}',
    '{"id": "d2", "input": "What?", "output": null, "tags": ["unanswerable"], "origin": "drafted"}',
    '{"id": "d3", "input": "Who?", "output": "Ines", "origin": "drafted"}',
]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "drafted.jsonl"
    path.write_text("".join(f"{line}\n" for line in LINES))
    return path


def states(file: Path) -> dict[str, str | None]:
    return {example.id: example.review.state if example.review else None for example in read_examples(file)}


def reviewed(file: Path, keys: str, edit: tuple[str, str | None] | None = None) -> ReviewReport:
    waiting: Iterator[str] = iter(keys)

    def read_key() -> str:
        seen.append(states(file))
        return next(waiting)

    seen: list[dict[str, str | None]] = []
    return review(file, by="anna", show=lambda *_: None, read_key=read_key, edit=lambda _: edit)


def test_each_key_is_on_disk_before_the_next_and_other_lines_stay(file: Path) -> None:
    report = reviewed(file, "axq")
    assert (report.accepted, report.rejected, report.left, report.decided) == (1, 0, 2, 1)
    assert file.read_text().split("\n")[0] == LINES[0], "a line of somebody else keeps its bytes"
    (_, first, *_) = read_examples(file)
    assert first.review is not None
    assert (first.review.state, first.review.by) == ("accepted", "anna")
    assert first.review.time.endswith("+00:00")
    assert first.evidence[0].start == 5
    again = reviewed(file, "rs")
    assert (again.accepted, again.rejected, again.left) == (1, 1, 1)
    assert states(file) == {"own": None, "d1": "accepted", "d2": "rejected", "d3": None}


def test_an_edit_changes_question_and_answer(file: Path) -> None:
    report = reviewed(file, "eq", edit=("How many weeks?", None))
    assert report.edited == 1
    edited = read_examples(file)[1]
    assert (edited.input, edited.output, edited.id) == ("How many weeks?", None, "d1")
    assert reviewed(file, "eq").decided == 0, "an edit that changes nothing decides nothing"


def test_undo_takes_back_the_last_decision_or_skip(file: Path) -> None:
    before = read_examples(file)
    assert reviewed(file, "aruuq").decided == 0
    assert read_examples(file) == before
    assert [example.review for example in read_examples(file)] == [None] * 4
    assert reviewed(file, "suaq").accepted == 1
    assert states(file)["d1"] == "accepted", "undo went back to the draft that was skipped"


def test_figures_lose_their_label_when_everything_was_looked_at(file: Path) -> None:
    assert unreviewed_sentence(read_examples(file)) == (
        "3 of 4 questions were drafted by a program and not looked at by anyone."
    )
    reviewed(file, "aaq")
    assert unreviewed_sentence(read_examples(file)) == (
        "1 of 4 questions was drafted by a program and not looked at by anyone."
    )
    reviewed(file, "a")
    assert unreviewed_sentence(read_examples(file)) is None


def test_decisions_of_a_page(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [
        {
            "id": "d1",
            "state": "edited",
            "by": "bo",
            "time": "2026-01-31T12:00:00Z",
            "input": "For how long?",
            "output": "",
        },
        {"id": "d3", "state": "rejected", "by": "bo", "time": "2026-01-31T12:00:01Z"},
        {"id": "own", "state": "rejected", "by": "bo", "time": "2026-01-31T12:00:02Z"},
    ]
    Path("saved.json").write_text(json.dumps({"file": "drafted.jsonl", "decisions": made}))
    assert main(["examples", "review", "drafted.jsonl", "--decisions", "saved.json", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["edited"], report["rejected"], report["left"], report["unknown"]) == (1, 1, 1, ["own"])
    assert read_examples(file)[1].input == "For how long?"
    assert read_examples(file)[1].output is None
    assert read_examples(file)[0].review is None


@pytest.mark.parametrize(
    "text", ["[]", "no", '{"decisions": [{"id": "d1", "state": "liked", "by": "b", "time": "t"}]}']
)
def test_a_file_that_holds_no_decisions_changes_nothing(file: Path, text: str) -> None:
    before = file.read_bytes()
    Path("saved.json").write_text(text)
    assert main(["examples", "review", "drafted.jsonl", "--decisions", "saved.json"]) == 2
    assert file.read_bytes() == before


def test_without_a_terminal_or_drafts(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "review", "drafted.jsonl"]) == 2
    printed = capsys.readouterr().err
    assert "a review needs a terminal" in printed
    assert "--html review.html" in printed
    file.write_text(LINES[0])
    assert main(["examples", "review", "drafted.jsonl", "--html", "review.html"]) == 3
    with pytest.raises(MissingError, match="no drafted examples"):
        reviewed(file, "")


def test_a_quote_is_shown_in_its_document_only_while_it_stands_there() -> None:
    proof = read_line(LINES[1]).evidence[0]
    assert around(proof, Document("a", "a.md", "Kept six weeks at most.")) == ("Kept ", " at most.")
    assert around(proof, Document("a", "a.md", "They keep it for six weeks.")) == ("", "")
    assert around(proof, None) == ("", "")


def read_line(line: str) -> Example:
    (example,) = read_examples(Path("x"), content=line.encode())
    return example


def test_a_broken_review_in_a_file_is_reported_with_its_line(file: Path) -> None:
    file.write_text(LINES[3][:-1] + ', "review": {"state": "liked", "by": "b", "time": "t"}}')
    with pytest.raises(ConfigError, match="unknown state of a review"):
        read_examples(file)


@pytest.mark.slow
def test_keys_in_a_real_terminal(file: Path) -> None:
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "groundtune", "examples", "review", "drafted.jsonl", "--by", "anna"]
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = ""
    for waited, key in (("1 of 3", b"a"), ("2 of 3", b"r"), ("3 of 3", b"q")):
        while "q quit" not in shown.partition(waited)[2]:
            assert select.select([mine], [], [], 120)[0], f"nothing more is shown after {shown!r}"
            shown += os.read(mine, 4096).decode()
        while termios.tcgetattr(mine)[3] & termios.ICANON:  # a key pressed before it reads keys is lost
            time.sleep(0.01)
        os.write(mine, key)
    assert process.wait(timeout=60) == 0
    os.close(mine)
    assert states(file) == {"own": None, "d1": "accepted", "d2": "rejected", "d3": None}


@pytest.mark.slow
def test_the_page_saves_decisions_that_the_command_reads(file: Path, tmp_path: Path) -> None:
    import shutil

    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("chromium is not installed")
    assert main(["examples", "review", "drafted.jsonl", "--html", "review.html"]) == 0
    trouble: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto((tmp_path / "review.html").as_uri())
        page.get_by_label("Your name").fill("bo")
        page.locator("h1").click()
        page.keyboard.press("a")
        page.keyboard.press("r")
        page.keyboard.press("u")
        page.keyboard.press("e")
        page.get_by_label("Question").fill("What else?")
        page.get_by_role("button", name="Save the edit").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Save decisions").first.click()
        download.value.save_as(tmp_path / "saved.json")
        browser.close()
    assert trouble == []
    assert main(["examples", "review", "drafted.jsonl", "--decisions", "saved.json"]) == 0
    assert states(file) == {"own": None, "d1": "accepted", "d2": "edited", "d3": None}
    (_, first, second, _) = read_examples(file)
    assert first.review is not None
    assert first.review.by == "bo"
    assert second.input == "What else?"
