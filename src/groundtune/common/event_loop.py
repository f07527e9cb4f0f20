"""Run an event loop in its own thread, for callers with and without one. Knows nothing about the work it runs."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from queue import SimpleQueue
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
STOP_SECONDS = 10.0
"""How long `stop` waits for running work to end."""


class Loop:
    """An event loop in a daemon thread, started at the first call."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the work and wait for its result. Ctrl-C cancels the work and is raised here."""
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError(
                "this sync method would deadlock on the project's event loop; await its async version instead"
            )
        future = self._submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    async def await_(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the work and await its result, from this loop or any other. Cancelling cancels the work."""
        if threading.current_thread() is self._thread:
            return await work
        return await asyncio.wrap_future(self._submit(work))

    def iterate(self, items: AsyncIterator[T]) -> Generator[T, None, None]:
        """Yield what the iterator yields on this loop. Ctrl-C, and closing what is returned, cancel the work."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("this sync iterator would deadlock on the project's event loop; use its async version")
        ready: SimpleQueue[_Item[T] | None] = SimpleQueue()
        future = self._submit(_hand_over(items, ready.put))
        future.add_done_callback(lambda _: ready.put(None))
        try:
            while item := ready.get():
                yield item.value
            future.result()  # raises what the iterator raised
        finally:
            future.cancel()

    async def aiterate(self, items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        """Yield what the iterator yields on this loop, to this loop or any other. Closing cancels the work."""
        caller = asyncio.get_running_loop()
        ready: asyncio.Queue[_Item[T] | None] = asyncio.Queue()

        def put(item: _Item[T] | None) -> None:
            caller.call_soon_threadsafe(ready.put_nowait, item)

        future = self._submit(_hand_over(items, put))
        future.add_done_callback(lambda _: put(None))
        try:
            while item := await ready.get():
                yield item.value
            await asyncio.wrap_future(future)  # raises what the iterator raised
        finally:
            future.cancel()

    def stop(self, *, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Cancel all work, which raises CancelledError in its callers, and end the thread.

        last: run on the loop after that, to close what was opened on it; a loop that never started does not need it.
        """
        with self._lock:
            self._stopped = True
            loop, self._loop = self._loop, None
        if loop and self._thread:
            asyncio.run_coroutine_threadsafe(_cancel_all(last), loop).add_done_callback(
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


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    """An item of an iterator; unlike the item itself, it is always true."""

    value: T


async def _hand_over(items: AsyncIterator[T], put: Callable[[_Item[T]], None]) -> None:
    """Consume the iterator in one task, so that it is entered and left in the same context."""
    async with closing(items) as iterator:
        async for item in iterator:
            put(_Item(item))


class HasLoop(Protocol):
    """An object that owns a Loop."""

    @property
    def loop(self) -> Loop: ...


Owner = TypeVar("Owner", bound=HasLoop)


def on_project_loop(
    work: Callable[Concatenate[Owner, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Owner, P], Coroutine[Any, Any, T]]:
    """Make a coroutine method run on its owner's loop, whichever loop awaits it."""

    @wraps(work)
    async def awaitable(self: Owner, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.loop.await_(work(self, *args, **kwargs))

    return awaitable


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


async def _cancel_all(last: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if last:
        await last()


@asynccontextmanager
async def closing(iterator: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close the iterator at the end of the block, if it can be closed."""
    try:
        yield iterator
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


async def run_workers(work: Callable[[], Awaitable[None]], workers: int) -> None:
    """Run `workers` copies of `work` concurrently until all end. A failure or cancellation cancels the others."""
    tasks = [asyncio.ensure_future(work()) for _ in range(workers)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
