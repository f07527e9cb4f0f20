"""Test what a hosted generator knows about a request in advance: its content, maximum cost and schema."""

import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from groundtune.models.hosted_generator import IGNORED, HostedGenerator
from groundtune.models.prices import TokenPrices
from groundtune.protocols import RepeatableGenerator
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.types import Generation, Message, Prompt, Sampling

OPENAI = "https://api.openai.com/v1"
PROMPT = Prompt("q", messages=(Message("system", "be brief"), Message("user", "two words")))
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def hosted(base_url: str = OPENAI, *, model: str = "gpt-4o-mini", **options: Any) -> HostedGenerator:
    options = {"prices": TokenPrices(base_url=base_url), "max_output_tokens": 100, "retries": 0, **options}
    return HostedGenerator(model, base_url=base_url, **{"backoff_seconds": 0.001, **options})


async def test_the_request_is_the_body_sent_and_its_address() -> None:
    with ScriptedServer(Reply("{}")) as server:
        model = hosted(server.base_url, api_key="sk-secret", temperature=0.5)
        assert isinstance(model, RepeatableGenerator)
        prompt = Prompt("q", schema=SCHEMA)
        request = dict(model.request(prompt))
        await model.generate(prompt)
        await model.aclose()
        assert request.pop("base_url") == server.base_url
        assert request == server.posts()[0]
    assert "sk-secret" not in json.dumps(request)
    assert request["messages"] == [{"role": "user", "content": "q"}]


def test_user_and_password_are_not_in_the_request() -> None:
    assert hosted("https://me:hidden@llm.example.com/v1").request(PROMPT)["base_url"] == "https://llm.example.com/v1"


async def test_the_request_stays_the_same_after_a_refused_parameter() -> None:
    def reply(body: dict[str, Any]) -> Reply:
        return Reply("Unsupported value: 'temperature'", status=400) if "temperature" in body else Reply("x")

    with ScriptedServer(reply) as server:
        model = hosted(server.base_url)
        before = model.request(PROMPT)
        await model.generate(PROMPT)
        await model.aclose()
    assert model.request(PROMPT) == before


def test_the_ceiling_is_one_token_per_byte_and_all_output() -> None:
    once = hosted().ceiling_usd(PROMPT)
    input_tokens = len(b"be brief") + len(b"two words") + 2 * 16 + 128
    assert once == pytest.approx((input_tokens * 0.15 + 100 * 0.6) / 1e6)
    assert hosted().ceiling_usd(Prompt("ä" * 1000)) == pytest.approx(((2000 + 16 + 128) * 0.15 + 100 * 0.6) / 1e6)
    assert hosted(retries=3).ceiling_usd(PROMPT) == once, "covers one attempt"
    with_schema = hosted().ceiling_usd(Prompt(PROMPT.question, messages=PROMPT.messages, schema=SCHEMA))
    assert with_schema is not None
    assert with_schema - once >= len(json.dumps(SCHEMA)) * 0.15 / 1e6


async def test_no_answer_costs_more_than_its_ceiling() -> None:
    text = "日本語 emoji 🎉 and words " * 50
    usage = {"prompt_tokens": len(text.encode()) + 100, "completion_tokens": 100}  # one token per byte, plus a template
    with ScriptedServer(Reply("x", usage=usage)) as server:
        prices = TokenPrices(
            base_url=server.base_url, overrides={"m": {"input_per_million": 3, "output_per_million": 9}}
        )
        model = hosted(server.base_url, model="m", prices=prices)
        generation = await model.generate(Prompt(text))
        ceiling = model.ceiling_usd(Prompt(text))
        await model.aclose()
    assert generation.usage.usd is not None
    assert ceiling is not None
    assert 0 < generation.usage.usd <= ceiling


@pytest.mark.parametrize(
    "model",
    [
        hosted(model="no-such-model"),
        hosted(prices=None),
        hosted(max_output_tokens=None),
        hosted("http://localhost:11434/v1"),
    ],
    ids=["unknown model", "no prices", "no bound", "local"],
)
def test_an_unknown_ceiling_is_none(model: HostedGenerator) -> None:
    assert model.ceiling_usd(PROMPT) is None


def test_a_local_server_is_free_if_configured_so() -> None:
    local = "http://localhost:11434/v1"
    free = {"m": {"input_per_million": 0.0, "output_per_million": 0.0}}
    assert hosted(local, model="m", prices=TokenPrices(base_url=local, overrides=free)).ceiling_usd(PROMPT) == 0.0


def test_the_window_is_the_configured_one() -> None:
    assert hosted().window is None
    assert hosted(window=8192).window == 8192


async def test_a_schema_is_sent_strictly() -> None:
    with ScriptedServer(Reply('{"a": "b"}')) as server:
        model = hosted(server.base_url)
        await model.generate(Prompt("q", schema=SCHEMA))
        assert [piece async for piece in model.stream(Prompt("q", schema=SCHEMA))]
        await model.generate(Prompt("q"))
        await model.aclose()
        sent = server.posts()
    response_format = {"type": "json_schema", "json_schema": {"name": "output", "schema": SCHEMA, "strict": True}}
    assert [body.get("response_format") for body in sent] == [response_format, response_format, None]


