"""Drafting from a real index: kinds, evidence, groups, resuming, and the label on every figure until somebody looks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundtune.cli import main
from groundtune.dataset.examples import read_examples
from groundtune.errors import UsageError
from groundtune.project import Project
from groundtune.workflows.drafting import WEAKER

FARES = """# Fares

## Single tickets

| Zone | Fare | Valid for |
|---|---|---|
| Inner ring | £2.40 | 90 minutes |
| Coast line | £6.10 | 1 day |
| Night bus | £3.00 | one ride |

## Season tickets

A season ticket of the tram is sold from the fifth day of the month before at every counter with a green sign.
"""
LOST = """# Lost property

## Collecting things

Lost things are kept at Harbour Street. A key costs four pounds to collect.

## Tickets found in trams

A lost season ticket is replaced once a year for a fee of nine pounds, if it has your name.
"""
SPEEDS = """# Trams

## Speeds

| Line | Speed |
|---|---|
| Inner ring | 30 km/h |
| Coast line | 70 km/h |
| Harbour line | 40 km/h |
"""
PAY = """# Pay of drivers

## Night allowance

Drivers of night buses have twelve pounds for each shift that ends after two in the morning.
"""
TOML = """language = "english"
[documents]
include = ["docs/**/*.md"]
[[documents.access]]
include = ["docs/pay.md"]
groups = ["hr"]
[examples]
files = ["drafted.jsonl"]
"""


@pytest.fixture
def folder(make_project: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    files = {"docs/fares.md": FARES, "docs/lost.md": LOST, "docs/pay.md": PAY, "docs/speeds.md": SPEEDS}
    root = make_project(files, toml=TOML)
    monkeypatch.chdir(root)
    with Project.open(root) as project:
        project.ingest()
    return root


def test_drafts_of_all_kinds_with_evidence_offsets_and_groups(folder: Path) -> None:
    with Project.open(folder) as project:
        done = project.draft("drafted.jsonl", n=12)
        sources = ("docs/fares.md", "docs/lost.md", "docs/pay.md", "docs/speeds.md")
        documents = {source: project.document(source) for source in sources}
    examples = read_examples(folder / "drafted.jsonl")
    assert done.new == len(examples) == sum(done.kinds.values())
    assert done.before == 0
    assert done.kinds.keys() == {"fact", "table-cell", "comparison", "two-documents", "follow-up", "unanswerable"}
    assert done.note == WEAKER
    assert "the weaker form" in str(done)
    for example in examples:
        assert example.origin == "drafted"
        assert example.review is None
        assert (example.output is None) == (example.tags == ("unanswerable",)) == (not example.evidence)
        assert bool(example.history) == (example.tags == ("follow-up",))
        for proof in example.evidence:
            document = documents[proof.source]
            assert document is not None
            assert document.text[proof.start : proof.end] == proof.quote
        names_pay = "Night allowance" in example.input or "Pay of drivers" in example.input
        about_pay = names_pay or "docs/pay.md" in {proof.source for proof in example.evidence}
        assert example.groups == (("hr",) if about_pay else ())
    cell = next(example for example in examples if example.tags == ("table-cell",))
    assert cell.input.startswith("What is listed under “")
    assert cell.output in cell.evidence[0].quote
    assert cell.evidence[0].quote.startswith(("Zone: ", "Line: "))
    higher = next(example for example in examples if example.tags == ("comparison",))
    assert higher.output in ("Coast line", "Night bus", "Harbour line")
    assert len(higher.evidence) == 2


def test_a_run_goes_on_where_another_stopped_and_spares_other_files(folder: Path) -> None:
    with Project.open(folder) as project:
        assert project.draft("drafted.jsonl", n=6).new == 6
        first = (folder / "drafted.jsonl").read_text()
        more = project.draft("drafted.jsonl", n=9)
        assert (more.new, more.before) == (3, 6)
        assert (folder / "drafted.jsonl").read_text().startswith(first)
        assert project.draft("drafted.jsonl", n=9).new == 0
        (folder / "own.jsonl").write_text('{"id": "a", "input": "Where?", "output": "Here"}\n')
        with pytest.raises(UsageError, match="1 example that was not drafted, such as a"):
            project.draft("own.jsonl", n=9)


def test_rejected_drafts_are_replaced_and_not_drafted_again(folder: Path) -> None:
    with Project.open(folder) as project:
        project.draft("drafted.jsonl", n=5)
        rows = [json.loads(line) for line in (folder / "drafted.jsonl").read_text().splitlines()]
        rows[0]["review"] = {"state": "rejected", "by": "anna", "time": "2026-01-31T12:00:00Z"}
        (folder / "drafted.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        assert len(project.examples()) == 4, "nothing is measured with a rejected example"
        again = project.draft("drafted.jsonl", n=5)
        assert (again.new, again.before) == (1, 4)
    inputs = [example.input for example in read_examples(folder / "drafted.jsonl")]
    assert len(set(inputs)) == len(inputs) == 6


def test_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "draft", "-n", "3", "--kind", "table-cell", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["new"], report["kinds"], report["model"]) == (3, {"table-cell": 3}, None)
    assert main(["examples", "draft", "--kind", "riddle"]) == 2
    assert "unknown kind 'riddle'" in capsys.readouterr().err
    assert main(["examples", "stats"]) == 0
    assert "3 of 3 questions were drafted by a program and not looked at by anyone." in capsys.readouterr().out
    assert main(["evaluate"]) == 0
    assert "3 of 3 questions were drafted" in capsys.readouterr().out


def test_without_an_index_or_anything_to_ask_about(
    make_project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_project({"docs/a.md": "Nothing to ask about here"}, toml='[documents]\ninclude = ["docs/*.md"]\n')
    monkeypatch.chdir(root)
    assert main(["examples", "draft"]) == 3
    assert main(["ingest"]) == 0
    capsys.readouterr()
    assert main(["examples", "draft"]) == 1
    assert "0 examples drafted" in capsys.readouterr().out
    assert not (root / "drafted.jsonl").exists()


def test_the_verdict_says_that_nobody_looked_until_somebody_does(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Project.open(folder) as project:
        project.draft("drafted.jsonl", n=12)
    rows = [{**json.loads(line), "split": "test"} for line in (folder / "drafted.jsonl").read_text().splitlines()]
    seen = {"state": "accepted", "by": "anna", "time": "2026-01-31T12:00:00Z"}

    def write(reviewed: int) -> None:
        now = [{**row, **({"review": seen} if place < reviewed else {})} for place, row in enumerate(rows)]
        (folder / "drafted.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in now))

    write(reviewed=2)
    with Project.open(folder) as project:
        report = project.compare(approaches=["quote-hybrid"])
        sentence = "10 of 12 questions were drafted by a program and not looked at by anyone."
        assert report.summary()["unreviewed"] == 10
        assert report.summary()["unreviewed_sentence"] == sentence
        assert sentence in str(report)
        assert report.file is not None
        assert sentence in report.file.read_text()
        write(reviewed=12)
        again = project.compare(approaches=["quote-hybrid"])
    assert again.run.name == report.run.name, "the answers are those of the same run"
    assert again.figures.unreviewed_sentence is None
    assert again.summary()["unreviewed"] == 0
    assert main(["report"]) == 0
    assert "drafted by a program" not in capsys.readouterr().out
