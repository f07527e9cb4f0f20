"""Manage the folder `.groundtune/`: its paths, and a lock for one writer at a time.

Opening a workspace writes nothing, so a reader needs no write permission.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from groundtune.common.files import write_atomic, write_json
from groundtune.errors import BusyError, MissingError

FOLDER = ".groundtune"


class Workspace:
    """Paths under the project's `.groundtune/`. root: the folder that contains groundtune.toml."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.folder = self.root / FOLDER
        self.index = self.folder / "index"
        self.models = self.folder / "models"
        self.runs = self.folder / "runs"
        self.cache = self.folder / "cache"

    def create(self) -> None:
        """Create the folder, ignored by git, if it does not exist. Raises MissingError without write permission."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                write_atomic(ignore, "*\n")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise MissingError(
                f"cannot write to {self.folder}: {reason}", hint="choose a folder with write permission"
            ) from error

    @contextlib.contextmanager
    def writer_lock(self, *, timeout_seconds: float = 0) -> Iterator[None]:
        """Hold the lock of the single process that changes the project. Raises BusyError that names the holder."""
        self.create()
        lock = FileLock(self.folder / "writer.lock", timeout=timeout_seconds)
        holder = self.folder / "writer.json"
        try:
            lock.acquire()
        except Timeout:
            raise BusyError(
                f"another process is writing to {self.root}{_holder(holder)}", hint="wait until it is done"
            ) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise MissingError(f"cannot lock {self.folder}: {reason}") from error
        try:
            with contextlib.suppress(OSError):  # naming the holder is optional and must not fail the command
                write_json(holder, {"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")})
            yield
        finally:
            with contextlib.suppress(OSError):
                holder.unlink()
            lock.release()


def _holder(path: Path) -> str:
    """Format the holder: ` (process 123, since 2025-01-01 10:00:00 UTC)`; empty while it is unknown."""
    try:
        holder = json.loads(path.read_bytes())
        since = datetime.fromisoformat(holder["since"]).astimezone(UTC)
        return f" (process {int(holder['pid'])}, since {since:%Y-%m-%d %H:%M:%S} UTC)"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
