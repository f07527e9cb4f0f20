"""`GET /healthz` and `GET /readyz`: whether the process lives, and whether it can answer. Names no document."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from groundtune.build.approach_registry import default_approach
from groundtune.errors import GroundtuneError
from groundtune.serve.serving import By

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, Any]:
    """Reply while the process lives."""
    return {"status": "ok"}


@router.get("/readyz", response_model=None)
async def readyz(serving: By) -> Response:
    """Reply 200 when the project's choice can be asked, else 503 with the reason."""
    try:
        async with serving.live.lease() as project:
            reasons = await project.aapproaches()
            choice = default_approach(project.config)
    except GroundtuneError as error:
        return JSONResponse({"status": "not ready", "reason": error.message}, 503)
    if reason := reasons.get(choice):
        return JSONResponse({"status": "not ready", "reason": f"{choice} {reason}"}, 503)
    trouble = serving.live.trouble
    return JSONResponse({"status": "ready", **({"project_file": trouble} if trouble else {})})
