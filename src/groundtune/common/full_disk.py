"""Recognise a full disk, whatever a library raises for it."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

SIGNS = (
    "no space left",
    "os error 28",
    "disk quota",
    "disk is full",
    "storagefull",
    "pytorchstreamwriter failed writing",
    "unexpected pos",
)
"""Messages of LanceDB, SQLite, torch and safetensors, in lower case, where they hide the error of the system."""
NO_SHARED_MEMORY = "SQLITE_IOERR_SHMSIZE"
"""SQLite's "disk I/O error" when it cannot enlarge the file beside a catalog, because the file system is full."""


def is_disk_full(error: BaseException | None) -> bool:
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if getattr(error, "sqlite_errorname", None) == NO_SHARED_MEMORY:
            return True
        if any(sign in str(error).lower() for sign in SIGNS):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def name_full_disk(folder: Path) -> Iterator[None]:
    """Raise OSError naming the folder in place of any error that means its disk is full."""
    try:
        yield
    except Exception as error:
        if is_disk_full(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
        raise
