"""Put the endpoints together as an ASGI application. Starts no server, and asks nothing before the first request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from groundtune.project import Project
from groundtune.serve import (
    asking,
    chat_completions,
    feedback,
    health,
    models,
    pages,
    passages,
    responses,
    sign_in,
    start_page,
)
from groundtune.serve.admission import Admission
from groundtune.serve.audit_log import AuditLog
from groundtune.serve.auditing import Auditor
from groundtune.serve.callers import Doors, allowed_hosts
from groundtune.serve.errors import add_error_handlers
from groundtune.serve.keys import KeyFile
from groundtune.serve.live_project import LiveProject
from groundtune.serve.security_headers import SecurityHeaders
from groundtune.serve.serving import Serving

PARTS = (
    models, chat_completions, responses, asking, feedback, health, start_page, pages, passages, sign_in,
)  # fmt: skip
"""Modules with a router each."""
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1", "[::1]")
"""Host names under which this machine reaches itself."""
BODY_BYTES = 4_000_000
"""Largest body of a request."""


def create_app(project: Project, *, open_: bool) -> FastAPI:
    """Return the application that serves a project, and closes it at its end.

    open_: whether everybody is let in while no key was ever made; only where nobody else reaches it.
    """
    serve = project.config.serve
    auditor = Auditor(AuditLog(project.workspace), serve)
    serving = Serving(LiveProject(project), Admission(running=serve.running, waiting=serve.waiting), auditor)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await auditor.finish()
        await serving.live.close()

    app = FastAPI(
        title="groundtune",
        version=version("groundtune"),
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.serving = serving
    app.state.doors = Doors(KeyFile(project.workspace), serve, open_=open_)
    for part in PARTS:
        app.include_router(part.router)
    add_error_handlers(app)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=BODY_BYTES)
    if serve.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=serve.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    hosts = allowed_hosts(serve, LOOPBACK_NAMES)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
    app.add_middleware(SecurityHeaders)
    return app
