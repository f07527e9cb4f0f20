"""A full disk is recognised in what the system, SQLite, LanceDB and torch raise for it."""

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from groundtune.common.full_disk import NO_SHARED_MEMORY, is_disk_full, name_full_disk


def shared_memory_error() -> sqlite3.Error:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = NO_SHARED_MEMORY
    return error


FULL = [
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    sqlite3.OperationalError("database or disk is full"),
    shared_memory_error(),
    RuntimeError("lance error: LanceError(IO): Generic LocalFileSystem error: No space left on device (os error 28)"),
]


@pytest.mark.parametrize("error", FULL, ids=str)
def test_a_full_disk_is_recognised(error: Exception) -> None:
    assert is_disk_full(error)
    outer = ValueError("cannot save")
    outer.__cause__ = error
    assert is_disk_full(outer)
    with pytest.raises(OSError, match="No space left on device: '/models'"), name_full_disk(Path("/models")):
        raise error


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "Permission denied"), sqlite3.OperationalError("locked")])
def test_other_errors_are_not(error: Exception) -> None:
    assert not is_disk_full(error)
    assert not is_disk_full(None)
    with pytest.raises(type(error), match=str(error)[-6:]), name_full_disk(Path("/models")):
        raise error
