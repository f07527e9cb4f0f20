"""`GET /healthz` and `GET /readyz`: whether the process lives, and whether it can answer. Names no document."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from groundtune.build.approach_registry import default_approach
from groundtune.errors import GroundtuneError
from groundtune.serve.callers import caller_of
from groundtune.serve.errors import RequestRefusedError
from groundtune.serve.serving import By

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, Any]:
    """Reply while the process lives."""
    return {"status": "ok"}


@router.get("/readyz", response_model=None)
async def readyz(request: Request, serving: By) -> Response:
    """Reply 200 when the project's choice can be asked, else 503. The reason is for callers who are let in."""
    try:
        async with serving.live.lease() as project:
            reasons = await project.aapproaches()
            choice = default_approach(project.config)
        reason = f"{choice} {reasons[choice]}" if reasons.get(choice) else None
    except GroundtuneError as error:
        reason = error.message
    status: dict[str, str] = {"status": "not ready" if reason else "ready"}
    if _is_let_in(request):
        if reason:
            status["reason"] = reason
        if serving.live.trouble:
            status["project_file"] = serving.live.trouble
    return JSONResponse(status, 503 if reason else 200)


def _is_let_in(request: Request) -> bool:
    try:
        caller_of(request)
    except RequestRefusedError:
        return False
    return True
