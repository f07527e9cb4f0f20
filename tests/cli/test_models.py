"""`groundtune models` as a user runs it, on models that consist of files only."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from groundtune.cli import main
from groundtune.cli.models.export import serve_command
from groundtune.common.files import write_json
from groundtune.ingest.forgotten import Forgotten, ForgottenSource, write_forgotten
from groundtune.tune.artifacts import file_digests, write_artifact
from groundtune.tune.incomplete import why_untrained
from groundtune.tune.job import FAILURE, LOCK, Job, write_job
from groundtune.types import Artifact
from groundtune.workspace import Workspace

Run = Callable[..., tuple[int, str, str]]


def artifact(name: str, number: int, **values: Any) -> Artifact:
    given: dict[str, Any] = {
        "id": f"{name}-{number}",
        "name": name,
        "kind": "classifier",
        "base": "bundled",
        "base_digest": "b",
        "dataset_digest": "d",
        "recipe": {},
        "metrics": {"accuracy": 0.875, "macro_f1": 0.8},
        "files": {},
        "versions": {},
        "made": f"2026-01-0{number}T00:00:00+00:00",
        "seconds": 3.0,
        "usd": 0.0,
        "seen_examples": ("t1", "t2"),
        "seen_documents": ("tickets.jsonl",),
    }
    return Artifact(**{**given, **values})


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "groundtune.toml").write_text('name = "desk"\ntask = "classify"\n')
    folder = tmp_path / ".groundtune/models"
    for model in (
        artifact("fast", 1),
        artifact("fast", 2),
        artifact("slow", 3, unusable="the merged model differs", seen_documents=("docs/a.md",)),
    ):
        write_artifact(folder / model.id, model)
    return folder


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "240")

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["models", *arguments, "--project", str(tmp_path)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def ids(out: str) -> list[str]:
    return [model["id"] for model in json.loads(out)["models"]]


def test_the_list_shows_all_models_and_which_are_not_usable(models: Path, run: Run) -> None:
    code, out, _ = run()
    assert code == 0
    rows = [line for line in out.splitlines() if "classifier" in line]
    assert [row.split()[0] for row in rows] == ["fast-1", "fast-2", "slow-3"]
    assert "accuracy 0.875" in rows[0]
    assert "not usable: the merged model differs" in rows[2]
    assert ids(run("list", "--json")[1]) == ["fast-1", "fast-2", "slow-3"]


def test_without_any_training_the_list_is_empty(models: Path, run: Run) -> None:
    shutil.rmtree(models)
    code, out, err = run("list")
    assert (code, "no trained models" in out + err) == (0, True)
    assert ids(run("list", "--json")[1]) == []


@pytest.mark.parametrize(("name", "shown"), [("fast-1", "fast-1"), ("fast", "fast-2"), ("slow", "slow-3")])
def test_show_takes_an_id_or_the_newest_of_a_name(models: Path, run: Run, name: str, shown: str) -> None:
    code, out, _ = run("show", name, "--json")
    assert (code, json.loads(out)["id"]) == (0, shown)
    assert json.loads(out)["seen_examples"] == ["t1", "t2"]


def test_show_does_not_print_every_row(models: Path, run: Run) -> None:
    code, out, _ = run("show", "slow")
    assert code == 0
    assert out.startswith("slow-3\n")
    lines = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert "2 examples; docs/a.md" in lines["seen"]
    assert "not usable: the merged model differs" in lines["state"]
    assert str(models / "slow-3") in lines["folder"]
    assert "t1" not in out


def test_an_unknown_model_is_missing_and_the_known_ones_are_named(models: Path, run: Run) -> None:
    for action in ("show", "remove", "export"):
        code, out, err = run(action, "nope")
        assert (code, out) == (3, "")
        assert "no model 'nope'" in err
        assert "fast-1, fast-2, slow-3" in err
    shutil.rmtree(models)
    assert "groundtune tune NAME" in run("show", "nope")[2]


@pytest.mark.parametrize("action", ["show", "check", "remove", "export", "seen"])
def test_an_action_without_a_subject_is_refused(models: Path, run: Run, action: str) -> None:
    code, out, err = run(action)
    assert (code, out) == (2, "")
    assert f"Missing argument '{'SOURCE' if action == 'seen' else 'ID'}'" in err


def test_adopt_needs_an_id_or_back(models: Path, run: Run) -> None:
    code, _, err = run("adopt")
    assert (code, "models adopt needs an id" in err) == (2, True)
    code, _, err = run("adopt", "fast-1", "--back")
    assert (code, "--back undoes the last adoption and takes no id" in err) == (2, True)


def test_an_unknown_action_is_refused_with_the_known_ones(models: Path, run: Run) -> None:
    code, _, err = run("delete", "fast-1")
    assert code == 2
    assert "unknown command 'delete'" in err
    assert all(name in err for name in ("list", "show", "check", "adopt", "remove", "export", "seen"))


def test_remove_removes_only_the_named_model(models: Path, run: Run) -> None:
    code, out, _ = run("remove", "fast-1")
    assert (code, out) == (0, "removed fast-1\n")
    assert sorted(path.name for path in models.iterdir()) == ["fast-2", "slow-3"]
    assert run("remove", "fast-1")[0] == 3


def test_models_of_a_learning_curve_are_listed_and_removed_by_their_id(models: Path, run: Run) -> None:
    quarter = models.parent / "curve" / "25" / "models"
    write_artifact(quarter / "fast-9", artifact("fast", 9))
    assert ids(run("list", "--json")[1]) == ["fast-1", "fast-2", "slow-3", "fast-9"]
    line = next(line for line in run("list")[1].splitlines() if line.split()[:1] == ["fast-9"])
    assert f"of a learning curve: {quarter}" in line
    assert run("remove", "fast-9")[:2] == (0, "removed fast-9\n")
    assert not (quarter / "fast-9").exists()
    assert run("remove", "fast")[:2] == (0, "removed fast-2\n"), "a name means the models of the project"


def test_seen_finds_models_trained_on_a_file(models: Path, run: Run) -> None:
    assert ids(run("seen", "tickets.jsonl", "--json")[1]) == ["fast-1", "fast-2"]
    assert ids(run("seen", "docs", "--json")[1]) == ["slow-3"]
    assert ids(run("seen", "t1", "--json")[1]) == ["fast-1", "fast-2", "slow-3"]


def test_seen_says_when_no_model_was_trained_on_a_file(models: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("Nobody has read this.")
    code, out, err = run("seen", "other.md")
    assert (code, out) == (0, "no model was trained on other.md\n")
    assert "nothing left to train" not in err
    assert ids(run("seen", "other.md", "--json")[1]) == []


@pytest.fixture
def desk(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide the files that the models were trained on, and run the command inside docs."""
    rows = [{"id": name, "input": name, "output": "a", "split": "train"} for name in ("t1", "t2", "t9")]
    (tmp_path / "tickets.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "groundtune.toml").write_text('name = "desk"\n[examples]\nfiles = ["tickets.jsonl"]\n')
    (tmp_path / "docs").mkdir()
    for name in ("docs/a.md", "docs/b.md", "a.md"):
        (tmp_path / name).write_text("text")
    monkeypatch.chdir(tmp_path / "docs")
    return tmp_path


EVERY, FAST, SLOW = ["fast-1", "fast-2", "slow-3"], ["fast-1", "fast-2"], ["slow-3"]


@pytest.mark.parametrize(
    ("subject", "wanted"),
    [
        ("{root}/tickets.jsonl", FAST),
        ("{root}/docs/a.md", SLOW),
        ("a.md", SLOW),
        ("docs/a.md", SLOW),
        ("../a.md", []),
        ("../tickets.jsonl", FAST),
        (".", SLOW),
        ("..", EVERY),
        ("b.md", []),
        ("tickets.jsonl", FAST),
        ("tickets.jsonl#t1", EVERY),
        ("{root}/tickets.jsonl#t1", EVERY),
        ("../tickets.jsonl#t1", EVERY),
        ("tickets.jsonl#t9", []),
        ("t9", []),
    ],
)
def test_a_path_is_relative_to_the_folder_or_the_project_or_absolute(
    desk: Path, run: Run, subject: str, wanted: list[str]
) -> None:
    code, out, _ = run("seen", subject.format(root=desk), "--json")
    assert (code, ids(out)) == (0, wanted)


@pytest.mark.parametrize("subject", ["c.md", "tickets.jsonl#t7", "t7", "{root}/docs/c.md", "none.jsonl#t1"])
def test_an_unknown_source_is_an_error(desk: Path, run: Run, subject: str) -> None:
    code, out, err = run("seen", subject.format(root=desk))
    assert (code, out) == (2, ""), subject
    assert "no file, folder or example" in err


def test_a_file_outside_the_project_is_an_error(desk: Path, run: Run) -> None:
    code, _, err = run("seen", "/etc/hostname")
    assert (code, "is outside the project" in err) == (2, True)


def test_a_deleted_source_is_still_known(desk: Path, run: Run) -> None:
    (desk / "docs/a.md").unlink()
    (desk / "tickets.jsonl").unlink()
    assert ids(run("seen", f"{desk}/docs/a.md", "--json")[1]) == SLOW
    assert ids(run("seen", "../docs/a.md", "--json")[1]) == SLOW
    assert ids(run("seen", "tickets.jsonl#t2", "--json")[1]) == FAST


Damage = Callable[[Path], None]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "model/head is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:3]), "model/head has changed since training"),
        (flip, "model/head has changed since training"),
    ],
    ids=["deleted", "cut off", "one bit"],
)
def test_a_damaged_model_is_not_called_usable(models: Path, run: Run, damage: Damage, reason: str) -> None:
    folder = models / "sick-5"
    (folder / "model").mkdir(parents=True)
    (folder / "model/head").write_bytes(b"weights of a head")
    write_artifact(folder, artifact("sick", 5, files=file_digests(folder, ["model"])))
    assert "  usable" in next(line for line in run("list")[1].splitlines() if "sick-5" in line)
    assert json.loads(run("show", "sick", "--json")[1])["damaged"] is None
    damage(folder / "model/head")
    line = next(line for line in run("list")[1].splitlines() if line.split()[0] == "sick-5")
    assert f"damaged: {reason}; run groundtune tune sick" in line
    assert "usable" not in line
    assert json.loads(run("list", "--json")[1])["damaged"] == {"sick-5": reason}
    assert f"damaged: {reason}" in run("show", "sick")[1]
    assert json.loads(run("show", "sick", "--json")[1])["damaged"] == reason


