"""`POST /api/ask` and `POST /api/search`: answers and passages in groundtune's own form, as its page uses them.

The stream of an answer has the events of `Approach.stream`: `retrieved`, `text`, `citation`, `reset`, `done`, and
`error` where it breaks. After `reset` the text and the citations so far are to be dropped.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from groundtune.serve.api.models import resolved
from groundtune.serve.api.parameters import Filters
from groundtune.serve.api.reply_schemas import Found, described
from groundtune.serve.api.wire_citations import base_url, groundtune_field, hit_fields, passage_url
from groundtune.serve.client import EventStream, event_line, unless_client_leaves
from groundtune.serve.doors.callers import From
from groundtune.serve.errors import error_reply
from groundtune.serve.serving import Asked, By
from groundtune.types import AnswerEvent, CitationChecked, Done, Message, Reset, Retrieved, TextDelta

EVENTS = "The events `retrieved`, `text`, `citation`, `reset`, `done` and `error`."

router = APIRouter(tags=["groundtune"])


class HistoryTurn(BaseModel):
    """A message before the question."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    role: Literal["user", "assistant"]
    content: str


class Question(BaseModel):
    """A question with the conversation before it."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    question: str
    model: str | None = None
    """A model id; None: the project's choice."""
    history: list[HistoryTurn] = []
    filters: Filters = {}


class Search(BaseModel):
    """A text to search for."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    query: str
    k: Annotated[int, Field(ge=1, le=100)] | None = None
    """Number of passages; None: `[retrieval] k`."""
    filters: Filters = {}


@router.post(
    "/api/ask", response_model=None, status_code=200, response_class=Response, responses=described(events=EVENTS)
)
async def ask(body: Question, request: Request, serving: By, caller: From) -> Response:
    """Answer a question as a stream of events."""
    approach, base = await resolved(request, serving, body.model)
    history = tuple(Message(turn.role, turn.content) for turn in body.history)
    events = await serving.begun(request, Asked(body.question, approach, history, body.filters), caller)
    return EventStream(_stream(events, base), seconds=serving.seconds)


@router.post("/api/search", response_model=None, responses=described(Found))
async def search(body: Search, request: Request, serving: By, caller: From) -> dict[str, Any]:
    """Return the passages that retrieval finds, best first."""

    async def found() -> dict[str, Any]:
        async with serving.vector_turn(caller, [body.query]) as project:
            hits = await project.asearch(body.query, k=body.k, groups=caller.groups, filters=body.filters)
            base = base_url(request, project.config.serve.public_url)
        return {"hits": [hit_fields(hit, base) for hit in hits]}

    return await unless_client_leaves(request, found())


async def _stream(events: AsyncGenerator[AnswerEvent, None], base: str) -> AsyncGenerator[str, None]:
    try:
        async with aclosing(events):
            async for event in events:
                name, data = _event(event, base)
                yield event_line(data, name=name)
    except Exception as error:  # noqa: BLE001 (the reply has begun: whatever happened, the client must read it there)
        yield event_line(error_reply(error).body, name="error")


def _event(event: AnswerEvent, base: str) -> tuple[str, dict[str, Any]]:
    """Return the name of an event and its data."""
    match event:
        case Retrieved():
            return "retrieved", {"passages": [hit_fields(hit, base) for hit in event.hits]}
        case TextDelta():
            return "text", {"text": event.text}
        case CitationChecked():
            citation = event.citation
            url = passage_url(base, citation.passage_id) if citation.passage_id else None
            return "citation", {**asdict(citation), "url": url}
        case Reset():
            return "reset", {}
        case Done():
            return "done", {"text": event.answer.text, **groundtune_field(event.answer, base)}
