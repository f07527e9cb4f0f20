"""Test which endpoints are found, and that a key goes only to its own host."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from groundtune.models import discover as module
from groundtune.models.discover import CandidateEndpoint, Endpoint
from groundtune.testing.scripted_server import ScriptedServer

discover = partial(module.discover, timeout_seconds=30.0, keyed_timeout_seconds=30.0)
"""`discover` with timeouts that local servers meet even on a busy machine."""
DEAD = "http://127.0.0.1:9/v1"
"""Address where nothing listens: the discard port."""


@asynccontextmanager
async def answering(response: bytes) -> AsyncIterator[str]:
    """A server that sends these bytes to everyone, or stays silent when there are none."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if response:
            writer.write(response)
        else:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1")
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


async def test_only_servers_that_answer_are_found() -> None:
    with ScriptedServer(models=["b", "a"]) as server:
        endpoints = await discover(
            {}, candidates=[CandidateEndpoint("Ollama", server.base_url), CandidateEndpoint("vLLM", DEAD)]
        )
    assert endpoints == [Endpoint("Ollama", server.base_url, None, ("a", "b"))]


async def test_the_key_goes_to_its_own_host_only() -> None:
    with ScriptedServer(api_key="sk-1", models=["big"]) as keyed, ScriptedServer(models=["small"]) as other:
        environ = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": keyed.base_url + "/"}
        endpoints = await discover(environ, candidates=[CandidateEndpoint("vLLM", other.base_url)])
        assert [request.headers.get("authorization") for request in keyed.requests] == ["Bearer sk-1"]
        assert [request.headers.get("authorization") for request in other.requests] == [None]
    assert endpoints == [
        Endpoint("OpenAI-compatible", keyed.base_url, "OPENAI_API_KEY", ("big",)),
        Endpoint("vLLM", other.base_url, None, ("small",)),
    ]


async def test_an_endpoint_with_a_key_is_returned_even_if_silent() -> None:
    environ = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": DEAD}
    assert await discover(environ, candidates=[]) == [Endpoint("OpenAI-compatible", DEAD, "OPENAI_API_KEY", ())]


async def test_a_redirect_is_not_followed() -> None:
    with ScriptedServer(models=["x"]) as target:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {target.base_url}/models\r\nContent-Length: 0\r\n\r\n"
        async with answering(moved.encode()) as base_url:
            endpoints = await discover({"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": base_url}, candidates=[])
        assert target.requests == []
    assert endpoints[0].models == ()


@pytest.mark.parametrize("body", [b"<html>a web page</html>", b'{"data": 1}', b"[]", b"\xff"])
async def test_another_kind_of_server_is_not_an_endpoint(body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with answering(head + body) as base_url:
        assert await discover({}, candidates=[CandidateEndpoint("vLLM", base_url)]) == []


async def test_the_owner_of_the_models_decides_the_kind() -> None:
    body = b'{"data": [{"id": "m.gguf", "owned_by": "llamacpp"}, {"id": 3}, "x"]}'
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with answering(head + body) as base_url:
        endpoints = await discover({}, candidates=[CandidateEndpoint("vLLM", base_url)])
    assert endpoints == [Endpoint("llama.cpp", base_url, None, ("m.gguf",))]


async def test_a_server_named_twice_is_listed_once() -> None:
    with ScriptedServer(models=["a"]) as server:
        named = server.base_url.replace("127.0.0.1", "localhost")
        endpoints = await discover(
            {"OPENAI_BASE_URL": named}, candidates=[CandidateEndpoint("Ollama", server.base_url)]
        )
    assert endpoints == [Endpoint("Ollama", named, None, ("a",))]


async def test_slow_servers_are_not_waited_for() -> None:
    async with answering(b"") as base_url:
        begin = time.perf_counter()
        assert await discover({}, candidates=[CandidateEndpoint("vLLM", base_url)], timeout_seconds=0.2) == []
        assert 0.2 <= time.perf_counter() - begin < 30


async def test_nonsense_in_the_environment_finds_nothing() -> None:
    for url in ("localhost:11434", "http://127.0.0.1:port/v1", "http://"):
        assert await discover({"OPENAI_BASE_URL": url}, candidates=[]) == []


def test_the_import_is_light() -> None:
    code = (
        "import sys, groundtune.models.hosted_generator, groundtune.models.hosted_embedder, groundtune.models.prices, "
        "groundtune.models.discover; "
        "print(*{'openai', 'httpx2', 'genai_prices', 'torch', 'pydantic'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""
