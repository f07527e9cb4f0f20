"""The folder `.groundtune/`: where things lie, digests, writes that are whole or not there, one writer at a time.

Opening a workspace writes nothing, so a reader needs no right to write.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from groundtune.errors import BusyError, MissingError

FOLDER = ".groundtune"
_CHUNK = 1 << 20


def digest_bytes(data: bytes) -> str:
    """SHA-256, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_text(text: str) -> str:
    """SHA-256 of the UTF-8 bytes, 64 hex digits; lone surrogates are allowed."""
    return digest_bytes(text.encode("utf-8", "surrogatepass"))


def digest_file(path: Path) -> str:
    """SHA-256 of the content, 64 hex digits; the file is never held in memory whole. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unused(folder: Path) -> Path:
    """The folder, or the first of `FOLDER-2`, `FOLDER-3`, … that is not there: two may begin in one second."""
    number = 2
    found = folder
    while found.exists():
        found, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return found


def write_atomic(path: Path, content: bytes | str) -> None:
    """Put `content` (text as UTF-8) at `path`, whole or not at all; makes the folder. Raises OSError."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(
        prefix=".writing-", dir=path.parent
    )  # a short name: that of path may be at the limit
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        os.replace(name, path)  # noqa: PTH105 (path may be bytes that are no UTF-8)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    _sync_folder(path.parent)


def read_json(path: Path) -> Any:
    """Raises MissingError when it is not there or cut off."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise MissingError(f"no file {path}") from None
    except ValueError as error:
        raise MissingError(f"{path} is damaged: {error}", hint="delete it and run the command that writes it") from None


def write_json(path: Path, value: Any) -> None:
    """Sorted keys and a stable layout; atomic. Raises ValueError for NaN and infinity."""
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"
    write_atomic(path, text.encode("utf-8", "backslashreplace"))  # a lone surrogate as its escape, which JSON knows


class Workspace:
    """Paths under the project's `.groundtune/`. root: the folder of groundtune.toml."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.folder = self.root / FOLDER
        self.index = self.folder / "index"
        self.models = self.folder / "models"
        self.runs = self.folder / "runs"
        self.cache = self.folder / "cache"
        self.review = self.folder / "review.sqlite"

    def create(self) -> None:
        """Makes the folder, out of sight of git, if it is not there yet. Raises MissingError when that is forbidden."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                write_atomic(ignore, "*\n")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise MissingError(
                f"cannot write to {self.folder}: {reason}", hint="choose a folder you may write to"
            ) from error

    @contextlib.contextmanager
    def writer_lock(self, *, timeout_seconds: float = 0) -> Iterator[None]:
        """Held by the one process that changes the project. Raises BusyError that names the holder."""
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
            with contextlib.suppress(OSError):  # who holds it is good to know, and not worth a failure
                write_json(holder, {"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")})
            yield
        finally:
            with contextlib.suppress(OSError):
                holder.unlink()
            lock.release()


def _holder(path: Path) -> str:
    """`: process 123, since 2025-01-01 10:00:00 UTC`; empty when the holder has not said so yet."""
    try:
        found = json.loads(path.read_bytes())
        since = datetime.fromisoformat(found["since"]).astimezone(UTC)
        return f": process {int(found['pid'])}, since {since:%Y-%m-%d %H:%M:%S} UTC"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(path: Path) -> None:
    """Makes the new name last through a power cut, where the system can (not on Windows)."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
