"""Give every request an id: in its reply as `X-Request-ID`, and in the lines of the log that belong to it."""

import re
from contextvars import ContextVar
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-ID"
ACCEPTED = re.compile(r"[0-9A-Za-z._-]{1,64}")
"""An id that a client or a proxy gave; any other is replaced."""

_current: ContextVar[str | None] = ContextVar("request_id", default=None)


def request_id() -> str | None:
    """Return the id of the request that is being worked on; None outside of one."""
    return _current.get()


def id_header() -> dict[str, str]:
    """Return the header with the id of the request that is being worked on; none outside of one."""
    current = _current.get()
    return {HEADER: current} if current else {}


def logged(message: str) -> str:
    """Return a line of the log with the id of the request that it belongs to."""
    current = _current.get()
    return f"request {current}: {message}" if current else message


class RequestIds:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        current = given if ACCEPTED.fullmatch(given) else uuid4().hex

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = current
            await send(message)

        _current.set(current)  # each request has a context of its own
        await self._app(scope, receive, with_id)
