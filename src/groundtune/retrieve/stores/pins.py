"""Mark what readers of a folder still use. A pin ends when it is released or its process dies, however it dies.

A pin is an empty file that its process keeps locked. The writer asks which names are pinned and deletes the files whose
lock is free. In a folder without write permission nothing can be pinned.
"""

import contextlib
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

IN_USE, ANY_VERSION, _VERSION = "open", "all", "v"
"""Names of pins: the generation is open; all versions of the passages are needed; `v57`: this one and newer ones."""
SUFFIX = ".pin"
TRIES = 10


def version_name(version: int) -> str:
    """Return the name that pins a version of the passages."""
    return f"{_VERSION}{version}"


def needed_versions(names: Iterable[str]) -> list[int] | None:
    """Return the versions that these names pin; None if all are needed."""
    versions = [name for name in names if name != IN_USE]
    return None if ANY_VERSION in versions else [int(name.removeprefix(_VERSION)) for name in versions]


class Pin:
    """A held pin. Any thread may release it."""

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    def release(self) -> None:
        """End the pin; a second call does nothing."""
        if self._lock.is_locked:
            with contextlib.suppress(OSError):
                Path(self._lock.lock_file).unlink()
            self._lock.release()


class Pins:
    """The pins of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def hold(self, name: str) -> Pin | None:
        """Pin a name, which several readers may do; None without write permission."""
        for _ in range(TRIES):
            try:
                self._folder.mkdir(exist_ok=True)
                lock = _lock(self._folder / f"{name}-{uuid.uuid4().hex[:12]}{SUFFIX}")
                lock.acquire()
            except Timeout:  # the writer was just checking whether the new file is locked
                continue
            except OSError:
                return None
            if Path(lock.lock_file).exists():
                return Pin(lock)
            lock.release()  # the writer took the file for that of a dead process before it was locked
        return None

    def names(self) -> list[str]:
        """Return the names that are pinned, and delete the pins of dead processes."""
        return [path.name.rpartition("-")[0] for path in self._files() if not _end_if_dead(path)]

    def _files(self) -> Iterator[Path]:
        return self._folder.glob(f"*{SUFFIX}")


def _end_if_dead(path: Path) -> bool:
    lock = _lock(path)
    try:
        lock.acquire()
    except Timeout:
        return False
    except OSError:  # another user's file: nothing is known about its process
        return False
    with contextlib.suppress(OSError):
        path.unlink()
    lock.release()
    return True


def _lock(path: Path) -> FileLock:
    return FileLock(path, timeout=0, thread_local=False, mode=0o666)
