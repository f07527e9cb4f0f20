"""Describe the replies of the endpoints in the OpenAPI document. Checks and changes no reply."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from groundtune.types import Support, Usage

Replies = dict[int | str, dict[str, Any]]
"""Replies of an endpoint by status, as FastAPI's `responses` takes them."""


class Schema(BaseModel):
    """A JSON object; further keys may come with later versions."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class ErrorDetail(Schema):
    message: str
    """What happened, and what to do."""
    type: str
    param: str | None
    """Place in the request, such as `messages[0].content`."""
    code: str | None
    """Kind of the error, for programs."""


class ErrorBody(Schema):
    """An error, in OpenAI's shape."""

    error: ErrorDetail


class CitationSchema(Schema):
    """A checked sentence of the answer."""

    marker: int | None
    """The number in `[n]` of the text; null for a sentence without one."""
    sentence: str
    support: Support
    """How far the passage supports the sentence: exact, close, missing, uncited, unchecked."""
    passage_id: str | None
    document_id: str | None
    source: str | None
    heading: str
    page: int | None
    """Page of the quote, from 1."""
    quote: str
    start: int | None
    """Offsets of the quote into the document's text."""
    end: int | None
    url: str | None
    """Address of the page that shows the passage."""
    title: str | None


class PassageSchema(Schema):
    """A passage of a document."""

    id: str
    document_id: str
    source: str
    start: int
    """Offsets into the document's text."""
    end: int
    text: str
    heading: str
    page: int | None
    url: str
    """Address of the page that shows it."""
    title: str
    score: float
    """Relevance; higher is better. Scores of different questions do not compare."""


class GroundtuneField(Schema):
    """What OpenAI's protocol has no place for."""

    id: str
    """Id of the answer, for feedback and for the audit log."""
    status: Literal["answered", "abstained"]
    approach: str
    route: list[str]
    """Approaches that were asked."""
    degradation: str | None
    """Which approach stood in for which, and why; null: none did."""
    split: str | None
    """The approach that was drawn for the question, where traffic is split between two; else null."""
    confidence: float | None
    output: Any
    """The answer as data, for tasks with labels or objects."""
    citations: list[CitationSchema]
    passages: list[PassageSchema]
    """The nearest passages, for an abstention."""
    cut: str | None
    """Why the answer ends before its end, such as the limit of tokens; null: it does not."""
    warnings: list[str]
    usage: Usage
    time: str


class UrlCitation(Schema):
    url: str
    title: str
    start_index: int
    """Place of the marker in the text, in characters."""
    end_index: int


class ChatAnnotation(Schema):
    type: Literal["url_citation"]
    url_citation: UrlCitation


class ChatMessage(Schema):
    role: Literal["assistant"]
    content: str
    """The answer, with markers `[1]`, `[2]`, … in order of appearance."""
    refusal: None
    annotations: list[ChatAnnotation]
    """A citation for each marker whose passage supports its sentence."""


class ChatChoice(Schema):
    index: int
    message: ChatMessage
    logprobs: None
    finish_reason: Literal["stop", "length"]


class ChatUsage(Schema):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(Schema):
    """A whole answer. With `stream`, events with the same text come instead, and `[DONE]` at the end."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage | None
    """Tokens; null when the model's server does not count them, or no model was asked."""
    groundtune: GroundtuneField


class ResponseAnnotation(UrlCitation):
    type: Literal["url_citation"]


class ResponsePart(Schema):
    type: Literal["output_text"]
    text: str
    annotations: list[ResponseAnnotation]


class ResponseMessage(Schema):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    status: Literal["completed", "incomplete"]
    content: list[ResponsePart]


class ResponseUsage(Schema):
    input_tokens: int
    output_tokens: int
    total_tokens: int


class ResponseObject(Schema):
    """A whole answer. With `stream`, the events of the Responses protocol come instead."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete"]
    model: str
    output: list[ResponseMessage]
    usage: ResponseUsage | None
    groundtune: GroundtuneField


class Model(Schema):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(Schema):
    object: Literal["list"]
    data: list[Model]


class Embedding(Schema):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str
    """The vector, of unit length; with `encoding_format` base64, its numbers as little-endian float32."""


class EmbeddingUsage(Schema):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Schema):
    object: Literal["list"]
    data: list[Embedding]
    """A vector for each text, in order."""
    model: str
    usage: EmbeddingUsage


class Found(Schema):
    """Passages, best first."""

    hits: list[PassageSchema]


class Status(Schema):
    status: str


class Readiness(Schema):
    status: Literal["ready", "not ready"]
    reason: Annotated[str | None, Field(default=None)]
    """Why not; for callers who are let in."""
    project_file: Annotated[str | None, Field(default=None)]
    """That groundtune.toml has a mistake and the version before it is used."""


_ERRORS = {
    400: "The request cannot be answered as it is; `param` names the place.",
    401: "No valid API key.",
    403: "The caller may not read what a model was trained on, or the request comes from where none may come from.",
    404: "No such model.",
    429: "Too many requests: of this key, here, or at the model's server. `Retry-After` says when to come back.",
    500: "The server failed, and its log says why.",
    502: "The model's server failed.",
    503: "The project cannot answer yet.",
    504: "The time limit of the request has passed.",
}
ERRORS: Replies = {
    **{status: {"model": ErrorBody, "description": text} for status, text in _ERRORS.items()},
    413: {"description": "The body is larger than 4 MB.", "content": {"text/plain": {"schema": {"type": "string"}}}},
    "default": {"model": ErrorBody, "description": "Any other error."},
}
"""Errors of every endpoint."""


def described(reply: type[BaseModel] | None = None, *, events: str | None = None) -> Replies:
    """Return what an endpoint replies when nothing goes wrong. `app.py` adds the errors.

    reply: None for an endpoint that always streams. events: what a stream sends.
    """
    whole: dict[str, Any] = {"model": reply} if reply else {}
    if events:
        event = {
            "type": "object",
            "description": events,
            "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
            "required": ["data"],
        }
        whole["content"] = {"text/event-stream": {"schema": event}}
    return {200: whole}
