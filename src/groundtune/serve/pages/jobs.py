"""Run commands of groundtune for the pages: one at a time, each in a process of its own, with its output on disk.

What is known of a job lies in `.groundtune/cache/jobs/<id>/`, so that every worker shows it, also after a restart:

job.json     which command runs, since when, for whom, and as which process
output.txt   what it prints; standard error alone for a command with `--json`
result.json  what a command with `--json` prints to standard output
stopped      somebody stopped it
ended.json   its exit code; missing while it runs, and when the server died before it

Decides nothing about commands, and knows no shell: a command is a list of words.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil

from groundtune.common.files import read_json, unused_folder, write_json
from groundtune.errors import BusyError, MissingError
from groundtune.workspace import Workspace

JobState = Literal["running", "done", "failed", "stopped", "lost"]
"""lost: the server ended before the command did, so nobody knows its exit code."""

ABOUT, OUTPUT, RESULT, STOPPED, ENDED = "job.json", "output.txt", "result.json", "stopped", "ended.json"
KEPT = 20
"""Jobs that stay on disk."""
STOP_SECONDS = 15.0
"""How long a command that was asked to stop may go on before it is killed."""
CLOSE_SECONDS = 3.0
"""The same when the server ends."""
LOCK_SECONDS = 10.0
CLOCK_SECONDS = 2.0
"""How far the time of creation may seem to move while the clock of the machine is set."""
SHOWN_BYTES, SHOWN_LINES, LINE_LENGTH = 200_000, 400, 2_000
"""How much of the end of an output is shown."""
LARGEST_RESULT = 4_000_000
"""Bytes of a result that is read."""
NICENESS = 5
"""Priority of a job, so that the server stays quick beside it."""
ENVIRONMENT = {
    "NO_COLOR": "1",
    "TERM": "dumb",
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",
    "PYTHONSAFEPATH": "1",  # no document is imported because it is called json.py
    "GROUNDTUNE_PROGRESS_SECONDS": "0.5",
}

_PROGRESS = re.compile(r"([a-z][a-z ]*): ([\d,]+)(?: of ([\d,]+))?(?: \((.*)\))?")
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Codes for terminals, and characters that turn the direction of the text around them."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a command says that it is."""

    title: str
    done: int
    total: int | None
    now: str | None = None
    """What it is at."""


@dataclass(frozen=True, slots=True)
class Job:
    """A command that runs or ran."""

    id: str
    command: str
    """Its name among the commands of the page."""
    words: tuple[str, ...]
    started: str
    """ISO 8601, UTC."""
    by: str
    state: JobState
    ended: str | None = None
    code: int | None = None
    """Exit code; negative: the signal that killed it; None while it runs, and for `lost`."""

    @property
    def told(self) -> str:
        """How it ended, in a sentence; empty while it runs, and when it ended by itself."""
        again = "Nothing is damaged: start it again, and it goes on where it was."
        if self.state == "stopped":
            return "Stopped. Start it again, and it goes on where it was."
        if self.state == "lost":
            return f"The server ended while this ran, so nobody knows how it went. {again}"
        if self.code is not None and self.code < 0:
            memory = ", usually because memory ran out" if -self.code == signal.SIGKILL else ""
            return f"It was killed by signal {-self.code}{memory}. {again}"
        return ""


