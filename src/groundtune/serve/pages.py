"""Render the HTML pages and hand out their files, all of which are in this package. Everything shown is escaped."""

import html
from collections.abc import Mapping
from importlib.resources import files
from string import Template

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from groundtune.serve.errors import refused
from groundtune.serve.security_headers import PAGE_POLICY

ASSETS: Mapping[str, tuple[str, str, str]] = {
    "report.css": ("groundtune.report", "page/report.css", "text/css"),
    "views.css": ("groundtune.report", "page/views.css", "text/css"),
    "base.js": ("groundtune.report", "page/base.js", "text/javascript"),
    "cited.js": ("groundtune.report", "page/cited.js", "text/javascript"),
    "serve.css": ("groundtune.serve", "page/serve.css", "text/css"),
    "post.js": ("groundtune.serve", "page/post.js", "text/javascript"),
    "ask.js": ("groundtune.serve", "page/ask.js", "text/javascript"),
    "review.js": ("groundtune.serve", "page/review.js", "text/javascript"),
}
"""Maps the name of a file to its package, its path there, and its type."""

router = APIRouter(include_in_schema=False)


@router.get("/assets/{name}", response_model=None)
def asset(name: str) -> Response:
    """Return a file of the pages."""
    if name not in ASSETS:
        raise refused("no such file", status=404)
    package, path, media_type = ASSETS[name]
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'none'"}
    return Response((files(package) / path).read_bytes(), media_type=f"{media_type}; charset=utf-8", headers=headers)


def page(template: str, *, status: int = 200, raw: Mapping[str, str] | None = None, **texts: str) -> HTMLResponse:
    """Return a page. texts: escaped into the places of their names. raw: HTML, inserted as it is."""
    values = {key: html.escape(value) for key, value in texts.items()}
    source = (files("groundtune.serve") / "page" / template).read_text(encoding="utf-8")
    text = Template(source).substitute(values, **(raw or {}))
    return HTMLResponse(text, status, headers={"Content-Security-Policy": PAGE_POLICY})
