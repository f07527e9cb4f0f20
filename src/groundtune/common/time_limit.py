"""Tell whoever would wait how much time the present work has left. Ends nothing itself."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_END: ContextVar[float] = ContextVar("end of the present work", default=math.inf)
"""By `time.monotonic`."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Note that the block has so many seconds, if not fewer by a limit around it. Holds for the tasks it starts."""
    token = _END.set(min(_END.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _END.reset(token)


def seconds_left() -> float:
    """Return the seconds left; infinite where nothing limits the work."""
    return _END.get() - time.monotonic()
