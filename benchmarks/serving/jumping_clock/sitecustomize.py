"""Let the clock of a Python process jump: SIGUSR1 a day ahead, SIGUSR2 two days back. Imported before anything else.

Monotonic clocks go on, as they do when somebody sets the clock of a machine.
"""

import datetime
import signal
import time

DAY = 86_400.0
_offset = 0.0
_time = time.time
_datetime = datetime.datetime


def _jump(number: int, _: object) -> None:
    global _offset
    _offset += DAY if number == signal.SIGUSR1 else -2 * DAY


class _Datetime(_datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "_Datetime":
        return cls.fromtimestamp(time.time(), tz)


time.time = lambda: _time() + _offset
datetime.datetime = _Datetime  # type: ignore[misc]
signal.signal(signal.SIGUSR1, _jump)
signal.signal(signal.SIGUSR2, _jump)
