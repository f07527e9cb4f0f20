"""Every kind of training is one object; another package can add one that configures, trains, loads and answers."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from groundtune.approaches.output_formats import AnswerFormat
from groundtune.build.approach_families import tune_table_of
from groundtune.build.training_kinds import BUILT_IN, sees_history, training_kind, tuned_tables
from groundtune.build.training_kinds.chat_rows import chat_rows
from groundtune.cli import main
from groundtune.config import load_config
from groundtune.config.tune_tables import LoraConfig, TrainingConfig, TuneConfig
from groundtune.errors import ConfigError, MissingError
from groundtune.extensions import load_extensions
from groundtune.project import Project
from groundtune.protocols import TrainingKind
from groundtune.tune.hosted.upload_files import request_line
from groundtune.tune.job import TuneError
from groundtune.types import Example, Message, Task

DISTRIBUTION = "groundtune_majority-1.2.dist-info"
LORA = '[tune.{}]\nkind = "lora"\nbase = "x"\n'
OVER_PASSAGES = 'context = "retrieved"\n'
LABELS = ("refund", "delivery", "refund")
TABLE = '[tune.most]\nkind = "majority"\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder like site-packages with the package of majority.py, for this process and for those it starts."""
    site = tmp_path / "site"
    (site / DISTRIBUTION).mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("majority.py"), site / "groundtune_majority.py")
    (site / DISTRIBUTION / "METADATA").write_text("Metadata-Version: 2.1\nName: groundtune-majority\nVersion: 1.2\n")
    (site / DISTRIBUTION / "entry_points.txt").write_text("[groundtune]\nmajority = groundtune_majority:register\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH")))))
    monkeypatch.delitem(sys.modules, "groundtune_majority", raising=False)
    load_extensions.cache_clear()
    yield site
    load_extensions.cache_clear()


@pytest.mark.parametrize(
    ("task", "closed", "retrieved"),
    [
        ("answer", ("tuned", "hybrid"), ("hybrid",)),
        ("write", ("tuned",), ("hybrid",)),
        ("extract", ("tuned", "tuned-constrained"), ("hybrid",)),
        ("classify", ("tuned",), ()),
    ],
)
def test_a_causal_model_answers_over_the_passages_that_it_was_trained_on(
    task: Task, closed: tuple[str, ...], retrieved: tuple[str, ...]
) -> None:
    kind = training_kind("lora")
    assert kind.approaches(LoraConfig(kind="lora", base="b"), task) == closed
    assert kind.approaches(LoraConfig(kind="lora", base="b", context="retrieved"), task) == retrieved


def test_written_texts_have_a_plain_tuned_and_a_plain_hybrid(tmp_path: Path) -> None:
    tables = LORA.format("voice") + LORA.format("letters") + OVER_PASSAGES
    (tmp_path / "groundtune.toml").write_text(f'name = "x"\ntask = "write"\n{tables}')
    config = load_config(tmp_path / "groundtune.toml", environ={})
    assert tuned_tables(config) == {"voice": {"tuned": "tuned"}, "letters": {"hybrid": "hybrid"}}
    assert [tune_table_of(config, name) for name in ("tuned", "hybrid@x", "tuned:voice")] == ["voice", "letters", None]


@pytest.fixture
def majority(site: Path) -> TrainingKind:
    return training_kind("majority")


def test_chats_contain_the_history_and_only_their_last_reply_is_trained_on() -> None:
    history = (Message("user", "Do you ship?"), Message("assistant", "Yes."))
    (row,) = chat_rows(AnswerFormat(), [Example("e", "To Iceland?", "No.", history=history)])
    assert [turn["content"] for turn in row.messages[1:]] == ["Do you ship?", "Yes.", "Question: To Iceland?", "No."]
    assert [turn["content"] for turn in row.history] == ["Do you ship?", "Yes."]
    line = request_line(row, method="supervised")
    assert [turn.get("weight") for turn in line["messages"]] == [None, None, 0, None, None]
    assert sees_history(training_kind("lora"))
    assert not sees_history(training_kind("classifier"))


def desk(folder: Path, table: str = TABLE, labels: tuple[str, ...] = LABELS) -> Path:
    folder.mkdir()
    lines = [
        {"id": f"{split}{n}", "input": f"{split} ticket number {n} of {label}", "output": label, "split": split}
        for split in ("train", "validation", "test")
        for n, label in enumerate(labels * 2)
    ]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    head = 'name = "desk"\ntask = "classify"\n[examples]\nfiles = ["rows.jsonl"]\n'
    (folder / "groundtune.toml").write_text(head + table)
    return folder


# -- the built-in kinds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", BUILT_IN.values(), ids=BUILT_IN)
def test_a_built_in_kind_is_complete(kind: TrainingKind) -> None:
    assert isinstance(kind, TrainingKind)
    assert training_kind(kind.kind) is kind
    assert issubclass(kind.config, TrainingConfig)
    assert get_args(kind.config.model_fields["kind"].annotation) == (kind.kind,)


def test_every_table_has_a_kind() -> None:
    assert {kind.config for kind in BUILT_IN.values()} == set(get_args(get_args(TuneConfig)[0]))


