"""Let `time.time` of a Python process jump: SIGUSR1 a day ahead, SIGUSR2 two days back. Imported before anything else.

Monotonic clocks go on, as they do when somebody sets the clock of a machine. `datetime.now` does not jump: libraries
written in C know its class.
"""

import signal
import time

DAY = 86_400.0
_offset = 0.0
_time = time.time


def _jump(number: int, _: object) -> None:
    global _offset
    _offset += DAY if number == signal.SIGUSR1 else -2 * DAY


time.time = lambda: _time() + _offset
signal.signal(signal.SIGUSR1, _jump)
signal.signal(signal.SIGUSR2, _jump)
