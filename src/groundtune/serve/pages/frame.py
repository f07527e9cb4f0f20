"""Render the HTML pages in their common frame, and hand out their files. Everything shown is escaped.

A page is a template of its own content and a line of `PAGES`; scripts fetch what it shows.
"""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from groundtune.errors import GroundtuneError, MissingError
from groundtune.report.html import embedded_json
from groundtune.serve.doors.callers import COOKIE, Caller, caller_of
from groundtune.serve.doors.roles import may_ask, may_operate, may_review
from groundtune.serve.doors.security_headers import PAGE_POLICY
from groundtune.serve.errors import RequestRefusedError, refused, told
from groundtune.serve.serving import serving_of

OF_REPORT = ("base.js", "marks.js", "cited.js", "sliders.js", "costs.js", "volume.js")
"""Scripts of the report that pages use."""
ASSETS: Mapping[str, tuple[str, str, str]] = {
    "report.css": ("groundtune.report", "page/report.css", "text/css"),
    "views.css": ("groundtune.report", "page/views.css", "text/css"),
    **{name: ("groundtune.report", f"page/{name}", "text/javascript") for name in OF_REPORT},
    "serve.css": ("groundtune.serve.pages", "files/serve.css", "text/css"),
    "post.js": ("groundtune.serve.pages", "files/post.js", "text/javascript"),
    "ask.js": ("groundtune.serve.pages", "files/ask.js", "text/javascript"),
    "review.js": ("groundtune.serve.pages", "files/review.js", "text/javascript"),
    "lists.css": ("groundtune.serve.pages", "files/lists.css", "text/css"),
    "lists.js": ("groundtune.serve.pages", "files/lists.js", "text/javascript"),
    "documents.js": ("groundtune.serve.pages", "files/documents.js", "text/javascript"),
    "document.js": ("groundtune.serve.pages", "files/document.js", "text/javascript"),
    "examples.js": ("groundtune.serve.pages", "files/examples.js", "text/javascript"),
    "health.js": ("groundtune.serve.pages", "files/health.js", "text/javascript"),
    "runs.js": ("groundtune.serve.pages", "files/runs.js", "text/javascript"),
    "advice.js": ("groundtune.serve.pages", "files/advice.js", "text/javascript"),
    "costs_page.js": ("groundtune.serve.pages", "files/costs_page.js", "text/javascript"),
    "set_up.js": ("groundtune.serve.pages", "files/set_up.js", "text/javascript"),
    "new_project.js": ("groundtune.serve.pages", "files/new_project.js", "text/javascript"),
}
"""Maps the name of a file to its package, its path there, and its type."""
STYLES = ("report.css", "views.css", "serve.css", "lists.css")


@dataclass(frozen=True, slots=True)
class Page:
    """A page that the navigation leads to."""

    path: str
    label: str
    template: str
    scripts: Sequence[str]
    """Names of `ASSETS`, in the order in which they run."""
    kind: str
    """Class of its `main`, for the style sheet."""
    may_see: Callable[[Request, Caller], bool] = may_ask


ASK = Page("/", "Ask", "ask.html", ("base.js", "cited.js", "post.js", "ask.js"), "asking")
REVIEW = Page(
    "/review", "Review", "review.html", ("base.js", "cited.js", "post.js", "review.js"), "reviewing", may_review
)
DOCUMENTS = Page(
    "/documents",
    "Documents",
    "documents.html",
    ("base.js", "post.js", "lists.js", "documents.js"),
    "listing",
    may_operate,
)
EXAMPLES = Page(
    "/examples", "Examples", "examples.html", ("base.js", "post.js", "lists.js", "examples.js"), "listing", may_operate
)
HEALTH = Page("/health", "Health", "health.html", ("base.js", "post.js", "health.js"), "health", may_operate)
ADVICE = Page("/advice", "Advice", "advice.html", ("base.js", "post.js", "advice.js"), "advising", may_operate)
COSTS = Page(
    "/costs", "Costs", "costs.html", ("base.js", "marks.js", "sliders.js", "costs.js", "volume.js", "costs_page.js"),
    "costing verdict", may_operate,
)  # fmt: skip
RUNS = Page("/runs", "Runs", "runs.html", ("base.js", "post.js", "runs.js"), "runs", may_operate)
SET_UP = Page("/setup", "Set-up", "set_up.html", ("base.js", "post.js", "set_up.js"), "setting-up", may_operate)
PAGES = (ASK, REVIEW, DOCUMENTS, EXAMPLES, RUNS, ADVICE, COSTS, HEALTH, SET_UP)
"""In the order of the navigation."""
NO_DATA: Mapping[str, Any] = {"page": {"task": "answer"}, "passages": {}}
"""What the scripts of the report expect in every page."""

router = APIRouter(include_in_schema=False)


