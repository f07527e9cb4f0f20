"""Answer concurrent questions in batches. Knows nothing of the model."""

import asyncio
from collections.abc import Callable, Sequence

from groundtune.types import Generation

BATCH = 64
"""Maximum questions per batch."""


class MicroBatcher:
    """Batcher for `work`, which maps texts to generations, in order, in a thread. For one event loop at a time."""

    def __init__(self, work: Callable[[Sequence[str]], Sequence[Generation]]) -> None:
        self._answer = work
        self._waiting: list[tuple[str, asyncio.Future[Generation]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def generate(self, text: str) -> Generation:
        """Return the generation for a text. Raises the errors of `work`."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Generation] = loop.create_future()
        if self._worker is None or self._worker.done() or self._worker.get_loop() is not loop:
            self._waiting = []
            self._worker = loop.create_task(self._work())
        self._waiting.append((text, done))
        return await done

    async def _work(self) -> None:
        """Answer batches until no question is left. An error reaches every waiting caller."""
        batch: list[tuple[str, asyncio.Future[Generation]]] = []
        try:
            while self._waiting:
                await asyncio.sleep(0)  # lets concurrent questions join the batch
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                batch = [(text, done) for text, done in batch if not done.done()]
                generations = await asyncio.to_thread(self._answer, [text for text, _ in batch])
                for (_, done), generation in zip(batch, generations, strict=True):
                    if not done.done():
                        done.set_result(generation)
        except asyncio.CancelledError:
            for _, done in (*batch, *self._waiting):
                done.cancel()
            raise
        except Exception as error:  # noqa: BLE001  passed on to every waiting caller
            for _, done in (*batch, *self._waiting):
                if not done.done():
                    done.set_exception(error)
