"""Turn every error into a reply in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`.

A reply says what its caller can mend. What only the operator can mend goes into the log, under the id of the request:
such messages may name files of this machine, and the addresses of others.
"""

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from groundtune.errors import (
    AccessError,
    BudgetError,
    BusyError,
    ConfigError,
    GroundtuneError,
    MissingError,
    ProviderError,
    ProviderFailure,
    QuestionError,
    UsageError,
)
from groundtune.serve.doors.security_headers import HEADERS
from groundtune.serve.watching.request_id import id_header, logged

RETRY = {"Retry-After": "5"}
"""Headers where nothing tells how long to wait."""
MODEL_FAILURES: Mapping[ProviderFailure, str] = {
    "bad_key": "does not accept the key of this project",
    "unknown_model": "does not know the model",
    "rate_limit": "is asked too often: try again later",
    "no_server": "cannot be reached",
    "timeout": "did not answer in time",
    "bad_request": "refused the request",
    "bad_response": "sent a broken reply",
    "server": "failed",
    "unreadable": "wrote nothing that can be used: ask again",
    "refused_text": "refused a text",
}
"""What callers are told about a failure of a model's server."""
INVALID = "invalid_request_error"
SERVER = "server_error"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error as the client sees it."""

    status: int
    message: str
    type: str = INVALID
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        text = json.dumps(self.body)  # in ASCII, since a message may repeat what is no valid Unicode
        # these headers here too: the reply to what nobody foresaw passes no middleware
        headers = {**HEADERS, **id_header(), **self.headers}
        return Response(text, self.status, headers=headers, media_type="application/json")


class RequestRefusedError(Exception):
    """A request that this server does not answer."""

    def __init__(self, reply: ErrorReply) -> None:
        super().__init__(reply.message)
        self.reply = reply


class ClientLeftError(Exception):
    """The client has closed the connection; nobody reads the reply."""


def refused(message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> Exception:
    """Return the error for a request that cannot be answered as it is."""
    return RequestRefusedError(ErrorReply(status, message, code=code, param=param))


@contextmanager
def told_in_full() -> Iterator[None]:
    """Tell the caller the whole message of an error with its hint: for operators, who can mend it."""
    try:
        yield
    except GroundtuneError as error:
        raise RequestRefusedError(ErrorReply(404 if isinstance(error, MissingError) else 409, told(error))) from None


def error_reply(error: BaseException) -> ErrorReply:
    """Return the reply to an error, and log what it does not tell."""
    match error:
        case RequestRefusedError():
            return error.reply
        case TimeoutError():
            return ErrorReply(504, "the request took longer than [serve] seconds allows", SERVER, "timeout")
        case AccessError():
            return ErrorReply(403, told(error), "permission_error", "access_denied")
        case BudgetError():
            return ErrorReply(429, told(error), "insufficient_quota", "insufficient_quota")
        case QuestionError():
            return ErrorReply(400, told(error))
    return _reply_logged(error)


def _reply_logged(error: BaseException) -> ErrorReply:
    """Return the reply to an error that only the operator can mend, and log it; in full where nobody foresaw it."""
    if isinstance(error, GroundtuneError):
        log.error(logged(told(error)))
    else:
        log.error(logged("failed"), exc_info=error)
    match error:
        case ProviderError():
            return _provider_reply(error)
        case BusyError():
            return ErrorReply(503, "the project is being changed: try again later", SERVER, "busy", headers=RETRY)
        case MissingError() | ConfigError() | UsageError():
            message = "the project cannot answer yet; the log of the server says what is missing"
            return ErrorReply(503, message, SERVER, "not_ready", headers=RETRY)
        case _:
            return ErrorReply(500, "the server failed; its log says why", SERVER)


def _provider_reply(error: ProviderError) -> ErrorReply:
    """Return the reply to a failure of a model's server. A key that it refuses is ours, not that of the client."""
    message = f"the model's server {MODEL_FAILURES[error.kind]}"
    asked = {} if error.retry_after is None else {"Retry-After": str(math.ceil(error.retry_after))}
    if error.kind == "rate_limit":
        return ErrorReply(429, message, "rate_limit_error", "rate_limit", headers=asked or RETRY)
    return ErrorReply(504 if error.kind == "timeout" else 502, message, SERVER, error.kind, headers=asked)


def told(error: GroundtuneError) -> str:
    """Return the message of an error with its hint."""
    return f"{error.message} ({error.hint})" if error.hint else error.message


def invalid_request(errors: Sequence[Mapping[str, Any]]) -> ErrorReply:
    """Return the reply to a body that does not fit, from the errors of pydantic: the first one, and how many more."""
    first = errors[0]
    path = [part for part in first["loc"] if part != "body"]
    param = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") or None
    kind, message = first["type"], str(first["msg"])
    code: str | None
    if kind == "extra_forbidden":
        message, code = f"unknown parameter {param!r}", "unknown_parameter"
    elif kind == "json_invalid":
        message, param, code = (
            f"the body is not JSON: {first.get('ctx', {}).get('error', message)}",
            None,
            "invalid_json",
        )
    elif kind == "missing":
        message, code = f"the parameter {param!r} is required" if param else "a body is required", "missing_parameter"
    else:
        message, code = f"{param}: {message}" if param else message, kind if kind.startswith("unsupported") else None
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return ErrorReply(400, message + more, code=code or "invalid_value", param=param)


def add_error_handlers(app: FastAPI) -> None:
    """Have every error of an app replied to in OpenAI's shape."""

    async def on_error(_: Request, error: Exception) -> Response:
        return error_reply(error).response()

    async def on_http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return ErrorReply(error.status_code, str(error.detail), headers=error.headers or {}).response()

    async def on_invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return invalid_request(error.errors()).response()

    async def on_leaving(_: Request, __: Exception) -> Response:
        return Response(status_code=499)

    for kind in (GroundtuneError, RequestRefusedError, TimeoutError, Exception):
        app.add_exception_handler(kind, on_error)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(ClientLeftError, on_leaving)
