"""Put the endpoints together as an ASGI application. Starts no server, and asks nothing before the first request."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from groundtune.project import Project
from groundtune.records.audit_log import AuditLog
from groundtune.serve.api import asking, chat_completions, embeddings, feedback, held_answers, models, responses
from groundtune.serve.api.reply_schemas import ERRORS
from groundtune.serve.doors.callers import Doors, allowed_hosts
from groundtune.serve.doors.keys import KeyFile
from groundtune.serve.doors.security_headers import SecurityHeaders
from groundtune.serve.doors.tokens import make_token_check
from groundtune.serve.errors import add_error_handlers
from groundtune.serve.head_requests import HeadAsGet
from groundtune.serve.pages import (
    advice,
    ask,
    costs,
    document,
    documents,
    examples,
    frame,
    health,
    page_images,
    passages,
    review,
    runs,
    set_up,
    sign_in,
    uploads,
)
from groundtune.serve.pages.jobs import Jobs
from groundtune.serve.serving import make_serving
from groundtune.serve.watching import metrics, probes
from groundtune.serve.watching.metrics import CountedRequests, Metrics
from groundtune.serve.watching.request_id import HEADER as ID_HEADER
from groundtune.serve.watching.request_id import RequestIds
from groundtune.serve.watching.tracing import TraceContext, Tracing
from groundtune.workflows.listing_examples import ExampleList

PARTS = (
    models, chat_completions, responses, embeddings, asking, feedback, held_answers, probes, metrics,
    frame, sign_in, ask, review, passages, documents, document, page_images, examples, runs, advice, costs, health,
    set_up, uploads,
)  # fmt: skip
"""Modules with a router each."""
BODY_BYTES = 4_000_000
"""Largest body of a request."""


def create_app(
    project: Project, *, open_: bool, mcp: bool = False, on_warm: Callable[[], None] = lambda: None
) -> FastAPI:
    """Return the application that serves a project, and closes it at its end.

    open_: whether everybody is let in while no key was ever made; only where nobody else reaches it. mcp: whether it
    also speaks the Model Context Protocol, at `/mcp`. on_warm: called before the first request, once what answers need
    is loaded.
    """
    serve = project.config.serve
    measured = Metrics()
    tracing = Tracing(project.config)
    serving = make_serving(project, measured, tracing)
    jobs = Jobs(project.workspace)
    tokens = make_token_check(project) if serve.takes_tokens else None
    doors = Doors(KeyFile(project.workspace), serve, open_=open_, spending=serving.spending, tokens=tokens)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, tracing.close)
            stack.enter_context(serving.spending.held_open())
            if serve.audit:
                stack.enter_context(AuditLog(project.workspace).held_open())
            stack.push_async_callback(serving.close)
            stack.push_async_callback(asyncio.to_thread, jobs.close)
            if mcp:
                from groundtune.serve.api.mcp_transports import add_mcp

                await stack.enter_async_context(add_mcp(app, serving, doors).session_manager.run())
            await serving.live.warm()
            on_warm()
            yield

    app = FastAPI(
        title="groundtune",
        version=version("groundtune"),
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.serving = serving
    app.state.doors = doors
    app.state.metrics = measured
    app.state.examples = ExampleList()
    app.state.looked = documents.Looked()
    app.state.drawing = asyncio.Semaphore()  # a page takes a core for a while
    app.state.jobs = jobs
    for part in PARTS:
        app.include_router(part.router, responses=ERRORS)
    add_error_handlers(app)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=BODY_BYTES)
    if serve.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=serve.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["Retry-After", ID_HEADER],
        )
    hosts = allowed_hosts(serve)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(CountedRequests, metrics=measured)
    app.add_middleware(RequestIds)
    app.add_middleware(HeadAsGet)
    app.add_middleware(TraceContext)
    return app