def test_show_detects_damage_that_keeps_the_modification_time(models: Path, run: Run) -> None:
    folder = models / "sick-5"
    (folder / "model").mkdir(parents=True)
    (folder / "model/head").write_bytes(b"weights of a head")
    write_artifact(folder, artifact("sick", 5, files=file_digests(folder, ["model"])))
    flip(folder / "model/head")
    os.utime(folder / "model/head", (0, 0))
    assert json.loads(run("show", "sick", "--json")[1])["damaged"] == "model/head has changed since training"


def test_a_training_without_gain_says_so(models: Path, run: Run) -> None:
    no_gain = "no better than the base model on the validation split: exact 0.000 -> 0.000, loss 12.136 -> 5.000"
    write_artifact(models / "even-6", artifact("even", 6, details={"no_gain": no_gain, "notes": [no_gain]}))
    assert f"usable, but {no_gain}" in " ".join(run("show", "even")[1].split())
    assert f"usable, but {no_gain}" in " ".join(run("list")[1].split())


def test_an_interrupted_training_is_removed_by_the_name_of_its_table(models: Path, run: Run) -> None:
    broken(models)
    write_job(Job(models / "cut-20261121-111111", "cut", "lora", "tiny", {}), [], [])
    code, _, err = run("remove", "cut")
    assert (code, "cut is ambiguous: it has 2 training runs" in err) == (2, True)
    assert "cut-20261121-101010, cut-20261121-111111" in err
    assert run("remove", "cut-20261121-101010")[0] == 0
    write_artifact(models / "cut-7", artifact("cut", 7))
    assert "hint: name one of cut-7, cut-20261121-111111" in run("remove", "cut")[2]
    assert run("remove", "cut-7")[0] == 0
    assert run("remove", "cut")[:2] == (0, "removed cut-20261121-111111\n")


