"""Call one model of an OpenAI-compatible endpoint: JSON in, JSON out, with retries for temporary failures.

Sends keys and texts only to the host of `base_url`: follows no redirects, takes no keys from the environment.
"""

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Required, TypedDict, TypeVar
from urllib.parse import urlsplit

from groundtune.common.text import one_line
from groundtune.common.time_limit import seconds_left
from groundtune.errors import ProviderError, ProviderFailure, UsageError
from groundtune.models.budget import charge_failed_attempt, mark_output_received
from groundtune.models.dialects import Server, dialects
from groundtune.models.openai_client import NO_CREDIT, is_local, open_async_client, without_user
from groundtune.models.rate_limiter import MAX_WAIT_SECONDS, RateLimiter, Slot, max_backoff_seconds
from groundtune.models.refused_parameters import (
    Alternatives,
    CallerChoices,
    adapted,
    fixed_words,
    may_refuse_parameter,
    suspects,
)
from groundtune.models.server_errors import (
    ServerError,
    ToldError,
    error_in,
    is_overflow,
    status_error,
    told_error,
)

if TYPE_CHECKING:
    from openai import APIError, AsyncOpenAI, AsyncStream

T = TypeVar("T")
R = TypeVar("R")
Body = Mapping[str, Any]

SHOWN_MODELS = 8
BUSY = frozenset({409, 425, 498})
"""Statuses below 500 that say to try again: 498 is Groq's for a lack of capacity."""
LIST_SECONDS = 5.0
_NO_MODEL = re.compile(
    r"model.*(not found|not exist|unknown|not a valid|not available)|(unknown|invalid|no such) model"
)


@dataclass(frozen=True, slots=True)
class _OpenClient:
    client: "AsyncOpenAI"
    loop: asyncio.AbstractEventLoop
    rate_limiter: RateLimiter


class ConnectionOptions(TypedDict, total=False):
    """Options of `Connection`, which documents them; `concurrency` is separate."""

    base_url: Required[str]
    api_key: str | None
    api_key_env: str | None
    timeout_seconds: float
    retries: int
    backoff_seconds: float
    patience_seconds: float


