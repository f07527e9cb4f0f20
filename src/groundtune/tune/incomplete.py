"""List and remove folders of training runs that failed or are unfinished. Trains nothing."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from groundtune.common.files import read_json
from groundtune.errors import BusyError, FormatError, MissingError, UsageError
from groundtune.tune.artifacts import ARTIFACT, choose_artifact, list_artifacts, read_artifact
from groundtune.tune.job import FAILURE, LOCK, read_job, running_job


@dataclass(frozen=True, slots=True)
class IncompleteTraining:
    """The folder of a training run without a readable artifact."""

    id: str
    """Name of the folder."""
    name: str | None
    """Name of the table [tune.NAME]; None when unknown."""
    kind: str | None
    base: str | None
    state: str
    """State in words, with the command that fixes it."""


def incomplete_trainings(models: Path) -> list[IncompleteTraining]:
    """Return the incomplete training runs, ordered by folder name."""
    complete = {artifact.id for artifact in list_artifacts(models)}
    folders = sorted(path for path in models.glob("*") if path.is_dir()) if models.is_dir() else []
    return [_incomplete_training(path) for path in folders if path.name not in complete]


def why_untrained(models: Path, name: str) -> str:
    """Why a table has no model, worded to follow its name."""
    matches = [
        training
        for training in incomplete_trainings(models)
        if name in (training.name, training.id.rpartition("-")[0].rpartition("-")[0])
    ]
    return (
        f"is not trained yet: {matches[-1].id} is {matches[-1].state}"
        if matches
        else f"is not trained yet; run groundtune tune {name}"
    )


def remove_training(models: Path, name: str) -> str:
    """Delete the folder that `find_training` returns, and return its name.

    Raises what `find_training` raises, BusyError while it is being trained, UsageError while its job may run at a
    provider.
    """
    chosen = find_training(models, name)
    folder = models / chosen
    if _busy(folder):
        raise BusyError(f"{chosen} is being trained", hint="stop it, or wait until it is done")
    if not (folder / ARTIFACT).exists() and (job := running_job(folder)):
        hint = f"groundtune tune {chosen.rpartition('-')[0].rpartition('-')[0] or 'NAME'} --job cancel"
        raise UsageError(f"job {job} of {chosen} may still be running at the provider", hint=hint)
    shutil.rmtree(folder)
    return chosen


def find_training(models: Path, name: str) -> str:
    """Return the folder of this name, or the newest complete training run of a table, or its only incomplete one.

    Raises MissingError when there is none, UsageError when the name is ambiguous.
    """
    folders, complete = [path.name for path in models.glob("*") if path.is_dir()], list_artifacts(models)
    if name in folders:
        return name
    incomplete = [training.id for training in incomplete_trainings(models) if training.name == name]
    newest = [artifact.id for artifact in complete if artifact.name == name][-1:]
    if not incomplete:
        return choose_artifact(complete, name).id
    if len(incomplete) + len(newest) > 1:
        ids = ", ".join((*newest, *incomplete))
        raise UsageError(
            f"{name} is ambiguous: it has {len(incomplete) + len(newest)} training runs", hint=f"name one of {ids}"
        )
    return incomplete[0]


def _incomplete_training(folder: Path) -> IncompleteTraining:
    try:
        job = read_job(folder)
    except FormatError as error:
        return IncompleteTraining(folder.name, None, None, None, _unreadable(folder, error))
    except MissingError:
        return IncompleteTraining(folder.name, None, None, None, _state(folder, None))
    return IncompleteTraining(folder.name, job.name, job.kind, job.base, _state(folder, job.name))


def _state(folder: Path, name: str | None) -> str:
    retry, delete = f"groundtune tune {name or 'NAME'}", f"groundtune models remove {folder.name}"
    if _busy(folder):
        return "being trained"
    if (folder / ARTIFACT).exists():
        try:
            read_artifact(folder)
        except FormatError as error:
            return _unreadable(folder, error)
        except MissingError as error:
            return f"damaged: {error.message.removeprefix(f'{folder}/')} ({delete})"
    if name is None:
        return f"unreadable: its job.json is missing or damaged ({delete})"
    if job := running_job(folder):
        return f"possibly still running at the provider, as job {job} ({retry} waits for it)"
    try:
        failed = read_json(folder / FAILURE)
        fresh = " --fresh" if "--fresh" in (failed["hint"] or "") else ""
        return f"failed: {failed['message']} ({retry}{fresh})"
    except (MissingError, KeyError, TypeError):
        return f"interrupted ({retry} resumes it if rows and settings are unchanged)"


def _unreadable(folder: Path, error: FormatError) -> str:
    return f"unreadable: {error.message.removeprefix(f'{folder}/')} ({error.hint})"


def _busy(folder: Path) -> bool:
    if not (folder / LOCK).exists():
        return False
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:  # not writable: nobody trains here either
        return False
    lock.release()
    return False