def test_a_failure_that_needs_a_fresh_start_says_so(models: Path, run: Run) -> None:
    broken(models)
    hint = "start over: groundtune tune failed --fresh"
    write_json(models / "failed-1" / FAILURE, {"message": "no optimiser", "hint": hint, "exit_code": 1})
    assert "failed: no optimiser (groundtune tune failed --fresh)" in run("list")[1]


def test_a_job_at_a_provider_is_not_reported_as_failed(models: Path, run: Run) -> None:
    broken(models)
    folder = models / "failed-1"
    write_json(folder / "state.json", {"digest": "d", "mark": "m", "files": {}, "asked": True, "job": "ftjob-7"})
    state = "possibly still running at the provider, as job ftjob-7 (groundtune tune failed waits for it)"
    assert state in run("list")[1]


def test_a_classifier_is_not_exported_but_copied(models: Path, run: Run, tmp_path: Path) -> None:
    code, out, err = run("export", "fast", "--target", str(tmp_path / "out"))
    assert (code, out) == (2, "")
    assert "fast-2 is a classifier, and only lora models are exported" in err
    assert f"hint: copy its folder {models / 'fast-2'}" in err
    assert not (tmp_path / "out").exists()


def test_a_model_that_has_seen_what_was_forgotten_is_not_exported(models: Path, run: Run, tmp_path: Path) -> None:
    seen = artifact("chat", 4, kind="lora", seen_documents=("docs/a.md#3",), details={"serve": {"path": "merged"}})
    write_artifact(models / "chat-4", seen)
    write_json(models / "chat-4/merged/config.json", {})
    entry = ForgottenSource("docs/a.md", "2026-01-05T00:00:00+00:00")
    out = ["export", "chat", "--target", str(tmp_path / "out")]
    write_forgotten(Workspace(tmp_path), Forgotten([entry]))
    code, _, err = run(*out)
    assert code == 2
    assert "chat-4 was trained on what was forgotten since: docs/a.md" in err
    assert "groundtune tune chat; to keep the model: groundtune forget docs/a.md --keep-models" in err
    assert not (tmp_path / "out").exists()
    write_forgotten(Workspace(tmp_path), Forgotten([replace(entry, kept_models=("chat-4",))]))
    assert run(*out)[0] == 0
    assert (tmp_path / "out/config.json").exists()