class Connection:
    """One model at one endpoint. At most `concurrency` requests at a time, from one event loop.

    An attempt times out after `timeout_seconds`; a stream, after as long without data. 429, 5xx (also if a 200 tells
    them), timeouts and broken connections are retried up to `retries` times, after a random pause of up to
    `backoff_seconds`, doubled each time (full jitter), on top of what the server asks for; not if that is more than the
    work has left (`common/time_limit.py`). A 429 slows down all calls (see `RateLimiter`). With `patience_seconds`, a
    request is retried after every 429 until it has waited that long in total, regardless of `retries`; an endpoint that
    has not answered yet and does not say how long to wait gets a minute at most. Raises UsageError when `base_url` is
    not a URL.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api_key: str | None = None,
        api_key_env: str | None = None,
        timeout_seconds: float = 60.0,
        retries: int = 3,
        concurrency: int = 8,
        backoff_seconds: float = 0.5,
        patience_seconds: float = 0.0,
    ) -> None:
        base_url = base_url.strip()
        if urlsplit(base_url).scheme not in ("http", "https") or not urlsplit(base_url).hostname:
            raise UsageError(f"base_url {base_url!r} is not a URL", hint="for example http://localhost:11434/v1")
        self.model = model
        self.base_url = base_url.rstrip("/")
        self.api_key = (api_key or "").strip()
        self.api_key_env = api_key_env
        self.timeout_seconds = timeout_seconds
        self.retries = retries
        self.concurrency = concurrency
        self.backoff_seconds = backoff_seconds
        self.patience_seconds = patience_seconds
        self._opened: _OpenClient | None = None
        self.refused: Mapping[str, str | None] = {}
        """Parameters that the server has refused, with the name that it takes instead; None when it takes none."""
        self._unrelated: set[tuple[str, ...]] = set()
        """Words of errors that stayed when parameters were omitted, with these parameters."""

    @property
    def public_url(self) -> str:
        """`base_url` without user and password."""
        return without_user(self.base_url)

    async def post(
        self, path: str, body: Body, *, optional: Alternatives, choices: CallerChoices | None = None
    ) -> tuple[object, float]:
        """Return the response's JSON, and the elapsed seconds since a slot was free, including pauses between attempts.

        Time waited under `patience_seconds` is not counted: like the wait for a slot, it depends on the load and not on
        the model. If the server refuses a request, it is sent again without one of the `optional` parameters after the
        other; if that helps, so are later requests, but for what is among the `choices` of this one. Raises
        ProviderError, also for an error that a 200 tells.
        """
        from httpx2 import Response

        opened = self._open()
        async with opened.rate_limiter.slot() as slot:
            begin = time.perf_counter()

            async def send(body: Body) -> Response:
                return await opened.client.post(path, body=body, cast_to=Response, options=self._options())

            async def read(response: Response) -> object:
                try:
                    answer = json.loads(response.content)
                except ValueError as error:
                    raise self.bad_response(f"it is not JSON: {one_line(response.text)!r}") from error
                return _checked(answer)

            answer = await self._adapted(body, optional, choices or CallerChoices(), send, read, slot)
            seconds = time.perf_counter() - begin - (slot.waited_seconds if self.patience_seconds else 0.0)
        return answer, seconds

    async def stream(
        self,
        path: str,
        body: Body,
        *,
        optional: Alternatives,
        choices: CallerChoices | None = None,
        begins: Callable[[object], bool],
    ) -> AsyncGenerator[object, None]:
        """Yield the JSON of each event as it arrives. `optional` and `choices` as in `post`.

        begins: whether an event holds a part of the reply. Only what fails before the first such event is retried. A
        server that does not stream gives one event, its whole response. Raises ProviderError: `timeout` if the server
        stops sending data, `bad_response` when the stream breaks, and the kind that fits an error that an event tells.
        """
        from openai import AsyncStream

        opened = self._open()
        async with opened.rate_limiter.slot() as slot:

            async def send(body: Body) -> "AsyncStream[object]":
                return await opened.client.post(
                    path,
                    body=body,
                    cast_to=object,
                    options=self._options(),
                    stream=True,
                    stream_cls=AsyncStream[object],
                )

            async def read(stream: "AsyncStream[object]") -> "_BegunStream":
                events, first = self._events(stream), list[object]()
                try:
                    async for event in events:
                        first.append(event)
                        if begins(event):
                            break
                except BaseException:
                    await stream.close()
                    raise
                return _BegunStream(stream, first, events)

            streamed = {**body, "stream": True}
            begun = await self._adapted(streamed, optional, choices or CallerChoices(), send, read, slot)
            try:
                for event in begun.first:
                    yield event
                async for event in begun.rest:
                    yield event
            except ToldError as error:
                mark_output_received()
                raise await self._explain_error(error.error) from error
            finally:
                await begun.stream.close()

    async def _events(self, stream: "AsyncStream[object]") -> AsyncIterator[object]:
        """Yield the events. Raises ToldError for one that tells an error, and ProviderError when the stream breaks."""
        from httpx2 import HTTPError, TimeoutException
        from openai import APIConnectionError, APIError, APITimeoutError

        try:
            if stream.response.headers.get("content-type", "").startswith("application/json"):
                yield _checked(json.loads(await stream.response.aread()))
                return
            async for event in stream:
                yield _checked(event)
        except (APITimeoutError, TimeoutException) as error:
            raise self._timeout("sent no more data") from error
        except APIError as error:
            if not isinstance(error, APIConnectionError) and error.body:  # the SDK raises it for an event with an error
                raise ToldError(told_error(error.body)) from error
            raise self._broken(error) from error
        except (HTTPError, ValueError) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> ProviderError:
        return self.bad_response(f"the stream broke: {one_line(str(error.__cause__ or error))}", retryable=True)

    async def models(self) -> list[str] | None:
        """Return the names of the endpoint's models; None when it does not list them."""
        from httpx2 import Response
        from openai import OpenAIError

        client = self._open().client
        try:
            async with asyncio.timeout(LIST_SECONDS):
                response = await client.get("/models", cast_to=Response, options=self._options())
            match json.loads(response.content):
                case {"data": list(rows)}:
                    return [row["id"] for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]
        except (OpenAIError, TimeoutError, ValueError):
            pass
        return None

    async def aclose(self) -> None:
        """Close the connections. The next call opens new ones."""
        opened, self._opened = self._opened, None
        if opened and opened.loop is asyncio.get_running_loop():
            await opened.client.close()

    def provider_error(
        self, kind: ProviderFailure, what: str, *, hint: str | None = None, retryable: bool = False
    ) -> ProviderError:
        """Return a ProviderError that names model and endpoint and hides the key."""
        message = f"{self.model} at {self.public_url} {what}"
        if self.api_key:
            message = message.replace(self.api_key, "***")
        return ProviderError(message, kind=kind, hint=hint, retryable=retryable)

    def bad_response(self, what: str, *, hint: str | None = None, retryable: bool = False) -> ProviderError:
        """Return the error for a response that cannot be used."""
        hint = hint or "check that base_url is an OpenAI-compatible endpoint; it usually ends in /v1"
        return self.provider_error("bad_response", f"gave a bad response: {what}", hint=hint, retryable=retryable)

    def _open(self) -> _OpenClient:
        loop = asyncio.get_running_loop()
        if self._opened and self._opened.loop is loop:
            return self._opened
        if self._opened and not self._opened.loop.is_closed():
            message = f"{self.model}: a client can be used from one event loop only"
            raise UsageError(message, hint="create one client per loop")
        if not (self.api_key.isascii() and self.api_key.isprintable()):
            raise self.provider_error(
                "bad_key", "was not called: the key contains invalid characters", hint=self._key_hint()
            )
        client = open_async_client(self.base_url, api_key=self.api_key, timeout_seconds=self.timeout_seconds)
        self._opened = _OpenClient(client, loop, RateLimiter(self.concurrency, backoff_seconds=self.backoff_seconds))
        return self._opened

    @staticmethod
    def _options() -> Any:
        return {"security": {"bearer_auth": True}}

    async def _adapted(
        self,
        body: Body,
        optional: Alternatives,
        choices: CallerChoices,
        send: Callable[[Body], Awaitable[T]],
        read: Callable[[T], Awaitable[R]],
        slot: Slot,
    ) -> R:
        """Send and read, and again without the optional parameters that may be why the server refuses the request.

        A parameter is to blame if the request succeeds without it, or fails with other words.
        """
        refused = dict(self.refused)
        try:
            result = await self._tried(adapted(body, refused), send, read, slot)
        except ProviderError as error:
            failure, told = error, _told(error.__cause__)
        else:
            choices.note_omitted(refused)
            return result
        if told is None or failure.kind not in ("bad_request", "bad_key", "server") or not may_refuse_parameter(told):
            raise failure
        names = [name for name, _ in suspects(body, optional, refused, told)]
        if (fixed_words(told), *sorted(names)) in self._unrelated:
            raise failure
        for name, other in suspects(body, optional, refused, told):
            attempt = {**refused, name: other}
            try:
                result = await self._tried(adapted(body, attempt), send, read, slot)
            except ProviderError as error:
                now = _told(error.__cause__)
                if now is None or not may_refuse_parameter(now):
                    raise
                if fixed_words(now) != fixed_words(told):
                    refused, failure, told = attempt, error, now
            else:
                choices.note_omitted(attempt)
                learnt = {name: other for name, other in attempt.items() if name not in choices.omitted}
                self.refused = {**self.refused, **learnt}
                return result
        self._unrelated.add((fixed_words(told), *sorted(names)))
        raise failure

    async def _tried(
        self,
        body: Body,
        send: Callable[[Body], Awaitable[T]],
        read: Callable[[T], Awaitable[R]],
        slot: Slot,
    ) -> R:
        """Send, and read the response, for as long as data arrives; with retries."""
        from openai import APIError

        tries = 0
        while True:
            slot.record_start()
            try:
                async with asyncio.timeout(self.timeout_seconds):
                    response = await send(body)
                result = await read(response)
                slot.record_success()
                return result
            except ProviderError as error:
                failure, cause = error, error.__cause__
            except (APIError, TimeoutError, ToldError) as error:
                failure, cause = await self._explain(error), error
            told = _told(cause)
            limited, asked_seconds = failure.kind == "rate_limit", told.wait_seconds if told else None
            failure.retry_after = asked_seconds
            if not failure.retryable or (asked_seconds or 0.0) >= seconds_left():
                raise failure from cause
            if limited and self.patience_seconds:
                patience = self.patience_seconds
                if asked_seconds is None and not slot.endpoint_has_answered:
                    patience = min(patience, MAX_WAIT_SECONDS)
                if not await slot.wait_after_refusal(asked_seconds, patience_seconds=patience):
                    raise self._impatient(failure, slot) from cause
                continue
            if tries >= self.retries or (asked_seconds or 0) > MAX_WAIT_SECONDS:
                raise failure from cause
            charge_failed_attempt(failure)
            if limited:
                await slot.wait_after_refusal(asked_seconds, patience_seconds=float("inf"))
            else:
                await asyncio.sleep(
                    (asked_seconds or 0.0) + random.uniform(0, max_backoff_seconds(self.backoff_seconds, tries))
                )
            tries += 1

    def _impatient(self, failure: ProviderError, slot: Slot) -> ProviderError:
        waited = f"{failure.message} (after waiting {slot.waited_seconds:.0f} s for the rate limit)"
        return ProviderError(waited, kind=failure.kind, hint=failure.hint, retryable=True)

    async def _explain(self, error: "APIError | TimeoutError | ToldError") -> ProviderError:
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        if isinstance(error, ToldError):
            return await self._explain_error(error.error)
        if isinstance(error, APITimeoutError | TimeoutError):
            return self._timeout("did not answer")
        if isinstance(error, APIStatusError):
            return await self._explain_error(status_error(error), location=error.response.headers.get("location"))
        if isinstance(error, APIConnectionError):
            return self._unconnected(error.__cause__)
        return self.bad_response(one_line(str(error)))

    def _timeout(self, what: str) -> ProviderError:
        hint = "raise timeout_seconds, or use a smaller model or a shorter prompt"
        return self.provider_error("timeout", f"{what} within {self.timeout_seconds:g} s", hint=hint, retryable=True)

    def _unconnected(self, cause: BaseException | None) -> ProviderError:
        from httpx2 import ConnectError

        if not isinstance(cause, ConnectError):
            return self.bad_response(f"the connection broke: {one_line(str(cause))}", retryable=True)
        place = urlsplit(self.base_url)
        if is_local(self.base_url):
            server = server_at(self.base_url)
            hint = server.start if server else f"is a model server running on {place.netloc}?"
        else:
            hint = f"check base_url, and that this machine can reach {place.hostname} (proxy, VPN, firewall)"
        return self.provider_error("no_server", f"cannot be reached: {one_line(str(cause))}", hint=hint, retryable=True)

    async def _explain_error(self, error: ServerError, *, location: str | None = None) -> ProviderError:
        status, words = error.status, error.words
        answered = "answered with an error" if error.in_answer else f"answered {status}"
        what = f"{answered}: {words}" if words else answered
        if status in (401, 403):
            what = what if self.api_key else f"{what} (no key was given)"
            return self.provider_error("bad_key", what, hint=self._key_hint())
        if status == 402 or error.code in NO_CREDIT:
            return self.provider_error(
                "rate_limit", what, hint="the account has no credit left: add credit, or use another model"
            )
        if status == 429:
            hint = f"lower concurrency (now {self.concurrency}), or ask the provider for a higher limit"
            return self.provider_error("rate_limit", what, hint=hint, retryable=True)
        if status == 408:
            return self.provider_error("timeout", what, hint="try again later", retryable=True)
        if status >= 500 or status in BUSY:
            return self.provider_error(
                "server", what, hint="try again later, or check the server's log", retryable=True
            )
        if status < 400:
            target = location or "another address"
            return self.provider_error(
                "bad_request", f"answered {status}", hint=f"set base_url to the address it redirects to: {target}"
            )
        about_model = error.code == "model_not_found" or bool(_NO_MODEL.search(words.lower()))
        if status == 404 or about_model:
            return await self._not_found(what, about_model=about_model)
        if error.code == "content_filter":
            hint = "the provider's filter refuses this prompt: rephrase it, or use another model"
            return self.provider_error("bad_request", what, hint=hint)
        if is_overflow(error):
            server = server_at(self.base_url)
            raised = f", or {server.context}" if server and server.context else ""
            hint = f"the prompt does not fit: use fewer or shorter passages, or a larger context window{raised}"
            return self.provider_error("bad_request", what, hint=hint)
        return self.provider_error("bad_request", what, hint="the endpoint rejects this request; see its message")

    async def _not_found(self, what: str, *, about_model: bool) -> ProviderError:
        """Explain a 404: an unknown model or an unknown path, decided by the endpoint's list of models."""
        offered = await self.models()
        if not about_model and (offered is None or self.model in offered):
            return self.provider_error(
                "bad_request", what, hint="the endpoint has no such path; base_url usually ends in /v1"
            )
        if not offered:
            return self.provider_error("unknown_model", what, hint="check `model`; the endpoint lists no models")
        nearest = sorted(offered, key=lambda name: -SequenceMatcher(None, self.model, name).ratio())
        more = f" and {len(offered) - SHOWN_MODELS} more" if len(offered) > SHOWN_MODELS else ""
        hint = f"it offers {', '.join(nearest[:SHOWN_MODELS])}{more}"
        if urlsplit(self.base_url).port == 11434:
            hint += f"; or: ollama pull {self.model}"
        return self.provider_error("unknown_model", what, hint=hint)

    def _key_hint(self) -> str:
        host = urlsplit(self.base_url).hostname
        if self.api_key_env:
            return f"set the environment variable {self.api_key_env} to a valid key for {host}"
        return f"set api_key_env to the environment variable that holds the key for {host}"


@dataclass(frozen=True, slots=True)
class _BegunStream:
    stream: "AsyncStream[object]"
    first: Sequence[object]
    """Events up to the first part of the reply."""
    rest: AsyncIterator[object]


def server_at(base_url: str) -> Server | None:
    """Return the kind of server, by its host, or by its port on this machine; None when that tells nothing."""
    place = urlsplit(base_url)
    host = place.hostname or ""
    for server in dialects().servers:
        if any(host == end or host.endswith(f".{end}") for end in server.hosts):
            return server
        if server.port is not None and server.port == place.port and is_local(base_url):
            return server
    return None


def _checked(answer: object) -> object:
    """Return the answer. Raises ToldError if it is an error."""
    if error := error_in(answer):
        raise ToldError(error)
    return answer


def _told(cause: BaseException | None) -> ServerError | None:
    """Return what the server said; None when it said nothing."""
    from openai import APIStatusError

    if isinstance(cause, ToldError):
        return cause.error
    return status_error(cause) if isinstance(cause, APIStatusError) else None
