"""The log of the server as JSON: one object a line, with the id of its request and without any text."""

import json
import logging
from collections.abc import Iterator

import pytest

from groundtune.serve.watching.logs import answers
from tests.serve.conftest import ANSWER, HTTP, QUESTION, Serve, script


@pytest.fixture
def log_as_before() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("groundtune")
    before = root.handlers, root.level, own.level
    yield
    root.handlers = before[0]
    root.setLevel(before[1])
    own.setLevel(before[2])


@pytest.mark.usefixtures("log_as_before")
def test_a_line_says_how_a_request_ended(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    server = serve('[serve]\nlog_format = "json"\n', reply=script)
    body = {"model": "acme", "messages": [{"role": "user", "content": QUESTION}]}
    headers = {"X-Request-ID": "r-7"}
    reply = HTTP.post(f"{server.url}/v1/chat/completions", json=body, headers=headers).json()
    body["messages"][0]["content"] = "fail, please"  # type: ignore[index]
    HTTP.post(f"{server.url}/v1/chat/completions", json=body, headers={"X-Request-ID": "r-8"})
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    ended = {line["request_id"]: line for line in lines if line["logger"] == answers.name}
    assert ended["r-7"]["answer"] == reply["groundtune"]["id"]
    assert (ended["r-7"]["approach"], ended["r-7"]["status"], ended["r-7"]["level"]) == ("rag", "answered", "info")
    assert ended["r-7"]["output_tokens"] == len(ANSWER.split())
    assert ended["r-8"]["error"] == "bad_request"
    assert QUESTION not in json.dumps(lines)
    assert any(line["level"] == "error" and line["request_id"] == "r-8" for line in lines)
