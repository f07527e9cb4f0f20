"""Commands that run for the pages: one at a time, killed at any time, seen by every worker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from groundtune.errors import BusyError, MissingError
from groundtune.serve.pages.jobs import KEPT, Job, Jobs, Progress
from groundtune.workspace import Workspace
from tests.serve.conftest import write_project

WAITING = ["ingest", "--wait", "600"]
"""A command that goes on until somebody stops it, while the test has the lock of the writer."""


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(Workspace(write_project(tmp_path)))


@pytest.fixture
def waiting(jobs: Jobs, tmp_path: Path) -> Iterator[Jobs]:
    with Workspace(tmp_path).writer_lock():
        yield jobs


def until(jobs: Jobs, job: Job, condition: Callable[[Job], bool]) -> Job:
    end = time.monotonic() + 300
    while not condition(now := jobs.find(job.id)):
        assert time.monotonic() < end, jobs.output(job.id)
        time.sleep(0.05)
    return now


def ended(jobs: Jobs, job: Job) -> Job:
    return until(jobs, job, lambda now: now.state != "running")


@pytest.mark.slow
def test_a_command_runs_and_its_output_is_kept(jobs: Jobs, tmp_path: Path) -> None:
    job = ended(jobs, jobs.start("check", ["check"], by="ann"))
    assert (job.state, job.code, job.by, job.told) == ("done", 0, "ann", "")
    lines, _ = jobs.output(job.id)
    assert "documents  2 files (2 md), 1 kB" in lines
    assert not any("\x1b" in line for line in lines)
    checked = ended(jobs, jobs.start("check", ["check", "--json"], by="ann"))
    assert jobs.result(checked.id)["name"] == "acme"
    assert Jobs(Workspace(tmp_path)).latest()["check"].id == checked.id


@pytest.mark.slow
def test_one_command_runs_at_a_time_and_is_stopped(waiting: Jobs, tmp_path: Path) -> None:
    jobs, job = waiting, waiting.start("ingest", WAITING, by="ann")
    time.sleep(1)
    another_worker = Jobs(Workspace(tmp_path))
    with pytest.raises(BusyError, match="groundtune ingest --wait 600 is running"):
        another_worker.start("check", ["check"], by="bob")
    another_worker.stop(job.id)
    stopped = ended(jobs, job)
    assert stopped.state == "stopped"
    assert "goes on where it was" in stopped.told
    assert jobs.running() is None


@pytest.mark.slow
def test_a_killed_command_is_told_of(waiting: Jobs) -> None:
    jobs, job = waiting, waiting.start("ingest", WAITING, by="ann")
    os.killpg(jobs._own[job.id].pid, signal.SIGKILL)
    killed = ended(jobs, job)
    assert (killed.state, killed.code) == ("failed", -signal.SIGKILL)
    assert "Nothing is damaged" in killed.told
    assert ended(jobs, jobs.start("check", ["check"], by="ann")).state == "done"


@pytest.mark.slow
def test_a_command_outlives_the_server_that_was_killed(waiting: Jobs, tmp_path: Path) -> None:
    start = (
        "import os, pathlib, sys; from groundtune.serve.pages.jobs import Jobs;"
        "from groundtune.workspace import Workspace;"
        "print(Jobs(Workspace(pathlib.Path(sys.argv[1]))).start('ingest', sys.argv[2:], by='ann').id, flush=True);"
        "os._exit(0)"
    )
    command = [sys.executable, "-c", start, str(tmp_path), *WAITING]
    jobs, job = (
        waiting,
        waiting.find(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()),
    )
    assert job.state == "running"
    pid = json.loads((tmp_path / ".groundtune" / "cache" / "jobs" / job.id / "job.json").read_bytes())["pid"]
    os.killpg(pid, signal.SIGKILL)
    lost = ended(jobs, job)
    assert (lost.state, lost.code) == ("lost", None)
    assert "nobody knows how it went" in lost.told


def test_output_is_plain_text_with_the_progress_apart(jobs: Jobs, tmp_path: Path) -> None:
    folder = tmp_path / ".groundtune" / "cache" / "jobs" / "1"
    folder.mkdir(parents=True)
    told = (
        "\x1b[31merror:\x1b[0m no\u202e way\r\nfiles: 3 of 1,200\nfiles: 7 of 1,200 (a (1).md)\n"
        + "x" * 9_000
        + "\nunfinished"
    )
    (folder / "output.txt").write_bytes(told.encode())
    lines, progress = jobs.output("1")
    assert lines == ["error: no way", "x" * 2_000]
    assert progress == Progress("files", 7, 1_200, "a (1).md")
    assert jobs.result("1") is None
    with pytest.raises(MissingError):
        jobs.find("2")


@pytest.mark.slow
def test_old_jobs_are_removed(jobs: Jobs, tmp_path: Path) -> None:
    folder = tmp_path / ".groundtune" / "cache" / "jobs"
    job = ended(jobs, jobs.start("check", ["--version"], by="ann"))
    for number in range(KEPT + 5):
        old = folder / f"1{number:03d}"
        old.mkdir()
        (old / "job.json").write_bytes((folder / job.id / "job.json").read_bytes())
        (old / "ended.json").write_text('{"code": 0, "time": ""}')
    ended(jobs, jobs.start("check", ["--version"], by="ann"))
    assert len(list(folder.iterdir())) == KEPT
