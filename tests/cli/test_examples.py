"""`groundtune examples` as a user runs it: import, stats, split and export, and what each prints."""

import json
from pathlib import Path
from typing import Any

import pytest

from groundtune.cli import main
from groundtune.dataset.examples import read_examples


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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
    printed = capsys.readouterr()
    assert "30 examples in tickets.csv, read as csv" in printed.out
    assert 'input from "text", output from "label"' in printed.out
    assert "30 added to examples.jsonl, 0 already there" in printed.out
    assert "next: groundtune examples stats" in printed.err
    examples = read_examples(folder / "examples.jsonl")
    assert sum(example.output is None for example in examples) == 10
    again = as_json(capsys, "import", "tickets.csv", "--abstain", "oos")
    assert (again["new"], len(again["same"]), again["differing"]) == ([], 30, [])
    assert read_examples(folder / "examples.jsonl") == examples


def test_import_into_a_project(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(folder, '"data/*.jsonl", "own.jsonl"')
    report = as_json(capsys, "import", "tickets.csv", "--split", "train")
    assert Path(report["to"]) == folder / "own.jsonl"
    assert {example.split for example in read_examples(folder / "own.jsonl")} == {"train"}
    assert main(["examples", "import", "tickets.csv", "--to", "other.jsonl"]) == 0
    assert 'add it to groundtune.toml: [examples] files = ["other.jsonl"]' in capsys.readouterr().err


def test_existing_inputs_keep_their_split(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(folder, '"own.jsonl", "more.jsonl"')
    lines = [json.dumps({"id": f"t{n}", "input": f"Input {n}", "output": "x", "split": "test"}) for n in range(30)]
    (folder / "own.jsonl").write_text("\n".join(lines[:8]))
    (folder / "more.jsonl").write_text("\n".join(lines[8:10]))
    assert main(["examples", "import", "tickets.csv", "--split", "train"]) == 0
    printed = capsys.readouterr().out
    assert "30 added to " in printed
    assert (
        "10 new examples repeat an existing input under a new id; they were put in the same split as the original"
        in printed
    )
    examples = read_examples(folder / "own.jsonl")
    assert [example.split for example in examples] == ["test"] * 18 + ["train"] * 20
    (folder / "own.jsonl").write_text("\n".join(lines[:8]))
    assert len(as_json(capsys, "import", "tickets.csv")["known"]) == 10


def test_differing_outputs_are_kept_unless_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "import", "tickets.csv"]) == 0
    (folder / "tickets.csv").write_text("text,label\ninput 1,returns\n")
    assert main(["examples", "import", "tickets.csv"]) == 0
    assert "1 example kept their output; --overwrite replaces it" in capsys.readouterr().err
    assert read_examples(folder / "examples.jsonl")[1].output == "billing"
    assert main(["examples", "import", "tickets.csv", "--overwrite"]) == 0
    assert read_examples(folder / "examples.jsonl")[1].output == "returns"


def test_problems_name_their_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chats = [{"messages": [{"role": "user", "content": "a"}]}, {"messages": []}]
    (folder / "chat.jsonl").write_text("\n".join(map(json.dumps, chats)))
    assert main(["examples", "import", "chat.jsonl"]) == 2
    printed = capsys.readouterr().err
    assert "2 problems" in printed
    assert "chat.jsonl:1: the chat does not end with an assistant turn (end it with" in printed
    assert not (folder / "examples.jsonl").exists()


def test_stats_as_text_and_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(folder)
    with (folder / "tickets.csv").open("a") as file:
        file.write("INPUT 1,oos\n")
    assert main(["examples", "import", "tickets.csv"]) == 0
    capsys.readouterr()
    assert main(["examples", "stats"]) == 0
    printed = capsys.readouterr()
    assert "31 examples in" in printed.out
    assert "outputs  text 31; 0 with evidence" in printed.out
    assert "origins  tickets.csv 31" in printed.out
    assert any(line.split()[:1] == ["billing"] and line.split()[-1] == "20" for line in printed.out.splitlines())
    assert "1 example with a duplicate input" in printed.err
    assert "1 input with conflicting outputs" in printed.err
    assert "in more than one split" not in printed.err
    assert as_json(capsys, "stats")["labels"]["oos"]
    assert as_json(capsys, "stats", "--split", "test")["splits"]["train"] == 0


def test_splits_are_written_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "e.jsonl").write_text('{"id": "a", "input": "x"}\n{"id": "b", "input": "y", "split": "test"}\n')
    before = read_examples(folder / "e.jsonl")
    assert main(["examples", "split", "e.jsonl"]) == 0
    assert "split written for 1 example; 1 already had one" in capsys.readouterr().out
    assert read_examples(folder / "e.jsonl") == before
    assert as_json(capsys, "split", "e.jsonl")["e.jsonl"] == {"frozen": 0, "explicit": 2}


def test_export_says_which_split(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(folder)
    assert main(["examples", "import", "tickets.csv", "--abstain", "oos"]) == 0
    capsys.readouterr()
    assert (
        main(["examples", "export", "--format", "chat", "--split", "train", "--abstain", "none", "--instructions"]) == 0
    )
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert rows[0]["messages"][0] == {"role": "system", "content": "Sort it."}
    assert f"{len(rows)} examples as chat: train {len(rows)}" in printed.err
    assert "never train" not in printed.err
    assert main(["examples", "export", "--format", "csv", "--to", "out.csv"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "30 examples in out.csv as csv: train" in printed.err
    assert "from the test split: do not train on them" in printed.err
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
    printed = capsys.readouterr().err
    assert "Missing argument 'FILE'" in printed
    assert "cannot write /proc/none/e.jsonl" in printed
