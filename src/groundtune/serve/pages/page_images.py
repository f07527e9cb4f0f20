"""`GET /page-image`: a page of a PDF as it looks, for whoever may read the document. Draws one page at a time."""

import asyncio
import html
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from groundtune.errors import ParseError
from groundtune.serve.doors.callers import From
from groundtune.serve.doors.roles import may_operate
from groundtune.serve.errors import refused
from groundtune.serve.serving import By

SECONDS = 60.0
"""How long a page may take to be drawn, with its wait for those before it."""

router = APIRouter(include_in_schema=False)


@router.get("/page-image", response_model=None)
async def page_image(
    request: Request, serving: By, caller: From, source: str, page: Annotated[int, Query(ge=1)]
) -> Response:
    """Return a page of a PDF as PNG. The same 404 whether it does not exist or the caller may not read it."""
    groups = None if may_operate(request, caller) else caller.groups
    async with asyncio.timeout(SECONDS), request.app.state.drawing, serving.live.lease() as project:
        try:
            picture = await project.apage_image(source, page, groups=groups)
        except ParseError as error:
            raise refused(error.message, status=409) from None
    if picture is None:
        raise refused("there is no such document, or you may not read it", status=404)
    return Response(picture, media_type="image/png")


def image_url(source: str, page: int) -> str:
    """Return the address of the picture of a page."""
    return f"/page-image?{urlencode({'source': source, 'page': page})}"


def image_html(source: str, page: int, *, lazy: bool = False) -> str:
    """Return the picture of a page as HTML; document.js says why there is none where it cannot be drawn."""
    loading = ' loading="lazy"' if lazy else ""
    return f'<img class="sheet" src="{html.escape(image_url(source, page))}" alt="Page {page:,} as it looks"{loading}>'
