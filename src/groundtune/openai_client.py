"""An OpenAI client for one address, and what its errors mean.

Never sends a key or a text to another host than `base_url`: no redirects, no keys taken from the environment.
"""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from groundtune.errors import ProviderError, ProviderFailure, UsageError

if TYPE_CHECKING:
    from openai import APIError, AsyncOpenAI, OpenAI

OPENAI_HOST = "api.openai.com"
SAID_CHARACTERS = 300
NO_CREDIT = ("insufficient_quota", "billing_hard_limit_reached")


def is_local(base_url: str) -> bool:
    """Whether the host is this machine by name: localhost, 127.0.0.1, ::1."""
    return urlsplit(base_url).hostname in ("localhost", "127.0.0.1", "::1")


def without_user(base_url: str) -> str:
    """The address without the user and password that it may carry."""
    place = urlsplit(base_url)
    return place._replace(netloc=place.netloc.rpartition("@")[2]).geturl()


def open_client(base_url: str, *, api_key: str, timeout_seconds: float) -> "OpenAI":
    """A client without retries. Raises UsageError for what is no URL, or no key."""
    from openai import DefaultHttpxClient, OpenAI

    transport, settings = _settings(base_url, api_key, timeout_seconds)
    client = OpenAI(http_client=DefaultHttpxClient(**transport), **settings)
    _forget_environment(client)
    return client


def open_async_client(base_url: str, *, api_key: str, timeout_seconds: float) -> "AsyncOpenAI":
    """As `open_client`, for one event loop."""
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    transport, settings = _settings(base_url, api_key, timeout_seconds)
    client = AsyncOpenAI(http_client=DefaultAsyncHttpxClient(**transport), **settings)
    _forget_environment(client)
    return client


def _settings(base_url: str, api_key: str, timeout_seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Explicit values for all that the SDK would otherwise take from OPENAI_* and send to any base_url."""
    place = urlsplit(base_url)
    if place.scheme not in ("http", "https") or not place.hostname:
        raise UsageError(f"base_url {base_url!r} is not a URL", hint="for example https://api.openai.com/v1")
    if not (api_key.isascii() and api_key.isprintable()):
        raise UsageError(f"the key of {place.hostname} has letters that no key has", hint="copy it once more")
    from httpx2 import Timeout

    transport = {
        "follow_redirects": False,
        "trust_env": not is_local(base_url),
        "verify": place.scheme == "https",  # reading the certificates takes 30 ms; http uses none
    }
    return transport, {
        "base_url": base_url.rstrip("/"),
        "api_key": api_key or "no-key",
        "admin_api_key": "",
        "webhook_secret": "",
        "max_retries": 0,
        "timeout": Timeout(timeout_seconds, connect=min(10.0, timeout_seconds), pool=None),
    }


def _forget_environment(client: "OpenAI | AsyncOpenAI") -> None:
    """Takes away what no argument switches off, unless it goes to OpenAI itself."""
    if client.base_url.host != OPENAI_HOST:
        client.organization = client.project = None
        client._custom_headers = {}  # OPENAI_CUSTOM_HEADERS


def failure(error: Exception, *, place: str, api_key: str, key_hint: str) -> ProviderError:
    """What the SDK raised, as an error that names the place and does not show the key."""
    kind, what, hint, again = _read(error, key_hint=key_hint)
    message = f"{place} {what}"
    if api_key:
        message = message.replace(api_key, "***")
    return ProviderError(message, kind=kind, hint=hint, retryable=again)


def _read(error: Exception, *, key_hint: str) -> tuple[ProviderFailure, str, str, bool]:
    from openai import APIConnectionError, APIStatusError, APITimeoutError

    later = "try again later"
    if isinstance(error, APITimeoutError):
        return "timeout", "did not answer in time", later, True
    if isinstance(error, APIConnectionError):
        return "no_server", f"cannot be reached: {short(str(error.__cause__ or error))}", later, True
    if not isinstance(error, APIStatusError):
        hint = "check that base_url is an OpenAI-compatible endpoint; it usually ends in /v1"
        return "bad_response", f"gave a bad response: {short(str(error))}", hint, False
    status, words = error.status_code, said(error)
    what = f"answered {status}: {words}" if words else f"answered {status}"
    if status in (401, 403):
        return "bad_key", what, key_hint, False
    if status == 402 or error.code in NO_CREDIT:
        return "rate_limit", what, "the account has no credit left: add some", False
    if status == 429:
        return "rate_limit", what, later, True
    if status in (408, 409) or status >= 500:
        return "server", what, later, True
    if status < 400:
        target = error.response.headers.get("location", "another address")
        return "bad_request", what, f"set base_url to what it points to: {target}", False
    return "bad_request", what, "the endpoint refuses this request; its message says why", False


def said(error: "APIError") -> str:
    """The server's own words: in `error.message` (OpenAI), `error` (Ollama) or `detail` (FastAPI)."""
    match error.body:  # the SDK has unwrapped `error`
        case {"message": str(text)} | {"detail": str(text)} | str(text):
            return short(text)
        case None:
            return ""
        case other:
            return short(json.dumps(other, default=str))


def retry_after(error: BaseException) -> float | None:
    """Seconds that the server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(headers.get("retry-after", "")) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def short(text: str) -> str:
    """In one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= SAID_CHARACTERS else f"{line[:SAID_CHARACTERS]}…"
