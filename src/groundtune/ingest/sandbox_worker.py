"""Run loaders in a child process of the sandbox: paths in, documents or reasons out.

Started by `sandbox.py` as `python -P -m groundtune.ingest.sandbox_worker MEMORY_MB`. A frame on stdin or stdout is an
8-byte little-endian length and a pickle of plain tuples. What loaders print is discarded, so it cannot corrupt a frame.
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
from groundtune.ingest.parsed import Block, ParsedDocument

LENGTH = struct.Struct("<Q")
Reply = tuple[Any, ...]
"""`("parsed", [packed, …])`, `("error", reason, skip)` or `("memory",)`."""


def pack(parsed: ParsedDocument) -> tuple[Any, ...]:
    """Pack a document as plain tuples: they pickle several times faster than a million blocks."""
    blocks = [(block.kind, block.start, block.end, block.heading, block.page) for block in parsed.blocks]
    return parsed.text, blocks, parsed.title, parsed.row_id, parsed.pages, dict(parsed.metadata)


def unpack(packed: Sequence[Any]) -> ParsedDocument:
    text, blocks, *rest = packed
    return ParsedDocument(text, tuple(Block(*fields) for fields in blocks), *rest)


def write_frame(stream: BinaryIO, value: object) -> None:
    frame = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(LENGTH.pack(len(frame)))
    stream.write(frame)
    stream.flush()


def read_frame(stream: BinaryIO) -> Any:
    """Return the next value; None at the end of input, when the parent has exited."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    frame = stream.read(length)
    return pickle.loads(frame) if len(frame) == length else None


def load_reply(path: str) -> Reply:
    try:
        return "parsed", [pack(parsed) for parsed in load(Path(path))]
    except ParseError as error:
        return "error", error.message, error.skip
    except MemoryError:
        return ("memory",)


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Send one reply per path of each request. Stop after running out of memory: the process is then unreliable."""
    while (paths := read_frame(requests)) is not None:
        for path in paths:
            answer = load_reply(path)
            try:
                write_frame(replies, answer)
            except MemoryError:
                answer = ("memory",)
                write_frame(replies, answer)
            if answer[0] == "memory":
                return


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then stops this process
    _die_with_parent()
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    _limit_memory(int(sys.argv[1]))
    with open(requests, "rb") as incoming, open(replies, "wb") as outgoing:  # noqa: PTH123 (descriptors, not paths)
        serve(incoming, outgoing)


def _die_with_parent() -> None:
    """Have Linux kill this process when its parent dies: a hanging worker never sees the end of its input."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _limit_memory(megabytes: int) -> None:
    """Limit the address space to its current size plus `megabytes`, where the system can."""
    if sys.platform == "linux":
        import resource

        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 (procfs)
            current = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (current + (megabytes << 20),) * 2)


if __name__ == "__main__":
    main()
