"""An application for a folder that has no project yet: it asks what the project file needs, and writes it once.

Nothing is answered, indexed or sent before that. It is for this machine alone, and ends when the project file is there.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from groundtune.common.text import format_bytes
from groundtune.config import PROJECT_FILE
from groundtune.config.serve_table import ServeConfig
from groundtune.errors import ProviderError
from groundtune.models.builtin_models import builtin_models
from groundtune.models.discover import discover, list_models
from groundtune.project.init import ModelChoice, choose_model, survey, write_project_file
from groundtune.records.spending import Spending
from groundtune.serve.doors.callers import Doors, allowed_hosts, caller_of
from groundtune.serve.doors.keys import KeyFile
from groundtune.serve.doors.security_headers import SecurityHeaders
from groundtune.serve.errors import add_error_handlers, refused, told_in_full
from groundtune.serve.pages import frame
from groundtune.serve.pages.frame import filled, whole_page
from groundtune.serve.pages.uploads import FOLDER
from groundtune.serve.watching.request_id import RequestIds
from groundtune.types import Task
from groundtune.workspace import Workspace

BODY_BYTES = 100_000
SCRIPTS = ("base.js", "post.js", "new_project.js")
MOST_FOLDERS = 100
"""Folders that the page offers."""

router = APIRouter(include_in_schema=False)


class NewProject(BaseModel):
    """What the project file shall say."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    folder: Annotated[str, Field(max_length=1_000)] = ""
    """Folder of the documents, below the project's own; empty: the whole one."""
    task: Task = "answer"
    answers: Literal["quotes", "builtin", "endpoint"] = "quotes"
    """What writes the answers."""
    base_url: Annotated[str, Field(max_length=2_000)] = ""
    model: Annotated[str, Field(max_length=500)] = ""
    api_key_env: Annotated[str, Field(max_length=200)] = ""
    unchecked: bool = False
    """Whether the endpoint is taken though it does not answer now."""


class _Place:
    """The folder of an app, and what to do once it has a project."""

    def __init__(self, root: Path, on_created: Callable[[], None]) -> None:
        self.root = root
        self.on_created = on_created
        self.writing = asyncio.Lock()

    @property
    def has_project(self) -> bool:
        return (self.root / PROJECT_FILE).exists()


def create_set_up_app(root: Path, settings: ServeConfig, *, on_created: Callable[[], None]) -> FastAPI:
    """Return the application. on_created: called once the folder has a project file."""
    workspace = Workspace(root)
    app = FastAPI(title="groundtune", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.place = _Place(root, on_created)
    app.state.doors = Doors(KeyFile(workspace), settings, open_=True, spending=Spending(workspace))
    for part in (frame.router, router):
        app.include_router(part)
    add_error_handlers(app)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=BODY_BYTES)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(settings), www_redirect=False)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestIds)
    return app


def _place_of(request: Request) -> _Place:
    place = request.app.state.place
    assert isinstance(place, _Place)
    return place


At = Annotated[_Place, Depends(_place_of)]


@router.get("/", response_model=None)
def start() -> Response:
    """Lead to the page."""
    return RedirectResponse("/setup", status_code=307)


@router.get("/setup", response_model=None)
async def show_form(request: Request, place: At) -> Response:
    """Show the form; go on to the project where somebody has made it otherwise."""
    await caller_of(request)
    if place.has_project:
        place.on_created()
    body = filled("new_project.html", root=str(place.root), name=place.root.name or FOLDER)
    return whole_page(body, title="New project: groundtune", scripts=SCRIPTS, data={"page": {}})


@router.get("/healthz", response_model=None)
def healthz() -> Response:
    """Reply 503: the page waits for the 200 of the project's own server."""
    return JSONResponse({"status": "no project yet"}, 503)


