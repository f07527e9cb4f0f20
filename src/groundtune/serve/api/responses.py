"""`POST /v1/responses`: answers in OpenAI's newer protocol, streamed with its events. Stores nothing."""

import time
from collections.abc import Iterator
from itertools import count
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict

from groundtune.serve.api.conversation import Turn, read_conversation
from groundtune.serve.api.markdown import answer_as_markdown
from groundtune.serve.api.models import resolved
from groundtune.serve.api.parameters import (
    FORMAT,
    SAMPLING,
    STATELESS,
    TOOLS,
    Echoed,
    GroundtuneOptions,
    Ignored,
    MaxTokens,
    Temperature,
    only,
)
from groundtune.serve.api.reply_schemas import ResponseObject, described
from groundtune.serve.api.wire_citations import cited_passages, groundtune_field
from groundtune.serve.api.wire_stream import wire_stream
from groundtune.serve.client import EventStream, event_line, unless_client_leaves
from groundtune.serve.doors.callers import From
from groundtune.serve.errors import ErrorReply, refused
from groundtune.serve.serving import Asked, By
from groundtune.types import Answer, Sampling, Usage

router = APIRouter(tags=["responses"])


class InputItem(Turn):
    """An item of the input; only messages are read."""

    type: str | None = None
    role: str = ""


class StreamOptions(BaseModel):
    """Options of a stream."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    include_obfuscation: Annotated[Any, only(False, why="streams carry nothing but the answer")] = None


class ResponseRequest(BaseModel):
    """A request for a response. What a parameter cannot do here is refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    model: str
    input: str | list[InputItem]
    instructions: Echoed | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    metadata: dict[Echoed, Echoed] | None = None
    groundtune: GroundtuneOptions = GroundtuneOptions()
    temperature: Temperature = None
    max_output_tokens: MaxTokens = None

    top_p: Annotated[Any, only(1, why=SAMPLING)] = None
    reasoning: Annotated[Any, only({}, why=SAMPLING)] = None
    top_logprobs: Annotated[Any, only(0, why="answers have no log-probabilities")] = None
    text: Annotated[Any, only({}, {"format": {"type": "text"}}, why=FORMAT)] = None
    tools: Annotated[Any, only([], why=TOOLS)] = None
    tool_choice: Annotated[Any, only("none", "auto", why=TOOLS)] = None
    parallel_tool_calls: Annotated[Any, only(True, False, why=TOOLS)] = None
    max_tool_calls: Ignored = None
    include: Annotated[Any, only([], why="a response has everything that there is")] = None
    previous_response_id: Annotated[Any, only(why=STATELESS)] = None
    conversation: Annotated[Any, only(why=STATELESS)] = None
    store: Annotated[Any, only(False, why=STATELESS)] = None
    background: Annotated[Any, only(False, why=STATELESS)] = None
    prompt: Annotated[Any, only(why=STATELESS)] = None
    truncation: Annotated[Any, only("disabled", "auto", why=SAMPLING)] = None
    context_management: Annotated[Any, only([], why=STATELESS)] = None
    moderation: Annotated[Any, only(why="there is no moderation")] = None
    image: Annotated[Any, only(why="answers are text")] = None

    user: Ignored = None
    safety_identifier: Ignored = None
    prompt_cache_key: Ignored = None
    prompt_cache_options: Ignored = None
    prompt_cache_retention: Ignored = None
    service_tier: Ignored = None


@router.post(
    "/v1/responses",
    response_model=None,
    responses=described(ResponseObject, events="The events of the Responses protocol."),
)
async def create_response(body: ResponseRequest, request: Request, serving: By, caller: From) -> Response:
    """Answer the input from the documents, with checked citations."""
    approach, base = await resolved(request, serving, body.model)
    text, history = read_conversation(_turns(body.input), param="input", instructions=body.instructions)
    sampling = Sampling(body.temperature, body.max_output_tokens)
    asked = Asked(text, approach, history, body.groundtune.filters, sampling)
    reply = _Reply(body, base)
    if body.stream:
        events = await serving.begun(request, asked, caller)
        return EventStream(wire_stream(_Events(reply), events), seconds=serving.seconds)
    answer = await unless_client_leaves(request, serving.answer(asked, caller))
    return JSONResponse(reply.finished(answer_as_markdown(answer)))