class Jobs:
    """The jobs of a project."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._folder = workspace.cache / "jobs"
        self._own: dict[str, subprocess.Popen[bytes]] = {}
        """Jobs that this process started and that run."""

    def start(self, command: str, words: Sequence[str], *, by: str) -> Job:
        """Start a command. Raises BusyError while another runs, MissingError when it cannot be started."""
        with self._workspace.lock("jobs", timeout_seconds=LOCK_SECONDS, action="is starting a job in"):
            if other := self.running():
                raise BusyError(f"{shown(other.words)} is running", hint="wait until it is done, or stop it")
            self._remove_old()
            now = datetime.now(UTC)
            folder = unused_folder(self._folder / f"{now:%Y%m%d-%H%M%S-%f}")
            try:
                folder.mkdir(parents=True, mode=0o700)
                process = self._launch(folder, words)
            except OSError as error:
                raise MissingError(f"{shown(words)} cannot be started: {error.strerror or error}") from error
            self._own[folder.name] = process
            about = {
                "command": command,
                "words": list(words),
                "by": by,
                "started": now.isoformat(timespec="seconds"),
                "pid": process.pid,
                "created": _created(process.pid),
            }
            write_json(folder / ABOUT, about)
        threading.Thread(target=self._wait, args=[process, folder], daemon=True).start()
        return self.find(folder.name)

    def find(self, job_id: str) -> Job:
        """Return a job. Raises MissingError."""
        folder = self._folder / job_id
        about = read_json(folder / ABOUT)
        state, ended = self._state(folder, about)
        return Job(
            job_id,
            about["command"],
            tuple(about["words"]),
            about["started"],
            about["by"],
            state,
            ended=ended.get("time"),
            code=ended.get("code"),
        )

    def latest(self) -> dict[str, Job]:
        """Return the job of each command that was started last, the latest first."""
        jobs: dict[str, Job] = {}
        for folder in reversed(self._folders()):
            with contextlib.suppress(MissingError):  # another worker has just removed it
                job = self.find(folder.name)
                jobs.setdefault(job.command, job)
        return jobs

    def running(self) -> Job | None:
        """Return the job that runs."""
        return next((job for job in self.latest().values() if job.state == "running"), None)

    def output(self, job_id: str) -> tuple[list[str], Progress | None]:
        """Return the last lines that a job printed, as plain text, and how far it says that it is."""
        lines: list[str] = []
        progress: Progress | None = None
        for line in _end_of(self._folder / job_id / OUTPUT):
            if match := _PROGRESS.fullmatch(line):
                done, total = (None if number is None else int(number.replace(",", "")) for number in match.group(2, 3))
                progress = Progress(match[1], done or 0, total, match[4])
            else:
                lines.append(line)
        return lines[-SHOWN_LINES:], progress

    def result(self, job_id: str) -> Any:
        """Return the object that a command with `--json` printed; None if it did not."""
        path = self._folder / job_id / RESULT
        try:
            return json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST_RESULT else None
        except (OSError, ValueError):
            return None

    def stop(self, job_id: str) -> Job:
        """Ask a job to stop as Ctrl-C does, and kill it if it does not. Raises MissingError."""
        job = self.find(job_id)
        if job.state == "running":
            (self._folder / job_id / STOPPED).touch()
            self._signal(job_id, signal.SIGINT)
            timer = threading.Timer(STOP_SECONDS, self._signal, [job_id, signal.SIGKILL])
            timer.daemon = True
            timer.start()
        return self.find(job_id)

    def close(self) -> None:
        """Stop what this process started: the next server's page says so, and starts it again."""
        for job_id, process in list(self._own.items()):
            self.stop(job_id)
            try:
                process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                self._signal(job_id, signal.SIGKILL)

    def _launch(self, folder: Path, words: Sequence[str]) -> "subprocess.Popen[bytes]":
        with contextlib.ExitStack() as stack:
            told = stack.enter_context((folder / OUTPUT).open("wb"))
            printed = stack.enter_context((folder / RESULT).open("wb")) if "--json" in words else told
            process = subprocess.Popen(
                [sys.executable, "-m", "groundtune", *words],
                cwd=self._workspace.root,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=told,
                env={**os.environ, **ENVIRONMENT},
                start_new_session=True,
            )
        with contextlib.suppress(psutil.Error, OSError):
            psutil.Process(process.pid).nice(NICENESS)
        return process

    def _wait(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        code = process.wait()
        write_json(folder / ENDED, {"code": code, "time": datetime.now(UTC).isoformat(timespec="seconds")})
        self._own.pop(folder.name, None)

    def _state(self, folder: Path, about: Mapping[str, Any]) -> tuple[JobState, Mapping[str, Any]]:
        for patience in (0.3, 0.0):
            if (folder / ENDED).exists():
                ended = read_json(folder / ENDED)
                if ended["code"] == 0:
                    return "done", ended
                return "stopped" if (folder / STOPPED).exists() else "failed", ended
            if folder.name in self._own or _is_alive(about):
                return "running", {}
            time.sleep(patience)  # the worker that started it notes its end any moment
        return "lost", {}

    def _signal(self, job_id: str, number: signal.Signals) -> None:
        """Send a signal to the processes of a job that still runs."""
        about = read_json(self._folder / job_id / ABOUT)
        if _is_alive(about):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(about["pid"], number)

    def _folders(self) -> list[Path]:
        return sorted(path.parent for path in self._folder.glob(f"*/{ABOUT}"))

    def _remove_old(self) -> None:
        for folder in self._folders()[: -KEPT + 1]:
            shutil.rmtree(folder, ignore_errors=True)


def shown(words: Sequence[str]) -> str:
    """Return a command as somebody would type it."""
    return " ".join(("groundtune", *words))


def _is_alive(about: Mapping[str, Any]) -> bool:
    """Whether the process of a job runs; a later one with the same number was created at another time."""
    created = _created(about["pid"])
    return created is not None and about["created"] is not None and abs(created - about["created"]) < CLOCK_SECONDS


def _created(pid: int) -> float | None:
    """Return when a process was created, in seconds since the epoch; None if it is gone."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def _end_of(path: Path) -> list[str]:
    """Return the lines at the end of a file, without anything that is no text."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - SHOWN_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line[:LINE_LENGTH].rstrip() for line in _CODES.sub("", text).split("\n")[:-1]]