@router.get("/api/setup/new")
async def found(request: Request, place: At) -> dict[str, Any]:
    """Return what the folder shows, and the model servers of this machine."""
    await caller_of(request)
    contents, folders = await asyncio.to_thread(lambda: (survey(place.root), _folders(place.root)))
    endpoints = await discover(os.environ)
    builtin = next(iter(builtin_models().values()))
    return {
        "files": sum(contents.kinds.values()),
        "kinds": contents.kinds,
        "others": sum(contents.others.values()),
        "examples": contents.examples,
        "task": contents.task,
        "folders": folders,
        "endpoints": [
            {
                "kind": each.kind,
                "base_url": each.base_url,
                "models": each.models,
                "model": choose_model(each.kind, each.models),
                "api_key_env": each.api_key_env,
            }
            for each in endpoints
        ],
        "builtin": {
            "name": builtin.name,
            "note": builtin.note,
            "is_here": builtin.is_here,
            "size": format_bytes(builtin.download_bytes),
        },
    }


@router.post("/api/setup/new")
async def create(body: NewProject, request: Request, place: At) -> dict[str, Any]:
    """Write the project file, and have the project's own server go on from here. 409 when there is one."""
    await caller_of(request)
    async with place.writing:
        if place.has_project:
            raise refused(f"{place.root} has a project by now: reload the page", status=409)
        folder = await asyncio.to_thread(_folder, place.root, body.folder)
        model = await _model(body)
        with told_in_full():
            await asyncio.to_thread(_write, place.root, folder, body, model)
    place.on_created()
    return {"name": body.name}


def _folders(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))[
        :MOST_FOLDERS
    ]


def _folder(root: Path, name: str) -> str:
    """Return the folder of the documents, relative to the project. Raises RequestRefusedError."""
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise refused(f"{name} is not in {root}: start groundtune serve in the folder above both", param="folder")
    if not path.is_dir():
        known = ", ".join(_folders(root))
        there = f"folders there: {known}" if known else "it has no folders yet: leave the field empty"
        raise refused(f"there is no folder {name} in {root}; {there}", param="folder")
    within = path.relative_to(root.resolve())
    return within.as_posix() if within.parts else ""


async def _model(body: NewProject) -> ModelChoice | dict[str, Any] | None:
    """Return the model for the project file. Raises RequestRefusedError when nothing answers at its address."""
    if body.answers == "quotes":
        return None
    if body.answers == "builtin":
        return {"kind": "local", "model": next(iter(builtin_models()))}
    if not body.base_url or not body.model:
        param = "model" if body.base_url else "base_url"
        raise refused("an endpoint needs its address and the name of a model", param=param)
    if not body.unchecked:
        with told_in_full():
            await _check_endpoint(body)
    return ModelChoice(body.model, body.base_url, body.api_key_env or None)


async def _check_endpoint(body: NewProject) -> None:
    try:
        models = await list_models(body.base_url)
    except ProviderError as error:
        if error.kind != "bad_key":
            hint = "start the server, mend the address (it usually ends in /v1), or choose another way to answer"
            raise refused(f"{error.message}: {hint}", param="base_url", code="no_endpoint") from None
        if not os.environ.get(body.api_key_env, "").strip():
            lacks = f"{body.api_key_env} is not set" if body.api_key_env else "no variable that holds it is named"
            message = f"{body.base_url} asks for a key, and {lacks} where groundtune serve was started"
            raise refused(message, param="api_key_env", code="no_endpoint") from None
        return
    if models and body.model not in models:
        raise refused(
            f"{body.base_url} has no model {body.model}; it has {', '.join(models[:10])}",
            param="model",
            code="no_endpoint",
        )


def _write(root: Path, folder: str, body: NewProject, model: ModelChoice | dict[str, Any] | None) -> None:
    contents = survey(root, folder)
    if not contents.kinds and not folder:  # nothing to read yet: documents will be uploaded
        (root / FOLDER).mkdir(exist_ok=True)
        contents = survey(root, FOLDER)
    write_project_file(root, contents, name=body.name, task=body.task, model=model)
