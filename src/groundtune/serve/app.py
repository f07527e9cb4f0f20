"""Put the endpoints together as an ASGI application. Starts no server, and asks nothing before the first request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from groundtune.project import Project
from groundtune.serve import asking, chat_completions, health, models, responses
from groundtune.serve.admission import Admission
from groundtune.serve.errors import add_error_handlers
from groundtune.serve.live_project import LiveProject
from groundtune.serve.serving import Serving

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1", "[::1]")
BODY_BYTES = 4_000_000
"""Largest body of a request."""


def create_app(project: Project) -> FastAPI:
    """Return the application that serves a project, and closes it at its end."""
    serve = project.config.serve
    serving = Serving(LiveProject(project), Admission(running=serve.running, waiting=serve.waiting))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await serving.live.close()

    app = FastAPI(
        title=f"groundtune: {project.config.name}",
        version=version("groundtune"),
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.serving = serving
    for part in (models, chat_completions, responses, asking, health):
        app.include_router(part.router)
    add_error_handlers(app)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=BODY_BYTES)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK_NAMES, serve.host], www_redirect=False)
    return app