def test_an_unknown_kind_is_missing() -> None:
    with pytest.raises(MissingError, match="no kind of training 'majority'") as caught:
        training_kind("majority")
    assert caught.value.hint == "install the package that provides it"


# -- a kind of another package -------------------------------------------------------------------------------------


def problems(toml: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(Path("groundtune.toml"), text=f'name = "a"\ntask = "classify"\n{toml}', environ={})
    return str(caught.value)


def test_its_table_is_checked_like_a_built_in_one(majority: TrainingKind) -> None:
    config = load_config(Path("g.toml"), text=f'name = "a"\n{TABLE}', environ={"GROUNDTUNE_TUNE__MOST__MIN_ROWS": "7"})
    assert config.tune["most"].model_dump(include={"kind", "min_rows", "seed"}) == {
        "kind": "majority",
        "min_rows": 7,
        "seed": 0,
    }
    assert config.model_dump(mode="json")["tune"]["most"]["min_rows"] == 7
    assert problems(f"{TABLE}min_row = 3") == (
        'groundtune.toml:5: unknown key "min_row" in [tune.most] (did you mean "min_rows"?)'
    )
    assert problems(f"{TABLE}min_rows = 0") == "groundtune.toml:5: tune.most.min_rows must be at least 1, not 0"
    assert "one of classifier, extractor, lora, retriever, hosted, majority" in problems("[tune.most]\nseed = 1")


def test_without_the_package_its_table_is_refused() -> None:
    assert problems(TABLE) == (
        "groundtune.toml:3: tune.most.kind must be one of classifier, extractor, lora, retriever, hosted, "
        'not "majority" (or install a package that provides it)'
    )


def test_a_broken_package_says_why(site: Path) -> None:
    (site / "groundtune_majority.py").write_text("import no_such_module\n")
    why = "groundtune-majority 1.2 cannot be used: ModuleNotFoundError: No module named 'no_such_module'"
    assert why in problems(TABLE)
    with pytest.raises(MissingError, match="cannot be used"):
        training_kind("majority")


@pytest.mark.slow
def test_it_trains_loads_and_answers(
    majority: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built: list[bool] = []
    real = majority.rows

    async def rows(*arguments: Any, measured: bool) -> Any:
        built.append(measured)
        return await real(*arguments, measured=measured)

    monkeypatch.setattr(majority, "rows", rows)
    folder, notes = desk(tmp_path / "desk"), []
    with Project.open(folder) as project:
        artifact = project.tune("most", progress=lambda step: notes.append(step.note))
        assert built == [False, True], "the rows of each split are built once"
        assert (artifact.kind, artifact.base, artifact.unusable) == ("majority", "", None)
        assert artifact.metrics == {"share": pytest.approx(2 / 3)}
        assert artifact.recipe["min_rows"] == 1
        assert notes == ["counted 6 rows"]
        assert project.tune("most").id == artifact.id, "the same training is reused"
        report = project.compare(approaches=["tuned"])
        assert [entry.name for entry in report.approaches] == ["tuned"]
        assert project.ask("Where is my parcel?", approach="tuned").output == "refund"
    monkeypatch.setenv("NO_COLOR", "1")
    capsys.readouterr()
    assert main(["models", "show", "most", "-C", str(folder)]) == 0
    assert "majority from [tune.most]" in capsys.readouterr().out


@pytest.mark.slow
def test_its_checks_and_failures_reach_the_user(majority: TrainingKind, tmp_path: Path) -> None:
    with Project.open(desk(tmp_path / "few", f"{TABLE}min_rows = 9\n")) as project:
        preflight = project.preflight("most")
        assert [error.message for error in preflight.errors] == ["train: 6 rows; at least 9 are needed"]
        assert "it reads no text" in [warning.message for warning in preflight.warnings]
        assert preflight.bounds is not None
        assert preflight.bounds.note == "6 rows"
        assert preflight.labels == {"refund": 4, "delivery": 2}
    with (
        Project.open(desk(tmp_path / "broken", labels=("broken", "broken", "fine"))) as project,
        pytest.raises(TuneError, match="the most frequent label is broken"),
    ):
        project.tune("most")


@pytest.mark.parametrize(
    ("tables", "names"),
    [
        (LORA.format("a"), {"a": {"tuned": "tuned", "hybrid": "hybrid"}}),
        (
            LORA.format("a") + LORA.format("b") + OVER_PASSAGES,
            {"a": {"tuned": "tuned", "hybrid": "hybrid:a"}, "b": {"hybrid": "hybrid"}},
        ),
        (
            LORA.format("a") + LORA.format("b"),
            {"a": {"tuned": "tuned:a", "hybrid": "hybrid:a"}, "b": {"tuned": "tuned:b", "hybrid": "hybrid:b"}},
        ),
        (
            LORA.format("a") + OVER_PASSAGES + LORA.format("b") + OVER_PASSAGES,
            {"a": {"hybrid": "hybrid:a"}, "b": {"hybrid": "hybrid:b"}},
        ),
    ],
)
def test_an_approach_that_one_table_provides_has_the_plain_name(
    tables: str, names: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "groundtune.toml").write_text(f'name = "x"\n{tables}', encoding="utf-8")
    assert tuned_tables(load_config(tmp_path / "groundtune.toml")) == names
