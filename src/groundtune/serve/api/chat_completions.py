"""`POST /v1/chat/completions`: answers in OpenAI's oldest protocol, streamed or whole, with the same text.

The order of a stream: the role, the text, the annotations, the finish reason, the usage if it is asked for. The last
chunk before `[DONE]` has the field `groundtune`.
"""

import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from groundtune.serve.api.conversation import Turn, read_conversation
from groundtune.serve.api.front_end_tasks import answer_task, task_of
from groundtune.serve.api.markdown import answer_as_markdown
from groundtune.serve.api.models import resolved
from groundtune.serve.api.parameters import (
    FORMAT,
    SAMPLING,
    STATELESS,
    TOOLS,
    GroundtuneOptions,
    Ignored,
    MaxTokens,
    Stop,
    Temperature,
    only,
)
from groundtune.serve.api.reply_schemas import ChatCompletion, described
from groundtune.serve.api.wire_citations import cited_passages, groundtune_field, source_events
from groundtune.serve.api.wire_stream import wire_stream
from groundtune.serve.client import EventStream, event_line, unless_client_leaves
from groundtune.serve.doors.callers import From
from groundtune.serve.errors import ErrorReply
from groundtune.serve.serving import Asked, By
from groundtune.types import Answer, AnswerEvent, Done, Message, Sampling, TextDelta, Usage

DONE = "data: [DONE]\n\n"

router = APIRouter(tags=["chat completions"])


class StreamOptions(BaseModel):
    """Options of a stream."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    include_usage: bool = False
    include_obfuscation: Annotated[Any, only(False, why="streams carry nothing but the answer")] = None


class ChatRequest(BaseModel):
    """A request for an answer. What a parameter cannot do here is refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    model: str
    messages: list[Turn] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    groundtune: GroundtuneOptions = GroundtuneOptions()
    temperature: Temperature = None
    max_tokens: MaxTokens = None
    max_completion_tokens: MaxTokens = None
    stop: Stop = None

    n: Annotated[Any, only(1, why="there is one answer")] = None
    top_p: Annotated[Any, only(1, why=SAMPLING)] = None
    seed: Annotated[Any, only(why=SAMPLING)] = None
    frequency_penalty: Annotated[Any, only(0, why=SAMPLING)] = None
    presence_penalty: Annotated[Any, only(0, why=SAMPLING)] = None
    logit_bias: Annotated[Any, only({}, why=SAMPLING)] = None
    logprobs: Annotated[Any, only(False, why="answers have no log-probabilities")] = None
    top_logprobs: Annotated[Any, only(0, why="answers have no log-probabilities")] = None
    reasoning_effort: Annotated[Any, only(why=SAMPLING)] = None
    verbosity: Annotated[Any, only(why=SAMPLING)] = None
    response_format: Annotated[Any, only({"type": "text"}, why=FORMAT)] = None
    modalities: Annotated[Any, only(["text"], why="answers are text")] = None
    audio: Annotated[Any, only(why="answers are text")] = None
    prediction: Annotated[Any, only(why=SAMPLING)] = None
    tools: Annotated[Any, only([], why=TOOLS)] = None
    tool_choice: Annotated[Any, only("none", "auto", why=TOOLS)] = None
    parallel_tool_calls: Annotated[Any, only(True, False, why=TOOLS)] = None
    functions: Annotated[Any, only([], why=TOOLS)] = None
    function_call: Annotated[Any, only("none", "auto", why=TOOLS)] = None
    web_search_options: Annotated[Any, only(why=TOOLS)] = None
    moderation: Annotated[Any, only(why="there is no moderation")] = None
    store: Annotated[Any, only(False, why=STATELESS)] = None

    user: Ignored = None
    metadata: Ignored = None
    safety_identifier: Ignored = None
    prompt_cache_key: Ignored = None
    prompt_cache_options: Ignored = None
    prompt_cache_retention: Ignored = None
    service_tier: Ignored = None

    @property
    def sampling(self) -> Sampling:
        """What is asked of the model."""
        limits = (self.max_tokens, self.max_completion_tokens)
        most = min((limit for limit in limits if limit is not None), default=None)
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return Sampling(self.temperature, most, tuple(text for text in stop if text))


