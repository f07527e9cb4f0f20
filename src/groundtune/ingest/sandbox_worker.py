"""Run loaders in a child process of the sandbox: paths in, documents or reasons out.

Started by `sandbox.py` as `python -P -m groundtune.ingest.sandbox_worker MEMORY_MB [SUFFIX …]`; files with these
suffixes are read by loaders of extension packages. Frames on stdin and stdout are those of `sandbox_frames.py`. What
loaders print is discarded, so it cannot corrupt a frame.
"""

import os
import signal
import sys
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from groundtune.errors import ParseError
from groundtune.ingest.busy import after_page
from groundtune.ingest.loaders import load
from groundtune.ingest.sandbox_frames import BUSY, LENGTH, OUT_OF_MEMORY, decode_request, encode_documents, encode_error
from groundtune.ingest.worker_limits import die_with_parent, limit_memory


def write_frame(stream: BinaryIO, frame: bytes) -> None:
    stream.write(LENGTH.pack(len(frame)))
    stream.write(frame)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """Return the next frame; None at the end of input, when the parent has exited."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    frame = stream.read(length)
    return frame if len(frame) == length else None


def reply_to(path: str, parser: str, replaced: Collection[str]) -> bytes:
    """Load a file and return the reply. parser: its name, or empty. replaced: suffixes read by packages."""
    try:
        return encode_documents(load(Path(path), parser=parser, replaced=replaced))
    except ParseError as error:
        return encode_error(error.message, skip=error.skip)
    except MemoryError:
        return OUT_OF_MEMORY
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:  # by an extension's loader
        return encode_error(f"its loader returned an invalid document ({type(error).__name__}: {error})", skip=False)


def serve(requests: BinaryIO, replies: BinaryIO, replaced: Collection[str] = ()) -> None:
    """Send one reply per path of each request. Stop after running out of memory: the process is then unreliable."""
    after_page.set(lambda: write_frame(replies, BUSY))
    while (request := read_frame(requests)) is not None:
        for path, parser in decode_request(request):
            reply = reply_to(path, parser, replaced)
            try:
                write_frame(replies, reply)
            except MemoryError:
                reply = OUT_OF_MEMORY
                write_frame(replies, reply)
            if reply == OUT_OF_MEMORY:
                return


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then stops this process
    die_with_parent()
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    limit_memory(int(sys.argv[1]))
    with open(requests, "rb") as incoming, open(replies, "wb") as outgoing:  # noqa: PTH123 (descriptors, not paths)
        serve(incoming, outgoing, frozenset(sys.argv[2:]))


if __name__ == "__main__":
    main()
