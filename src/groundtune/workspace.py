"""Find a project, and manage its folder `.groundtune/`: its paths, and a lock for one writer at a time.

Opening a workspace writes nothing, so a reader needs no write permission.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from groundtune.common.files import write_atomic, write_json
from groundtune.errors import BusyError, MissingError

FOLDER = ".groundtune"
PROJECT_FILE = "groundtune.toml"


def find_project(start: Path) -> Path:
    """Return the nearest groundtune.toml at or above `start` (a folder, or the file itself). Raises MissingError."""
    if start.name == PROJECT_FILE and start.is_file():
        return start.resolve()
    if not start.exists():
        raise MissingError(f"no folder {start}")
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder / PROJECT_FILE
    raise MissingError(f"no {PROJECT_FILE} in {start} or above it", hint="groundtune init")


class Workspace:
    """Paths under the project's `.groundtune/`. root: the folder that contains groundtune.toml."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.folder = self.root / FOLDER
        self.index = self.folder / "index"
        self.models = self.folder / "models"
        self.runs = self.folder / "runs"
        self.cache = self.folder / "cache"
        self.fitted = self.folder / "fitted.json"
        self.router = self.folder / "router.json"
        self.curve = self.folder / "curve"

    def with_examples(self, number: int) -> "Workspace":
        """Return the part of a learning curve with so many train examples: its models, runs and fitted values."""
        part = Workspace(self.root)
        part.models, part.runs = (self.curve / str(number) / name for name in ("models", "runs"))
        part.fitted = self.curve / str(number) / "fitted.json"
        return part

    @property
    def model_folders(self) -> list[Path]:
        """Return every folder with trained models, those for learning curves included."""
        return [self.models, *sorted(self.curve.glob("*/models"))]

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

    def writer_lock(self, *, timeout_seconds: float = 0) -> contextlib.AbstractContextManager[None]:
        """Hold the lock of the single process that changes the index. Raises BusyError that names the holder."""
        return self.lock("writer", timeout_seconds=timeout_seconds)

    @contextlib.contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """Have an empty folder until the end, also after an interruption; what a killed process left goes first.

        Raises BusyError while another process has the folder of this name.
        """
        with self.lock(name, action=f"has a {name} in"):
            folder = self.folder / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def lock(
        self, name: str, *, timeout_seconds: float = 0, action: str = "is writing to", folder: Path | None = None
    ) -> Iterator[None]:
        """Hold a lock that one process can have at a time. Raises BusyError that names the holder.

        action: what the holder does, for the message. folder: where the lock lies; None: `.groundtune/`.
        """
        from filelock import FileLock, Timeout  # a stored report takes no lock, and no longer than this import

        self.create()
        folder = folder or self.folder
        lock = FileLock(folder / f"{name}.lock", timeout=timeout_seconds)
        holder = folder / f"{name}.json"
        try:
            lock.acquire()
        except Timeout:
            raise BusyError(
                f"another process {action} {self.root}{_holder(holder)}", hint="wait until it is done"
            ) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise MissingError(f"cannot lock {folder}: {reason}") from error
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
