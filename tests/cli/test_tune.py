"""`groundtune check --tune` and `groundtune tune` as a user runs them: output and exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundtune.cli import main
from groundtune.cli.check import show_preflight
from groundtune.tune.job import Bounds
from groundtune.tune.preflight.chats import RenderedRow
from groundtune.tune.preflight.findings import make_finding
from groundtune.tune.preflight.lengths import measure
from groundtune.tune.preflight.run import PreflightReport
from tests.tune.encoders import labelled, tiny_encoder

pytestmark = pytest.mark.slow

LABELS = ("refund", "delivery", "password")
Run = Callable[..., tuple[int, str, str]]
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("base"))


def rows() -> Rows:
    return [
        {"id": f"{split}-{row.id}", "input": row.input, "output": row.output, "split": split}
        for seed, (split, each) in enumerate((("train", 6), ("validation", 3), ("test", 2)), start=1)
        for row in labelled(each, seed=seed, labels=LABELS)
    ]


@pytest.fixture
def desk(tmp_path: Path, base: Path) -> Callable[..., Path]:
    def make(table: str = "epochs = 1", *, given: Rows | None = None, model: str | None = None) -> Path:
        head = 'name = "desk"\ntask = "classify"\n[examples]\nfiles = ["rows.jsonl"]\n'
        table_text = f'[tune.fast]\nkind = "classifier"\nbase = "{model or base}"\ndevice = "cpu"\n{table}\n'
        (tmp_path / "groundtune.toml").write_text(head + table_text)
        (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in given or rows()))
        return tmp_path

    return make


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(words))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_check_shows_lengths_labels_and_the_next_step(desk: Callable[..., Path], run: Run) -> None:
    given = [*rows(), {"id": "solo", "input": "stop my contract", "output": "cancel", "split": "train"}]
    folder = desk(given=given)
    code, out, err = run("check", "-C", str(folder), "--tune", "fast")
    assert code == 0
    assert "rows    train 19, validation 9, test 6" in out
    assert "labels  delivery 6, password 6, refund 6, cancel 1" in out
    assert "maximum 10; limit 64" in out
    assert "warning: train: 1 label with one example (cancel) (solo)" in out
    assert out.count("at most") == 1
    assert err == "next: groundtune tune fast\n"
    assert not (folder / ".groundtune/models").exists()


def test_longer_rows_are_refused_unless_truncation_is_allowed(desk: Callable[..., Path], run: Run) -> None:
    given = rows()
    given[0]["input"] += " money" * 40
    folder = desk("max_tokens = 20\nepochs = 1", given=given)
    words = ["tune", "fast", "--project", str(folder)]
    code, out, _ = run(*words)
    assert code == 1
    assert "1 row longer than that" in out
    assert "error: train: 1 row longer than 20 tokens" in out
    assert out.count("allow_truncation = 1 (--allow-truncation 1)") == 1
    code, out, _ = run(*words, "--json")
    assert code == 1
    assert [
        finding["check"] for finding in json.loads(out)["preflight"]["findings"] if finding["level"] == "error"
    ] == ["length"]
    assert not (folder / ".groundtune/models").exists()
    code, out, err = run(*words, "--allow-truncation", "1")
    assert code == 0
    assert "warning: train: 1 row longer than 20 tokens" in out
    assert "on the validation split: accuracy" in out
    assert "next: groundtune compare" in err


def test_a_missing_base_model_is_exit_code_3(desk: Callable[..., Path], run: Run, tmp_path: Path) -> None:
    folder = desk(model=str(tmp_path / "none"))
    for words in (["check", "-C", str(folder), "--tune", "fast"], ["tune", "fast", "--project", str(folder)]):
        code, _, err = run(*words)
        assert code == 3
        assert f"no model at {tmp_path / 'none'}" in err
        assert "hint: name an encoder" in err


def test_invalid_calls_are_refused(desk: Callable[..., Path], run: Run) -> None:
    folder = str(desk())
    assert run("check", "-C", folder, "--allow-truncation", "3")[0] == 2
    assert run("tune", "slow", "--project", folder)[0] == 2
    code, _, err = run("tune", "fast", "--job", "cancel", "--project", folder)
    assert (code, 'tune.fast has kind = "classifier", so it has no hosted job' in err) == (2, True)


def test_trained_text_of_a_chat_is_marked_and_control_characters_are_escaped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    preflight = PreflightReport(
        findings=(
            make_finding(
                "error", "chat", "train: 1 row: the chat has an empty assistant turn", hint="fill it in", rows=["b"]
            ),
            make_finding("warning", "leakage", "test: 9 rows (t1 ~ a)", rows=["t1", *(f"t{n}" for n in range(2, 10))]),
        ),
        rows={"train": 2, "validation": 0, "test": 9},
        lengths=measure({"a": 12, "c": 30}, limit=20, starts={"a": 4, "c": 20}),
        shown=(RenderedRow("a", "x" * 500 + "\x1b[31mWhere?\n", "Here.<|end|>", "rest", tokens=12, trained_tokens=3),),
        bounds=Bounds(90, 900, None, "3 epochs"),
    )
    show_preflight(preflight)
    out = capsys.readouterr().out
    assert "\\x1b[31mWhere?\\n⟦Here.<|end|>⟧✂rest" in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) < 400
    assert "limit 20; 1 row with nothing left to train on" in out
    assert "error: train: 1 row: the chat has an empty assistant turn (b)\n    hint: fill it in" in out
    assert "warning: test: 9 rows (t1 ~ a) (t2, t3, t4, t5 and 4 more)" in out
    assert "at most 2 min, 900 MB of memory, an unknown price; 3 epochs" in out
