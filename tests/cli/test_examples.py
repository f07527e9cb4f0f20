"""`groundtune examples` as a user runs it: import, stats, split, export; what it says, and where."""

import json
from pathlib import Path
from typing import Any

import pytest

from groundtune import cli
from groundtune.cli import main
from groundtune.measure.examples import read_examples


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(cli.VERBS, "examples", "Examples in and out.")
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"input {n},{'billing' if n % 3 else 'oos'}\n" for n in range(30))
    (tmp_path / "tickets.csv").write_text("text,label\n" + rows)
    return tmp_path


def project(folder: Path, files: str = '"examples.jsonl"') -> None:
    text = f'name = "shop"\ntask = "classify"\ninstructions = "Sort it."\n[examples]\nfiles = [{files}]\n'
    (folder / "groundtune.toml").write_text(text)


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert main(["examples", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_import_without_a_project(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "import", "tickets.csv", "--abstain", "oos"]) == 0
    said = capsys.readouterr()
    assert "30 examples in tickets.csv, read as csv" in said.out
    assert 'input from "text", output from "label"' in said.out
    assert "30 new in examples.jsonl, 0 were there already" in said.out
    assert "next: groundtune examples stats" in said.err
    found = read_examples(folder / "examples.jsonl")
    assert sum(one.output is None for one in found) == 10
    again = as_json(capsys, "import", "tickets.csv", "--abstain", "oos")
    assert (again["new"], len(again["same"]), again["differing"]) == ([], 30, [])
    assert read_examples(folder / "examples.jsonl") == found


def test_import_into_a_project(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(folder, '"data/*.jsonl", "own.jsonl"')
    found = as_json(capsys, "import", "tickets.csv", "--split", "train")
    assert Path(found["to"]) == folder / "own.jsonl"
    assert {one.split for one in read_examples(folder / "own.jsonl")} == {"train"}
    assert main(["examples", "import", "tickets.csv", "--to", "other.jsonl"]) == 0
    assert 'name it in groundtune.toml: [examples] files = ["other.jsonl"]' in capsys.readouterr().err


def test_inputs_that_are_there_keep_their_split(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(folder, '"own.jsonl", "more.jsonl"')
    lines = [json.dumps({"id": f"t{n}", "input": f"Input {n}", "output": "x", "split": "test"}) for n in range(30)]
    (folder / "own.jsonl").write_text("\n".join(lines[:8]))
    (folder / "more.jsonl").write_text("\n".join(lines[8:10]))
    assert main(["examples", "import", "tickets.csv", "--split", "train"]) == 0
    said = capsys.readouterr().out
    assert "30 new in " in said
    assert "10 new examples with an input that is there under another id: they go into the split of that one" in said
    found = read_examples(folder / "own.jsonl")
    assert [one.split for one in found] == ["test"] * 18 + ["train"] * 20
    (folder / "own.jsonl").write_text("\n".join(lines[:8]))
    assert len(as_json(capsys, "import", "tickets.csv")["known"]) == 10


def test_outputs_that_differ_are_kept_unless_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "import", "tickets.csv"]) == 0
    (folder / "tickets.csv").write_text("text,label\ninput 1,returns\n")
    assert main(["examples", "import", "tickets.csv"]) == 0
    assert "1 example kept the output that they had; --overwrite replaces it" in capsys.readouterr().err
    assert read_examples(folder / "examples.jsonl")[1].output == "billing"
    assert main(["examples", "import", "tickets.csv", "--overwrite"]) == 0
    assert read_examples(folder / "examples.jsonl")[1].output == "returns"


def test_problems_name_their_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chats = [{"messages": [{"role": "user", "content": "a"}]}, {"messages": []}]
    (folder / "chat.jsonl").write_text("\n".join(map(json.dumps, chats)))
    assert main(["examples", "import", "chat.jsonl"]) == 2
    said = capsys.readouterr().err
    assert "2 problems" in said
    assert "chat.jsonl:1: the chat does not end with the assistant (end it with" in said
    assert not (folder / "examples.jsonl").exists()


def test_stats_on_the_screen_and_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(folder)
    with (folder / "tickets.csv").open("a") as file:
        file.write("INPUT 1,oos\n")
    assert main(["examples", "import", "tickets.csv"]) == 0
    capsys.readouterr()
    assert main(["examples", "stats"]) == 0
    said = capsys.readouterr()
    assert "31 examples in" in said.out
    assert "outputs  text 31; 0 with evidence" in said.out
    assert "origins  tickets.csv 31" in said.out
    assert any(line.split()[:1] == ["billing"] and line.split()[-1] == "20" for line in said.out.splitlines())
    assert "1 example with an input that is there before" in said.err
    assert "1 input with different outputs" in said.err
    assert "in more than one split" not in said.err
    assert as_json(capsys, "stats")["labels"]["oos"]
    assert as_json(capsys, "stats", "--split", "test")["splits"]["train"] == 0


def test_splits_are_written_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "e.jsonl").write_text('{"id": "a", "input": "x"}\n{"id": "b", "input": "y", "split": "test"}\n')
    before = read_examples(folder / "e.jsonl")
    assert main(["examples", "split", "e.jsonl"]) == 0
    assert "the split of 1 example is written out; 1 had one and keep it" in capsys.readouterr().out
    assert read_examples(folder / "e.jsonl") == before
    assert as_json(capsys, "split", "e.jsonl")["e.jsonl"] == {"frozen": 0, "explicit": 2}


def test_export_says_which_split(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(folder)
    assert main(["examples", "import", "tickets.csv", "--abstain", "oos"]) == 0
    capsys.readouterr()
    assert (
        main(["examples", "export", "--format", "chat", "--split", "train", "--abstain", "none", "--instructions"]) == 0
    )
    said = capsys.readouterr()
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert rows[0]["messages"][0] == {"role": "system", "content": "Sort it."}
    assert f"{len(rows)} examples as chat: train {len(rows)}" in said.err
    assert "never train" not in said.err
    assert main(["examples", "export", "--format", "csv", "--to", "out.csv"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "30 examples in out.csv as csv: train" in said.err
    assert "of the test split: never train on them" in said.err
    assert (folder / "out.csv").read_text().startswith("id,input,output,split")


def test_bad_calls_say_what_is_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "import"]) == 2
    assert main(["examples", "mix"]) == 2
    assert main(["examples", "stats", "--split", "dev"]) == 2
    assert main(["examples", "import", "tickets.csv", "--format", "excel"]) == 2
    assert main(["examples", "stats"]) == 3
    project(folder)
    assert main(["examples", "stats"]) == 3
    assert main(["examples", "stats", "none.jsonl"]) == 3
    assert main(["examples", "import", "tickets.csv", "--to", "/proc/none/e.jsonl"]) == 3
    said = capsys.readouterr().err
    assert "no file to import" in said
    assert "cannot write /proc/none/e.jsonl" in said
