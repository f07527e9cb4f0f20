"""End work whose client has left, and send events as they come. Knows nothing about what is sent."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Send

from groundtune.serve.errors import ClientLeftError

T = TypeVar("T")
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Headers of a stream: proxies must neither keep nor collect it."""

log = logging.getLogger(__name__)


async def unless_client_leaves(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of the work, which is cancelled when the client leaves. Raises ClientLeftError then."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_leaves(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeftError
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _leaves(request: Request) -> None:
    """Wait until the client has left. The body has been read by then."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class EventStream(StreamingResponse):
    """Server-sent events. When the client leaves, the generator is closed, and with it the work behind it.

    A client that has not read all of them after so many `seconds` counts as one that has left.
    """

    media_type = "text/event-stream"
    body_iterator: AsyncGenerator[str, None]

    def __init__(self, events: AsyncGenerator[str, None], *, seconds: float) -> None:
        super().__init__(events, headers=HEADERS)
        self._seconds = seconds

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self.body_iterator):
            try:
                async with asyncio.timeout(self._seconds):
                    await super().stream_response(send)
            except TimeoutError:
                log.warning("a client did not read its answer within [serve] seconds")


def event_line(data: Any, *, name: str | None = None) -> str:
    """Return one event: its name, if it has one, and its data as JSON."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, allow_nan=False)}\n\n"
