"""A full disk, however a library puts it."""

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
"""What torch and safetensors say of it, where they hide what the system said."""


def is_full(error: BaseException | None) -> bool:
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(sign in str(error) for sign in SIGNS):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def named_if_full(folder: Path) -> Iterator[None]:
    """Raises OSError in the place of whatever says that there is no room in the folder."""
    try:
        yield
    except Exception as error:
        if is_full(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
        raise
