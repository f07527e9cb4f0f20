"""The confidence of a hosted reply comes from the log-probabilities of its text, where a prompt asks for it."""

import math
from dataclasses import replace
from typing import Any

import pytest

from groundtune.errors import ProviderError
from groundtune.models.hosted_generator import HostedGenerator
from groundtune.models.token_confidence import ScoredToken, read_logprobs, text_confidence
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.types import Generation, Prompt

PLAIN = Prompt("q")
SURE = replace(PLAIN, confidence=True)


def entries(*tokens: tuple[str, float]) -> list[dict[str, Any]]:
    return [{"token": token, "logprob": math.log(p), "bytes": list(token.encode())} for token, p in tokens]


def scored(*tokens: tuple[str, float]) -> list[ScoredToken]:
    return [ScoredToken(token.encode(), math.log(p)) for token, p in tokens]


def test_the_confidence_is_the_geometric_mean_of_the_tokens() -> None:
    assert text_confidence(scored(("30", 0.5), (" days", 0.5)), "30 days") == pytest.approx(0.5)
    assert text_confidence(scored(("30", 0.25), (" days", 1.0)), "30 days") == pytest.approx(0.5)
    long = scored(*[("ab", 0.9)] * 100)
    assert text_confidence(long, "ab" * 100) == pytest.approx(0.9), "length costs nothing"


def test_only_the_tokens_of_the_text_count() -> None:
    thought = ("<think>", 0.1), ("30 days?", 0.1), ("</think>", 0.1), ("\n\n", 0.1)
    tokens = scored(*thought, ("30", 0.5), (" days", 0.5), ("<|im_end|>", 0.1))
    assert text_confidence(tokens, "30 days") == pytest.approx(0.5)


def test_characters_may_be_split_between_tokens() -> None:
    first, second = "é".encode()[:1], "é".encode()[1:]
    tokens = [ScoredToken(b"caf", math.log(0.5)), ScoredToken(first, math.log(0.5)), ScoredToken(second, math.log(0.5))]
    assert text_confidence(tokens, "café") == pytest.approx(0.5)


def test_tokens_without_the_text_say_nothing() -> None:
    assert text_confidence(scored(("other", 0.9)), "30 days") is None
    assert text_confidence([], "30 days") is None
    assert text_confidence(scored(("x", 0.9)), "") is None


def test_a_token_that_is_only_said_to_be_unlikely_counts_with_a_limit() -> None:
    confidence = text_confidence([ScoredToken(b"a", 0.0), ScoredToken(b"b", -9999.0)], "ab")
    assert confidence == pytest.approx(math.exp(-10))


@pytest.mark.parametrize(
    "choice",
    [
        None, {}, {"logprobs": None}, {"logprobs": []}, {"logprobs": {"content": None}},
        {"logprobs": {"content": [None, {"token": "a"}, {"token": 1, "logprob": 0.0}]}},
        {"logprobs": {"tokens": ["a"], "token_logprobs": [None]}},
    ],
)  # fmt: skip
def test_other_forms_say_nothing(choice: object) -> None:
    assert list(read_logprobs(choice)) == []


def test_the_older_form_is_read() -> None:
    choice = {"logprobs": {"tokens": ["30", " days"], "token_logprobs": [-0.5, -1]}}
    assert list(read_logprobs(choice)) == [ScoredToken(b"30", -0.5), ScoredToken(b" days", -1.0)]


def test_bytes_that_are_no_bytes_are_left_out() -> None:
    choice = {"logprobs": {"content": [{"token": "a", "logprob": -1, "bytes": [300]}]}}
    assert list(read_logprobs(choice)) == [ScoredToken(b"a", -1.0)]


# -- over HTTP -------------------------------------------------------------------------------------------------------


async def generated(server: ScriptedServer, prompt: Prompt, *, stream: bool = False) -> Generation:
    model = HostedGenerator("m", base_url=server.base_url, retries=0)
    try:
        if not stream:
            return await model.generate(prompt)
        (*_, last) = [piece async for piece in model.stream(prompt)]
        assert isinstance(last, Generation)
        return last
    finally:
        await model.aclose()


@pytest.mark.parametrize("stream", [False, True])
async def test_log_probabilities_are_requested_only_where_a_confidence_is_wanted(stream: bool) -> None:
    reply = Reply("<think>hm</think>30 days", logprobs=entries(("<think>hm</think>", 0.1), ("30", 0.5), (" days", 0.5)))
    with ScriptedServer(reply) as server:
        assert (await generated(server, PLAIN, stream=stream)).confidence is None
        generation = await generated(server, SURE, stream=stream)
        assert [body.get("logprobs") for body in server.posts()] == [None, True]
    assert generation.confidence == pytest.approx(0.5)
    assert (generation.text, generation.reasoning) == ("30 days", "hm")


def test_the_request_differs_only_where_a_confidence_is_wanted() -> None:
    model = HostedGenerator("m", base_url="https://llm.example.com/v1")
    plain, sure = model.request(PLAIN), model.request(SURE)
    assert {**plain, "logprobs": True} == sure
    assert "logprobs" not in plain


async def test_a_server_that_does_not_tell_them_gives_no_confidence() -> None:
    with ScriptedServer(Reply("30 days")) as server:
        assert (await generated(server, SURE)).confidence is None


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Unsupported parameter: 'logprobs' is not supported with this model."),
        (403, "You are not allowed to request logprobs from this model"),
        (422, "extra fields not permitted"),
    ],
)
async def test_a_refusal_is_learned_and_the_reply_comes_without(status: int, message: str) -> None:
    def script(body: dict[str, Any]) -> Reply:
        return Reply(message, status=status) if "logprobs" in body else Reply("30 days")

    with ScriptedServer(script) as server:
        model = HostedGenerator("m", base_url=server.base_url, retries=0, temperature=None)
        assert model.has_confidence
        first, second = await model.generate(SURE), await model.generate(SURE)
        await model.aclose()
        assert [("logprobs" in body) for body in server.posts()] == [True, False, False]
    assert (first.text, first.confidence, second.confidence, model.has_confidence) == ("30 days", None, None, False)


async def test_another_forbidden_request_is_asked_once() -> None:
    with ScriptedServer(Reply("not for you", status=403)) as server:
        with pytest.raises(ProviderError):
            await generated(server, SURE)
        assert len(server.posts()) == 1
