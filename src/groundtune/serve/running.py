"""Run the application: bind the socket, serve until a signal, let streams end. Knows no endpoint.

Several workers are processes that accept from the same socket. Each opens the project for itself; what they share is on
disk.
"""

import gc
import ipaddress
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from groundtune.config.serve_table import ServeConfig
from groundtune.errors import UsageError
from groundtune.project import Project
from groundtune.serve.app import create_app
from groundtune.serve.doors.keys import KeyFile
from groundtune.serve.pages.new_project import create_set_up_app
from groundtune.serve.watching.logs import log_as_json
from groundtune.serve.watching.metrics import FOLDER

GRACE_SECONDS = 8
"""How long requests may go on after SIGTERM. With the seconds that the project takes to close, less than 20."""
STUCK_SECONDS = 60
"""How long a worker may not reply to the process that watches it before it is replaced. While it loads a model, it may
do nothing else for seconds."""
BACKLOG = 2048
OPTIONS: dict[str, Any] = {
    "log_level": "warning",
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,  # an address that a header claims is not one to trust
    "timeout_graceful_shutdown": GRACE_SECONDS,
    "lifespan": "on",
}
"""Settings of uvicorn."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(
    project: Project,
    *,
    mcp: bool = False,
    on_ready: Callable[[str], None],
    listening: socket.socket | None = None,
) -> None:
    """Serve a project on the host and port of its settings until SIGINT or SIGTERM, and close it.

    mcp: whether `/mcp` speaks the Model Context Protocol. on_ready: called with the address once requests are accepted.
    listening: a socket that listens there already. Raises UsageError when it cannot listen there.
    """
    if project.config.serve.workers > 1:
        _serve_with_workers(project, mcp=mcp, on_ready=on_ready, listening=listening)
        return
    server, listening = make_server(
        project, mcp=mcp, on_ready=on_ready, on_warm=_keep_what_is_loaded, listening=listening
    )
    server.run(sockets=[listening])


def set_up(root: Path, settings: ServeConfig, *, on_ready: Callable[[str], None]) -> socket.socket:
    """Serve the page that makes a project of a folder, until it is one; return the socket, which goes on listening.

    Requests that come before the next server accepts wait in it. Raises UsageError when it cannot listen there.
    """
    listening = _listen(settings.host, settings.port)
    kept = listening.dup()  # the server closes its own

    def finish() -> None:
        server.should_exit = True

    config = uvicorn.Config(create_set_up_app(root, settings, on_created=finish), **OPTIONS)
    server = _Server(config, lambda: on_ready(_address(listening, settings.host)))
    server.run(sockets=[listening])
    return kept


def _serve_with_workers(
    project: Project, *, mcp: bool, on_ready: Callable[[str], None], listening: socket.socket | None
) -> None:
    settings = project.config.serve
    _check_reachable(project)
    listening = listening or _listen(settings.host, settings.port)
    project.close()
    app = partial(_worker_app, project.root, settings, mcp)
    config = uvicorn.Config(
        app, factory=True, workers=settings.workers, timeout_worker_healthcheck=STUCK_SECONDS, **OPTIONS
    )
    with tempfile.TemporaryDirectory(prefix="groundtune-metrics-") as folder:
        os.environ[FOLDER] = folder  # read by prometheus-client in the workers
        _Workers(config, [listening], lambda: on_ready(_address(listening, settings.host))).run()


def _worker_app(root: Path, settings: ServeConfig, mcp: bool) -> FastAPI:
    """Return the application of one worker, in its own process, which ends with the one that started it."""
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_after, args=[parent], daemon=True).start()
    if settings.log_format == "json":
        log_as_json()
    project = Project.open(root)
    project.config = project.config.model_copy(update={"serve": settings})
    return create_app(project, open_=is_loopback(settings.host), mcp=mcp, on_warm=_keep_what_is_loaded)


def _keep_what_is_loaded() -> None:
    """Leave the objects that are there by now out of garbage collections, each of which stops every request.

    Some 400,000 are: models, settings, data of languages. With them a full collection took a quarter of a second.
    """
    gc.collect()
    gc.freeze()


def _end_after(parent: Any) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


class _Workers(Multiprocess):
    """uvicorn's worker processes, of which the first one says when it accepts requests."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], on_ready: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._on_ready = on_ready

    def init_processes(self) -> None:
        super().init_processes()
        if self.processes[0].wait_until_ready(STUCK_SECONDS):
            self._on_ready()


def make_server(
    project: Project,
    *,
    mcp: bool = False,
    on_ready: Callable[[str], None],
    on_warm: Callable[[], None] = lambda: None,
    listening: socket.socket | None = None,
) -> tuple[uvicorn.Server, socket.socket]:
    """Return the server of a project and the socket to run it on. Further arguments and errors are those of `serve`.

    on_warm: called before the first request, once what answers need is loaded.
    """
    settings = project.config.serve
    _check_reachable(project)
    listening = listening or _listen(settings.host, settings.port)
    if settings.log_format == "json":
        log_as_json()
    app = create_app(project, open_=is_loopback(settings.host), mcp=mcp, on_warm=on_warm)
    config = uvicorn.Config(app, **OPTIONS)
    return _Server(config, lambda: on_ready(_address(listening, settings.host))), listening


def _check_reachable(project: Project) -> None:
    """Raise UsageError when other machines would reach a server that is not ready for them."""
    settings = project.config.serve
    if is_loopback(settings.host):
        return
    if not (settings.takes_tokens or KeyFile(project.workspace).all()):
        raise UsageError(
            f"{settings.host} is reached from other machines, and no API key exists",
            hint="groundtune keys create NAME, or listen on 127.0.0.1",
        )
    if not (settings.hosts or settings.public_url):
        raise UsageError(
            f"{settings.host} is reached from other machines, and nothing says under which host name",
            hint='write [serve] public_url = "https://answers.example.com", or hosts = ["answers.example.com"]',
        )


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it accepts requests."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        hint = "choose another --port, or 0 for a free one"
        raise UsageError(f"cannot listen on {host}, port {port}: {reason}", hint=hint) from None


def _address(listening: socket.socket, host: str) -> str:
    port = listening.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
