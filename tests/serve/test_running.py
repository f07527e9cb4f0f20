"""Load, clients that leave, and signals."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from openai import APITimeoutError, InternalServerError, RateLimitError

from groundtune import Project, UsageError
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.serve.admission import Admission
from groundtune.serve.errors import RequestRefusedError
from groundtune.serve.running import make_server
from groundtune.testing.scripted_server import Reply, ScriptedServer
from tests.serve.conftest import ANSWER, FIRST, HTTP, Running, Serve, model_table, script, write_project

ONE_AT_A_TIME = "[serve]\nrunning = 1\nwaiting = 0\n"


def ask(server: Running, question: str, *, timeout: float = 60, stream: bool = False) -> object:
    messages = [{"role": "user", "content": question}]
    client = server.client().with_options(timeout=timeout)
    return client.chat.completions.create(model="acme", messages=messages, stream=stream)  # type: ignore[call-overload]


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_full_server_says_when_to_come_back(serve: Serve) -> None:
    server = serve(ONE_AT_A_TIME, reply=script)
    stream = ask(server, "slowly, please", stream=True)
    next(iter(stream))  # type: ignore[call-overload]
    with pytest.raises(RateLimitError) as caught:
        ask(server, "When?")
    assert int(caught.value.response.headers["retry-after"]) >= 1
    stream.close()  # type: ignore[attr-defined]
    model = server.model
    assert model is not None
    wait_until(lambda: model.hang_ups == 1)  # the client left, so the model's stream was closed
    assert ask(server, "When is a refund paid?")


def test_a_client_that_leaves_gives_its_place_free(serve: Serve) -> None:
    server = serve(ONE_AT_A_TIME, reply=script)
    for stream in (False, True):
        with pytest.raises(APITimeoutError):
            ask(server, "stall, please", timeout=1, stream=stream)
        wait_until(lambda: HTTP.post(f"{server.url}/api/search", json={"query": "refund"}).status_code == 200)


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_has_a_time_limit(serve: Serve, stream: bool) -> None:
    server = serve("[serve]\nseconds = 0.5\n", reply=Reply(stall=True))
    with pytest.raises(InternalServerError) as caught:
        ask(server, "When?", stream=stream)
    assert (caught.value.status_code, caught.value.code) == (504, "timeout")


async def test_waiting_requests_get_their_turn() -> None:
    admission = Admission(running=2, waiting=1)
    order: list[str] = []

    async def work(name: str) -> None:
        async with admission.slot():
            order.append(name)
            await asyncio.sleep(0.05)

    tasks = [asyncio.create_task(work(name)) for name in "abcd"]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert order == ["a", "b", "c"]
    assert isinstance(results[3], RequestRefusedError)
    assert results[3].reply.status == 429


def test_it_listens_on_this_machine_only(tmp_path: Path) -> None:
    project = Project.open(write_project(tmp_path, '[serve]\nhost = "0.0.0.0"\n'))
    with project, pytest.raises(UsageError, match="other machines"):
        make_server(project, on_ready=print)


def test_a_port_that_is_taken_is_told(quotes: Running) -> None:
    port = quotes.url.rpartition(":")[2]
    project = quotes.project
    settings = project.config.serve.model_copy(update={"port": int(port)})
    project.config = project.config.model_copy(update={"serve": settings})
    with pytest.raises(UsageError, match=f"port {port}"):
        make_server(project, on_ready=print)


@pytest.mark.slow
def test_sigterm_lets_streams_end(tmp_path: Path, embedder: BundledEmbedder) -> None:
    reply = Reply(pieces=[*re.findall(r"\S+\s*", ANSWER)], piece_seconds=0.05)
    with ScriptedServer(reply) as model:
        folder = write_project(tmp_path, model_table(model))
        with Project.open(folder) as project:
            project.session.embedder = embedder
            project.ingest()
        command = [sys.executable, "-m", "groundtune", "serve", "--port", "0", "-C", str(folder)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"}
        ) as process:
            assert process.stdout is not None
            url = re.findall(r"http\S+", process.stdout.readline())[0]
            assert HTTP.get(f"{url}/healthz").status_code == 200
            text: list[str] = []
            body = {"model": "acme", "stream": True, "messages": [{"role": "user", "content": "When?"}]}
            with httpx2.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=60) as stream:
                for line in stream.iter_lines():
                    if line.startswith("data: {"):
                        text += [choice["delta"].get("content", "") for choice in json.loads(line[6:])["choices"]]
                    if len(text) == 2:
                        start = time.monotonic()
                        process.send_signal(signal.SIGTERM)
            assert "".join(text).startswith(FIRST)
            assert "".join(text) == ANSWER
            assert process.wait(30) == -signal.SIGTERM
            assert time.monotonic() - start < 20
