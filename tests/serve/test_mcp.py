"""The official MCP client against a real server, over HTTP and on standard input and output."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from groundtune import Project
from groundtune.cli import main
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.records.audit_log import AuditLog
from groundtune.serve.doors.keys import KeyFile
from groundtune.testing.scripted_server import ScriptedServer
from groundtune.workspace import Workspace
from tests.serve.conftest import ANSWER, HTTP, QUESTION, Running, model_table, running, script, write_project


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Iterator[tuple[Running, str, str]]:
    """A server with a scripted model, a key without groups and one of hr."""
    with ScriptedServer(script) as model:
        folder = write_project(tmp_path_factory.mktemp("mcp"), model_table(model))
        keys = KeyFile(Workspace(folder))
        (_, plain), (_, hr) = keys.create("plain"), keys.create("hr", groups=["hr"])
        with running(folder, embedder, model, mcp=True) as server:
            yield server, plain, hr


def client(server: Running, key: str) -> Client:
    http = httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=60)
    return Client(streamable_http_client(f"{server.url}/mcp", http_client=http))


def structured(result: Any) -> dict[str, Any]:
    assert not result.is_error, result
    text = json.loads(result.content[0].text)
    assert text == result.structured_content
    return dict(text)


async def test_search_fetch_and_ask(server: tuple[Running, str, str]) -> None:
    served, plain, _ = server
    async with client(served, plain) as mcp:
        tools = {tool.name: tool for tool in (await mcp.list_tools()).tools}
        assert set(tools) == {"search", "fetch", "ask"}
        for tool in tools.values():
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint
            assert tool.output_schema is not None
        found = structured(await mcp.call_tool("search", {"query": "refund"}))["results"]
        assert [set(each) for each in found] == [{"id", "title", "url"}]
        passage = structured(await mcp.call_tool("fetch", {"id": found[0]["id"]}))
        assert set(passage) == {"id", "title", "text", "url", "metadata"}
        assert passage["url"] == found[0]["url"]
        assert "within 30 days" in passage["text"]
        answer = structured(await mcp.call_tool("ask", {"question": QUESTION}))
        assert (answer["answer"], answer["status"], answer["approach"]) == (ANSWER, "answered", "rag")
        assert answer["citations"][0]["url"] == passage["url"]
        quoted = structured(await mcp.call_tool("ask", {"question": QUESTION, "model": "quote-hybrid"}))
        assert quoted["approach"] == "quote-hybrid"
        nothing = structured(await mcp.call_tool("ask", {"question": "Do you deliver to Iceland?"}))
        assert (nothing["status"], len(nothing["nearest"])) == ("abstained", 1)
    recorded = [entry.record["caller"] for entry in AuditLog(served.project.workspace).entries()]
    assert recorded == ["plain"] * 3


async def test_the_groups_of_the_caller_apply(server: tuple[Running, str, str]) -> None:
    served, plain, hr = server
    async with client(served, hr) as mcp:
        found = structured(await mcp.call_tool("search", {"query": "pay band"}))["results"]
        (secret,) = [each["id"] for each in found if "secret" in each["title"]]
        assert "91,000" in structured(await mcp.call_tool("fetch", {"id": secret}))["text"]
    async with client(served, plain) as mcp:
        found = structured(await mcp.call_tool("search", {"query": "pay band"}))["results"]
        assert secret not in [each["id"] for each in found]
        refused = await mcp.call_tool("fetch", {"id": secret})
        assert refused.is_error
        assert "91,000" not in str(refused)


async def test_errors_are_told(server: tuple[Running, str, str]) -> None:
    served, plain, _ = server
    async with client(served, plain) as mcp:
        for arguments in ({"question": " "}, {"question": "x", "model": "gpt-9"}, {"question": "fail, please"}):
            assert (await mcp.call_tool("ask", arguments)).is_error


def test_without_a_key_nothing_is_reached(server: tuple[Running, str, str], quotes: Running) -> None:
    served, _, _ = server
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    reply = HTTP.post(f"{served.url}/mcp", json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")
    assert HTTP.post(f"{quotes.url}/mcp", json=body).status_code == 404  # not asked for


@pytest.mark.slow
async def test_on_standard_input_and_output(tmp_path: Path, embedder: BundledEmbedder) -> None:
    folder = write_project(tmp_path)
    with Project.open(folder) as project:
        project.session.embedder = embedder
        await project.aingest()
    arguments = ["-m", "groundtune", "serve", "--stdio", "--group", "hr", "-C", str(folder)]
    async with Client(StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))) as mcp:
        found = structured(await mcp.call_tool("search", {"query": "pay band"}))["results"]
        assert any("secret" in each["title"] for each in found)


def test_groups_are_those_of_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--group", "hr", "-C", str(write_project(tmp_path))]) == 2
    assert "groundtune keys create" in capsys.readouterr().err
