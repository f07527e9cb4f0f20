"""Mark what readers of an index on object storage still use: an object per pin, which its process writes every minute.

The writer takes a pin that was not written for ten minutes for that of a dead process. Times are those of the server.
Without write permission nothing can be pinned.
"""

import asyncio
import contextlib
import uuid
from datetime import timedelta

from groundtune.errors import MissingError
from groundtune.retrieve.stores.objects import Objects

RENEW_SECONDS = 60.0
DEAD_AFTER = timedelta(minutes=10)
CLOCK = "clock"
"""Object whose time of writing tells what time it is on the server."""


class ObjectPin:
    """A held pin; it lives as long as its event loop."""

    def __init__(self, objects: Objects, name: str) -> None:
        self._objects = objects
        self._name = name
        self._renewing = asyncio.create_task(self._renew())

    async def release(self) -> None:
        self._renewing.cancel()
        await asyncio.gather(self._renewing, return_exceptions=True)
        with contextlib.suppress(MissingError):
            await self._objects.delete(self._name)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            with contextlib.suppress(MissingError):
                await self._objects.write(self._name, b"")


class ObjectPins:
    """The pins of one generation."""

    def __init__(self, objects: Objects, generation: str) -> None:
        self._objects = objects
        self._folder = f"{generation}/pins"

    async def hold(self, name: str) -> ObjectPin | None:
        """Pin a name, which several readers may do; None without write permission."""
        path = f"{self._folder}/{name}-{uuid.uuid4().hex[:12]}"
        try:
            await self._objects.write(path, b"")
        except MissingError:
            return None
        return ObjectPin(self._objects, path)

    async def names(self) -> list[str]:
        """Return the names that are pinned, and delete the pins of dead processes."""
        if not await self._objects.listing(self._folder):
            return []
        await self._objects.write(f"{self._folder}/{CLOCK}", b"")
        times = {name: time for name, time in (await self._objects.listing(self._folder)).items() if time}
        now = times.pop(CLOCK)
        dead = {name for name, time in times.items() if now - time > DEAD_AFTER}
        for name in dead:
            await self._objects.delete(f"{self._folder}/{name}")
        return [name.rpartition("-")[0] for name in times if name not in dead]
