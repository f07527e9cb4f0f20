"""Implement `groundtune serve`: run the server until it is stopped."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli import output
from groundtune.cli.options import Groups, Json, ProjectFolder

if TYPE_CHECKING:
    from socket import socket


def run(
    *,
    host: Annotated[
        str | None,
        typer.Option(
            "--host", metavar="ADDRESS", help="Address to listen on.", show_default="serve.host, or 127.0.0.1"
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="N",
            help="Port to listen on; 0: a free one.",
            min=0,
            max=65_535,
            show_default="serve.port, or 8090",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="Processes that answer.",
            min=1,
            max=64,
            show_default="serve.workers, or 1",
        ),
    ] = None,
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Also speak the Model Context Protocol, at /mcp (extra mcp).")
    ] = False,
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Speak that protocol on standard input and output, instead of HTTP.")
    ] = False,
    log_format: Annotated[
        str | None,
        typer.Option(
            "--log-format",
            metavar="FORMAT",
            help="How the log is written to stderr: text or json.",
            show_default="serve.log_format, or text",
        ),
    ] = None,
    group: Groups = None,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Serve the project's approaches over HTTP, as OpenAI's API does (/v1/chat/completions, /v1/responses).

    Every approach is a model; the project's choice has the name of the project. On 127.0.0.1 it needs no key until one
    is made with groundtune keys; elsewhere it does not start without one. In a folder without a project it shows a page
    that sets one up, on 127.0.0.1 alone. SIGTERM and Ctrl-C let running answers end first. Settings: [serve] in the
    project file.
    """
    from groundtune.errors import UsageError, need
    from groundtune.project import Project

    for module in ("fastapi", "uvicorn"):
        need(module, extra="serve")
    if mcp or stdio:
        need("mcp", extra="mcp")
    if group and not stdio:
        hint = "groundtune keys create NAME --group GROUP"
        raise UsageError("--group is for --stdio alone: over HTTP, groups belong to keys", hint=hint)
    if stdio:
        from groundtune.serve.api.mcp_transports import serve_stdio

        serve_stdio(Project.open(folder), groups=group or ())
        return
    from groundtune.serve.doors.keys import KeyFile
    from groundtune.serve.running import serve

    if log_format not in (None, "text", "json"):
        raise UsageError(f"--log-format {log_format!r} is neither text nor json")
    options = {"host": host, "port": port, "workers": workers, "log_format": log_format}
    given = {name: value for name, value in options.items() if value is not None}
    listening = _set_up(folder, given, json=json)
    project = Project.open(folder)
    settings = project.config.serve.model_copy(update=given)
    project.config = project.config.model_copy(update={"serve": settings})

    def on_ready(address: str) -> None:
        if json:
            output.print_json({"name": project.config.name, "url": address})
            sys.stdout.flush()
            return
        output.print_line(f"serving {project.config.name} on {address}")
        if not KeyFile(project.workspace).all():
            output.print_note(
                "No API key exists: every bearer token is accepted, from this machine alone.", style="dim"
            )
        output.next_step(f"curl {address}/v1/models")

    serve(project, mcp=mcp, on_ready=on_ready, listening=listening)


def _set_up(folder: Path, given: dict[str, Any], *, json: bool) -> "socket | None":
    """Have a page set up the folder if it has no project; return the socket, which goes on listening.

    Raises MissingError without a project where other machines would reach the page, or keys were made.
    """
    from groundtune.config import find_project
    from groundtune.config.serve_table import ServeConfig
    from groundtune.errors import MissingError
    from groundtune.serve.doors.keys import KeyFile
    from groundtune.serve.running import is_loopback, set_up
    from groundtune.workspace import Workspace

    settings = ServeConfig().model_copy(update=given)
    try:
        find_project(folder)
        return None
    except MissingError:
        if not folder.is_dir() or not is_loopback(settings.host) or KeyFile(Workspace(folder)).all():
            raise

    def on_ready(address: str) -> None:
        if json:
            output.print_json({"name": None, "url": f"{address}/setup"})
            sys.stdout.flush()
            return
        output.print_line(f"no project here yet: set it up at {address}/setup")

    return set_up(folder.resolve(), settings, on_ready=on_ready)
