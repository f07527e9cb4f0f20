"""Test the hosted embedder over real HTTP: batches, order, unit length, and clear errors."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from groundtune.errors import ProviderError, UsageError
from groundtune.models.hosted_embedder import HostedEmbedder
from groundtune.protocols import Embedder, TolerantEmbedder
from groundtune.testing.scripted_server import Reply, Script, ScriptedServer, bag_of_words

TEXTS = [f"passage number {n} about topic {n % 7}" for n in range(25)]


@asynccontextmanager
async def embedder(base_url: str, **options: Any) -> AsyncIterator[HostedEmbedder]:
    model = HostedEmbedder(
        "e", base_url=base_url, **{"dimension": 32, "backoff_seconds": 0.001, "patience_seconds": 0.0, **options}
    )
    try:
        yield model
    finally:
        await model.aclose()


async def failure(script: Script, **options: Any) -> tuple[ProviderError, int]:
    with ScriptedServer(script, dimension=32) as server:
        async with embedder(server.base_url, **options) as model:
            with pytest.raises(ProviderError) as caught:
                await model.embed(["a", "b"])
        return caught.value, len(server.posts())


async def test_vectors_are_of_unit_length_and_in_order() -> None:
    with ScriptedServer(dimension=32) as server:
        async with embedder(server.base_url, batch_size=4) as model:
            assert isinstance(model, Embedder)
            vectors = await model.embed(TEXTS)
            assert np.array_equal(vectors, await model.embed_queries(TEXTS))
            assert (await model.embed([])).shape == (0, 32)
        assert sorted(len(body["input"]) for body in server.posts()[:7]) == [1, 4, 4, 4, 4, 4, 4]
    assert vectors.dtype == np.float32
    expected = np.stack([bag_of_words(text, 32) for text in TEXTS])
    assert np.allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)


async def test_batches_are_bounded_by_bytes_too() -> None:
    with ScriptedServer(dimension=32) as server:
        async with embedder(server.base_url, batch_bytes=100, concurrency=1) as model:
            await model.embed(["a" * 40, "b" * 40, "\u00e4" * 40, "d" * 500, "e", ""])
        assert [[text[:1] for text in body["input"]] for body in server.posts()] == [
            ["a", "b"],
            ["\u00e4"],
            ["d"],
            ["e", " "],
        ]


async def test_prefixes_are_sent() -> None:
    with ScriptedServer(dimension=32) as server:
        async with embedder(server.base_url, passage_prefix="doc: ", query_prefix="query: ") as model:
            await model.embed(["x"])
            await model.embed_queries(["x"])
        assert [body["input"] for body in server.posts()] == [["doc: x"], ["query: x"]]


async def test_a_server_without_base64_and_out_of_order_is_read() -> None:
    def reply(body: dict[str, Any]) -> Reply:
        if "encoding_format" in body:
            return Reply("unknown field encoding_format", status=400)
        rows = [{"index": n, "embedding": bag_of_words(text, 32).tolist()} for n, text in enumerate(body["input"])]
        return Reply(raw_body=json.dumps({"data": rows[::-1]}))

    with ScriptedServer(dimension=32) as plain, ScriptedServer(reply) as server:
        async with embedder(plain.base_url) as model:
            expected = await model.embed(TEXTS)
        async with embedder(server.base_url) as model:
            assert np.array_equal(await model.embed(TEXTS), expected)


async def test_retries_are_shared_with_the_generator() -> None:
    with ScriptedServer([Reply(status=503), Reply()], dimension=32) as server:
        async with embedder(server.base_url) as model:
            assert (await model.embed(["a"])).shape == (1, 32)
        assert len(server.posts()) == 2
    error, sent = await failure(Reply("too long", status=400))
    assert (error.kind, sent) == ("bad_request", 1)
    error, sent = await failure(Reply(status=429), retries=2, batch_size=9)
    assert (error.kind, sent) == ("rate_limit", 3)


async def test_a_refused_encoding_format_is_left_out_from_then_on() -> None:
    def reply(body: dict[str, Any]) -> Reply:
        return Reply("nobody understands this", status=422) if "encoding_format" in body else Reply()

    with ScriptedServer(reply, dimension=32) as server:
        async with embedder(server.base_url, batch_size=100) as model:
            for _ in range(3):
                await model.embed(TEXTS)
        assert ["encoding_format" in body for body in server.posts()] == [True, False, False, False]


@pytest.mark.parametrize(
    ("body", "kind", "sent"),
    [
        ('{"error": {"message": "told in a 200", "code": 503}}', "server", 3),
        ('{"error": "told in a 200", "code": 400}', "bad_request", 2),
        ('[{"error": {"code": 429, "message": "told in a 200", "status": "RESOURCE_EXHAUSTED"}}]', "rate_limit", 3),
        ('{"object": "error", "message": "told in a 200", "code": 401}', "bad_key", 1),
        ('{"error": {"message": "told in a 200", "code": 429}, "data": []}', "rate_limit", 3),
    ],
)
async def test_an_error_inside_a_200_is_the_error_that_it_is(body: str, kind: str, sent: int) -> None:
    error, requests = await failure(Reply(raw_body=body), retries=2)
    assert (error.kind, requests) == (kind, sent)
    assert "told in a 200" in error.message


@pytest.mark.parametrize(
    ("limited", "waits"),
    [
        (Reply("slow down", status=429, headers={"Retry-After": "0.2"}), 0.2),
        (Reply("slow down", status=429, headers={"retry-after-ms": "200"}), 0.2),
        (Reply("Please try again in 200ms.", status=429), 0.2),
        (Reply("slow down", status=429), 0.0),
    ],
)
async def test_a_rate_limit_waits_as_long_as_the_server_asks(limited: Reply, waits: float) -> None:
    with ScriptedServer([limited, Reply()], dimension=32) as server:
        async with embedder(server.base_url) as model:
            start = time.perf_counter()
            assert (await model.embed_queries(["a"])).shape == (1, 32)
            assert waits <= time.perf_counter() - start < waits + 5
        assert len(server.posts()) == 2


async def test_another_dimension_is_a_clear_error() -> None:
    with ScriptedServer(dimension=16) as server:
        async with embedder(server.base_url) as model:
            with pytest.raises(ProviderError, match="16 dimensions; 32 are configured") as caught:
                await model.embed(["a"])
    assert caught.value.hint is not None
    assert "dimension = 16" in caught.value.hint


@pytest.mark.parametrize(
    "rows",
    [
        "[]",
        '[{"index": 0, "embedding": [1, 2]}]',
        '[{"index": 0, "embedding": [1, 2]}, {"index": 0, "embedding": [1, 2]}]',
        '[{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [1]}]',
        '[{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": ["x", 1]}]',
        '[{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [[1], [2]]}]',
        '[{"index": 0, "embedding": "AAA"}, {"index": 1, "embedding": "????"}]',
        '[{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [0, 0]}]',
        '[{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [NaN, 0]}]',
        '[{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": []}]',
        '[{"index": [0], "embedding": [1, 2]}, {"index": {}, "embedding": [1, 2]}]',
        "[3, 4]",
        '"rows"',
    ],
)
async def test_responses_without_valid_vectors_are_bad_responses(rows: str) -> None:
    error, sent = await failure(Reply(raw_body=f'{{"data": {rows}}}'), dimension=2)
    assert (error.kind, sent) == ("bad_response", 1)
    assert "e at http://127.0.0.1:" in error.message


async def test_one_failed_batch_fails_the_call_with_its_own_error() -> None:
    def reply(body: dict[str, Any]) -> Reply:
        return Reply("no such word", status=400) if "bad" in body["input"] else Reply()

    with ScriptedServer(reply, dimension=32) as server:
        async with embedder(server.base_url, batch_size=1) as model:
            with pytest.raises(ProviderError, match="no such word") as caught:
                await model.embed(["a", "bad", "c", "bad"])
    assert caught.value.kind == "bad_request"


def test_the_digest_changes_with_what_changes_the_vectors() -> None:
    base: dict[str, Any] = {"base_url": "http://h:1/v1", "dimension": 8}
    same = HostedEmbedder(
        "e", **{**base, "base_url": "http://user:key@H:1/v1/", "timeout_seconds": 1.0, "api_key": "k"}
    )
    assert HostedEmbedder("e", **base).digest == same.digest
    others = [
        HostedEmbedder("f", **base),
        HostedEmbedder("e", **{**base, "dimension": 9}),
        HostedEmbedder("e", **{**base, "base_url": "http://g:1/v1"}),
        HostedEmbedder("e", **base, query_prefix="q: "),
        HostedEmbedder("e", **base, passage_prefix="q: "),
    ]
    assert len({same.digest, *(other.digest for other in others)}) == 6


def test_an_unknown_dimension_is_an_error() -> None:
    with pytest.raises(UsageError, match="dimension 0 of e"):
        HostedEmbedder("e", base_url="http://h/v1", dimension=0)


def test_tokens_are_estimated_from_bytes() -> None:
    model = HostedEmbedder("e", base_url="http://h/v1", dimension=8)
    assert model.count_tokens(["", "a", "abcd", "\u4e2d\u6587"]) == [2, 3, 4, 4]


def refusing(marked: str, reply: Reply, *, at_most: int = 1000) -> Script:
    """Refuse requests with a text that holds `marked`, or with more than `at_most` texts."""

    def answer(body: dict[str, Any]) -> Reply:
        return reply if any(marked in text for text in body["input"]) or len(body["input"]) > at_most else Reply()

    return answer


@pytest.mark.parametrize(
    "reply",
    [
        Reply("failed to encode response: json: unsupported value: NaN", status=500),
        Reply("the input length exceeds the context length", status=400),
        Reply("input too large", status=413),
        Reply(raw_body='{"data": [{"index": 0, "embedding": [null]}]}'),
    ],
)
async def test_one_refused_text_does_not_lose_the_others(reply: Reply) -> None:
    texts = [*TEXTS[:5], "XQZ", *TEXTS[5:]]
    with ScriptedServer(refusing("XQZ", reply), dimension=32) as server:
        async with embedder(server.base_url, batch_size=8, retries=0) as model:
            assert isinstance(model, TolerantEmbedder)
            results = await model.embed_each(texts)
            expected = await model.embed(TEXTS)
    refused = results.pop(5)
    assert isinstance(refused, ProviderError)
    assert refused.kind == "refused_text"
    assert reply.text in refused.message or reply.raw_body
    vectors = [result for result in results if not isinstance(result, ProviderError)]
    assert np.array_equal(np.stack(vectors), expected)


async def test_a_limit_on_the_number_of_texts_is_learned() -> None:
    with ScriptedServer(refusing("XQZ", Reply("batch size > 10", status=400), at_most=10), dimension=32) as server:
        async with embedder(server.base_url, batch_size=16, concurrency=1) as model:
            assert not any(isinstance(result, ProviderError) for result in await model.embed_each(TEXTS))
            before = len(server.posts())
            await model.embed_each(TEXTS)
            sizes = [len(body["input"]) for body in server.posts()[before:]]
    assert sizes == [8, 8, 8, 1]


async def test_a_server_that_embeds_nothing_is_no_fault_of_the_texts() -> None:
    with ScriptedServer(Reply("out of memory", status=500), dimension=32) as server:
        async with embedder(server.base_url, batch_size=8, retries=0, concurrency=1) as model:
            results = await model.embed_each(TEXTS)
        asked = len(server.posts())
    assert {result.kind for result in results if isinstance(result, ProviderError)} == {"server"}
    assert len(results) == len(TEXTS)
    assert asked <= 8  # each of the four batches, and one short text for each


async def test_passages_wait_for_rate_limits_and_questions_do_not() -> None:
    refusals = [Reply("slow down", status=429)] * 8
    for patience, expected in ((None, 1), (0.0, 0)):
        with ScriptedServer([*refusals, Reply()], dimension=32) as server:
            options = {} if patience is None else {"patience_seconds": patience}
            model = HostedEmbedder(
                "e", base_url=server.base_url, dimension=32, backoff_seconds=0.001, retries=2, **options
            )
            results = await model.embed_each(["a"])
            await model.aclose()
        assert sum(not isinstance(result, ProviderError) for result in results) == expected
    with ScriptedServer([*refusals, Reply()], dimension=32) as server:
        model = HostedEmbedder("e", base_url=server.base_url, dimension=32, backoff_seconds=0.001, retries=2)
        with pytest.raises(ProviderError, match="slow down"):
            await model.embed_queries(["a"])
        await model.aclose()
