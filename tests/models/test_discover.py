"""Which endpoints are at hand, and that no key travels to another host than its own."""

import subprocess
import sys
import time

from groundtune.models.discover import Candidate, Endpoint, discover
from groundtune.models.scripted import Reply, ScriptedServer

DEAD = "http://127.0.0.1:9/v1"
"""Nothing listens on the discard port of this machine."""


async def test_only_servers_that_answer_are_found() -> None:
    with ScriptedServer(models=["b", "a"]) as server:
        found = await discover({}, candidates=[Candidate("Ollama", server.base_url), Candidate("vLLM", DEAD)])
    assert found == [Endpoint("Ollama", server.base_url, None, ("a", "b"))]


async def test_the_key_goes_to_its_own_host_only() -> None:
    with ScriptedServer(api_key="sk-1", models=["big"]) as own, ScriptedServer(models=["small"]) as other:
        environ = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": own.base_url + "/"}
        found = await discover(environ, candidates=[Candidate("vLLM", other.base_url)])
        assert [request.headers.get("authorization") for request in own.requests] == ["Bearer sk-1"]
        assert [request.headers.get("authorization") for request in other.requests] == [None]
    assert found == [
        Endpoint("OpenAI-compatible", own.base_url, "OPENAI_API_KEY", ("big",)),
        Endpoint("vLLM", other.base_url, None, ("small",)),
    ]


async def test_an_endpoint_with_a_key_is_at_hand_even_when_silent() -> None:
    environ = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": DEAD}
    assert await discover(environ, candidates=[]) == [Endpoint("OpenAI-compatible", DEAD, "OPENAI_API_KEY", ())]


async def test_a_redirect_is_not_followed() -> None:
    with ScriptedServer(models=["x"]) as target, ScriptedServer() as server:
        server.redirect = target.base_url + "/models"
        environ = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": server.base_url}
        found = await discover(environ, candidates=[])
        assert target.requests == []
    assert found[0].models == ()


async def test_a_server_named_twice_is_listed_once() -> None:
    with ScriptedServer(models=["a"]) as server:
        named = server.base_url.replace("127.0.0.1", "localhost")
        found = await discover({"OPENAI_BASE_URL": named}, candidates=[Candidate("Ollama", server.base_url)])
    assert found == [Endpoint("Ollama", named, None, ("a",))]


async def test_slow_servers_are_not_waited_for() -> None:
    with ScriptedServer(Reply(), models=["a"], list_delay_seconds=5.0) as server:
        begin = time.perf_counter()
        assert await discover({}, candidates=[Candidate("vLLM", server.base_url)], timeout_seconds=0.2) == []
        assert time.perf_counter() - begin < 1.5


async def test_nonsense_in_the_environment_finds_nothing() -> None:
    for url in ("localhost:11434", "http://127.0.0.1:port/v1", "http://"):
        assert await discover({"OPENAI_BASE_URL": url}, candidates=[]) == []


def test_the_import_is_light() -> None:
    code = (
        "import sys, groundtune.models.hosted, groundtune.models.hosted_embed, groundtune.models.prices, "
        "groundtune.models.discover; "
        "print(*{'openai', 'httpx2', 'genai_prices', 'torch', 'pydantic'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""
