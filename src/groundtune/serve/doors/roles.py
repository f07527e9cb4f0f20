"""Decide which pages a caller may use beside asking: reviewing, and looking after the project."""

from typing import Annotated

from fastapi import Depends, Request

from groundtune.serve.doors.callers import ANONYMOUS, Caller, Doors, caller_of
from groundtune.serve.errors import ErrorReply, RequestRefusedError
from groundtune.serve.serving import serving_of


def may_ask(request: Request, caller: Caller) -> bool:
    """Whether a caller may ask: everybody who is let in."""
    return True


def may_review(request: Request, caller: Caller) -> bool:
    """Whether a caller may decide about served answers."""
    return _belongs(request, caller, serving_of(request).live.project.config.review.groups)


def may_operate(request: Request, caller: Caller) -> bool:
    """Whether a caller may see runs, documents and examples of all access groups, and start work on the project."""
    return _belongs(request, caller, serving_of(request).live.project.config.serve.operators)


def _belongs(request: Request, caller: Caller, groups: tuple[str, ...]) -> bool:
    """Whether a caller is in one of the groups, or nobody needs to prove anything."""
    doors: Doors = request.app.state.doors
    return bool(set(caller.groups) & set(groups)) or (caller == ANONYMOUS and doors.lets_everybody_in)


async def _reviewer(request: Request) -> Caller:
    caller = await caller_of(request)
    if may_review(request, caller):
        return caller
    raise _refused("you are no reviewer: [review] groups names the groups that are", "no_reviewer")


async def _operator(request: Request) -> Caller:
    caller = await caller_of(request)
    if may_operate(request, caller):
        return caller
    raise _refused("this is for operators: [serve] operators names the groups that are", "no_operator")


def _refused(message: str, code: str) -> RequestRefusedError:
    return RequestRefusedError(ErrorReply(403, message, "permission_error", code))


async def only_own_pages(request: Request) -> None:
    """Refuse a request that the page of another site sends, also of one that may ask: it could start work here."""
    origin = request.headers.get("origin")
    public = serving_of(request).live.project.config.serve.public_url
    if origin is not None and origin != public and origin.partition("://")[2] != request.headers.get("host"):
        raise _refused("this is for the pages of this server alone", "other_origin")


Reviewer = Annotated[Caller, Depends(_reviewer)]
"""Parameter of an endpoint: a caller who may review. Others get 403."""
Operator = Annotated[Caller, Depends(_operator)]
"""Parameter of an endpoint: a caller who may operate. Others get 403."""