@router.get("/assets/{name}", response_model=None)
def asset(name: str) -> Response:
    """Return a file of the pages."""
    if name not in ASSETS:
        raise refused("no such file", status=404)
    package, path, media_type = ASSETS[name]
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'none'"}
    return Response((files(package) / path).read_bytes(), media_type=f"{media_type}; charset=utf-8", headers=headers)


async def show(
    request: Request, page: Page, *, title: str | None = None, data: Mapping[str, Any] | None = None, **texts: str
) -> Response:
    """Return a page for whoever may see it, or the one that asks for a key.

    title: None for the label of the page. data: as of `framed`. texts: escaped into the places of their names in its
    template.
    """
    caller = await entered(request, page)
    if isinstance(caller, Response):
        return caller
    content = filled(page.template, None, **texts)
    return framed(
        request,
        caller,
        content,
        title=title or page.label,
        kind=page.kind,
        scripts=page.scripts,
        here=page,
        data=data,
    )


async def entered(request: Request, page: Page) -> Caller | Response:
    """Return the caller who may see a page; else what is shown instead: the page that asks for a key, or a refusal."""
    try:
        caller = await caller_of(request)
    except RequestRefusedError as error:
        if error.reply.status != 401:
            raise
        query = f"?{request.url.query}" if request.url.query else ""
        return sign_in_page(next_=request.url.path + query)
    if page.may_see(request, caller):
        return caller
    return _without_content(request, caller, page, "This page is not for you.", status=403)


def failed_page(request: Request, caller: Caller, page: Page, error: GroundtuneError) -> HTMLResponse:
    """Return a page for operators that says in full why it has nothing to show."""
    return _without_content(request, caller, page, told(error), status=404 if isinstance(error, MissingError) else 409)


def _without_content(request: Request, caller: Caller, page: Page, why: str, *, status: int) -> HTMLResponse:
    content = f'<h1>{html.escape(page.label)}</h1><p class="problem">{html.escape(why)}</p>'
    return framed(request, caller, content, title=page.label, kind=page.kind, here=page, status=status)


def framed(
    request: Request,
    caller: Caller,
    content: str,
    *,
    title: str,
    kind: str,
    scripts: Sequence[str] = (),
    here: Page | None = None,
    status: int = 200,
    data: Mapping[str, Any] | None = None,
) -> HTMLResponse:
    """Return HTML in the frame of all pages, with the navigation to those that the caller may see.

    content: HTML of the main part. kind: its class. here: the page that it is. data: plain JSON values that its scripts
    find with `embeddedData`, by name.
    """
    name = serving_of(request).live.project.config.name
    raw = {"navigation": navigation(request, caller, here), "kind": kind, "content": content}
    body = filled("frame.html", raw, name=name)
    return whole_page(body, title=f"{title}: {name}", scripts=scripts, data={**NO_DATA, **(data or {})}, status=status)


def whole_page(
    body: str,
    *,
    title: str,
    scripts: Sequence[str] = (),
    data: Mapping[str, Any] | None = None,
    status: int = 200,
) -> HTMLResponse:
    """Return a page with nothing but this body. body: HTML. scripts and data: as of `framed`."""
    raw = {
        "styles": "\n".join(f'<link rel="stylesheet" href="/assets/{name}">' for name in STYLES),
        "scripts": "\n".join(f'<script src="/assets/{name}" defer></script>' for name in scripts),
        "data": "\n".join(
            f'<script type="application/json" id="{name}">{embedded_json(value)}</script>'
            for name, value in (data or {}).items()
        ),
        "body": body,
    }
    text = filled("base.html", raw, title=title)
    return HTMLResponse(text, status, headers={"Content-Security-Policy": PAGE_POLICY})


def navigation(request: Request, caller: Caller, here: Page | None) -> str:
    """Return the HTML of the links to the pages that a caller may see, and of the button to sign out."""
    seen = [page for page in PAGES if page.may_see(request, caller)]
    raw = {
        "links": " ".join(_link(page, here) for page in seen),
        "signed_in": "" if COOKIE in request.cookies else "hidden",
    }
    return filled("navigation.html", raw).strip()


def sign_in_page(*, next_: str, problem: str = "", status: int = 401) -> HTMLResponse:
    """Return the page that asks for a key. next_: the page to go on to."""
    told = f'<p class="problem" role="alert">{html.escape(problem)}</p>' if problem else ""
    body = filled("sign_in.html", {"problem": told}, next=next_)
    return whole_page(body, title="Sign in: groundtune", status=status)


def _link(page: Page, here: Page | None) -> str:
    current = ' aria-current="page"' if page is here else ""
    return f'<a href="{page.path}"{current}>{html.escape(page.label)}</a>'


def filled(template: str, raw: Mapping[str, str] | None = None, **texts: str) -> str:
    """Return a template with its places filled. raw: HTML, inserted as it is. texts: escaped."""
    values = {key: html.escape(value) for key, value in texts.items()}
    source = (files("groundtune.serve.pages") / "files" / template).read_text(encoding="utf-8")
    return Template(source).substitute(values, **(raw or {}))
