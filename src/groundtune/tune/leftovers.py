"""Folders of trainings that came to nothing, or not yet: what they are, and how one is removed. Trains nothing."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from groundtune.errors import BusyError, MissingError, UsageError
from groundtune.tune.artifacts import ARTIFACT, artifacts, pick, read_artifact
from groundtune.tune.hosted.trainer import under_way
from groundtune.tune.job import FAILURE, LOCK, read_job
from groundtune.workspace import read_json


@dataclass(frozen=True, slots=True)
class Leftover:
    """A folder without an artifact that can be read."""

    id: str
    """Its name."""
    name: str | None
    """Of the table; None where nothing says it."""
    kind: str | None
    base: str | None
    state: str
    """In words, with the command that fixes it."""


def leftovers(models: Path) -> list[Leftover]:
    """By name of the folder."""
    complete = {one.id for one in artifacts(models)}
    folders = sorted(path for path in models.glob("*") if path.is_dir()) if models.is_dir() else []
    return [_leftover(path) for path in folders if path.name not in complete]


def untrained(models: Path, name: str) -> str:
    """Why there is no model of a table, as it stands behind `tuned`."""
    own = [one for one in leftovers(models) if name in (one.name, one.id.rpartition("-")[0].rpartition("-")[0])]
    return (
        f"is not trained yet: {own[-1].id} is {own[-1].state}" if own else f"is not trained yet: groundtune tune {name}"
    )


def remove(models: Path, name: str) -> str:
    """Deletes the folder that `find` says; its name.

    Raises what that does, BusyError while it is trained, UsageError while its job may run at a provider.
    """
    chosen = find(models, name)
    folder = models / chosen
    if _busy(folder):
        raise BusyError(f"{chosen} is being trained", hint="stop that first, or wait until it is done")
    if not (folder / ARTIFACT).exists() and (job := under_way(folder)):
        hint = f"groundtune tune {chosen.rpartition('-')[0].rpartition('-')[0] or 'NAME'} --job cancel"
        raise UsageError(f"job {job} of {chosen} may still be under way at the provider", hint=hint)
    shutil.rmtree(folder)
    return chosen


def find(models: Path, name: str) -> str:
    """The folder of this name, or that of the newest complete training of a table, or of its only incomplete one.

    Raises MissingError where there is none, UsageError where it could be another one as well.
    """
    folders, complete = [path.name for path in models.glob("*") if path.is_dir()], artifacts(models)
    if name in folders:
        return name
    cut = [one.id for one in leftovers(models) if one.name == name]
    whole = [one.id for one in complete if one.name == name][-1:]
    if not cut:
        return pick(complete, name).id
    if len(cut) + len(whole) > 1:
        ids = ", ".join((*whole, *cut))
        raise UsageError(f"{name} has trainings without an artifact ({len(cut)}): which one is meant?", hint=ids)
    return cut[0]


def _leftover(folder: Path) -> Leftover:
    try:
        job = read_job(folder)
    except (MissingError, TypeError):
        return Leftover(folder.name, None, None, None, _state(folder, None))
    return Leftover(folder.name, job.name, job.kind, job.base, _state(folder, job.name))


def _state(folder: Path, name: str | None) -> str:
    again, gone = f"groundtune tune {name or 'NAME'}", f"groundtune models remove {folder.name}"
    if _busy(folder):
        return "being trained"
    if (folder / ARTIFACT).exists():
        try:
            read_artifact(folder)
        except MissingError as error:
            return f"damaged: {error.message.removeprefix(f'{folder}/')} ({gone})"
    if name is None:
        return f"no training: nothing says what it was ({gone})"
    if job := under_way(folder):
        return f"job {job} may be under way at the provider ({again} waits for it)"
    try:
        failed = read_json(folder / FAILURE)
        fresh = " --fresh" if "--fresh" in (failed["hint"] or "") else ""
        return f"failed: {failed['message']} ({again}{fresh})"
    except (MissingError, KeyError, TypeError):
        return f"cut short ({again} goes on while rows and settings are the same)"


def _busy(folder: Path) -> bool:
    if not (folder / LOCK).exists():
        return False
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:  # not to be written: nobody trains here either
        return False
    lock.release()
    return False
