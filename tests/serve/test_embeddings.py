"""Vectors of texts for OpenAI's client."""

from typing import Any

import numpy as np
import pytest
from openai import BadRequestError, NotFoundError
from openai.types import CreateEmbeddingResponse

from groundtune import QuestionError
from tests.serve.conftest import HTTP, Running

TEXTS = ["A refund is paid within 30 days.", "Bikes are repaired on Mondays."]


def test_the_vectors_are_those_of_the_project(quotes: Running) -> None:
    vectors, tokens = quotes.project.embed(TEXTS)
    reply = quotes.client().embeddings.create(model="acme", input=TEXTS)  # asks for base64
    CreateEmbeddingResponse.model_validate(reply.to_dict())
    assert np.allclose([each.embedding for each in reply.data], vectors, atol=1e-6)
    assert [each.index for each in reply.data] == [0, 1]
    assert reply.usage.prompt_tokens == reply.usage.total_tokens == sum(tokens)
    one = quotes.client().embeddings.create(model="bundled", input=TEXTS[0], encoding_format="float")
    assert np.allclose(one.data[0].embedding, vectors[0], atol=1e-6)
    assert len(one.data) == 1


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"input": [1, 2, 3]}, "input"),
        ({"input": [[1, 2], [3]]}, "input"),
        ({"input": []}, "input"),
        ({"input": [""]}, None),
        ({"input": " "}, None),
        ({"input": "word " * 1_000}, None),
        ({"input": ["a"] * 2_049}, "input"),
        ({"dimensions": 64}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"extra_body": {"truncate": True}}, "truncate"),
    ],
)
def test_what_cannot_be_done_is_refused(quotes: Running, options: dict[str, Any], param: str | None) -> None:
    with pytest.raises(BadRequestError) as caught:
        quotes.client().embeddings.create(**{"model": "acme", "input": TEXTS, **options})
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["param"] == param
    assert caught.value.body["message"]


def test_only_the_embedder_is_a_model(quotes: Running) -> None:
    with pytest.raises(NotFoundError, match="choose one of acme, bundled"):
        quotes.client().embeddings.create(model="rag", input=TEXTS)


def test_half_a_character_is_no_error(quotes: Running) -> None:
    body = b'{"model": "acme", "input": "refund \\ud800"}'
    reply = HTTP.post(f"{quotes.url}/v1/embeddings", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 200


def test_an_empty_text_has_no_vector(quotes: Running) -> None:
    with pytest.raises(QuestionError):
        quotes.project.embed(["a", ""])
    assert quotes.project.embed([])[0].shape == (0, 384)
