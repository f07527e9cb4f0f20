"""An event loop in a thread of its own, for callers with and without one. Knows nothing of what it runs."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
STOP_SECONDS = 10.0
"""How long `close` waits for what is under way to end."""


class Loop:
    """An event loop in a daemon thread, started at the first call."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for the result; Ctrl-C cancels the work and is raised here."""
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("a sync verb inside the project's own thread would wait for itself; await its twin")
        future = self._submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    async def await_(self, work: Coroutine[Any, Any, T]) -> T:
        """Awaits the result from any other loop; cancelling cancels the work."""
        return await asyncio.wrap_future(self._submit(work))

    def stop(self) -> None:
        """Cancels all work, so that whoever waits for it gets CancelledError, and ends the thread."""
        with self._lock:
            self._stopped = True
            loop, self._loop = self._loop, None
        if loop and self._thread:
            asyncio.run_coroutine_threadsafe(_cancel_all(), loop).add_done_callback(
                lambda _: loop.call_soon_threadsafe(loop.stop)
            )
            if threading.current_thread() is not self._thread:
                self._thread.join(STOP_SECONDS)

    def _submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        with self._lock:
            if self._stopped:
                work.close()
                raise RuntimeError("the project is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=[self._loop], name="groundtune", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
