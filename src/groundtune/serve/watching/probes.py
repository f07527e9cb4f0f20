"""`GET /healthz` and `GET /readyz`: whether the process lives, and whether it can answer. Names no document."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from groundtune.serve.api.reply_schemas import Readiness, Status
from groundtune.serve.doors.callers import caller_of
from groundtune.serve.errors import RequestRefusedError
from groundtune.serve.serving import By

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=None, responses={200: {"model": Status}})
async def healthz() -> dict[str, Any]:
    """Reply while the process lives."""
    return {"status": "ok"}


@router.get("/readyz", response_model=None, responses={200: {"model": Readiness}, 503: {"model": Readiness}})
async def readyz(request: Request, serving: By) -> Response:
    """Reply 200 when the project's choice can be asked, else 503. What is wrong is for callers who are let in."""
    is_ready = await serving.live.is_ready()
    status = {"status": "ready" if is_ready else "not ready"}
    if await _is_let_in(request):
        if not is_ready:
            status["reason"] = "the project's choice cannot be asked; the log says why, and groundtune check"
        if serving.live.trouble:
            status["project_file"] = "groundtune.toml has a mistake: the one before is used; the log names it"
    return JSONResponse(status, 200 if is_ready else 503)


async def _is_let_in(request: Request) -> bool:
    try:
        await caller_of(request)
    except RequestRefusedError:
        return False
    return True
