"""Whatever fails around the server, a request ends in an answer, a degraded answer or a clear error in time."""

import json
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from groundtune.records.audit_log import AuditLog
from groundtune.testing.scripted_server import Reply
from tests.serve.conftest import ANSWER, HTTP, QUESTION, Running, Serve

FALLBACK = "[serve]\nseconds = 60\n[fallback]\nmax_seconds = {seconds}\n"
FULL = "database or disk is full"
ALONE = "[serve]\nseconds = 1.0\n"
FAULTS = {
    "500": Reply("out of memory", status=500),
    "429": Reply("slow down", status=429),
    "half": Reply(ANSWER, broken_stream_after=8),
    "no JSON": Reply(raw_body="<html>gateway</html>"),
}


def chat(server: Running, *, model: str = "acme", stream: bool = False) -> Any:
    messages = [{"role": "user", "content": QUESTION}]
    body = {"model": model, "messages": messages, "stream": stream}
    return HTTP.post(f"{server.url}/v1/chat/completions", json=body)


def stream_end(text: str) -> dict[str, Any]:
    """Return the field `groundtune` of a stream that is whole, or the error that ends it."""
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    last = json.loads(events[-2] if events[-1] == "[DONE]" else events[-1])
    return dict(last["groundtune"] if events[-1] == "[DONE]" else last["error"])


def told(reply: Any) -> dict[str, Any]:
    """Return the field `groundtune` of a reply, or its error."""
    if reply.status_code == 200 and reply.headers["content-type"].startswith("text/event-stream"):
        return stream_end(reply.text)
    return dict(reply.json().get("groundtune") or reply.json()["error"])


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_that_fails_is_replaced(serve: Serve, fault: str) -> None:
    server = serve(FALLBACK.format(seconds=50), reply=FAULTS[fault])
    whole, streamed = told(chat(server)), told(chat(server, stream=True))
    for answer in (whole, streamed):
        assert "quote-hybrid answered instead" in answer["degradation"]
        assert answer["citations"]
    records = {entry.record["id"]: entry.record for entry in AuditLog(server.project.workspace).entries()}
    assert {name: record["degradation"] for name, record in records.items()} == {
        answer["id"]: answer["degradation"] for answer in (whole, streamed)
    }


@pytest.mark.slow
def test_a_model_that_stalls_is_replaced_in_time(serve: Serve) -> None:
    server = serve(FALLBACK.format(seconds=8), reply=Reply(stall=True))
    chat(server, model="quote-hybrid")  # loads what the last approach needs
    start = time.monotonic()
    assert "quote-hybrid answered instead" in told(chat(server))["degradation"]
    assert 4 <= time.monotonic() - start < 10


@pytest.mark.slow
def test_without_an_approach_that_stands_in_the_error_is_told_in_time(serve: Serve) -> None:
    server = serve(ALONE, reply=Reply(ANSWER, broken_stream_after=8, stall=True))
    for stream in (False, True):
        start = time.monotonic()
        error = told(chat(server, stream=stream))
        assert (error["type"], error["code"]) == ("server_error", "timeout")
        assert time.monotonic() - start < 10


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_asks_to_wait_too_long_is_not_waited_for(serve: Serve, stream: bool) -> None:
    server = serve("[serve]\nseconds = 20\n", reply=Reply("slow down", status=429, headers={"Retry-After": "30"}))
    start = time.monotonic()
    reply = chat(server, stream=stream)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "30")
    assert told(reply)["code"] == "rate_limit"
    assert time.monotonic() - start < 10


def test_an_answer_that_cannot_be_recorded_is_refused(serve: Serve) -> None:
    server = serve(reply=Reply(ANSWER))
    assert chat(server).status_code == 200
    path = server.project.workspace.folder / "audit.sqlite"
    with closing(sqlite3.connect(path, timeout=60)) as log:
        log.execute(f"CREATE TRIGGER full BEFORE INSERT ON records BEGIN SELECT RAISE(FAIL, '{FULL}'); END")
        for stream in (False, True):
            assert told(chat(server, stream=stream))["type"] == "server_error"
        log.execute("DROP TRIGGER full")
    assert chat(server).status_code == 200
    check = AuditLog(server.project.workspace).verify()
    assert check.problem is None
    assert check.records >= 2  # the text that was streamed before its record failed has one, too, once there is space


@pytest.mark.slow
def test_a_rebuild_of_the_index_interrupts_nobody(serve: Serve) -> None:
    server = serve(reply=Reply(ANSWER))
    statuses: list[tuple[int, int]] = []
    is_built = threading.Event()

    def ask() -> None:
        while not is_built.is_set():
            reply = chat(server)
            statuses.append((reply.status_code, len(reply.json().get("groundtune", {}).get("citations", []))))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(2):
            server.project.ingest(rebuild=True)
            edited = Path(server.project.root) / "docs/refunds.md"
            edited.write_text(edited.read_text() + "\nMore is said here.\n")
            server.project.ingest()
    finally:
        is_built.set()
        asking.join(60)
    assert len(statuses) > 2
    assert all(status == 200 and citations for status, citations in statuses)
