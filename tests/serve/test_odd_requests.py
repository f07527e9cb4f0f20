"""Requests that no client should send: each is refused or answered, and none is an error of the server."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from groundtune import Project
from groundtune.serve.app import create_app
from groundtune.types import Message
from tests.serve.conftest import HTTP, Running, write_project

PATHS = ("/v1/chat/completions", "/v1/responses", "/api/ask", "/api/search", "/v1/feedback")
NAMES = (
    "model messages input question query filters groundtune stream history k n temperature stop answer rating "
    "comment stream_options role content type text"
).split()
TEXTS = st.one_of(st.text(max_size=12), st.sampled_from(["acme", "rag", "user", "refund", "' OR 1=1 --", "\x00", "up"]))
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.sampled_from(NAMES), TEXTS), inner, max_size=4)
    ),
    max_leaves=8,
)
VALID: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "acme", "messages": [{"role": "user", "content": "refund"}]},
    "/v1/responses": {"model": "acme", "input": "refund"},
    "/api/ask": {"question": "refund"},
    "/api/search": {"query": "refund"},
    "/v1/feedback": {"answer": "x", "rating": "up"},
}


@settings(max_examples=20)
@given(
    path=st.sampled_from(PATHS),
    changes=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3),
    from_scratch=st.booleans(),
)
def test_no_body_is_an_error_of_the_server(
    quotes: Running, path: str, changes: dict[str, Any], from_scratch: bool
) -> None:
    body = changes if from_scratch else VALID[path] | changes
    reply = HTTP.post(quotes.url + path, json=body)
    assert reply.status_code < 500, (body, reply.text)
    if reply.status_code != 200:
        assert reply.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"\\ud800": 1, "query": "x"}',
        b'{"query": "x", "filters": {"product": []}}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"null",
    ],
)
def test_broken_bodies_are_refused(quotes: Running, body: bytes) -> None:
    reply = HTTP.post(f"{quotes.url}/api/search", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", PATHS)
def test_half_a_character_is_no_error(quotes: Running, path: str) -> None:
    body = json.dumps(VALID[path] | ({"comment": "a"} if path == "/v1/feedback" else {}))
    body = body.replace('"refund"', '"refund \\ud800"').replace('"a"', '"\\ud800"')
    assert "ud800" in body
    reply = HTTP.post(quotes.url + path, content=body, headers={"content-type": "application/json"})
    assert reply.status_code in (200, 400), reply.text


@given(text=TEXTS)
@settings(max_examples=15)
def test_any_text_can_be_searched_for(quotes: Running, text: str) -> None:
    body = json.dumps({"query": text, "filters": {text: text}})
    reply = HTTP.post(f"{quotes.url}/api/search", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == (200 if text.strip() else 400), reply.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/v1/responses",
            {"model": "acme", "input": "refund", "instructions": "x\ud800", "metadata": {"\ud800": "\ud800"}},
        ),
        ("/v1/chat/completions", {"model": "acme", "messages": [("system", "\ud800"), ("user", "refund")]}),
        ("/api/ask", {"question": "refund", "history": [("user", "\ud800"), ("assistant", "\ud800")]}),
    ],
)
def test_half_a_character_beside_the_question_is_no_error(modelled: Running, path: str, body: dict[str, Any]) -> None:
    for key in ("messages", "history"):
        if key in body:
            body = body | {key: [{"role": role, "content": content} for role, content in body[key]]}
    content = json.dumps(body)
    reply = HTTP.post(modelled.url + path, content=content, headers={"content-type": "application/json"})
    assert reply.status_code == 200, reply.text
    assert "event: error" not in reply.text


async def test_half_a_character_is_sent_to_a_model_as_a_replacement(modelled: Running) -> None:
    assert modelled.model is not None
    await modelled.project.acomplete([Message("system", "\ud800"), Message("user", "refund")])
    assert modelled.model.posts()[-1]["messages"][0]["content"] == "?"


def test_an_id_of_many_digits_is_unknown(quotes: Running) -> None:
    hits = HTTP.post(f"{quotes.url}/api/search", json={"query": "refund"}).json()["hits"]
    document = hits[0]["id"].partition("@")[0]
    assert HTTP.get(f"{quotes.url}/passages/{document}@{'9' * 5000}-1").status_code == 404


def test_errors_that_nobody_foresaw_have_the_headers_of_security(tmp_path: Path) -> None:
    app = create_app(Project.open(write_project(tmp_path)), open_=True)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError

    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        reply = client.get("/broken")
    assert (reply.status_code, reply.headers["x-content-type-options"]) == (500, "nosniff")


@pytest.mark.parametrize("path", ["/healthz", "/", "/v1/models", "/none"])
def test_head_is_get_without_a_body(quotes: Running, path: str) -> None:
    head, get = HTTP.head(quotes.url + path), HTTP.get(quotes.url + path)
    assert (head.status_code, head.headers["content-type"]) == (get.status_code, get.headers["content-type"])
    assert head.content == b""
