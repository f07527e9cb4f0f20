"""The OpenAPI document describes every endpoint, and requests made from it get what it promises."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS

from tests.serve.conftest import HTTP, Running

EXAMPLES = 15
"""Requests to each endpoint; benchmarks/serving sends more."""
PROMISES = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
ENDPOINTS = [
    "POST /v1/chat/completions", "POST /v1/responses", "POST /v1/embeddings", "POST /v1/feedback", "POST /api/ask",
    "POST /api/search", "GET /v1/models", "GET /v1/models/{name}", "GET /healthz", "GET /readyz",
]  # fmt: skip


@pytest.fixture(scope="module")
def document(modelled: Running) -> Any:
    return HTTP.get(f"{modelled.url}/openapi.json").json()


def test_every_endpoint_is_described(document: Any) -> None:
    described = {
        f"{method.upper()} {path}": operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert set(ENDPOINTS) <= set(described)
    for endpoint, operation in described.items():
        assert operation["description"], endpoint
        assert operation["responses"], endpoint
        assert "422" not in operation["responses"], endpoint  # invalid requests get 400
        for status, reply in operation["responses"].items():
            assert reply["description"], (endpoint, status)
            assert reply["content"], (endpoint, status)
            for media in reply["content"].values():
                assert media["schema"].keys() & {"$ref", "type"}, (endpoint, status)
        if endpoint.startswith("POST"):
            body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert document["components"]["schemas"][body]["description"], endpoint


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_requests_made_from_the_document_get_what_it_promises(modelled: Running, document: Any, endpoint: str) -> None:
    method, _, path = endpoint.partition(" ")
    operation = schemathesis.openapi.from_dict(document)[path][method]
    checks = CHECKS.get_by_names(PROMISES)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        if isinstance(case.body, dict) and "model" in case.body:
            case.body["model"] = "acme"  # made-up names are refused before anything else is read
        case.call_and_validate(base_url=modelled.url, checks=checks)

    check()
