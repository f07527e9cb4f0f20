"""Test the test double itself: the plain openai SDK understands its replies."""

import base64
import json
from http.client import HTTPConnection
from typing import Any

import numpy as np
import openai
import pytest

from groundtune.testing.scripted_server import Reply, ScriptedServer, bag_of_words

ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "one two three"}]}


def client(server: ScriptedServer, key: str = "k") -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0, timeout=5)


def test_the_sdk_reads_a_completion() -> None:
    with ScriptedServer(Reply("forty two")) as server, client(server) as sdk:
        completion = sdk.chat.completions.create(**ASK)
        assert completion.choices[0].message.content == "forty two"
        assert completion.usage is not None
        assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (3, 2)
        assert server.posts()[0]["messages"] == ASK["messages"]
        assert server.requests[0].headers["authorization"] == "Bearer k"


def test_a_stream_ends_with_the_usage_when_asked() -> None:
    reply = Reply("a b  c", usage={"prompt_tokens": 7, "completion_tokens": 3})
    with ScriptedServer(reply) as server, client(server) as sdk:
        chunks = list(sdk.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True}))
        plain = list(sdk.chat.completions.create(**ASK, stream=True))
    assert [chunk.choices[0].delta.content for chunk in chunks[:3]] == ["a ", "b  ", "c"]
    assert chunks[3].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == 7
    assert not any(chunk.usage for chunk in plain)


@pytest.mark.parametrize("write_bytes", [None, 1, 5])
def test_a_stream_comes_in_the_pieces_it_is_given(write_bytes: int | None) -> None:
    pieces = ["30 Ta", "ge [", "1", "]. „😀", "“"]
    reply = Reply("".join(pieces), pieces=pieces, write_bytes=write_bytes)
    with ScriptedServer(reply) as server, client(server) as sdk:
        chunks = list(sdk.chat.completions.create(**ASK, stream=True))
        assert sdk.chat.completions.create(**ASK).choices[0].message.content == "".join(pieces)
    assert [chunk.choices[0].delta.content for chunk in chunks[:-1]] == pieces


def test_replies_come_in_order_and_the_last_repeats() -> None:
    with ScriptedServer([Reply("first"), Reply("second")]) as server, client(server) as sdk:
        texts = [sdk.chat.completions.create(**ASK).choices[0].message.content for _ in range(3)]
    assert texts == ["first", "second", "second"]


def test_a_function_sees_the_request() -> None:
    with ScriptedServer(lambda body: Reply(body["messages"][-1]["content"].upper())) as server, client(server) as sdk:
        assert sdk.chat.completions.create(**ASK).choices[0].message.content == "ONE TWO THREE"


def test_keys_and_models_are_checked() -> None:
    with ScriptedServer(api_key="secret", models=["small"]) as server:
        with client(server, "wrong") as sdk, pytest.raises(openai.AuthenticationError):
            sdk.models.list()
        with client(server, "secret") as sdk:
            assert [model.id for model in sdk.models.list()] == ["small"]
            with pytest.raises(openai.NotFoundError, match="`m` does not exist") as caught:
                sdk.chat.completions.create(**ASK)
            assert caught.value.code == "model_not_found"


def test_errors_carry_status_headers_and_message() -> None:
    reply = Reply("slow down", status=429, headers={"Retry-After": "7"})
    raises = pytest.raises(openai.RateLimitError, match="slow down")
    with ScriptedServer(reply) as server, client(server) as sdk, raises as caught:
        sdk.chat.completions.create(**ASK)
    assert caught.value.response.headers["retry-after"] == "7"


def test_embeddings_are_the_same_in_both_encodings() -> None:
    with ScriptedServer(dimension=16) as server, client(server) as sdk:
        packed = sdk.embeddings.create(model="e", input=["red fox", "red dog"])
        plain = sdk.embeddings.create(model="e", input=["red fox", "red dog"], encoding_format="float")
    assert [row.embedding for row in packed.data] == [row.embedding for row in plain.data]
    assert np.array_equal(packed.data[0].embedding, bag_of_words("Red, fox!", 16))
    assert server.posts()[0]["encoding_format"] == "base64"


def test_no_text_gives_a_zero_vector() -> None:
    texts = ["", "a", "b c d e f g", "?!", *(f"w{n} v{n}" for n in range(500))]
    assert all(bag_of_words(text, 4).any() for text in texts)


def test_a_raw_body_and_an_unknown_path_over_plain_http() -> None:
    with ScriptedServer(Reply(raw_body="<html>")) as server:
        connection = HTTPConnection(server.base_url.split("/")[2], timeout=5)
        connection.request("POST", "/v1/chat/completions", json.dumps(ASK))
        assert connection.getresponse().read() == b"<html>"
        connection.request("POST", "/v1/nothing", "{}")
        response = connection.getresponse()
        assert response.status == 404
        assert "no such path" in json.loads(response.read())["error"]["message"]
        connection.close()


def test_base64_is_little_endian_float32() -> None:
    with ScriptedServer(dimension=8) as server:
        connection = HTTPConnection(server.base_url.split("/")[2], timeout=5)
        connection.request("POST", "/v1/embeddings", json.dumps({"input": "x", "encoding_format": "base64"}))
        row = json.loads(connection.getresponse().read())["data"][0]
        connection.close()
    assert np.array_equal(np.frombuffer(base64.b64decode(row["embedding"]), "<f4"), bag_of_words("x", 8))
