"""Files to documents in worker processes, so that no file can take ingest down. Never parses in this process."""

import asyncio
import os
import pickle
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from groundtune.errors import ParseError
from groundtune.ingest.parsed import Parsed
from groundtune.ingest.worker import LENGTH, unpack

_LARGE = 1 << 18
"""Bytes from which a reply is unpacked in a thread, so that the event loop stays free."""
_BUFFER = 1 << 22
_GRACE = 5.0
"""Seconds that a process which has closed its output may take to end, so that its own exit code is seen."""
_BATCH = 32
"""Files a worker is given at once: enough to hide the round trip, few enough to share the work evenly."""


class Sandbox:
    """A few worker processes that start when needed and are replaced when a file hangs or kills them.

    timeout_seconds: for one file. memory_mb: what one worker may take beyond its start, in MiB (Linux).
    """

    def __init__(self, *, workers: int = 2, timeout_seconds: float = 60, memory_mb: int = 2048) -> None:
        self._timeout = timeout_seconds
        self._memory = memory_mb
        self._all = [_Worker(memory_mb) for _ in range(workers)]
        self._idle: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        for worker in self._all:
            self._idle.put_nowait(worker)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(worker.stop() for worker in self._all))

    async def load(self, path: Path) -> list[Parsed]:
        """Raises ParseError with the reason: unreadable, broken, too slow, too large, or the death of its worker."""
        (outcome,) = await self._batch([path])
        if isinstance(outcome, ParseError):
            raise outcome
        return outcome

    async def load_many(self, paths: Sequence[Path]) -> list[list[Parsed] | ParseError]:
        """One outcome for each path, in order. Quicker than one call each when the files are small."""
        size = max(1, min(_BATCH, -(-len(paths) // len(self._all))))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._batch(paths[at : at + size])) for at in range(0, len(paths), size)]
        return [outcome for task in tasks for outcome in task.result()]

    async def _batch(self, paths: Sequence[Path]) -> list[list[Parsed] | ParseError]:
        worker = await self._idle.get()
        outcomes: list[list[Parsed] | ParseError] = []
        try:
            while len(outcomes) < len(paths):
                await worker.send(paths[len(outcomes) :])
                while len(outcomes) < len(paths):
                    outcome, alive = await self._next(worker)
                    outcomes.append(outcome)
                    if not alive:
                        break
            return outcomes
        except BaseException:
            await asyncio.shield(worker.stop())  # cancelled: the file it is reading must not go on
            raise
        finally:
            self._idle.put_nowait(worker)

    async def _next(self, worker: "_Worker") -> tuple[list[Parsed] | ParseError, bool]:
        """What became of the file that the worker is at, and whether the worker goes on."""
        try:
            async with asyncio.timeout(self._timeout):
                answer = await worker.receive()
        except TimeoutError:
            await worker.stop()
            return ParseError(f"took longer than {self._timeout:g} seconds; split it"), False
        match answer:
            case ("parsed", packed):
                return [unpack(one) for one in packed], True
            case ("error", str(reason), bool(skip)):
                return ParseError(reason, skip=skip), True
            case ("memory",):
                await worker.stop()
                return ParseError(f"needs more than {self._memory} MB; split it"), False
            case _:
                return ParseError(self._death(await worker.stop())), False

    def _death(self, code: int | None) -> str:
        if code is None or code >= 0:
            return f"ended its reader (exit code {code}); save it again, or in another format"
        if -code == signal.SIGKILL:
            return f"its reader was killed (SIGKILL): perhaps it needs more than {self._memory} MB; split it"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"crashed its reader ({name}); save it again, or in another format"


class _Worker:
    """One child process, started at the first request."""

    def __init__(self, memory_mb: int) -> None:
        self._memory = memory_mb
        self._process: asyncio.subprocess.Process | None = None

    async def send(self, paths: Sequence[Path]) -> None:
        frame = pickle.dumps([os.path.abspath(path) for path in paths])  # noqa: PTH100 (does not touch the file)
        process = await self._started()
        assert process.stdin is not None
        process.stdin.write(LENGTH.pack(len(frame)) + frame)
        with suppress(BrokenPipeError, ConnectionResetError):  # it died; `receive` says so
            await process.stdin.drain()

    async def receive(self) -> Any:
        """The next reply; None when the process has ended."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            head = await self._process.stdout.readexactly(LENGTH.size)
            frame = await self._process.stdout.readexactly(LENGTH.unpack(head)[0])
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return None
        return await asyncio.to_thread(pickle.loads, frame) if len(frame) > _LARGE else pickle.loads(frame)

    async def stop(self) -> int | None:
        """Ends the process at once, if there is one; its exit code, negative for a signal."""
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
                *(sys.executable, "-P", "-m", "groundtune.ingest.worker", str(self._memory)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_BUFFER,
            )
        return self._process
