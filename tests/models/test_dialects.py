"""Play every dialect over HTTP against answers, streams, judges and embeddings; hold the documentation to the table."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from groundtune.errors import ProviderError
from groundtune.measure.judges import Judge
from groundtune.models.dialects import dialect_table, dialects
from groundtune.models.hosted_embedder import HostedEmbedder
from groundtune.models.hosted_generator import HostedGenerator
from groundtune.testing.scripted_dialects import DIALECTS, Answer, Dialect, Fault
from groundtune.testing.scripted_server import Reply, Script, ScriptedServer
from groundtune.types import Answer as GivenAnswer
from groundtune.types import Example, Generation, Message, Prompt

PROMPT = Prompt("q", messages=(Message("system", "be brief"), Message("user", "How long?")), schema={"type": "object"})
TEXT, THOUGHT = '{"days": 14, "from": "[1]"}', "Passage [1] says 14 days, so 30 cannot be right."

ANSWERS = [
    pytest.param(dialect, answer, id=f"{name}: {place}")
    for name, dialect in DIALECTS.items()
    for place, answer in dialect.answers.items()
]
FAULTS = [
    pytest.param(dialect, fault, id=f"{name}: {fault.name}")
    for name, dialect in DIALECTS.items()
    for fault in dialect.faults
]
REFUSALS = [
    pytest.param(dialect, parameter, id=f"{name}: {parameter}")
    for name, dialect in DIALECTS.items()
    for parameter in dialect.refusals
]


@asynccontextmanager
async def generator(script: Script, dialect: Dialect, **options: Any) -> AsyncIterator[tuple[HostedGenerator, Any]]:
    with ScriptedServer(script) as server:
        model = HostedGenerator(
            dialect.model, base_url=server.base_url, backoff_seconds=0.001, max_output_tokens=100, **options
        )
        try:
            yield model, server
        finally:
            await model.aclose()


async def streamed(model: HostedGenerator) -> tuple[str, Generation]:
    """Return the pieces of a stream, joined, and its generation."""
    pieces: list[str] = []
    async for piece in model.stream(PROMPT):
        if isinstance(piece, Generation):
            return "".join(pieces), piece
        pieces.append(piece)
    raise AssertionError("the stream has no generation")


def test_every_server_of_the_table_is_played() -> None:
    assert set(DIALECTS) == {server.name for server in dialects().servers}


@pytest.mark.parametrize(("dialect", "answer"), ANSWERS)
async def test_an_answer_is_read_whole_and_as_a_stream(dialect: Dialect, answer: Answer) -> None:
    async with generator(answer(TEXT, THOUGHT), dialect) as (model, _):
        whole = await model.generate(PROMPT)
        pieces, last = await streamed(model)
    thought = THOUGHT if answer not in [dialect.answers.get("hidden")] else ""
    for generation in (whole, last):
        usage = generation.usage
        assert generation.text == TEXT
        assert generation.reasoning == thought
        assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == dialect.counts
        assert (generation.cut, generation.warnings) == (None, ())
    assert pieces == TEXT, "no thought is released as text"


@pytest.mark.parametrize(("dialect", "answer"), ANSWERS)
@pytest.mark.parametrize("size", [1, 5])
async def test_a_stream_may_split_its_marks(dialect: Dialect, answer: Answer, size: int) -> None:
    def split(body: dict[str, Any]) -> Reply:
        reply = answer(TEXT, THOUGHT)
        pieces = [reply.text[start : start + size] for start in range(0, len(reply.text), size)]
        return Reply(
            reply.text, message=reply.message, usage=reply.usage, body=reply.body, pieces=pieces, write_bytes=700
        )

    async with generator(split, dialect) as (model, _):
        pieces, last = await streamed(model)
    assert (pieces, last.text) == (TEXT, TEXT)


@pytest.mark.parametrize(("dialect", "answer"), ANSWERS)
async def test_a_judge_reads_the_verdict_and_not_the_thought(dialect: Dialect, answer: Answer) -> None:
    reply = answer('{"reason": "the same", "right": true}', 'Could be {"reason": "no", "right": false}.')
    async with generator(reply, dialect) as (model, server):
        judge = Judge(model, metrics=["judge"])
        judgement = await judge.judge("How long?", GivenAnswer("14 days", "answered"), Example("q", "How long?", "14"))
        assert len(server.posts()) == 1
    assert judgement.scores == {"judge": 1.0}


@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize(("dialect", "fault"), FAULTS)
async def test_a_fault_is_an_error_with_the_words_of_the_server(dialect: Dialect, fault: Fault, way: str) -> None:
    async with generator([fault.reply, Reply("there")], dialect) as (model, server):
        if fault.is_retried and not (way == "stream" and fault.reply.finish_reason != "stop"):
            text = (await model.generate(PROMPT)).text if way == "whole" else (await streamed(model))[0]
            assert (text, len(server.posts())) == ("there", 2)
    async with generator(fault.reply, dialect, retries=1) as (model, _):
        with pytest.raises(ProviderError) as caught:
            await (model.generate(PROMPT) if way == "whole" else streamed(model))
    assert caught.value.kind == fault.kind
    assert fault.words in caught.value.message
    assert caught.value.retryable is fault.is_retried


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, id=f"{name}: {fault.name}")
        for name, dialect in DIALECTS.items()
        for fault in dialect.faults
        if "choices" not in (fault.reply.raw_body or "choices")
    ],
)
async def test_the_same_errors_of_embeddings(fault: Fault) -> None:
    with ScriptedServer([fault.reply, Reply()], dimension=8) as server:
        model = HostedEmbedder(
            "e", base_url=server.base_url, dimension=8, backoff_seconds=0.001, patience_seconds=0.0, retries=2
        )
        if fault.is_retried:
            assert (await model.embed_queries(["How long?"])).shape == (1, 8)
        else:
            with pytest.raises(ProviderError) as caught:
                await model.embed_queries(["How long?"])
            assert caught.value.kind == fault.kind
            assert fault.words in caught.value.message
        await model.aclose()


@pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.broken])
async def test_an_error_after_half_a_stream_is_no_answer(name: str) -> None:
    dialect = DIALECTS[name]
    assert dialect.broken is not None
    pieces: list[str | Generation] = []
    async with generator(dialect.broken, dialect) as (model, server):
        model._may_be_unmarked = False
        with pytest.raises(ProviderError) as caught:
            pieces.extend([piece async for piece in model.stream(PROMPT)])
        assert len(server.posts()) == 1
    told = str(dialect.broken.events)
    assert caught.value.message.rpartition(": ")[2] in told
    assert caught.value.kind in ("server", "rate_limit", "bad_request")


@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize(("dialect", "parameter"), REFUSALS)
async def test_a_refused_parameter_is_found_out(dialect: Dialect, parameter: str, way: str) -> None:
    def reply(body: dict[str, Any]) -> Reply:
        return dialect.refusals[parameter] if parameter in body else Reply("there")

    async with generator(reply, dialect, retries=0) as (model, server):
        if parameter == "stream_options" and way == "whole":
            assert (await model.generate(PROMPT)).text == "there"
            return
        for _ in range(2):
            text = (await model.generate(PROMPT)).text if way == "whole" else (await streamed(model))[0]
            assert text == "there"
        last, before = server.posts()[-1], server.posts()[-2]
    optional = {"temperature", "response_format", "max_tokens", "max_completion_tokens", "stream_options", "stream"}
    sent = optional & last.keys()
    assert parameter not in sent
    assert last.keys() == before.keys(), "it is remembered"
    expected = {"temperature", "response_format", "max_tokens"} | (
        {"stream_options", "stream"} if way == "stream" else set()
    )
    renamed = {"max_completion_tokens"} if parameter == "max_tokens" else set()
    assert sent == expected - {parameter} | renamed, "nothing else is given up"


@pytest.mark.parametrize("words", ["Nein.", "", "wrong request 4711", "参数不支持"])
@pytest.mark.parametrize("parameter", ["response_format", "temperature", "max_tokens", "stream_options", "stream"])
async def test_a_refusal_needs_no_words(parameter: str, words: str) -> None:
    def reply(body: dict[str, Any]) -> Reply:
        return Reply(words, status=400) if parameter in body else Reply("there")

    async with generator(reply, DIALECTS["OpenAI"]) as (model, server):
        assert (await streamed(model))[0] == "there"
        assert len(server.posts()) <= 7
        model._connection.refused = {}
        server.requests.clear()
        assert (await model.generate(PROMPT)).text == "there"


async def test_two_parameters_may_be_refused_one_after_the_other() -> None:
    def reply(body: dict[str, Any]) -> Reply:
        refused = [name for name in ("temperature", "response_format") if name in body]
        return Reply(f"cannot take {len(refused)} of these: {refused}", status=422) if refused else Reply("there")

    async with generator(reply, DIALECTS["OpenAI"]) as (model, _):
        assert (await model.generate(PROMPT)).text == "there"
    assert model._connection.refused == {"temperature": None, "response_format": None}


async def test_what_is_no_parameter_is_asked_about_once() -> None:
    async with generator(Reply("message 17 is empty", status=400), DIALECTS["OpenAI"]) as (model, server):
        for requests in (1 + 4, 1 + 4 + 1):  # without each of the three parameters; the limit has two names
            with pytest.raises(ProviderError, match="is empty"):
                await model.generate(PROMPT)
            assert len(server.posts()) == requests
    assert model._connection.refused == {}


def test_the_documentation_lists_the_servers_as_the_table_does() -> None:
    page = (Path(__file__).parents[2] / "docs" / "endpoints.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    listed = {re.sub(r"\W*\[(.+?)\]\(.+", r"\1", row[0]): row[1:] for row in rows}
    for server in dialect_table()["servers"]:
        expected = [
            server["thinking"],
            server["usage"],
            ", ".join(f"`{name}`" for name in server["refuses"]) or "none known",
            server["errors"],
            server["overflow"],
            server["limits"],
            server["tuning"],
            server["state"],
        ]
        assert listed[server["name"]] == expected
    for marks in dialect_table()["thinking"]:
        assert f"`{marks['open']}`" in page
