"""The process that trains: `python -m groundtune.tune.worker FOLDER`. Writes an artifact or the reason why not.

What it and its libraries print goes to log.txt. Killed at any time, it goes on from its checkpoint when it is started
again on the same folder.
"""

import ctypes
import os
import signal
import sys
import time
import traceback
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from groundtune.errors import GroundtuneError
from groundtune.protocols import Trainer
from groundtune.tune.artifacts import dataset_digest, digests, write_artifact
from groundtune.tune.job import FAILURE, Job, Trained, read_job, watcher
from groundtune.types import Artifact
from groundtune.workspace import write_json

PR_SET_PDEATHSIG = 1
"""Of Linux's prctl."""
LIBRARIES = ("torch", "transformers", "peft", "trl", "sentence-transformers", "numpy", "openai", "groundtune")
TRAINERS = {
    "classifier": "groundtune.tune.encoders.classifier",
    "extractor": "groundtune.tune.encoders.extractor",
    "lora": "groundtune.tune.lora.trainer",
    "retriever": "groundtune.tune.retriever.trainer",
    "hosted": "groundtune.tune.hosted.trainer",
}


def trainer(kind: str) -> Trainer:
    """The module of a kind of [tune.NAME]."""
    found: Trainer = import_module(TRAINERS[kind])
    return found


def work(folder: Path) -> int:
    """Trains; 0 with an artifact, else the exit code of the error that failure.json tells."""
    (folder / FAILURE).unlink(missing_ok=True)
    try:
        job = read_job(folder)
        began = time.time()
        trained = trainer(job.kind).train(job, watcher(folder))
        write_artifact(folder, _artifact(job, trained, time.time() - began))
    except GroundtuneError as error:
        return _failed(folder, error.message, error.hint, error.exit_code)
    except OSError as error:
        traceback.print_exc()
        return _failed(folder, f"cannot write: {(error.strerror or str(error)).lower()}", "make room; it goes on", 1)
    except Exception as error:  # noqa: BLE001  the process ends here; the reason must not be lost
        traceback.print_exc()
        hint = f"{folder / 'log.txt'} has the traceback"
        return _failed(folder, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}", hint, 1)
    return 0


def _artifact(job: Job, trained: Trained, seconds: float) -> Artifact:
    return Artifact(
        id=job.folder.name,
        name=job.name,
        kind=job.kind,
        base=job.base,
        base_digest=trained.base_digest,
        dataset_digest=dataset_digest(job.folder),
        recipe=dict(job.settings),
        metrics=dict(trained.metrics),
        files=digests(job.folder, trained.files),
        versions={name: found for name in LIBRARIES if (found := _version(name))},
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=seconds,
        usd=trained.usd,
        seen_examples=tuple(row.id for row in job.rows("train")),
        seen_documents=tuple(job.details.get("documents", ())),
        unusable=trained.unusable,
        details={**job.details, **trained.details},
    )


def _failed(folder: Path, message: str, hint: str | None, code: int) -> int:
    write_json(folder / FAILURE, {"message": message, "hint": hint, "exit_code": code})
    return code


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _end_with_parent() -> None:
    """Where the system can do that, this process is asked to end when the one that started it is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> int:
    _end_with_parent()
    folder = Path(sys.argv[1])
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    return work(folder)


if __name__ == "__main__":
    sys.exit(main())
