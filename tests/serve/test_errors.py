"""What callers are told about a failure, and what stays in the log."""

import logging
import re
from pathlib import Path

import pytest
from openai import APIStatusError

from groundtune.errors import (
    AccessError,
    BusyError,
    ConfigError,
    GroundtuneError,
    IndexMismatchError,
    MissingError,
    Problem,
    ProviderError,
    QuestionError,
    UsageError,
)
from groundtune.serve.errors import error_reply
from tests.serve.conftest import HTTP, QUESTION, Running, Serve, script

PLACE = re.compile(r"/srv|[A-Za-z]:\\|\d+\.\d+\.\d+\.\d+|https?://|gpu-box")
SECRETS = "/srv/acme/models/x.gguf at http://gpu-box:8000/v1 (10.0.0.5)"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ProviderError(SECRETS, kind="no_server"), 502),
        (ProviderError(SECRETS, kind="timeout"), 504),
        (ProviderError(SECRETS, kind="rate_limit"), 429),
        (MissingError(SECRETS, hint=SECRETS), 503),
        (IndexMismatchError(SECRETS), 503),
        (ConfigError([Problem(Path("/srv/acme/groundtune.toml"), SECRETS)]), 503),
        (UsageError(SECRETS), 503),
        (BusyError(SECRETS), 503),
        (GroundtuneError(SECRETS), 500),
        (OSError(SECRETS), 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_no_reply_names_a_place(error: Exception, status: int, caplog: pytest.LogCaptureFixture) -> None:
    reply = error_reply(error)
    assert reply.status == status
    assert reply.message
    assert not PLACE.search(reply.message)
    assert "gpu-box" in caplog.text


def test_what_callers_can_mend_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert error_reply(QuestionError("the question is empty", hint="ask")).message == "the question is empty (ask)"
    assert error_reply(AccessError("not for you")).status == 403
    assert caplog.text == ""


def test_the_log_has_the_id_of_the_reply(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(reply=script)
    assert server.model is not None
    for stream in (False, True):
        caplog.clear()
        with caplog.at_level(logging.ERROR), pytest.raises(APIStatusError) as caught:
            server.client().chat.completions.create(
                model="acme", stream=stream, messages=[{"role": "user", "content": "fail, please"}]
            )
        assert not PLACE.search(caught.value.message)
        (line,) = [record.message for record in caplog.records if record.name == "groundtune.serve.errors"]
        assert line.startswith(f"request {caught.value.request_id}: ")


def test_every_reply_has_an_id(quotes: Running) -> None:
    ids = {HTTP.get(f"{quotes.url}{path}").headers["x-request-id"] for path in ("/healthz", "/none", "/", "/v1/models")}
    assert len(ids) == 4
    kept = HTTP.get(f"{quotes.url}/healthz", headers={"X-Request-ID": "proxy-1f.3"})
    assert kept.headers["x-request-id"] == "proxy-1f.3"
    replaced = HTTP.get(f"{quotes.url}/healthz", headers={"X-Request-ID": "a b" * 50})
    assert re.fullmatch(r"[0-9a-f]{32}", replaced.headers["x-request-id"])
    assert (
        quotes.client()
        .chat.completions.create(model="acme", messages=[{"role": "user", "content": QUESTION}])
        ._request_id
    )