@pytest.mark.parametrize(("rank", "flag"), [(4, 8), (16, 16), (24, 32)])
def test_the_command_that_serves_an_adapter_names_the_folder_of_its_base(tmp_path: Path, rank: int, flag: int) -> None:
    config = {"r": rank, "base_model_name_or_path": "/models/base"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    assert serve_command("adapter", tmp_path, name="chat") == (
        f"vllm serve /models/base --enable-lora --max-lora-rank {flag} --lora-modules chat={tmp_path}"
    )


def test_an_unknown_export_format_is_refused_with_the_known_ones(models: Path, run: Run, tmp_path: Path) -> None:
    write_artifact(models / "chat-4", artifact("chat", 4, kind="lora", details={"serve": {"path": "merged"}}))
    code, _, err = run("export", "chat", "--to", "zip", "--target", str(tmp_path / "out"))
    assert code == 2
    assert "unknown export format 'zip'" in err
    assert all(export_format in err for export_format in ("adapter", "merged", "ollama", "gguf"))
    assert not (tmp_path / "out").exists()


def test_every_action_prints_json(models: Path, run: Run) -> None:
    code, out, _ = run("remove", "fast-1", "--json")
    assert code == 0
    assert json.loads(out)


def test_nothing_outside_the_models_folder_is_ever_removed(models: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    write_artifact(models / "evil", artifact("evil", 5, id="../../precious"))
    run("remove", "../../precious")
    assert (tmp_path / "precious").is_dir()


def broken(models: Path) -> dict[str, str]:
    """Map folders without a readable artifact to their state in the list."""
    (models / "fast-2").rename(models / "renamed")
    (models / "slow-3/artifact.json").write_text("{")
    for name in ("cut-20261121-101010", "failed-1"):
        write_job(Job(models / name, name.partition("-")[0], "lora", "tiny", {}), [], [])
    (models / "failed-1" / FAILURE).write_text('{"message": "no room", "hint": null, "exit_code": 1}')
    (models / "empty").mkdir()
    return {
        "cut-20261121-101010": "interrupted (groundtune tune cut resumes it if rows and settings are unchanged)",
        "empty": "unreadable: its job.json is missing or damaged (groundtune models remove empty)",
        "failed-1": "failed: no room (groundtune tune failed)",
        "renamed": "belongs to fast-2 (groundtune models remove renamed)",
        "slow-3": "damaged: ",
    }


def test_incomplete_trainings_are_listed_with_a_fix(models: Path, run: Run) -> None:
    wanted = broken(models)
    code, out, _ = run("list")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert all(state in lines[name] for name, state in wanted.items()), out
    listed = json.loads(run("list", "--json")[1])
    assert [model["id"] for model in listed["models"]] == ["fast-1"]
    assert [(model["id"], model["name"]) for model in listed["incomplete"]][:3] == [
        ("cut-20261121-101010", "cut"),
        ("empty", None),
        ("failed-1", "failed"),
    ]


def test_incomplete_trainings_can_be_removed_by_folder(models: Path, run: Run) -> None:
    wanted = broken(models)
    for name in wanted:
        assert run("remove", name)[:2] == (0, f"removed {name}\n")
    assert [path.name for path in models.iterdir()] == ["fast-1"]
    assert run("remove", "fast-2")[0] == 3


def test_a_running_training_is_not_removed(models: Path, run: Run) -> None:
    broken(models)
    with FileLock(models / "failed-1" / LOCK):
        assert "being trained" in run("list")[1]
        code, _, err = run("remove", "failed-1")
    assert (code, "failed-1 is being trained" in err) == (1, True)
    assert run("remove", "failed-1")[0] == 0


def test_a_job_that_may_still_run_at_a_provider_is_not_removed(models: Path, run: Run) -> None:
    broken(models)
    folder = models / "cut-20261121-101010"
    write_json(folder / "state.json", {"digest": "d", "mark": "m", "files": {}, "asked": True, "job": "ftjob-7"})
    code, _, err = run("remove", folder.name)
    assert (code, folder.is_dir()) == (2, True)
    assert "job ftjob-7 of cut-20261121-101010 may still be running at the provider" in err
    assert "groundtune tune cut --job cancel" in err


def test_a_table_with_an_interrupted_training_says_so(models: Path) -> None:
    broken(models)
    assert why_untrained(models, "cut").startswith(
        "is not trained yet: cut-20261121-101010 is interrupted (groundtune tune"
    )
    assert why_untrained(models, "other") == "is not trained yet; run groundtune tune other"


def test_a_damaged_training_can_be_listed_beside_the_others(models: Path, run: Run) -> None:
    (models / "slow-3/artifact.json").write_text("{")
    code, out, _ = run("list", "--json")
    assert code == 0
    assert {"fast-1", "fast-2"} <= set(ids(out))