@pytest.mark.parametrize(
    ("reply", "warnings"),
    [
        ('{"code": "AB-1"}', ()),
        ('{"code": "AB-x"}', (IGNORED,)),
        ('```json\n{"code": "AB-1"}\n```', (IGNORED,)),
        ('{"code": null}', ()),
        ("{}", (IGNORED,)),
    ],
    ids=["held", "another pattern", "fenced", "null for absent", "not strict"],
)
async def test_a_reply_beyond_the_schema_has_a_warning(reply: str, warnings: tuple[str, ...]) -> None:
    code = {"type": ["string", "null"], "pattern": r"^AB-\d$"}
    schema = {"type": "object", "properties": {"code": code}, "additionalProperties": False}
    with ScriptedServer(Reply(reply)) as server:
        model = hosted(server.base_url)
        plain = await model.generate(Prompt("q", schema=schema))
        *_, streamed = [part async for part in model.stream(Prompt("q", schema=schema))]
        await model.aclose()
    assert isinstance(streamed, Generation)
    assert plain.warnings == streamed.warnings == warnings


async def test_a_cut_reply_does_not_show_whether_it_was_held() -> None:
    with ScriptedServer(Reply('{"a": "b', finish_reason="length")) as server:
        model = hosted(server.base_url)
        assert (await model.generate(Prompt("q", schema=SCHEMA))).warnings == ()
        await model.aclose()


@pytest.mark.parametrize(
    "message",
    [
        "'response_format' of type json_schema is not supported",
        "This model does not support response format `json_schema`",
    ],
)
async def test_a_server_that_refuses_schemas_is_called_without_and_warned_about_once(
    message: str, caplog: pytest.LogCaptureFixture
) -> None:
    def reply(body: dict[str, Any]) -> Reply:
        return Reply(message, status=400) if "response_format" in body else Reply("free text")

    with ScriptedServer(reply) as server, caplog.at_level(logging.WARNING):
        model = hosted(server.base_url)
        for _ in range(3):
            assert (await model.generate(Prompt("q", schema=SCHEMA))).text == "free text"
        await model.aclose()
        assert ["response_format" in body for body in server.posts()] == [True, False, False, False]
    assert caplog.text.count("does not support response_format") == 1


async def test_the_sampling_of_a_prompt_goes_before_that_of_the_model() -> None:
    asked = replace(PROMPT, sampling=Sampling(temperature=0.7, max_output_tokens=20, stop=("END",)))
    with ScriptedServer(Reply("done")) as server:
        model = hosted(server.base_url, temperature=0.0, max_output_tokens=9)
        await model.generate(asked)
        await model.generate(PROMPT)
        await model.aclose()
        unlimited = hosted(server.base_url, max_output_tokens=None)
        await unlimited.generate(asked)
        await unlimited.aclose()
        first, second, third = server.posts()
    assert (first["temperature"], first["max_tokens"], first["stop"]) == (0.7, 9, ["END"])
    assert (second["temperature"], second["max_tokens"], "stop" in second) == (0.0, 9, False)
    assert third["max_tokens"] == 20


async def test_sampling_that_the_server_refuses_is_told() -> None:
    def reply(body: dict[str, Any]) -> Reply:
        refused = "temperature" in body
        return Reply("Unsupported parameter: 'temperature'", status=400) if refused else Reply("done")

    with ScriptedServer(reply) as server:
        model = hosted(server.base_url)
        generation = await model.generate(replace(PROMPT, sampling=Sampling(temperature=0.7)))
        plain = await model.generate(PROMPT)
        await model.aclose()
    assert generation.warnings == ("the server did not take this temperature",)
    assert plain.warnings == ()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_value_that_the_server_refuses_is_omitted_for_that_request_alone(stream: bool) -> None:
    def reply(body: dict[str, Any]) -> Reply:
        refused = body.get("temperature", 0) > 1
        return Reply("temperature must be at most 1", status=400) if refused else Reply("done")

    async def ask(model: HostedGenerator, prompt: Prompt) -> Generation:
        if not stream:
            return await model.generate(prompt)
        last = [event async for event in model.stream(prompt)][-1]
        assert isinstance(last, Generation)
        return last

    with ScriptedServer(reply) as server:
        model = hosted(server.base_url, temperature=0.0)
        hot = replace(PROMPT, sampling=Sampling(temperature=1.5))
        asked = [await ask(model, prompt) for prompt in (PROMPT, hot, PROMPT)]
        await model.aclose()
        assert [post.get("temperature") for post in server.posts()] == [0.0, 1.5, None, 0.0]
    assert [generation.warnings for generation in asked] == [(), ("the server did not take this temperature",), ()]
