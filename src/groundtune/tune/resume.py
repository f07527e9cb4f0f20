"""Find earlier training runs, on disk or at a provider, that a new one may resume or reuse. Starts nothing."""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from groundtune.common.files import digest_text
from groundtune.errors import MissingError
from groundtune.tune.artifacts import ARTIFACT, find_damage, read_artifact
from groundtune.tune.job import JOB, Job, TrainingRow, read_job, running_job


def find_same_training(
    models: Path,
    job: Job,
    train: Sequence[TrainingRow],
    validation: Sequence[TrainingRow],
    *,
    base_digest: Callable[[], str | None],
    created_with: Callable[[Job], Job] = lambda job: job,
) -> Path | None:
    """Return the newest training run with the same data and settings, either unfinished (to resume) or complete and
    usable.

    base_digest: digest of the base model as it is now, None when unknown; a run from a different one does not count.
    created_with: reduces a job to what defines it.
    """
    identity = _identity(created_with(job), train, validation)
    for before in _trainings(models, job.name):
        folder = before.folder
        if before.kind != job.kind:
            continue
        with contextlib.suppress(MissingError, TypeError):  # damaged: nothing to resume
            if _identity(created_with(before), before.rows("train"), before.rows("validation")) != identity:
                continue
            if not (folder / ARTIFACT).exists():
                return folder
            artifact = read_artifact(folder)
            if (
                not artifact.unusable
                and not find_damage(folder, artifact, quick=True)
                and base_digest() in (artifact.base_digest, None)
            ):
                return folder
    return None


def running_jobs(models: Path, name: str) -> Iterator[Job]:
    """Yield provider jobs that are not known to have ended, newest first."""
    for job in _trainings(models, name):
        if not (job.folder / ARTIFACT).exists() and running_job(job.folder):
            yield job


def describe_unfinished(models: Path, job: Job, resumed: Path | None) -> list[str]:
    """Describe unfinished runs with different data or settings, one sentence each. resumed: folder to resume."""
    cancel = f"to cancel it: groundtune tune {job.name} --job cancel"
    running = [earlier for earlier in running_jobs(models, job.name) if earlier.folder != resumed]
    notices = [
        f"job {running_job(earlier.folder)} with different data or settings may still be running; {cancel}"
        for earlier in running
    ]
    last = next(_trainings(models, job.name), None)
    if resumed is None and last and last.checkpoint.exists() and not (last.folder / ARTIFACT).exists():
        delete = f"to delete the old one: groundtune models remove {last.folder.name}"
        difference = _difference(last, job)
        notices.append(f"{last.folder.name} was interrupted and used {difference}, so a new run starts; {delete}")
    return notices


def _difference(before: Job, now: Job) -> str:
    """Describe how the two jobs differ."""
    if before.base != now.base:
        return "a different base model"
    keys = sorted(key for key in {*before.settings, *now.settings} if before.settings.get(key) != now.settings.get(key))
    return f"different settings ({', '.join(keys)})" if keys else "different data"


def _trainings(models: Path, name: str) -> Iterator[Job]:
    """Yield the training runs of a table, newest first, with or without an artifact; skip damaged ones."""
    for path in sorted(models.glob(f"{name}-*/{JOB}"), reverse=True):
        with contextlib.suppress(MissingError, TypeError):
            if (job := read_job(path.parent)).name == name:
                yield job


def _identity(job: Job, train: Sequence[TrainingRow], validation: Sequence[TrainingRow]) -> str:
    """Digest of what defines a training run."""
    about = [job.name, job.kind, job.base, job.settings, job.details]
    rows = [[asdict(row) for row in split] for split in (train, validation)]
    return digest_text(json.dumps([about, rows], sort_keys=True))
