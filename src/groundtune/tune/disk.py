"""Recognise a full disk, whatever a library raises for it."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

SIGNS = (
    "No space left",
    "os error 28",
    "Disk quota",
    "StorageFull",
    "PytorchStreamWriter failed writing",
    "unexpected pos",
)
"""Messages of torch and safetensors for a full disk, where they hide the system's own."""


def is_disk_full(error: BaseException | None) -> bool:
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(sign in str(error) for sign in SIGNS):
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
