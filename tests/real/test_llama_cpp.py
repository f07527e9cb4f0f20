"""groundtune against llama.cpp's own server: what its answers, streams, errors and crashes are turned into."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from groundtune.errors import ProviderError
from groundtune.models.hosted_generator import IGNORED, HostedGenerator
from groundtune.project import Project
from groundtune.types import Done, Generation, Prompt, TextDelta
from tests.conftest import MakeProject
from tests.real.llama_cpp import LlamaCpp

pytestmark = pytest.mark.slow

MODEL = "smollm2"
MANY = 20
"""Requests at the same time; the server has two slots."""
GREETING = Prompt("Say hello to Anna.")
STORY = Prompt("Tell a long story about a dragon and a knight.")
DOCUMENTS = {
    "returns.md": "# Returns\n\nA parcel can be returned within 30 days of delivery.\n",
    "repairs.md": "# Repairs\n\nThe workshop in Leiden repairs lamps on Tuesdays.\n",
}
ORDER = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "item": {"enum": ["lamp", "chair"]}, "count": {"type": "integer"}},
    "required": ["name", "item", "count"],
    "additionalProperties": False,
}


def generator(server: LlamaCpp, *, tokens: int = 16, **options: Any) -> HostedGenerator:
    settings: dict[str, Any] = {"timeout_seconds": 300, "retries": 0, **options}
    return HostedGenerator(MODEL, base_url=server.url, max_output_tokens=tokens, **settings)


async def whole(stream: AsyncIterator[str | Generation]) -> tuple[str, Generation]:
    """Return the pieces of a stream, joined, and its generation."""
    *pieces, last = [part async for part in stream]
    assert isinstance(last, Generation)
    return "".join(str(piece) for piece in pieces), last


def settings(server: LlamaCpp, *, task: str, tokens: int) -> str:
    return (
        f'task = "{task}"\n[models.default]\nkind = "openai"\nmodel = "{MODEL}"\nbase_url = "{server.url}"\n'
        f"temperature = 0\nmax_output_tokens = {tokens}\ntimeout_seconds = 300\n"
    )


# -- texts and streams -----------------------------------------------------------------------------------------------


async def test_a_stream_gives_the_same_text_and_counts(llama_cpp: LlamaCpp) -> None:
    model = generator(llama_cpp)
    plain = await model.generate(GREETING)
    text, streamed = await whole(model.stream(GREETING))
    await model.aclose()
    assert plain.text
    assert text == streamed.text == plain.text
    for usage in (plain.usage, streamed.usage):
        assert usage.input_tokens is not None
        assert 30 < usage.input_tokens < 60, "the chat template has about thirty tokens of its own"
        assert usage.output_tokens is not None
        assert 0 < usage.output_tokens <= 16
    assert plain.usage.input_tokens == streamed.usage.input_tokens
    assert plain.usage.output_tokens == streamed.usage.output_tokens


async def test_the_token_limit_is_named(llama_cpp: LlamaCpp) -> None:
    model = generator(llama_cpp, tokens=4)
    plain = await model.generate(STORY)
    _, streamed = await whole(model.stream(STORY))
    await model.aclose()
    assert plain.cut == streamed.cut == "max_output_tokens"
    assert plain.usage.output_tokens == streamed.usage.output_tokens == 4


async def test_log_probabilities_become_a_confidence(llama_cpp: LlamaCpp) -> None:
    model = generator(llama_cpp)
    prompt = Prompt(GREETING.question, confidence=True)
    plain = await model.generate(prompt)
    _, streamed = await whole(model.stream(prompt))
    await model.aclose()
    assert model.has_confidence
    assert plain.confidence is not None
    assert 0 < plain.confidence < 1
    assert streamed.confidence is not None
    assert math.isclose(plain.confidence, streamed.confidence, rel_tol=0.05)


async def test_a_schema_holds_the_reply(llama_cpp: LlamaCpp) -> None:
    model = generator(llama_cpp, tokens=48)
    free = await model.generate(Prompt("Ben orders two chairs."))
    held = await model.generate(Prompt("Ben orders two chairs.", schema=ORDER))
    await model.aclose()
    with pytest.raises(ValueError):
        json.loads(free.text)
    value = json.loads(held.text)
    assert set(value) == {"name", "item", "count"}
    assert value["item"] in ("lamp", "chair")
    assert isinstance(value["count"], int)
    assert held.warnings == ()


@pytest.mark.parametrize(("pattern", "held"), [("^[0-9]{4}$", True), (r"^\d{4}$", False), ("^(?=2)[0-9]{4}$", False)])
async def test_a_pattern_that_is_dropped_without_a_word_is_a_warning(
    llama_cpp: LlamaCpp, pattern: str, held: bool
) -> None:
    name = {"type": "string", "pattern": pattern}
    schema = {"type": "object", "properties": {"name": name}, "required": ["name"], "additionalProperties": False}
    model = generator(llama_cpp, tokens=32)
    reply = await model.generate(Prompt("The name is Ben.", schema=schema))
    await model.aclose()
    assert (re.search(pattern, json.loads(reply.text)["name"]) is not None) is held
    assert reply.warnings == (() if held else (IGNORED,))


async def test_many_at_once_get_each_their_own_answer(llama_cpp: LlamaCpp) -> None:
    model = generator(llama_cpp, tokens=12, concurrency=MANY)
    prompts = [Prompt("Which number?", schema={"const": f"number {number}"}) for number in range(MANY)]
    replies = await asyncio.gather(*(model.generate(prompt) for prompt in prompts))
    await model.aclose()
    assert [json.loads(reply.text) for reply in replies] == [f"number {number}" for number in range(MANY)]
    assert all(reply.usage.output_tokens for reply in replies)


async def test_the_model_behind_another_name_is_logged(
    llama_cpp: LlamaCpp, model_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = HostedGenerator("qwen3-4b", base_url=llama_cpp.url, max_output_tokens=2, timeout_seconds=300, retries=0)
    assert (await model.generate(GREETING)).text
    await model.aclose()
    assert f"qwen3-4b: llama.cpp answers to any name: the model behind it is {model_file}" in caplog.text


# -- errors ------------------------------------------------------------------------------------------------------------


async def test_a_prompt_beyond_the_window_is_an_error(llama_cpp: LlamaCpp) -> None:
    model = generator(llama_cpp)
    prompt = Prompt("word " * 5000)
    for attempt in (model.generate(prompt), whole(model.stream(prompt))):
        with pytest.raises(ProviderError, match="exceeds the available context size") as caught:
            await attempt
        assert caught.value.kind == "bad_request"
        assert "fewer or shorter passages" in (caught.value.hint or "")
    await model.aclose()


async def test_a_server_that_dies_is_an_error_and_works_after_its_restart(model_file: Path) -> None:
    with LlamaCpp(model_file) as server:
        model = generator(server, tokens=500)
        stream = model.stream(STORY)
        assert isinstance(await anext(stream), str)
        waiting = asyncio.create_task(model.generate(STORY))
        await asyncio.sleep(1)
        await asyncio.to_thread(server.kill)
        with pytest.raises(ProviderError, match="the stream broke") as caught:
            async for _ in stream:
                pass
        assert caught.value.kind == "bad_response"
        with pytest.raises(ProviderError, match="the connection broke"):
            await waiting
        with pytest.raises(ProviderError, match="cannot be reached") as caught:
            await model.generate(GREETING)
        assert caught.value.kind == "no_server"
        await asyncio.to_thread(server.start)
        short = generator(server, tokens=4)
        assert (await short.generate(GREETING)).text
        await short.aclose()
        await model.aclose()


# -- projects ----------------------------------------------------------------------------------------------------------


def test_ask_answers_from_the_documents(llama_cpp: LlamaCpp, make_project: MakeProject) -> None:
    folder = make_project(DOCUMENTS, toml=settings(llama_cpp, task="answer", tokens=48))
    with Project.open(folder) as project:
        project.ingest()
        question = "Within how many days can a parcel be returned?"
        answer = project.ask(question, approach="rag")
        events = list(project.stream(question, approach="rag"))
    assert answer.hits[0].passage.source == "returns.md"
    assert answer.usage.output_tokens
    done = events[-1]
    assert isinstance(done, Done)
    assert done.answer.text == answer.text
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert text == ("" if answer.status == "abstained" else answer.text)


def test_compare_counts_a_dead_server_as_errors(model_file: Path, make_project: MakeProject) -> None:
    rows = [
        {"id": f"r{n}", "input": f"Ben orders {n + 2} lamps.", "split": "test", "output": output}
        for n, output in enumerate([{"name": "Ben", "item": "lamp", "count": n + 2} for n in range(2)])
    ]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    with LlamaCpp(model_file) as server:
        toml = 'schema_file = "order.json"\n' + settings(server, task="extract", tokens=48)
        files = {"rows.jsonl": lines, "order.json": json.dumps(ORDER)}
        folder = make_project(files, toml=f'{toml}[examples]\nfiles = ["rows.jsonl"]\n')
        server.kill()
        with Project.open(folder) as project:
            dead = project.compare(approaches=["constrained"]).approaches[0]
            server.start()
            alive = project.compare(approaches=["constrained"], fresh=True).approaches[0]
    assert (dead.errors, dict(dead.failures), dead.mean) == (2, {"no_server": 2}, None)
    assert (alive.errors, alive.n) == (0, 2)
