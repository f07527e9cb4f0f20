"""Load files in worker processes, so that no file can crash ingest. Never parses in this process.

What a worker sends may come from a file that took over its parser: it is decoded as plain data and checked.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from groundtune.errors import ParseError
from groundtune.ingest.parsed import ParsedDocument
from groundtune.ingest.sandbox_frames import LENGTH, ReplyError, decode_reply, encode_request, max_reply_bytes

_LARGE = 1 << 18
"""Bytes above which a reply is decoded in a thread, to keep the event loop free."""
_BUFFER = 1 << 22
_GRACE = 5.0
"""Seconds that a process may take to exit once it has closed its output, so that its own exit code is seen."""
_MOST_PAGES = 10_000
"""Times that a worker may ask for more time for one file."""
_BATCH = 32
"""Files sent to a worker at once: enough to hide the round trip, few enough to share the work evenly."""


class Sandbox:
    """A pool of worker processes, started on demand and replaced when a file hangs or kills them.

    timeout_seconds: for one file, or one page of it that is read by OCR. memory_mb: memory a worker may take beyond its
    size at the start, in MiB (Linux); a reply may have half as many. replaced: suffixes that packages read in place of
    groundtune.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        timeout_seconds: float = 60,
        memory_mb: int = 2048,
        replaced: Collection[str] = (),
    ) -> None:
        self._timeout = timeout_seconds
        self._memory = memory_mb
        self._all = [_Worker(memory_mb, replaced) for _ in range(workers)]
        self._idle: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        for worker in self._all:
            self._idle.put_nowait(worker)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(worker.stop() for worker in self._all))

    async def load_many(
        self, paths: Sequence[Path], parsers: Sequence[str] = ()
    ) -> list[list[ParsedDocument] | ParseError]:
        """Return one outcome per path, in order. Faster than a call for each when the files are small.

        parsers: name of the parser of each, empty for the one of its suffix; without any, that is all of them. The
        outcome of a file that is unreadable, damaged, too slow or too large, or whose worker died, is a ParseError.
        """
        # the absolute path, without touching the file
        files = list(zip(map(os.path.abspath, paths), parsers or [""] * len(paths), strict=True))
        size = max(1, min(_BATCH, -(-len(files) // len(self._all))))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._batch(files[at : at + size])) for at in range(0, len(files), size)]
        return [outcome for task in tasks for outcome in task.result()]

    async def _batch(self, files: Sequence[tuple[str, str]]) -> list[list[ParsedDocument] | ParseError]:
        worker = await self._idle.get()
        outcomes: list[list[ParsedDocument] | ParseError] = []
        try:
            while len(outcomes) < len(files):
                await worker.send(files[len(outcomes) :])
                while len(outcomes) < len(files):
                    outcome, alive = await self._next(worker)
                    outcomes.append(outcome)
                    if not alive:
                        break
            return outcomes
        except BaseException:
            await asyncio.shield(worker.stop())  # cancelled: the worker must stop reading its file
            raise
        finally:
            self._idle.put_nowait(worker)

    async def _next(self, worker: "_Worker") -> tuple[list[ParsedDocument] | ParseError, bool]:
        """Return the outcome of the worker's current file, and whether the worker is still running."""
        try:
            for _ in range(_MOST_PAGES):
                async with asyncio.timeout(self._timeout):
                    frame = await worker.receive()
                if frame is None:
                    return ParseError(self._death(await worker.stop())), False
                large = len(frame) > _LARGE
                outcome = await asyncio.to_thread(decode_reply, frame) if large else decode_reply(frame)
                if outcome != "busy":
                    break
        except TimeoutError:
            await worker.stop()
            return ParseError(f"parsing took longer than {self._timeout:g} seconds; split the file"), False
        except ReplyError as error:
            await worker.stop()
            return ParseError(f"its parser sent {error}; save the file again, split it, or convert it"), False
        if outcome == "busy":
            await worker.stop()
            return ParseError(f"has more than {_MOST_PAGES:,} pages to read by OCR; split the file"), False
        if outcome == "memory":
            await worker.stop()
            return ParseError(f"parsing needs more than {self._memory} MB of memory; split the file"), False
        return outcome, True

    def _death(self, code: int | None) -> str:
        if code is None or code >= 0:
            return f"the parser process exited with code {code}; save the file again or in another format"
        if -code == signal.SIGKILL:
            return f"the parser process was killed (SIGKILL), perhaps for using over {self._memory} MB; split the file"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"crashed the parser process ({name}); save the file again or in another format"


class _Worker:
    """One child process, started by the first request."""

    def __init__(self, memory_mb: int, replaced: Collection[str]) -> None:
        self._memory = memory_mb
        self._replaced = sorted(replaced)
        self._process: asyncio.subprocess.Process | None = None

    async def send(self, files: Sequence[tuple[str, str]]) -> None:
        frame = encode_request(files)
        process = await self._started()
        assert process.stdin is not None
        process.stdin.write(LENGTH.pack(len(frame)) + frame)
        with suppress(BrokenPipeError, ConnectionResetError):  # the process died; `receive` reports it
            await process.stdin.drain()

    async def receive(self) -> bytes | None:
        """Return the next reply; None when the process has exited. Raises ReplyError for one that is too long."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            head = await self._process.stdout.readexactly(LENGTH.size)
            (length,) = LENGTH.unpack(head)
            if length > (longest := max_reply_bytes(self._memory)):
                raise ReplyError(f"a result of {length:,} bytes, more than the limit of {longest:,}")
            return await self._process.stdout.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return None

    async def stop(self) -> int | None:
        """Kill the process if it is running, and return its exit code, negative for a signal."""
        process, self._process = self._process, None
        if process is None:
            return None
        dying = process.stdout is not None and process.stdout.at_eof()
        try:
            async with asyncio.timeout(_GRACE if dying else 0):
                code = await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            code = await process.wait()
        transport = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()
        return code

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "groundtune.ingest.sandbox_worker", str(self._memory), *self._replaced),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_BUFFER,
            )
        return self._process
