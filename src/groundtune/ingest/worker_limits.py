"""Bound a worker process that reads files of others: its memory, and that it does not outlive its parent."""

import signal
import sys


def die_with_parent() -> None:
    """Have Linux kill this process when its parent dies: a hanging worker never sees the end of its input."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def limit_memory(megabytes: int) -> None:
    """Limit the address space to its current size plus `megabytes`, where the system can."""
    if sys.platform == "linux":
        import resource

        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 (procfs)
            current = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (current + (megabytes << 20),) * 2)
