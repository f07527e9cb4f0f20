"""Train the job of a folder in this process. Writes an artifact, or the reason for the failure. Knows no trainer.

Its output and that of its libraries goes to log.txt. It may be killed at any time and resumes from its checkpoint when
started again on the same folder; a second process on the same folder is refused.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from filelock import FileLock, Timeout

from groundtune.common.files import write_atomic
from groundtune.common.full_disk import is_disk_full
from groundtune.common.text import one_line
from groundtune.errors import BusyError, GroundtuneError, ProviderError
from groundtune.protocols import ChecksModels, Trainer
from groundtune.tune.artifacts import dataset_digest, file_digests, write_artifact
from groundtune.tune.job import FAILURE, LOCK, LOG, Job, TrainingResult, TuneError, progress_writer, read_job
from groundtune.types import Artifact

PR_SET_PDEATHSIG = 1
"""Option of Linux's prctl."""
LOCK_SECONDS = 15.0
"""Seconds to wait for the previous process, which may be writing its checkpoint because it was told to stop."""
LIBRARIES = ("torch", "transformers", "peft", "trl", "sentence-transformers", "numpy", "openai", "groundtune")

FindTrainer = Callable[[str], Trainer]
"""Returns the trainer of a kind. Raises MissingError."""


def run_training(folder: Path, find_trainer: FindTrainer, *, tell: Callable[[bytes], object] = lambda _: None) -> int:
    """Train; return 0 with an artifact, else the exit code of the error in failure.json.

    find_trainer: a trainer that is also a `ChecksModels` checks the model before its artifact is written. tell: also
    receives the content of failure.json, which cannot be written if the disk is full.
    """
    try:
        with _alone(folder):
            return _work(folder, find_trainer, tell)
    except BusyError as error:  # the folder is in use: nothing is written there
        tell(_as_json(error))
        return error.exit_code


def _work(folder: Path, find_trainer: FindTrainer, tell: Callable[[bytes], object]) -> int:
    def failed(error: GroundtuneError) -> int:
        report = _as_json(error)
        with contextlib.suppress(OSError):
            write_atomic(folder / FAILURE, report)
        tell(report)
        return error.exit_code

    (folder / FAILURE).unlink(missing_ok=True)
    try:
        job = read_job(folder)
        began = time.time()
        trainer = find_trainer(job.kind)
        trained = trainer.train(job, progress_writer(folder))
        artifact = _artifact(job, trained, time.time() - began)
        write_artifact(folder, _checked(trainer, folder, artifact))
    except GroundtuneError as error:
        return failed(error)
    except Exception as error:  # noqa: BLE001  the process ends here; the reason must not be lost
        with contextlib.suppress(OSError):
            traceback.print_exc()
        if is_disk_full(error):
            hint = "free some space; groundtune tune resumes from the last checkpoint"
            return failed(TuneError(f"cannot write: no space left on the disk of {folder}", hint=hint))
        message = f"{type(error).__name__}: {one_line(str(error), most=500)}"
        return failed(TuneError(message, hint=f"{folder / LOG} has the traceback"))
    return 0


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock the folder while this process trains; the system releases the lock when it ends. Raises BusyError."""
    lock = FileLock(folder / LOCK, timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        hint = "wait until it is done, or stop it; groundtune tune NAME --fresh trains in a new folder"
        raise BusyError(f"another process is training in {folder}", hint=hint) from None
    try:
        yield
    finally:
        lock.release()


def _artifact(job: Job, trained: TrainingResult, seconds: float) -> Artifact:
    return Artifact(
        id=job.folder.name,
        name=job.name,
        kind=job.kind,
        base=job.base,
        base_digest=trained.base_digest,
        dataset_digest=dataset_digest(job.folder),
        recipe=dict(job.settings),
        metrics=dict(trained.metrics),
        files=file_digests(job.folder, trained.files),
        versions={name: installed for name in LIBRARIES if (installed := _version(name))},
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=seconds,
        usd=trained.usd,
        seen_examples=tuple(row.id for row in job.rows("train")),
        seen_documents=tuple(job.details.get("documents", ())),
        unusable=trained.unusable,
        details={**job.details, **trained.details},
    )


def _checked(trainer: Trainer, folder: Path, artifact: Artifact) -> Artifact:
    if not isinstance(trainer, ChecksModels) or artifact.unusable:
        return artifact
    # Training left this process with a single visible GPU, whatever its number was before.
    device = "cuda" if str(artifact.recipe.get("device")).startswith("cuda") else None
    return asyncio.run(trainer.check_model(folder, artifact, device=device))


def _as_json(error: GroundtuneError) -> bytes:
    report = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
    if isinstance(error, ProviderError):
        report |= {"failure": error.kind, "retryable": error.retryable}
    return json.dumps(report, indent=2).encode()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _end_with_parent() -> None:
    """Ask the system, where it can, to end this process when its parent is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def main(find_trainer: FindTrainer) -> int:
    """Train the folder named on the command line; the output goes to its log."""
    _end_with_parent()
    folder = Path(sys.argv[1])
    starter = os.dup(1)
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    return run_training(folder, find_trainer, tell=partial(os.write, starter))
