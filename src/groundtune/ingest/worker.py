"""The child side of the sandbox: paths in, documents or reasons out. Runs loaders and nothing else.

Run by `sandbox.py` as `python -P -m groundtune.ingest.worker MEMORY_MB`. Frames on stdin and stdout are an 8-byte
little-endian length and a pickle of plain tuples. What loaders print goes nowhere, so it cannot spoil a frame.
"""

import os
import pickle
import signal
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from groundtune.errors import ParseError
from groundtune.ingest.loaders import load
from groundtune.ingest.parsed import Block, Parsed

LENGTH = struct.Struct("<Q")
Reply = tuple[Any, ...]
"""`("parsed", [packed, …])`, `("error", reason, skip)` or `("memory",)`."""


def pack(parsed: Parsed) -> tuple[Any, ...]:
    """Plain tuples pickle several times faster than a document with a million blocks."""
    blocks = [(one.kind, one.start, one.end, one.heading, one.page) for one in parsed.blocks]
    return parsed.text, blocks, parsed.title, parsed.row, parsed.pages, dict(parsed.metadata)


def unpack(packed: Sequence[Any]) -> Parsed:
    text, blocks, *rest = packed
    return Parsed(text, tuple(Block(*one) for one in blocks), *rest)


def write_frame(stream: BinaryIO, value: object) -> None:
    frame = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(LENGTH.pack(len(frame)))
    stream.write(frame)
    stream.flush()


def read_frame(stream: BinaryIO) -> Any:
    """The next value; None at the end, when the parent has gone."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    frame = stream.read(length)
    return pickle.loads(frame) if len(frame) == length else None


def reply(path: str) -> Reply:
    try:
        return "parsed", [pack(one) for one in load(Path(path))]
    except ParseError as error:
        return "error", error.message, error.skip
    except MemoryError:
        return ("memory",)


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """One reply for each path of each request; ends after lack of memory, for then the process is not to be trusted."""
    while (paths := read_frame(requests)) is not None:
        for path in paths:
            answer = reply(path)
            try:
                write_frame(replies, answer)
            except MemoryError:
                answer = ("memory",)
                write_frame(replies, answer)
            if answer[0] == "memory":
                return


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this process
    _die_with_parent()
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    _limit_memory(int(sys.argv[1]))
    with open(requests, "rb") as incoming, open(replies, "wb") as outgoing:  # noqa: PTH123 (descriptors, not paths)
        serve(incoming, outgoing)


def _die_with_parent() -> None:
    """A worker that hangs does not see the end of its input; Linux can tell it by a signal."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _limit_memory(megabytes: int) -> None:
    """Limit the address space to what it is now plus `megabytes`, where the system can do that."""
    if sys.platform == "linux":
        import resource

        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 (spares the import of nothing: lean)
            now = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + (megabytes << 20),) * 2)


if __name__ == "__main__":
    main()