@router.post(
    "/v1/chat/completions",
    response_model=None,
    responses=described(ChatCompletion, events="Chunks of a chat completion, then `[DONE]`."),
)
async def complete_chat(body: ChatRequest, request: Request, serving: By, caller: From) -> Response:
    """Answer the last message from the documents, with checked citations."""
    approach, base = await resolved(request, serving, body.model)
    text, history = read_conversation(body.messages, param="messages")
    wants_usage = bool(body.stream_options and body.stream_options.include_usage)
    reply = _Reply(body.model, base, wants_usage=wants_usage, wants_sources=body.groundtune.sources)
    if task := task_of(request):
        messages = (*history, Message("user", text))
        answer = await unless_client_leaves(request, answer_task(serving, task, messages, body.sampling, caller))
        if body.stream:
            return EventStream(wire_stream(reply, _events(answer)), seconds=serving.seconds)
        return JSONResponse(reply.whole(answer_as_markdown(answer)))
    asked = Asked(text, approach, history, body.groundtune.filters, body.sampling)
    if body.stream:
        events = await serving.begun(request, asked, caller)
        return EventStream(wire_stream(reply, events), seconds=serving.seconds)
    answer = await unless_client_leaves(request, serving.answer(asked, caller))
    return JSONResponse(reply.whole(answer_as_markdown(answer)))


async def _events(answer: Answer) -> AsyncGenerator[AnswerEvent, None]:
    """Yield an answer that is there already."""
    yield TextDelta(answer.text)
    yield Done(answer)


@dataclass(frozen=True, slots=True)
class _Reply:
    """The reply to one request, whole or as a stream."""

    model: str
    base: str
    wants_usage: bool = False
    wants_sources: bool = False
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answer: Answer) -> dict[str, Any]:
        message = {
            "role": "assistant",
            "content": answer.text,
            "refusal": None,
            "annotations": [cited.chat_annotation() for cited in cited_passages(answer, self.base)],
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(answer)}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": chat_usage(answer.usage),
            "groundtune": groundtune_field(answer, self.base),
        }

    def begin(self) -> Iterator[str]:
        yield event_line(self._chunk({"role": "assistant", "content": ""}))

    def text(self, text: str) -> str:
        return event_line(self._chunk({"content": text}))

    def end(self, answer: Answer) -> Iterator[str]:
        yield from map(event_line, self._ending(answer))
        yield DONE

    def failed(self, error: ErrorReply) -> str:
        return event_line(error.body)

    def _ending(self, answer: Answer) -> list[dict[str, Any]]:
        """Return the chunks after the text."""
        chunks = []
        if self.wants_sources:
            chunks += [{**self._empty(), "event": event} for event in source_events(answer, self.base)]
        if annotations := [cited.chat_annotation() for cited in cited_passages(answer, self.base)]:
            chunks.append(self._chunk({"annotations": annotations}))
        chunks.append(self._chunk({}, finish_reason=_finish_reason(answer)))
        if self.wants_usage:
            chunks.append({**self._empty(), "usage": chat_usage(answer.usage)})
        chunks[-1] = {**chunks[-1], "groundtune": groundtune_field(answer, self.base)}
        return chunks

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _empty(self) -> dict[str, Any]:
        return {**self._head("chat.completion.chunk"), "choices": []}

    def _chunk(self, delta: dict[str, Any], *, finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self.wants_usage else {}
        return {**self._head("chat.completion.chunk"), "choices": [choice], **usage}


def chat_usage(usage: Usage) -> dict[str, Any] | None:
    """Return the tokens of an answer; None when a model was asked whose server does not count them."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _finish_reason(answer: Answer) -> str:
    return "length" if answer.cut else "stop"
