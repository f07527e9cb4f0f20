"""`groundtune report` on real terminals: the table keeps its names and its main figure at any width."""

import json
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from groundtune.cli import output

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("groundtune")
NAMES = ("quote-hybrid", "fewshot-fixed:small")
SCORES = ("f1", "abstention", "citation precision", "citation recall", "supported")
FIGURES = ("abstained", "errors", "p95 s", "usd/1k")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    usage = {"input_tokens": 10, "cached_tokens": 0, "output_tokens": 5, "seconds": 1.0, "usd": 0.001}
    scores = {"correct": 1.0, **{name.replace(" ", "_"): 0.5 for name in SCORES}}
    rows: list[dict[str, object]] = [
        {"example": f"e{at}", "approach": name, "status": "answered", "output": "x", "citations": [], "scores": scores,
         "usage": usage, "error": None} for at in range(60) for name in NAMES
    ]  # fmt: skip
    file = tmp_path / "results.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def on_terminal(columns: int, *arguments: str | Path) -> list[str]:
    """Return the lines a command prints on a terminal with that many columns, without colours."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    environ = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen([COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
    os.close(theirs)
    printed = bytearray()
    try:
        while piece := os.read(ours, 65_536):
            printed += piece
    except OSError:
        pass  # Linux raises this when the other end is closed
    os.close(ours)
    assert process.wait() == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", printed.decode()).replace("\r\n", "\n").split("\n")


@pytest.mark.parametrize(
    ("columns", "left_out"),
    [
        (30, [*SCORES, *FIGURES]),
        (60, [*SCORES, "abstained", "errors", "p95 s"]),
        (80, list(SCORES)),
        (120, ["supported"]),
        (200, []),
    ],
)
def test_the_table_keeps_names_and_main_figures_whole(results: Path, columns: int, left_out: list[str]) -> None:
    lines = on_terminal(columns, "report", "--results", results)
    heads = next(at for at, line in enumerate(lines) if re.match("approach +correct", line))
    below = lines[heads + 1 : heads + 3]
    assert all(line.startswith(NAMES) for line in below), "a row is one line"
    assert all(re.match(r"\S+ +1\.000 \[0\.940, 1\.000\] n=60\b", line) for line in below)
    if columns >= 60:
        assert max(map(len, lines)) <= columns
    shown = [name for name in (*SCORES, *FIGURES) if name not in left_out]
    assert [len(line.split()) for line in below] == [5 + len(shown)] * 2
    head = " ".join(lines[heads - 1 : heads + 1]).split()
    assert {word for name in shown for word in name.split()} <= set(head), "no word of a head is cut"
    notice = f"columns that did not fit: {', '.join(left_out)}; see --json"
    assert (notice in " ".join(" ".join(lines).split())) == bool(left_out)


def test_a_pipe_and_a_page_have_every_column(results: Path, tmp_path: Path) -> None:
    command: list[str | Path] = [COMMAND, "report", "--results", results]
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    heads = next(line for line in piped.stdout.splitlines() if line.startswith("approach"))
    assert re.split(r" {2,}", heads.strip()) == ["approach", "correct", *SCORES, *FIGURES]
    lines = on_terminal(80, "report", "--results", results, "--html", tmp_path / "page.html")
    assert "see the HTML page or --json" in " ".join(" ".join(lines).split())


def test_columns_are_dropped_in_the_given_order(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "15")
    assert output.show_table(["a", "b", "c"], [["x" * 6, "y" * 6, "z" * 6]], droppable=["b", "c"]) == ["b"]
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [["xxxxxx", "zzzzzz"]]
    assert output.show_table(["long head"], [["x" * 40]]) == []
    assert capsys.readouterr().out.count("x") == 40, "a table that spares nothing is folded"
