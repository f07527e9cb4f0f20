"""`GET /`: the page to ask on. The answers come from `/api/ask`."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from groundtune.serve.callers import COOKIE, caller_of
from groundtune.serve.errors import RequestRefusedError
from groundtune.serve.pages import page
from groundtune.serve.review import may_review
from groundtune.serve.serving import By
from groundtune.serve.sign_in import sign_in_page

router = APIRouter(include_in_schema=False)


@router.get("/", response_model=None)
async def start(request: Request, serving: By) -> Response:
    """Show the page to ask on, or the one that asks for a key."""
    try:
        caller = await caller_of(request)
    except RequestRefusedError as error:
        if error.reply.status != 401:
            raise
        return sign_in_page(next_="/")
    signed_in, reviews = COOKIE in request.cookies, may_review(request, caller)
    raw = {"signed_in": "" if signed_in else "hidden", "reviews": "" if reviews else "hidden"}
    return page("ask.html", name=serving.live.project.config.name, raw=raw)