def _turns(given: str | list[InputItem]) -> list[Turn]:
    if isinstance(given, str):
        return [Turn(role="user", content=given)]
    if not given:
        raise refused("the input is empty", param="input")
    for at, item in enumerate(given):
        if item.type not in (None, "message"):
            message = f"input of the type {item.type!r} is not supported: only messages are read"
            raise refused(message, param=f"input[{at}]", code="unsupported_content")
    return list(given)


class _Reply:
    """The reply to one request: a response that begins empty and ends with one message."""

    def __init__(self, body: ResponseRequest, base: str) -> None:
        self.base = base
        self.item_id = f"msg_{uuid4().hex}"
        self._body = body
        self._id = f"resp_{uuid4().hex}"
        self._created = int(time.time())

    def response(self, status: str, **fields: Any) -> dict[str, Any]:
        """Return the response in a state of its life."""
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "model": self._body.model,
            "output": [],
            "instructions": self._body.instructions,
            "metadata": self._body.metadata or {},
            "error": None,
            "incomplete_details": None,
            "usage": None,
            "background": False,
            "max_output_tokens": self._body.max_output_tokens,
            "parallel_tool_calls": False,
            "previous_response_id": None,
            "store": False,
            "temperature": self._body.temperature,
            "text": {"format": {"type": "text"}},
            "tool_choice": "none",
            "tools": [],
            "top_p": None,
            "truncation": "disabled",
            **fields,
        }

    def finished(self, answer: Answer) -> dict[str, Any]:
        """Return the response with the answer; one that was cut off is incomplete."""
        fields: dict[str, Any] = {
            "output": [self.message(self.part(answer), status=final_status(answer))],
            "usage": _usage(answer.usage),
            "groundtune": groundtune_field(answer, self.base),
        }
        if answer.cut:
            fields["incomplete_details"] = {"reason": "max_output_tokens"}
        else:
            fields["completed_at"] = int(time.time())
        return self.response(final_status(answer), **fields)

    def message(self, *parts: dict[str, Any], status: str) -> dict[str, Any]:
        return {
            "id": self.item_id,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": list(parts),
        }

    def part(self, answer: Answer | None = None) -> dict[str, Any]:
        """Return the text of the message with its annotations; empty before there is an answer."""
        text = answer.text if answer else ""
        annotations = [cited.response_annotation() for cited in cited_passages(answer, self.base)] if answer else []
        return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


class _Events:
    """The events of the protocol, numbered; an error ends them with `response.failed`."""

    def __init__(self, reply: _Reply) -> None:
        self._reply = reply
        self._numbers = count()
        self._place = {"item_id": reply.item_id, "output_index": 0, "content_index": 0}

    def begin(self) -> Iterator[str]:
        reply = self._reply
        for kind in ("response.created", "response.in_progress"):
            yield self._event(kind, response=reply.response("in_progress"))
        yield self._event("response.output_item.added", output_index=0, item=reply.message(status="in_progress"))
        yield self._event("response.content_part.added", **self._place, part=reply.part())

    def text(self, text: str) -> str:
        return self._event("response.output_text.delta", **self._place, delta=text, logprobs=[])

    def end(self, answer: Answer) -> Iterator[str]:
        reply, place, part = self._reply, self._place, self._reply.part(answer)
        for index, annotation in enumerate(part["annotations"]):
            fields = {**place, "annotation_index": index, "annotation": annotation}
            yield self._event("response.output_text.annotation.added", **fields)
        yield self._event("response.output_text.done", **place, text=answer.text, logprobs=[])
        yield self._event("response.content_part.done", **place, part=part)
        status = final_status(answer)
        yield self._event("response.output_item.done", output_index=0, item=reply.message(part, status=status))
        yield self._event(f"response.{status}", response=reply.finished(answer))

    def failed(self, error: ErrorReply) -> str:
        told = {"code": "server_error", "message": error.message}
        return self._event("response.failed", response=self._reply.response("failed", error=told))

    def _event(self, kind: str, **fields: Any) -> str:
        return event_line({"type": kind, "sequence_number": next(self._numbers), **fields}, name=kind)


def final_status(answer: Answer) -> str:
    """Return the state in which the response of an answer ends."""
    return "incomplete" if answer.cut else "completed"


def _usage(usage: Usage) -> dict[str, Any] | None:
    """Return the tokens of an answer; None when unknown. The protocol has no unknown details: these are 0 then, and
    None in `groundtune.usage`."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens or 0, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
