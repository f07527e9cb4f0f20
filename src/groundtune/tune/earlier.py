"""What there is already, on disk or at a provider, of a training that is asked for. Starts and changes nothing."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from groundtune.errors import MissingError
from groundtune.tune.artifacts import ARTIFACT, damaged, read_artifact
from groundtune.tune.hosted import trainer as hosted
from groundtune.tune.hosted.providers import provider_of
from groundtune.tune.job import JOB, Job, Row, read_job
from groundtune.workspace import digest_text


def same(
    models: Path, job: Job, train: Sequence[Row], held: Sequence[Row], *, base_digest: Callable[[], str | None]
) -> Path | None:
    """The newest training of the same rows and settings: one to go on with, or a complete one that may be used.

    base_digest: of the base as it is now, None where it cannot be told; one that was trained from another is none.
    """
    wanted = _identity(job, train, held)
    for before in _trainings(models, job.name):
        folder = before.folder
        with contextlib.suppress(MissingError, TypeError):  # damaged: nothing to go on with
            if _identity(before, before.rows("train"), before.rows("validation")) != wanted:
                continue
            if not (folder / ARTIFACT).exists():
                return folder
            made = read_artifact(folder)
            if (
                not made.unusable
                and not damaged(folder, made, quick=True)
                and base_digest() in (made.base_digest, None)
            ):
                return folder
    return None


def under_way(models: Path, name: str) -> Iterator[Job]:
    """Jobs that were started at a provider and have not come to an end, as far as is known here; newest first."""
    for job in _trainings(models, name):
        if not (job.folder / ARTIFACT).exists() and hosted.under_way(job.folder):
            yield job


def others(models: Path, job: Job, own: Path | None) -> list[str]:
    """Trainings of other rows or settings that are not at their end, one sentence each. own: what is gone on with."""
    act = f"groundtune tune {job.name} --job cancel ends it"
    running = [one for one in under_way(models, job.name) if one.folder != own]
    found = [
        f"job {hosted.under_way(one.folder)} of other rows or settings may still be under way; {act}" for one in running
    ]
    last = next(_trainings(models, job.name), None)
    if own is None and last and last.checkpoint.exists() and not (last.folder / ARTIFACT).exists():
        gone = f"groundtune models remove {last.folder.name} deletes that one"
        found.append(f"{last.folder.name} was cut short under {_other(last, job)}: this begins anew; {gone}")
    return found


def _other(before: Job, now: Job) -> str:
    """What of it is not as it was."""
    if before.base != now.base:
        return "another base"
    keys = sorted(key for key in {*before.settings, *now.settings} if before.settings.get(key) != now.settings.get(key))
    return f"other settings ({', '.join(keys)})" if keys else "other rows"


def _trainings(models: Path, name: str) -> Iterator[Job]:
    """Of a table, newest first, with or without an artifact; what is damaged is passed over."""
    for path in sorted(models.glob(f"{name}-*/{JOB}"), reverse=True):
        with contextlib.suppress(MissingError, TypeError):
            if (job := read_job(path.parent)).name == name:
                yield job


def _identity(job: Job, train: Sequence[Row], held: Sequence[Row]) -> str:
    """Of a hosted job: what makes it another one at the provider; how long to wait and what to pay does not."""
    settings: Mapping[str, Any] = job.settings
    details: Mapping[str, Any] = job.details
    if job.kind == "hosted":
        settings = {key: settings.get(key) for key in hosted.CREATED_WITH} | {"at": provider_of(job).base_url}
        details = {key: value for key, value in details.items() if key != "provider"}
    about: list[Any] = [job.name, job.kind, job.base, settings, details]
    rows = [[asdict(row) for row in split] for split in (train, held)]
    return digest_text(json.dumps([about, rows], sort_keys=True))
