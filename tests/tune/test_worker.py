"""The training process: alone in its folder, and never silent about a failure."""

import asyncio
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from filelock import FileLock

from groundtune.build.training_kinds import training_kind
from groundtune.errors import GroundtuneError, MissingError, ProviderError, UsageError
from groundtune.tune import worker
from groundtune.tune.job import FAILURE, LOCK, Job, TrainingRow, TuneError, write_job
from groundtune.tune.launcher import launch_training

PROCESS = "groundtune.workflows.training_process"
ROWS = [TrainingRow("a", "b", "c"), TrainingRow("d", "e", "f")]
HOLD = """
import sys
from pathlib import Path
from groundtune.tune import worker
with worker._alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    new_job = Job(tmp_path / "job", "desk", "classifier", "base", {})
    write_job(new_job, ROWS, [])
    return new_job


def raises(error: Exception) -> worker.FindTrainer:
    """A trainer that raises an error."""

    def train(*_: Any) -> NoReturn:
        raise error

    return lambda _: SimpleNamespace(train=train, estimate=train)


def test_two_processes_do_not_train_in_one_folder(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LOCK_SECONDS", 0.05)
    (job.folder / FAILURE).write_text("of the one that trains")
    heard: list[bytes] = []
    words = [sys.executable, "-c", HOLD, str(job.folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert worker.run_training(job.folder, training_kind, tell=heard.append) == 1
        assert (job.folder / FAILURE).read_text() == "of the one that trains"
        other.kill()
        other.wait()
    assert json.loads(heard[0])["message"] == f"another process is training in {job.folder}"
    with worker._alone(job.folder):
        pass  # what was killed holds nothing


def test_the_parent_is_told_that_the_folder_is_in_use(job: Job) -> None:
    lock = FileLock(job.folder / LOCK)
    program = "import sys; from groundtune.tune import worker; worker.LOCK_SECONDS = 0.05; sys.exit(worker.main(print))"
    heard, says = os.pipe()
    with lock:
        done = subprocess.run([sys.executable, "-c", program, str(job.folder)], stdout=says, check=False)
    os.close(says)
    assert done.returncode == 1
    assert "another process is training in" in json.loads(os.read(heard, 1 << 16))["message"]
    os.close(heard)


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OSError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:668] . PytorchStreamWriter failed writing file data/3"),
    ],
    ids=["system", "safetensors", "torch"],
)
def test_a_failure_on_a_full_disk_still_reaches_the_parent(
    error: Exception, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(worker, "write_atomic", full)
    monkeypatch.setattr(traceback, "print_exc", full)
    heard: list[bytes] = []
    assert worker.run_training(job.folder, raises(error), tell=heard.append) == 1
    reported = json.loads(heard[0])
    assert reported["message"] == f"cannot write: no space left on the disk of {job.folder}"
    assert reported["hint"] == "free some space; groundtune tune resumes from the last checkpoint"
    assert not (job.folder / FAILURE).exists()


def test_a_read_error_is_not_called_a_full_disk(job: Job) -> None:
    fails = raises(OSError(19, "No such device", "best-24/logits"))
    assert worker.run_training(job.folder, fails) == 1
    reported = json.loads((job.folder / FAILURE).read_text())
    assert "No such device" in reported["message"]
    assert reported["hint"] == f"{job.folder / 'log.txt'} has the traceback"


@pytest.mark.parametrize(
    "error",
    [
        TuneError("nothing came of it", hint="train again"),
        UsageError("no such provider"),
        MissingError("no model", hint="name one"),
        ProviderError("it answered 500", kind="server", retryable=True, hint="later"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failure_comes_back_as_the_original_error(error: GroundtuneError, job: Job) -> None:
    from groundtune.tune.launcher import _reason

    heard: list[bytes] = []
    assert worker.run_training(job.folder, raises(error), tell=heard.append) == error.exit_code
    for reported in (heard[0], b""):  # told, or left in failure.json
        reason = _reason(job.folder, error.exit_code, reported)
        assert (type(reason), reason.message, reason.hint) == (type(error), error.message, error.hint)


def test_a_killed_training_may_have_run_out_of_memory(job: Job) -> None:
    from groundtune.tune.launcher import _reason

    killed = "the training process was killed by signal 9 (usually because memory ran out)"
    assert _reason(job.folder, -9, b"").message == killed
    assert _reason(job.folder, -15, b"").message == "the training process was killed by signal 15"


@pytest.mark.slow
def test_a_missing_base_is_exit_code_3(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(99)")
    monkeypatch.chdir(tmp_path)  # a document of that name is no module
    write_job(Job(job.folder, "desk", "classifier", str(job.folder / "none"), {"device": "cpu"}), ROWS, [])
    with pytest.raises(MissingError):
        asyncio.run(launch_training(job.folder, module=PROCESS))
    assert json.loads((job.folder / FAILURE).read_text())["exit_code"] == 3
    assert not (job.folder / "log.txt").stat().st_mode & 0o111
