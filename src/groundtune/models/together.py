"""Questions that wait at the same moment are answered together. Knows no model."""

import asyncio
from collections.abc import Callable, Sequence

from groundtune.types import Generation

BATCH = 64
"""Questions that are answered at a time."""


class Together:
    """work: texts to their generations, in order; runs in a thread. For one event loop at a time."""

    def __init__(self, work: Callable[[Sequence[str]], Sequence[Generation]]) -> None:
        self._answer = work
        self._waiting: list[tuple[str, asyncio.Future[Generation]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, text: str) -> Generation:
        """Raises whatever `work` raises."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Generation] = loop.create_future()
        if self._worker is None or self._worker.done() or self._worker.get_loop() is not loop:
            self._waiting = []
            self._worker = loop.create_task(self._work())
        self._waiting.append((text, done))
        return await done

    async def _work(self) -> None:
        """Until no question is left. Whatever stops it reaches every caller that waits."""
        batch: list[tuple[str, asyncio.Future[Generation]]] = []
        try:
            while self._waiting:
                await asyncio.sleep(0)  # questions that were asked at the same moment come along
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                batch = [(text, done) for text, done in batch if not done.done()]
                made = await asyncio.to_thread(self._answer, [text for text, _ in batch])
                for (_, done), generation in zip(batch, made, strict=True):
                    if not done.done():
                        done.set_result(generation)
        except asyncio.CancelledError:
            for _, done in (*batch, *self._waiting):
                done.cancel()
            raise
        except Exception as error:  # noqa: BLE001  it is not kept here: whoever waits gets it
            for _, done in (*batch, *self._waiting):
                if not done.done():
                    done.set_exception(error)
