"""Prefixes of well-known embedding models."""

import pytest

from groundtune.config.embedding_families import embedding_family


@pytest.mark.parametrize(
    ("model", "query"),
    [
        ("nomic-embed-text", "search_query: "),
        ("nomic-ai/nomic-embed-text-v1.5", "search_query: "),
        ("nomic-embed-text:latest", "search_query: "),
        ("intfloat/multilingual-e5-small", "query: "),
        ("intfloat/e5-base-v2", "query: "),
        ("mxbai-embed-large", "Represent this sentence for searching relevant passages: "),
        ("BAAI/bge-base-en-v1.5", "Represent this sentence for searching relevant passages: "),
        ("snowflake-arctic-embed2", "query: "),
        ("Snowflake/snowflake-arctic-embed-m", "Represent this sentence for searching relevant passages: "),
        ("google/embeddinggemma-300m", "task: search result | query: "),
        ("BAAI/bge-m3", ""),
    ],
)
def test_a_family_is_known_by_its_name(model: str, query: str) -> None:
    family = embedding_family(model)
    assert family is not None
    assert family.query == query
    assert family.source.startswith("https://")


def test_instructions_come_before_plain_prefixes() -> None:
    family = embedding_family("intfloat/multilingual-e5-large-instruct")
    assert family is not None
    assert family.passage == ""
    assert family.query.startswith("Instruct: ")


@pytest.mark.parametrize("model", ["text-embedding-3-small", "some-e5", "phase5-large", ""])
def test_other_models_have_none(model: str) -> None:
    assert embedding_family(model) is None
