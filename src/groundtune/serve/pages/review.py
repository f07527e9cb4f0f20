"""`GET /review`: the page on which people decide about served answers, and what it asks for under `/api/review`.

Only those review whom `[review] groups` names; where nobody needs a key, whoever asks. Each sees what he may read.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from groundtune.display.answers import place
from groundtune.errors import MissingError
from groundtune.review.queue import State
from groundtune.review.reasons import WORDS
from groundtune.serve.api.wire_citations import base_url, passage_url
from groundtune.serve.doors.roles import Reviewer
from groundtune.serve.errors import refused
from groundtune.serve.pages.frame import REVIEW, show
from groundtune.serve.serving import By
from groundtune.workflows.reviewing_answers import ReviewItem

router = APIRouter(include_in_schema=False)

AnswerId = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]


class Next(BaseModel):
    """Asks for the next item."""

    model_config = ConfigDict(extra="forbid")

    skip: list[AnswerId] = []
    answer: AnswerId | None = None
    """Asks for this one instead."""


class Decision(BaseModel):
    """What a reviewer decided."""

    model_config = ConfigDict(extra="forbid")

    answer: AnswerId
    state: State
    text: Annotated[str, Field(max_length=200_000)] | None = None
    note: Annotated[str, Field(max_length=4_000)] = ""


class Assignment(BaseModel):
    """To whom a reviewer gives an item."""

    model_config = ConfigDict(extra="forbid")

    answer: AnswerId
    to: Annotated[str, Field(min_length=1, max_length=200)] | None
    """The name of a reviewer, as the server knows him; null: everybody."""


@router.get("/review", response_model=None)
async def show_review(request: Request) -> Response:
    """Show the page, or the one that asks for a key."""
    return await show(request, REVIEW)


@router.post("/api/review/next")
async def next_review(body: Next, request: Request, serving: By, reviewer: Reviewer) -> dict[str, Any]:
    """Return the next item for a reviewer, or the one that is named; null when none is left."""
    async with serving.live.lease() as project, _missing_as_404():
        base = base_url(request, project.config.serve.public_url)
        if body.answer is not None:
            item: ReviewItem | None = await project.areview_item(body.answer, groups=reviewer.groups)
        else:
            item = await project.anext_review(by=reviewer.name, groups=reviewer.groups, skip=body.skip)
    return {"item": None if item is None else item_fields(item, base)}


@router.post("/api/review/decide")
async def decide(body: Decision, serving: By, reviewer: Reviewer) -> dict[str, Any]:
    """Record a decision; it is on disk when the reply comes."""
    async with serving.live.lease() as project, _missing_as_404():
        item = await project.areview(
            body.answer, body.state, by=reviewer.name, text=body.text, note=body.note, groups=reviewer.groups
        )
    return {"answer": item.answer, "state": item.state}


@router.post("/api/review/assign")
async def assign(body: Assignment, serving: By, reviewer: Reviewer) -> dict[str, Any]:
    """Give an item to one person, or to everybody again."""
    async with serving.live.lease() as project, _missing_as_404():
        await project.areview_item(body.answer, groups=reviewer.groups)
        item = await project.aassign_review(body.answer, body.to, by=reviewer.name)
    return {"answer": item.answer, "assignee": item.assignee}


@router.post("/api/review/promote")
async def promote(serving: By, reviewer: Reviewer) -> dict[str, Any]:
    """Make train examples of what was accepted and edited."""
    async with serving.live.lease() as project:
        report = await project.apromote(by=reviewer.name)
    return {**asdict(report), "file": report.file.name}


@asynccontextmanager
async def _missing_as_404() -> AsyncIterator[None]:
    """Tell a reviewer that an item is not there for him."""
    try:
        yield
    except MissingError as error:
        raise refused(error.message, status=404) from None


def item_fields(item: ReviewItem, base: str) -> dict[str, Any]:
    """Return an item as the page shows it."""
    answer = item.answer
    return {
        "answer": answer.id,
        "state": item.item.state,
        "reasons": [WORDS[reason] for reason in item.item.reasons],
        "votes": [{"by": vote.by, "state": vote.state} for vote in item.item.votes],
        "assignee": item.item.assignee,
        "waiting": item.waiting,
        "time": answer.time,
        "question": answer.question,
        "history": [asdict(turn) for turn in answer.history],
        "text": answer.text,
        "edited": item.edited,
        "status": answer.status,
        "approach": answer.approach,
        "confidence": answer.confidence,
        "citations": [
            {**asdict(each), "url": passage_url(base, each.passage_id) if each.passage_id else None}
            for each in answer.citations
        ],
        "passages": [
            {**asdict(each), "title": place(each.source, page=each.page), "url": passage_url(base, each.id)}
            for each in answer.passages
        ],
        "changed": answer.changed,
        "notes": list(item.notes),
        "comments": list(item.comments),
    }
