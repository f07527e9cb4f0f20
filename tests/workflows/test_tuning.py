"""A table [tune.NAME] from rows to an approach that answers, with a real training in its own process."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from groundtune.build.approach_registry import ApproachRegistry, build_registry
from groundtune.errors import GroundtuneError, MissingError, UsageError
from groundtune.project import Project
from groundtune.tune.artifacts import ARTIFACT, read_artifact, seen_in_training, write_artifact
from groundtune.tune.encoders import base_encoder
from groundtune.tune.job import PROGRESS, Job, TrainingRow, TrainingStep, TuneError, write_job
from groundtune.tune.preflight.run import PreflightReport
from groundtune.types import Answer, Artifact, Example, Message, Question
from groundtune.workflows import comparing, tuning
from tests.tune.encoders import labelled, tiny_encoder

pytestmark = pytest.mark.slow

LABELS = ("refund", "delivery", "password")
TABLE = '[tune.fast]\nkind = "classifier"\nmode = "probe"\n'
Rows = list[dict[str, Any]]


def rows(*, train: int = 8) -> Rows:
    """Three labels: 24 rows to train on (or `train` each), 12 to calibrate on, 9 to measure on."""
    return [
        {"id": f"{split}-{row.id}", "input": row.input, "output": row.output, "split": split}
        for seed, (split, each) in enumerate((("train", train), ("validation", 4), ("test", 3)), start=1)
        for row in labelled(each, seed=seed, labels=LABELS)
    ]


def desk_of(folder: Path, *, toml: str = TABLE, given: Rows | None = None) -> Path:
    """A project with one example file per split."""
    given = rows() if given is None else given
    (folder / "rows").mkdir(parents=True)
    head = 'name = "desk"\ntask = "classify"\n[examples]\nfiles = ["rows/*.jsonl"]\n'
    (folder / "groundtune.toml").write_text(head + toml)
    for split in ("train", "validation", "test"):
        if rows_of_split := [row for row in given if row["split"] == split]:
            (folder / f"rows/{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows_of_split))
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project where [tune.fast] was trained once, for all tests in this file."""
    folder = desk_of(tmp_path_factory.mktemp("trained") / "desk")
    steps: list[TrainingStep] = []
    with Project.open(folder) as project:
        artifact = project.tune("fast", progress=steps.append)
        assert project.artifacts() == [artifact]
    assert steps, "what the trainer reports is passed on"
    assert "calibrating and saving" in [step.note for step in steps]
    return folder


