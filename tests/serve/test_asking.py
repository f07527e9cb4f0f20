"""The server's own form of answers and passages, its health, and its OpenAPI document."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from groundtune import Project
from groundtune.serve.client import EventStream
from groundtune.serve.doors.callers import ANONYMOUS
from groundtune.serve.serving import Asked, make_serving
from groundtune.serve.watching.metrics import Metrics
from groundtune.serve.watching.tracing import Tracing
from tests.serve.conftest import ANSWER, HTTP, QUESTION, Running


def events_of(server: Running, question: str, **body: Any) -> list[tuple[str, Any]]:
    reply = HTTP.post(f"{server.url}/api/ask", json={"question": question, **body})
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/event-stream")
    blocks = [dict(line.split(": ", 1) for line in block.split("\n")) for block in reply.text.strip().split("\n\n")]
    return [(block["event"], json.loads(block["data"])) for block in blocks]


def test_the_events_are_those_of_the_approach(modelled: Running) -> None:
    events = events_of(modelled, QUESTION, history=[{"role": "user", "content": "Hello"}])
    names = [name for name, _ in events]
    assert names[0] == "retrieved"
    assert names[-1] == "done"
    done = events[-1][1]
    assert "".join(data["text"] for name, data in events if name == "text") == done["text"] == ANSWER
    assert next(data for name, data in events if name == "citation")["url"] == done["citations"][0]["url"]
    assert events[0][1]["passages"][0]["source"] == "docs/refunds.md"


def test_a_stream_that_breaks_says_why(modelled: Running) -> None:
    name, data = events_of(modelled, "break, please")[-1]
    assert name == "error"
    assert data["error"]["code"] == "bad_response"


def test_search_returns_passages_with_addresses(quotes: Running) -> None:
    reply = HTTP.post(f"{quotes.url}/api/search", json={"query": "refund", "k": 3})
    (hit,) = reply.json()["hits"]
    assert (hit["source"], hit["heading"]) == ("docs/refunds.md", "Refunds")
    assert hit["url"] == f"{quotes.url}/passages/{hit['id']}"
    assert set(hit["stages"]) >= {"fused"}


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/api/search", {"query": "x", "k": 0}, "k"),
        ("/api/search", {"query": "x", "groups": ["hr"]}, "groups"),
        ("/api/ask", {"question": "x", "history": [{"role": "system", "content": "y"}]}, "history[0].role"),
        ("/api/ask", {}, "question"),
    ],
)
def test_bodies_are_checked(quotes: Running, path: str, body: Any, param: str) -> None:
    reply = HTTP.post(quotes.url + path, json=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param


def test_other_mistakes_have_the_same_shape(quotes: Running) -> None:
    for method, path, content, status in (
        ("POST", "/v1/chat/completions", b"{", 400),
        ("POST", "/v1/chat/completions", b"", 400),
        ("POST", "/api/ask", json.dumps({"question": " "}).encode(), 400),
        ("GET", "/v1/nothing", b"", 404),
        ("GET", "/api/ask", b"", 405),
    ):
        headers = {"content-type": "application/json"}
        reply = HTTP.request(method, quotes.url + path, content=content, headers=headers)
        assert reply.status_code == status, path
        assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


def test_other_hosts_are_refused(quotes: Running) -> None:
    assert HTTP.get(f"{quotes.url}/v1/models", headers={"host": "evil.example"}).status_code == 400


def test_health_and_document(quotes: Running) -> None:
    assert HTTP.get(f"{quotes.url}/healthz").json() == {"status": "ok"}
    assert HTTP.get(f"{quotes.url}/readyz").json() == {"status": "ready"}
    document = HTTP.get(f"{quotes.url}/openapi.json").json()
    assert {"/v1/chat/completions", "/v1/responses", "/v1/models", "/api/ask"} <= set(document["paths"])


def test_bodies_are_limited(quotes: Running) -> None:
    for body in (b" " * 4_000_001, iter([b" " * 2_000_000] * 3)):  # the second does not say how long it is
        headers = {"content-type": "application/json"}
        reply = HTTP.post(f"{quotes.url}/api/ask", content=body, headers=headers)
        assert reply.status_code == 413


async def test_waiting_for_a_turn_has_a_time_limit(quotes: Running) -> None:
    settings = quotes.project.config.serve.model_copy(update={"running": 1, "seconds": 0.1})
    project = Project.open(quotes.project.root)
    project.config = project.config.model_copy(update={"serve": settings})
    serving = make_serving(project, Metrics(), Tracing(project.config))
    async with serving._slot():
        with pytest.raises(TimeoutError):
            async with serving.turn():
                pass
        with pytest.raises(TimeoutError):
            await anext(serving._timed(Asked(QUESTION), ANONYMOUS))
    await serving.close()


async def test_a_client_that_does_not_read_is_left() -> None:
    closed = []

    async def events() -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "x"
        finally:
            closed.append(True)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(60)

    await EventStream(events(), seconds=0.05).stream_response(send)
    assert closed
