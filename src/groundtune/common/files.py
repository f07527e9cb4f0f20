"""Compute digests and write files atomically."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from groundtune.errors import MissingError


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of the data, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_text(text: str) -> str:
    """Return the SHA-256 of the UTF-8 bytes, 64 hex digits; lone surrogates are allowed."""
    return digest_bytes(text.encode("utf-8", "surrogatepass"))


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits, reading it in chunks. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sampled_blocks(path: Path) -> Iterator[bytes]:
    """Yield 64 evenly spaced blocks of 4,096 bytes: they tell files apart whose gigabytes take long to hash."""
    size = path.stat().st_size
    with path.open("rb") as file:
        for number in range(64):
            file.seek(number * size // 64)
            yield file.read(4096)


def unused_folder(folder: Path) -> Path:
    """Return the folder, or the first of `FOLDER-2`, `FOLDER-3`, … that does not exist.

    Needed because two runs can start in the same second.
    """
    number = 2
    candidate = folder
    while candidate.exists():
        candidate, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return candidate


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path` atomically, and create the folder if needed. Raises OSError."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    # a short prefix: the name of path may be at the length limit
    handle, name = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        os.replace(name, path)  # noqa: PTH105 (path may contain bytes that are not UTF-8)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    _sync_folder(path.parent)


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises MissingError when it does not exist or is damaged."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise MissingError(f"no file {path}") from None
    except ValueError as error:
        hint = "delete it, then rerun the command that creates it"
        raise MissingError(f"{path} is damaged: {error}", hint=hint) from None


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read the complete lines of a file of JSON objects; empty when it does not exist."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        return [json.loads(line) for line in file if line.endswith(b"\n")]


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, with sorted keys and a stable layout. Raises ValueError for NaN and infinity."""
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"
    write_atomic(path, text.encode("utf-8", "backslashreplace"))  # a lone surrogate becomes a JSON escape


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(path: Path) -> None:
    """Make a rename survive a power failure, where the system supports it (not on Windows)."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
