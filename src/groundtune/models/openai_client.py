"""Open an OpenAI client for one address and explain its errors.

Sends keys and texts only to the host of `base_url`: follows no redirects, takes no keys from the environment.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from groundtune.common.openai_api import OPENAI_HOST
from groundtune.common.text import one_line
from groundtune.errors import ProviderError, ProviderFailure, UsageError

if TYPE_CHECKING:
    from openai import APIError, AsyncOpenAI, OpenAI

WORD_KEYS = ("message", "msg", "detail", "error_description", "error_msg", "status_msg", "faultstring", "title")
"""Keys of an error object that may hold its message."""
NOT_IMPLEMENTED = 501
NO_CREDIT = ("insufficient_quota", "billing_hard_limit_reached")


def is_local(base_url: str) -> bool:
    """Return whether the host is this machine by name: localhost, 127.0.0.1, ::1."""
    return urlsplit(base_url).hostname in ("localhost", "127.0.0.1", "::1")


def without_user(base_url: str) -> str:
    """Return the address without user and password."""
    url = urlsplit(base_url)
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()


def open_client(base_url: str, *, api_key: str, timeout_seconds: float) -> "OpenAI":
    """Open a client without retries. Raises UsageError for an invalid URL or key."""
    from openai import DefaultHttpxClient, OpenAI

    transport, settings = _settings(base_url, api_key, timeout_seconds)
    client = OpenAI(http_client=DefaultHttpxClient(**transport), **settings)
    _forget_environment(client)
    return client


def open_async_client(base_url: str, *, api_key: str, timeout_seconds: float) -> "AsyncOpenAI":
    """Open an async client as `open_client` does, for one event loop."""
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    transport, settings = _settings(base_url, api_key, timeout_seconds)
    client = AsyncOpenAI(http_client=DefaultAsyncHttpxClient(**transport), **settings)
    _forget_environment(client)
    return client


def _settings(base_url: str, api_key: str, timeout_seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Set everything that the SDK would otherwise read from OPENAI_* variables and send to any base_url."""
    url = urlsplit(base_url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise UsageError(f"base_url {base_url!r} is not a URL", hint="for example https://api.openai.com/v1")
    if not (api_key.isascii() and api_key.isprintable()):
        raise UsageError(f"the key for {url.hostname} contains invalid characters", hint="copy the key again")
    from httpx2 import Timeout

    transport = {
        "follow_redirects": False,
        "trust_env": not is_local(base_url),
        "verify": url.scheme == "https",  # loading the certificates takes 30 ms, and http needs none
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
    """Clear settings from the environment that no argument disables, unless the host is OpenAI itself."""
    if client.base_url.host != OPENAI_HOST:
        client.organization = client.project = None
        client._custom_headers = {}  # OPENAI_CUSTOM_HEADERS


def provider_error(error: Exception, *, place: str, api_key: str, key_hint: str) -> ProviderError:
    """Turn an SDK exception into a ProviderError that names the endpoint and hides the key."""
    return _problem(_read(error, key_hint=key_hint), place=place, api_key=api_key)


def told_provider_error(
    status: int, words: str, code: str, *, place: str, api_key: str, key_hint: str
) -> ProviderError:
    """Return the error that a server told in a 200. status: the one that it stands for."""
    failure = _by_status(status, code, f"answered with an error: {words}", key_hint=key_hint)
    return _problem(failure, place=place, api_key=api_key)


def _problem(failure: tuple[ProviderFailure, str, str, bool], *, place: str, api_key: str) -> ProviderError:
    kind, what, hint, retryable = failure
    message = f"{place} {what}"
    if api_key:
        message = message.replace(api_key, "***")
    return ProviderError(message, kind=kind, hint=hint, retryable=retryable)


def _read(error: Exception, *, key_hint: str) -> tuple[ProviderFailure, str, str, bool]:
    from openai import APIConnectionError, APIStatusError, APITimeoutError

    later = "try again later"
    if isinstance(error, APITimeoutError):
        return "timeout", "did not answer in time", later, True
    if isinstance(error, APIConnectionError):
        return "no_server", f"cannot be reached: {one_line(str(error.__cause__ or error))}", later, True
    if not isinstance(error, APIStatusError):
        hint = "check that base_url is an OpenAI-compatible endpoint; it usually ends in /v1"
        return "bad_response", f"gave a bad response: {one_line(str(error))}", hint, False
    status, text = error.status_code, server_message(error)
    what = f"answered {status}: {text}" if text else f"answered {status}"
    if status < 400:
        target = error.response.headers.get("location", "another address")
        return "bad_request", what, f"set base_url to the address it redirects to: {target}", False
    return _by_status(status, error.code or "", what, key_hint=key_hint)


def _by_status(status: int, code: str, what: str, *, key_hint: str) -> tuple[ProviderFailure, str, str, bool]:
    later = "try again later"
    if status in (401, 403):
        return "bad_key", what, key_hint, False
    if status == 402 or code in NO_CREDIT:
        return "rate_limit", what, "the account has no credit left: add credit", False
    if status == 429:
        return "rate_limit", what, later, True
    if status in (408, 409) or (status >= 500 and status != NOT_IMPLEMENTED):
        return "server", what, later, True
    return "bad_request", what, "the endpoint rejects this request; see its message", False


def server_message(error: "APIError") -> str:
    """Return the server's message."""
    return words_of(error.body)  # the SDK unwraps `error`


def words_of(told: object) -> str:
    """Return the words of an error: a text, or an object with `message` (OpenAI), `detail` (FastAPI), `error`, …"""
    if told is None or isinstance(told, str):
        return one_line(told or "")
    if isinstance(told, list) and len(told) == 1:  # Gemini
        return words_of(told[0])
    if not isinstance(told, Mapping):
        return _as_json(told)
    words = next((one_line(told[key]) for key in WORD_KEYS if isinstance(told.get(key), str) and told[key]), "")
    if (inner := told.get("error")) and inner is not True:
        named = words_of(inner)
        return named if not words or words in named or isinstance(inner, Mapping) else f"{named}: {words}"
    metadata = told.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None  # OpenRouter: what the provider said
    return f"{words}: {one_line(raw)}" if isinstance(raw, str) and raw else words or _as_json(told)


def _as_json(value: object) -> str:
    return one_line(json.dumps(value, default=str, ensure_ascii=False))


def retry_after_seconds(error: BaseException) -> float | None:
    """Return the seconds that the server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date."""
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