@pytest.fixture
def desk(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained project."""
    return shutil.copytree(trained, tmp_path / "desk")


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Project]]:
    projects: list[Project] = []

    def open_(folder: Path) -> Project:
        projects.append(Project.open(folder))
        return projects[-1]

    yield open_
    for project in projects:
        project.close()


Opened = Callable[[Path], Project]


def registry_of(project: Project) -> ApproachRegistry:
    async def built() -> ApproachRegistry:
        async with project.session.resources() as resources:
            return await build_registry(project.config, resources)

    return project.loop.run(built())


def model_of(folder: Path) -> Path:
    """The folder of the only training."""
    (training,) = (folder / ".groundtune/models").iterdir()
    return training


def written(folder: Path, split: str) -> Rows:
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]


async def job_of(
    project: Project, name: str, validation: str = "validation"
) -> tuple[Job, list[TrainingRow], list[TrainingRow]]:
    held_out = [example for example in project.session.examples() if example.split == validation]
    async with project.session.resources() as resources:
        return await tuning.build_job(project.workspace, project.config, resources, name, validation=held_out)


def workers(folder: Path) -> list[psutil.Process]:
    """Processes that train in the project."""
    processes = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "groundtune.workflows.training_process" in words and str(folder) in words[-1] and is_alive(process):
            processes.append(process)
    return processes


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(folder: Path, *, seconds: float = 30) -> bool:
    until = time.monotonic() + seconds
    while workers(folder):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


# -- a look --------------------------------------------------------------------------------------------------------


def test_a_preflight_reports_everything_and_writes_nothing(tmp_path: Path, opened: Opened) -> None:
    folder = desk_of(tmp_path / "desk")
    preflight = opened(folder).preflight("fast")
    assert preflight.errors == ()
    assert preflight.rows == {"train": 24, "validation": 12, "test": 9}
    assert [preflight.labels[label] for label in LABELS] == [8, 8, 8]
    assert preflight.lengths is not None
    assert preflight.bounds is not None
    assert preflight.bounds.usd == 0.0
    assert preflight.bounds.seconds
    assert not (folder / ".groundtune/models").exists()


def test_test_rows_are_left_out_of_training_with_a_warning(tmp_path: Path, opened: Opened) -> None:
    given = rows()
    leak, validation_row = (next(row for row in given if row["split"] == split) for split in ("test", "validation"))
    again = [{**leak, "id": "again", "input": leak["input"].upper(), "split": "train"}]
    again += [{**leak, "id": "held", "input": f"  {leak['input']}", "split": "validation"}]
    folder = desk_of(tmp_path / "desk", given=[*given, *again])
    project = opened(folder)
    preflight = project.preflight("fast")
    assert (preflight.errors, preflight.leaks) == ((), ())
    assert preflight.rows == {"train": 24, "validation": 12, "test": 9}
    (warning,) = [warning for warning in preflight.warnings if warning.check == "leakage"]
    assert warning.rows == ("again", "held")
    assert f"again = {leak['id']}, held = {leak['id']}" in (warning.hint or "")
    artifact = project.tune("fast")
    assert "again" not in artifact.seen_examples
    assert validation_row["id"] in [row["id"] for row in written(model_of(folder), "validation")]
    assert "held" not in [row["id"] for row in written(model_of(folder), "validation")]


def test_it_is_refused_when_all_train_rows_are_in_the_test_split(tmp_path: Path, opened: Opened) -> None:
    given = [row for row in rows() if row["split"] == "test"]
    given += [{**row, "id": f"{row['id']}-again", "split": "train"} for row in given]
    folder = desk_of(tmp_path / "desk", given=given)
    with pytest.raises(UsageError, match="every example of the train split is also in the test split"):
        opened(folder).tune("fast")
    assert not list((folder / ".groundtune").glob("models/*"))


def test_every_error_is_reported_and_nothing_is_written(tmp_path: Path, opened: Opened) -> None:
    given = rows()
    given[0]["input"] = f"the key is AKIA{'ABCDEFGH2345' + 'WXYZ'} {given[0]['input']}"
    given[1]["input"] += " money" * 40
    table = f'[tune.fast]\nkind = "classifier"\nbase = "{tiny_encoder(tmp_path / "base")}"\nmax_tokens = 20\n'
    folder = desk_of(tmp_path / "desk", toml=table, given=given)
    seen_by: list[PreflightReport] = []
    with pytest.raises(TuneError, match="not started because of 2 problems") as caught:
        opened(folder).tune("fast", on_preflight=seen_by.append)
    assert [finding.check for finding in seen_by[0].errors] == ["length", "secrets"]
    assert all(finding.message in caught.value.message for finding in seen_by[0].errors)
    assert not (folder / ".groundtune/models").exists()


def test_truncated_rows_are_allowed_by_number(tmp_path: Path, opened: Opened) -> None:
    given = rows()
    given[0]["input"] += " money" * 40
    table = (
        f'[tune.fast]\nkind = "classifier"\nbase = "{tiny_encoder(tmp_path / "base")}"\nmax_tokens = 20\nepochs = 1\n'
    )
    project = opened(desk_of(tmp_path / "desk", toml=table, given=given))
    (error,) = project.preflight("fast").errors
    assert error.message == "train: 1 row longer than 20 tokens; the longest has 48"
    assert "--allow-truncation 1" in (error.hint or "")
    assert project.preflight("fast", allow_truncation=1).errors == ()
    assert project.tune("fast", allow_truncation=1).recipe["allow_truncation"] == 1


def test_a_full_disk_is_reported_before_any_training(
    tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    folder = desk_of(tmp_path / "desk")
    project = opened(folder)
    project.preflight("fast")
    monkeypatch.setattr(tuning, "_estimate_bounds", lambda *_: (None, None))
    monkeypatch.setattr(tuning, "write_job", full)
    with pytest.raises(TuneError, match=r"cannot write .*: no space left on device"):
        project.tune("fast")
    assert not list((folder / ".groundtune/models").glob("*"))


@pytest.mark.parametrize("ingested", [True, False])
def test_restricted_documents_are_not_trained_on(ingested: bool, tmp_path: Path, opened: Opened) -> None:
    given = rows()
    given[0]["evidence"] = [{"source": "docs/hr/pay.md", "quote": "31,000 pounds"}]
    toml = '[documents]\ninclude = ["docs/**/*"]\n[[documents.access]]\ninclude = ["docs/hr/**"]\ngroups = ["hr"]\n'
    folder = desk_of(tmp_path / "desk", toml=toml + TABLE, given=given)
    (folder / "docs/hr").mkdir(parents=True)
    (folder / "docs/hr/pay.md").write_text("# Pay\n\nBand C starts at 31,000 pounds a year.\n")
    project = opened(folder)
    if ingested:
        project.ingest()
    assert [finding.check for finding in project.preflight("fast").errors] == ["access"]


@pytest.mark.parametrize(
    ("table", "name", "message"),
    [
        (TABLE, "slow", r"no table \[tune\.slow\]"),
        ("", "fast", r"no table \[tune\.fast\]"),
        (
            '[tune.fields]\nkind = "extractor"\n',
            "fields",
            "kind 'extractor' needs task extract, but this project has task cl",
        ),
    ],
)
def test_an_impossible_training_is_refused(table: str, name: str, message: str, tmp_path: Path, opened: Opened) -> None:
    project = opened(desk_of(tmp_path / "desk", toml=table))
    for verb in (project.preflight, project.tune):
        with pytest.raises(UsageError, match=message) as caught:
            verb(name)
    if "no table" in message:
        assert caught.value.hint == ("choose one of fast" if table else "add [tune.fast]")


def test_without_a_row_to_train_on_it_is_refused(tmp_path: Path, opened: Opened) -> None:
    toml = f'[labels]\nrefund = "money"\ndelivery = "parcels"\n{TABLE}'
    folder = desk_of(
        tmp_path / "desk",
        toml=toml,
        given=[row for row in rows() if row["split"] != "train" and row["output"] != "password"],
    )
    with pytest.raises(UsageError, match=r"tune\.fast: the train split has no examples") as caught:
        opened(folder).tune("fast")
    assert "groundtune examples stats" in (caught.value.hint or "")
    assert not (folder / ".groundtune/models").exists()


# -- what is left on disk ------------------------------------------------------------------------------------------


def test_the_artifact_is_written_last_and_lists_all_files(trained: Path) -> None:
    folder = model_of(trained)
    artifact = read_artifact(folder)
    others = [path for path in folder.rglob("*") if path.is_file() and path.name != ARTIFACT]
    assert (folder / ARTIFACT).stat().st_mtime_ns >= max(path.stat().st_mtime_ns for path in others)
    assert (artifact.id, artifact.name, artifact.kind) == (folder.name, "fast", "classifier")
    assert folder.name.startswith("fast-")
    assert set(artifact.files) == {path.relative_to(folder).as_posix() for path in folder.glob("model/**/*.*")}
    assert (artifact.unusable, artifact.usd) == (None, 0.0)
    assert (artifact.recipe["mode"], artifact.recipe["seed"]) == ("probe", 0)
    assert artifact.metrics["accuracy"] >= 0.8
    assert {"torch", "transformers", "groundtune"} <= set(artifact.versions)
    assert not (folder / "failure.json").exists()


def test_no_row_of_the_test_split_reaches_the_trainer(trained: Path) -> None:
    folder, given = model_of(trained), rows()
    ids = {split: [row["id"] for row in given if row["split"] == split] for split in ("train", "validation", "test")}
    assert [row["id"] for row in written(folder, "train")] == ids["train"]
    assert [row["id"] for row in written(folder, "validation")] == ids["validation"]
    assert list(read_artifact(folder).seen_examples) == ids["train"]
    files = [path for path in folder.rglob("*.json*") if path.name not in ("tokenizer.json", "vocab.json")]
    text = "".join(path.read_text() for path in files)
    assert not [row["id"] for row in given if row["split"] == "test" and (row["id"] in text or row["input"] in text)]


def test_the_training_file_is_recorded(trained: Path) -> None:
    models = trained / ".groundtune/models"
    assert len(seen_in_training(models, "rows/train.jsonl")) == len(seen_in_training(models, "rows")) == 1
    assert len(seen_in_training(models, next(row["id"] for row in rows() if row["split"] == "train"))) == 1
    assert seen_in_training(models, "rows/other.jsonl") == []


def test_the_test_file_is_recorded_as_unseen(trained: Path) -> None:
    assert seen_in_training(trained / ".groundtune/models", "rows/test.jsonl") == []


# -- asked and compared --------------------------------------------------------------------------------------------


def test_a_tuned_model_answers(desk: Path, opened: Opened) -> None:
    project = opened(desk)
    test_rows = [row for row in rows() if row["split"] == "test"]
    answers = [project.ask(row["input"], approach="tuned") for row in test_rows]
    assert {answer.approach for answer in answers} == {"tuned"}
    answered = [(row["output"], answer.output) for answer, row in zip(answers, test_rows, strict=True) if answer.output]
    assert len(answered) >= 3, "few validation rows make a threshold that refuses much"
    assert sum(right == label for right, label in answered) / len(answered) >= 0.7, answered
    assert all(answer.confidence is not None for answer in answers)


def test_a_tuned_model_is_compared_by_default(desk: Path, opened: Opened) -> None:
    project = opened(desk)
    assert "tuned" in registry_of(project).ready
    assert list(registry_of(project).artifacts) == ["tuned"]
    report = project.compare()
    by_name = {summary.name: summary for summary in report.approaches}
    assert {"tuned", "fewshot"} <= set(by_name)
    assert (by_name["tuned"].n, by_name["tuned"].errors) == (9, 0)
    assert 0 < (by_name["tuned"].usd_per_1k or 0) < 0.1  # the seconds of this machine
    (run,) = (desk / ".groundtune/runs").iterdir()
    about = json.loads((run / "run.json").read_text())["about"]
    assert about["artifacts"] == {"tuned": model_of(desk).name}


def test_no_approach_is_measured_on_what_it_was_trained_on(desk: Path, opened: Opened) -> None:
    train = [json.loads(line) for line in (desk / "rows/train.jsonl").read_text().splitlines()]
    train[0]["split"] = "test"  # moved since the training
    (desk / "rows/train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in train))
    with (desk / "rows/test.jsonl").open("a") as file:  # and written once more, under another id
        file.write(json.dumps({**train[1], "id": "again", "input": train[1]["input"].upper(), "split": "test"}) + "\n")
    report = opened(desk).compare()
    names = [summary.name for summary in report.approaches]
    assert {summary.name: summary.n for summary in report.approaches} == dict.fromkeys(names, 9)
    line = "2 examples were excluded for every approach, because tuned was trained on their id or input."
    assert line in report.verdict.caveats
    (desk / "rows/test.jsonl").unlink()
    with pytest.raises(UsageError, match="tuned: trained on every example of this split") as caught:
        opened(desk).compare()
    assert caught.value.hint == "train again without them: groundtune tune fast"
    assert "tuned" not in [summary.name for summary in opened(desk).compare(approaches=["fewshot"]).approaches]


def test_an_estimate_times_a_local_tuned_model(desk: Path, opened: Opened) -> None:
    estimates = {estimate.approach: estimate for estimate in opened(desk).estimate()}
    assert {"tuned", "fewshot"} <= set(estimates)
    tuned = estimates["tuned"]
    assert (tuned.calls, tuned.usd, tuned.usd_at_most, tuned.timed) == (9, 0.0, 0.0, True)
    assert tuned.seconds is not None
    assert tuned.seconds > 0


def test_a_model_tuned_for_other_labels_is_not_used(desk: Path, opened: Opened) -> None:
    with (desk / "rows/train.jsonl").open("a") as file:
        file.write('{"id": "new", "input": "the lift is stuck", "output": "building"}\n')
    reason = "was trained with different labels than the project now has (building); run groundtune tune fast"
    assert registry_of(opened(desk)).missing["tuned"] == reason


def test_two_tables_have_distinct_names(desk: Path, opened: Opened) -> None:
    with (desk / "groundtune.toml").open("a") as file:
        file.write('[tune.slow]\nkind = "classifier"\n[tune.finder]\nkind = "retriever"\n')
    project = opened(desk)
    registry = registry_of(project)
    assert "tuned:fast" in registry.ready
    assert {name for name in (*registry.ready, *registry.missing) if "tuned" in name} == {"tuned:fast", "tuned:slow"}
    assert registry.missing["tuned:slow"] == "is not trained yet; run groundtune tune slow"
    assert project.ask("money back please", approach="tuned:fast").approach == "tuned:fast"


def test_an_untrained_table_is_missing_with_the_command(tmp_path: Path, opened: Opened) -> None:
    project = opened(desk_of(tmp_path / "desk"))
    assert registry_of(project).missing["tuned"] == "is not trained yet; run groundtune tune fast"
    with pytest.raises(MissingError, match="tuned is not trained yet") as caught:
        project.ask("money back", approach="tuned")
    assert caught.value.hint == "groundtune tune fast"
    assert "tuned" not in [summary.name for summary in project.compare(approaches=["fewshot"]).approaches]


def damage(folder: Path) -> str:
    (folder / "model/head.safetensors").write_bytes(b"another head")
    return r"model/head\.safetensors has changed since training"


def lose(folder: Path) -> str:
    (folder / "model/classifier.json").unlink()
    return r"model/classifier\.json is missing"


def forbid(folder: Path) -> str:
    write_artifact(folder, replace(read_artifact(folder), unusable="the files say other things than the trainer"))
    return "must not be used: the files say other things than the trainer"


@pytest.mark.parametrize("spoil", [damage, lose, forbid])
def test_a_changed_model_is_refused_with_the_reason(spoil: Callable[[Path], str], desk: Path, opened: Opened) -> None:
    reason = spoil(model_of(desk))
    project = opened(desk)
    assert "tuned" not in registry_of(project).ready
    with pytest.raises(GroundtuneError, match=reason):
        project.ask("money back", approach="tuned")
    assert project.ask("money back please", approach="fewshot").output == "refund", "the others are asked as before"


@pytest.mark.parametrize("content", ["{", "{}"])
def test_a_damaged_training_of_another_table_does_no_harm(content: str, desk: Path, opened: Opened) -> None:
    other = desk / ".groundtune/models/other-1"
    other.mkdir()
    (other / ARTIFACT).write_text(content)
    assert "tuned" in registry_of(opened(desk)).ready


def test_an_open_project_sees_trainings_of_other_processes(desk: Path, opened: Opened) -> None:
    models = desk / ".groundtune/models"
    models.rename(desk / "aside")
    project = opened(desk)
    assert "tuned" in registry_of(project).missing
    (desk / "aside").rename(models)
    assert "tuned" in registry_of(project).ready


# -- cut short -----------------------------------------------------------------------------------------------------


def test_a_killed_training_names_its_log_and_can_be_resumed(
    tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundtune.tune.launcher.POLL_SECONDS", 0.02)  # it is seen to begin long before it ends
    folder = desk_of(tmp_path / "desk")
    project = opened(folder)

    def kill(_: TrainingStep) -> None:
        for process in workers(folder):
            os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(TuneError, match="the training process was killed by signal 9") as caught:
        project.tune("fast", progress=kill)
    assert str(model_of(folder) / "log.txt") in (caught.value.hint or "")
    assert project.artifacts() == []
    assert "tuned" in registry_of(project).missing
    artifact = project.tune("fast")
    assert model_of(folder).name == artifact.id, "the one that was cut short went on"
    assert "tuned" in registry_of(project).ready


async def test_a_cancelled_training_leaves_no_process(tmp_path: Path) -> None:
    base = tiny_encoder(tmp_path / "base")
    table = f'[tune.long]\nkind = "classifier"\nbase = "{base}"\nepochs = 1000\npatience = 1000\n'
    folder = desk_of(tmp_path / "desk", toml=table, given=rows(train=100))
    with Project.open(folder) as project:
        begun = threading.Event()
        task = asyncio.create_task(project.atune("long", progress=lambda _: begun.set()))
        assert await asyncio.to_thread(begun.wait, 600), task
        assert workers(folder)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(gone, folder)
        with project.workspace.writer_lock(timeout_seconds=60):
            pass
    assert not (model_of(folder) / ARTIFACT).exists()


def test_killing_the_command_stops_its_training(tmp_path: Path) -> None:
    base = tiny_encoder(tmp_path / "base")
    table = f'[tune.long]\nkind = "classifier"\nbase = "{base}"\nepochs = 1000\npatience = 1000\n'
    folder = desk_of(tmp_path / "desk", toml=table, given=rows(train=100))
    words = [sys.executable, "-m", "groundtune", "tune", "long"]
    command = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 600
    while not list(folder.glob(f".groundtune/models/*/{PROGRESS}")):
        assert command.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)
    left = workers(folder)
    assert left
    try:
        command.kill()
        command.wait()
        assert gone(folder)
    finally:
        for process in left:
            if is_alive(process):
                os.kill(process.pid, signal.SIGKILL)


async def _unfinished(project: Project) -> Path:
    job, train, validation = await job_of(project, "fast")
    write_job(job, train, validation)
    return job.folder


def test_an_unfinished_training_of_the_same_rows_is_resumed(tmp_path: Path, opened: Opened) -> None:
    project = opened(desk_of(tmp_path / "desk"))
    folder = project.loop.run(_unfinished(project))
    (folder / "failure.json").write_text('{"message": "no room", "hint": null, "exit_code": 1}')
    job, train, validation = project.loop.run(job_of(project, "fast"))
    assert tuning._matching_training(project.workspace, job, train, validation) == folder
    assert tuning._matching_training(project.workspace, job, train[1:], validation) is None
    assert tuning._matching_training(project.workspace, replace(job, settings={}), train, validation) is None
    assert tuning._matching_training(project.workspace, replace(job, base="other"), train, validation) is None
    write_artifact(folder, Artifact(folder.name, "fast", "classifier", "b", "", "", {}, {}, {}, {}, "", 0.0, 0.0))
    base = base_encoder.find_encoder(job.base).located.digest
    whole = Artifact(folder.name, "fast", "classifier", "b", base, "", {}, {}, {}, {}, "", 0.0, 0.0)
    write_artifact(folder, whole)
    assert tuning._matching_training(project.workspace, job, train, validation) == folder, "it is complete"
    assert tuning._matching_training(project.workspace, job, train[1:], validation) is None
    for other in ({"base_digest": "another base"}, {"unusable": "no gain"}, {"files": {"gone": "digest"}}):
        write_artifact(folder, replace(whole, **other))
        assert tuning._matching_training(project.workspace, job, train, validation) is None, other


@pytest.mark.parametrize(("kind", "left"), [("lora", {"other", "new"}), ("classifier", {"new"})])
def test_the_same_input_after_another_conversation_was_not_seen(tmp_path: Path, kind: str, left: set[str]) -> None:
    history = ({"role": "user", "content": "Do you ship?"},)
    job = Job(tmp_path / "a-1", "a", kind, "base", {})
    job.folder.mkdir()
    write_job(job, [TrainingRow("t", "To Iceland?", "No.", history=history if kind == "lora" else ())], [])
    artifact = Artifact("a-1", "a", kind, "base", "", "", {}, {}, {}, {}, "", 0.0, 0.0)
    registry = ApproachRegistry(ready={"tuned": Echo()}, artifacts={"tuned": artifact})
    examples = [
        Example("same", "to iceland?", history=(Message("user", "do you ship?"),)),
        Example("other", "To Iceland?", history=(Message("user", "Do you fly?"),)),
        Example("new", "To Norway?"),
    ]
    unseen, _ = comparing._without_training_examples(examples, registry, tmp_path)
    assert {example.id for example in unseen} == left


class Echo:
    """An approach that repeats the question."""

    name = "tuned"

    async def answer(self, question: Question) -> Answer:
        return Answer(question.text, "answered")


def test_a_new_training_says_why_it_is_not_resumed(tmp_path: Path, opened: Opened) -> None:
    project = opened(desk_of(tmp_path / "desk"))
    folder = project.loop.run(_unfinished(project))
    (folder / "checkpoint").mkdir()

    def interruptions(name: str, **changed: Any) -> list[str]:
        desk = desk_of(tmp_path / name, **changed)
        shutil.copytree(tmp_path / "desk/.groundtune", desk / ".groundtune")
        return [
            warning.message
            for warning in opened(desk).preflight("fast").warnings
            if "was interrupted" in warning.message
        ]

    assert interruptions("same") == [], "it is resumed"
    toml = TABLE.replace("[tune.fast]", "[tune.fast]\nseed = 7")
    again = f"so a new run starts; to delete the old one: groundtune models remove {folder.name}"
    assert interruptions("settings", toml=toml) == [
        f"{folder.name} was interrupted and used different settings (seed), {again}"
    ]
    assert interruptions("rows", given=rows()[1:]) == [
        f"{folder.name} was interrupted and used different data, {again}"
    ]


def test_half_a_line_of_progress_does_not_stop_the_next_training(tmp_path: Path, opened: Opened) -> None:
    project = opened(desk_of(tmp_path / "desk"))
    folder = project.loop.run(_unfinished(project))
    (folder / PROGRESS).write_text('{"epoch": 0.0, "step": 1, "st')
    assert project.tune("fast").id == folder.name


def test_a_damaged_job_is_skipped(tmp_path: Path, opened: Opened) -> None:
    project = opened(desk_of(tmp_path / "desk"))
    (folder := project.loop.run(_unfinished(project))).joinpath("job.json").write_text("{")
    job, train, validation = project.loop.run(job_of(project, "fast"))
    assert tuning._matching_training(project.workspace, job, train, validation) is None
    assert folder.exists()


def test_a_training_stays_inside_the_models_folder(tmp_path: Path, opened: Opened) -> None:
    folder = desk_of(tmp_path / "desk", toml=TABLE.replace("tune.fast", 'tune."../../../out"'))
    with pytest.raises(GroundtuneError):
        opened(folder).preflight("../../../out")


def test_several_seeds_are_measured_as_one_approach(tmp_path: Path) -> None:
    folder = desk_of(tmp_path / "desk", toml=TABLE + "seed = 5\nseeds = 2\n")
    with Project.open(folder) as project:
        both = project.preflight("fast").bounds
        assert both is not None
        assert both.note.startswith("2 trainings with different seeds")
        last = project.tune("fast")
        assert [artifact.recipe["seed"] for artifact in project.artifacts()] == [5, 6]
        assert last.recipe["seed"] == 6
        assert project.tune("fast") == last
        assert len(project.artifacts()) == 2, "both are reused"
        assert [estimate.approach for estimate in project.estimate(approaches=["tuned"])] == [
            "tuned",
            f"tuned@{project.artifacts()[0].id}",
        ]
        report = project.compare(approaches=["tuned"])
        assert [summary.name for summary in report.approaches] == ["tuned"]
        assert report.n == len([row for row in rows() if row["split"] == "test"])
        assert any("spread between its 2 trainings" in caveat for caveat in report.verdict.caveats)
        shutil.rmtree(project.workspace.models / project.artifacts()[0].id)
        caveats = project.compare(approaches=["tuned"]).verdict.caveats
        assert any("1 of 2 trainings of tuned could be measured" in caveat for caveat in caveats)


def test_the_interval_of_one_training_says_so(desk: Path) -> None:
    with Project.open(desk) as project:
        caveats = project.compare(approaches=["tuned"]).verdict.caveats
    sentence = "The interval of tuned holds for this one training: [tune.fast] seeds = 3 measures the spread between"
    assert any(caveat.startswith(sentence) for caveat in caveats)
