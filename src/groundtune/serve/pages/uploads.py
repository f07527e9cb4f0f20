"""`PUT /api/setup/documents/NAME` and `PUT /api/setup/examples/NAME`: take a file from the browser of an operator.

A document comes into the folder that `[documents] include` reads from, under its own name and in one step; a file is
replaced only if the request says so. A file of examples waits in `.groundtune/cache/uploads/` until a job imports it.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import Receive, Scope, Send

from groundtune.config import PROJECT_FILE, Config
from groundtune.dataset.examples import find_examples
from groundtune.ingest.loaders import is_readable
from groundtune.ingest.patterns import excludes, matches_pattern
from groundtune.serve.doors.roles import Operator, only_own_pages
from groundtune.serve.errors import ErrorReply, RequestRefusedError, refused
from groundtune.serve.serving import By
from groundtune.workspace import Workspace

FOLDER = "documents"
"""Folder of the project for documents where the patterns name none."""
NAME_BYTES = 200
EXAMPLES_BYTES = 50_000_000
LARGEST = 10_000_000_000
"""Bytes of a body beyond which nobody looks at it; `documents.max_mb` and EXAMPLES_BYTES are the real limits."""
_WILD = frozenset("*?[{")


class _LargeBodies(APIRoute):
    """A route with its own limit on the body."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await RequestBodyLimitMiddleware(super().handle, LARGEST)(scope, receive, send)


router = APIRouter(include_in_schema=False, route_class=_LargeBodies, dependencies=[Depends(only_own_pages)])


@router.put("/api/setup/documents/{name}")
async def put_document(name: str, request: Request, serving: By, _: Operator, replace: bool = False) -> dict[str, Any]:
    """Keep a document. 409 when there is one of this name and `replace` is not given."""
    project = serving.live.project
    source = document_source(plain_name(name), project.config, project.root)
    limit = project.config.documents.max_mb * 1_000_000
    await _keep(request, project.root, source, limit=limit, over="documents.max_mb", replace=replace)
    return {"source": source}


@router.put("/api/setup/examples/{name}")
async def put_examples(name: str, request: Request, serving: By, _: Operator) -> dict[str, Any]:
    """Keep a file of examples until it is imported; one of the same name is replaced."""
    folder = upload_folder(serving.live.project.workspace)
    await _keep(request, folder, plain_name(name), limit=EXAMPLES_BYTES, over="such files", replace=True)
    return {"file": plain_name(name)}


def upload_folder(workspace: Workspace) -> Path:
    """Return the folder of files that wait to be imported."""
    workspace.create()
    return workspace.cache / "uploads"


def plain_name(name: str) -> str:
    """Return the name of a file. Raises RequestRefusedError when it is a path, hidden, or too long."""
    if not name or name.startswith(".") or set(name) & {"/", "\\"} or not name.isprintable():
        raise refused(f"{name!r} is no plain name of a file: rename it, without slashes and without a dot in front")
    if len(name.encode()) > NAME_BYTES:
        raise refused(f"the name {name[:40]}… is too long: shorten it to {NAME_BYTES} bytes")
    return name


def document_source(name: str, config: Config, root: Path) -> str:
    """Return the path below the project where a document of this name is read. Raises RequestRefusedError."""
    suffix = Path(name).suffix.lower()
    if not is_readable(suffix):
        raise refused(
            f"{name}: groundtune reads no {suffix or 'files without an extension'}; docs/documents.md lists what"
        )
    settings = config.documents
    own = {PROJECT_FILE, *(path.relative_to(root).as_posix() for path in find_examples(root, config.examples.files))}
    for folder in dict.fromkeys(map(_folder_of, settings.include)):
        source = f"{folder}/{name}" if folder else name
        taken = any(matches_pattern(source, pattern) for pattern in settings.include)
        if taken and source not in own and not any(excludes(source, pattern) for pattern in settings.exclude):
            return source
    raise refused(
        f"{name} would not be read: [documents] include in {PROJECT_FILE} is {', '.join(settings.include)}; "
        f"add a pattern for {suffix}, such as {_folder_of(settings.include[0]) or FOLDER}/**/*{suffix}"
    )


def _folder_of(pattern: str) -> str:
    """Return the folder that a pattern begins with; FOLDER where it takes any."""
    folders = pattern.split("/")[:-1]
    named = folders[: next((at for at, folder in enumerate(folders) if _WILD & set(folder)), len(folders))]
    return "/".join(named) or (FOLDER if folders else "")


async def _keep(request: Request, root: Path, name: str, *, limit: int, over: str, replace: bool) -> None:
    """Write the body of a request below a folder, in one step once it is complete."""
    target = root / name
    with _told_if_unwritable(target):
        await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(root.resolve()):
            raise refused(f"{target.parent.name} is a link that leads out of the project: replace it by a folder")
        if target.exists() and not replace:
            raise refused(f"there is already a {name}", code="exists", status=409)
        handle, path = tempfile.mkstemp(prefix=".uploading-", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                size = 0
                async for piece in request.stream():
                    size += len(piece)
                    if size > limit:
                        message = f"{name} is larger than the {limit // 1_000_000:,} MB that {over} allows"
                        raise RequestRefusedError(ErrorReply(413, message, code="too_large"))
                    await asyncio.to_thread(file.write, piece)
                await asyncio.to_thread(_to_disk, file)
            if not size:
                raise refused(f"{name} is empty")
            if target.exists() and not replace:  # another upload was quicker
                raise refused(f"there is already a {name}", code="exists", status=409)
            Path(path).replace(target)
        finally:
            Path(path).unlink(missing_ok=True)


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
    os.fchmod(file.fileno(), 0o644)


@contextmanager
def _told_if_unwritable(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise refused(f"{target.name} cannot be written to {target.parent}: {reason}", status=507) from None
