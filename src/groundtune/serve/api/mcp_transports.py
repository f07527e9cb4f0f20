"""Reach the MCP tools over HTTP at `/mcp`, and on standard input and output. Defines no tool.

Over HTTP each request stands for itself, so that no session can pass from one caller to another.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import anyio
from fastapi import FastAPI, Request
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp, Receive, Scope, Send

from groundtune.project import Project
from groundtune.serve.api.mcp_tools import make_mcp_server
from groundtune.serve.api.wire_citations import base_url
from groundtune.serve.doors.callers import Caller, Doors
from groundtune.serve.errors import RequestRefusedError
from groundtune.serve.serving import Serving, make_serving
from groundtune.serve.watching.metrics import Metrics
from groundtune.serve.watching.tracing import Tracing

PATH = "/mcp"


def add_mcp(app: FastAPI, serving: Serving, doors: Doors) -> MCPServer:
    """Add the endpoint to an application, whose lifespan must run `session_manager.run()` of the server returned."""

    def caller_of(request: Any) -> tuple[Caller, str]:
        public_url = serving.live.project.config.serve.public_url
        return request.scope["state"]["caller"], base_url(request, public_url)

    server = make_mcp_server(serving, caller_of)
    # hosts and origins are checked in front of all endpoints
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    inner = server.streamable_http_app(streamable_http_path=PATH, stateless_http=True, transport_security=security)
    app.add_route(PATH, _Guarded(inner, doors), methods=["GET", "POST", "DELETE"], include_in_schema=False)  # type: ignore[arg-type]
    return server


class _Guarded:
    """An ASGI application that only callers whom the doors admit reach."""

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self._app = app
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            caller = await self._doors.admit(Request(scope))
        except RequestRefusedError as error:
            await error.reply.response()(scope, receive, send)
            return
        await self._app({**scope, "state": {**scope.get("state", {}), "caller": caller}}, receive, send)


def serve_stdio(project: Project, *, groups: Sequence[str] = ()) -> None:
    """Serve one client on standard input and output, until it closes them. groups: access groups of its user."""
    anyio.run(_serve_stdio, project, Caller("stdio", tuple(groups)))


async def _serve_stdio(project: Project, caller: Caller) -> None:
    settings = project.config.serve
    base = settings.public_url or f"http://{settings.host}:{settings.port}"
    tracing = Tracing(project.config)
    serving = make_serving(project, Metrics(), tracing)
    try:
        await make_mcp_server(serving, lambda _: (caller, base)).run_stdio_async()
    finally:
        await serving.close()
        await asyncio.to_thread(tracing.close)
