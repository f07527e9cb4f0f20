"""`GET /`: the page to ask on. The answers come from `/api/ask`."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from groundtune.serve.pages.frame import ASK, show

router = APIRouter(include_in_schema=False)


@router.get("/", response_model=None)
async def start(request: Request) -> Response:
    """Show the page to ask on, or the one that asks for a key."""
    return await show(request, ASK)
