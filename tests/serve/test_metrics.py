"""What Prometheus reads: requests, latencies, tokens, cost, and nothing that somebody wrote."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import APIError
from prometheus_client.parser import text_string_to_metric_families

from groundtune.models.local_embedder import BundledEmbedder
from groundtune.serve.doors.keys import KeyFile
from groundtune.testing.scripted_server import Reply
from groundtune.workspace import Workspace
from tests.serve.conftest import ANSWER, HTTP, QUESTION, Running, Serve, running, script, write_project

UNTRAINED = '[tune.letters]\nkind = "lora"\nbase = "smollm2-135m"\n[fallback]\napproaches = ["rag"]\n'


def read(server: Running, **headers: str) -> str:
    reply = HTTP.get(f"{server.url}/metrics", headers=headers)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/plain")
    return reply.text


def value(text: str, name: str, **labels: str) -> float | None:
    """Return the sum of the samples of a name that have these labels; None where there is none."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = [each.value for each in samples if each.name == name and labels.items() <= dict(each.labels).items()]
    return sum(found) if found else None


def ask(server: Running, question: str = QUESTION, **options: Any) -> Any:
    messages: Any = [{"role": "user", "content": question}]
    return server.client().chat.completions.create(**{"model": "rag", "messages": messages, **options})


def test_answers_are_counted_timed_and_priced(serve: Serve) -> None:
    server = serve(UNTRAINED, reply=script)
    ask(server)
    list(ask(server, stream=True))
    ask(server, "Do you deliver to Iceland?", model="acme")
    ask(server, model="tuned")
    ask(server, "Write a title.", extra_headers={"X-Groundtune-Task": "title_generation"})
    with pytest.raises(APIError):
        ask(server, "fail, please", model="quote-bm25", temperature=0.3)
    text = read(server)
    path = "/v1/chat/completions"
    assert value(text, "groundtune_requests_total", endpoint=path, model="rag", status="200") == 3  # with the title
    assert value(text, "groundtune_requests_total", endpoint=path, model="quote-bm25", status="400") == 1
    assert value(text, "groundtune_answers_total", model="rag", approach="rag", status="answered") == 2
    assert value(text, "groundtune_answers_total", model="acme", status="abstained") == 1
    assert value(text, "groundtune_degradations_total", model="tuned", approach="rag") == 1
    assert value(text, "groundtune_citations_total", model="rag", support="exact") == 4
    assert value(text, "groundtune_citations_total", model="rag", support="uncited") == 2
    words = len(ANSWER.split())
    tokens: Mapping[str, str] = {"gen_ai_request_model": "rag", "gen_ai_token_type": "output"}
    assert value(text, "gen_ai_client_token_usage_sum", **tokens) == 2 * words
    assert value(text, "gen_ai_server_request_duration_seconds_count", gen_ai_request_model="rag", error_type="") == 2
    assert value(text, "gen_ai_server_request_duration_seconds_count", error_type="QuestionError") == 1
    assert value(text, "gen_ai_server_request_duration_seconds_count", gen_ai_operation_name="task") == 1
    assert value(text, "gen_ai_server_time_to_first_token_seconds_count") == 1
    assert value(text, "groundtune_cost_unknown_total", gen_ai_request_model="rag") == 2  # the model has no price
    assert value(text, "groundtune_requests_running") == value(text, "groundtune_requests_waiting") == 0
    for said in ("refund", "Iceland", "title", "127.0.0.1", server.project.root.name):
        assert said not in text


def test_what_callers_make_up_is_no_label(quotes: Running) -> None:
    for path in ("/nothing/here", "/passages/made-up", "/v1/models/made-up"):
        HTTP.get(f"{quotes.url}{path}")
    with pytest.raises(APIError):
        ask(quotes, model="made-up")
    text = read(quotes)
    assert "made-up" not in text
    assert "nothing" not in text
    assert value(text, "groundtune_requests_total", endpoint="other", status="404") == 1
    assert value(text, "groundtune_requests_total", endpoint="/passages/{passage_id}", status="404") == 1


def test_a_circuit_that_is_open_shows(serve: Serve) -> None:
    down: list[bool] = []
    server = serve(
        '[fallback]\napproaches = ["quote-hybrid"]\nmax_seconds = 5\n',
        reply=lambda body: Reply("down", status=401) if down else script(body),
    )
    ask(server, model="acme")
    assert value(read(server), "groundtune_circuit_open", model="m") == 0
    down.append(True)
    for _ in range(3):
        assert ask(server, model="acme").groundtune["degradation"]
    assert value(read(server), "groundtune_circuit_open", model="m") == 1


@pytest.fixture
def closed(tmp_path: Path, embedder: BundledEmbedder) -> Iterator[tuple[Running, str]]:
    folder = write_project(tmp_path, '[serve]\nproxies = ["127.0.0.1"]\n')
    _, key = KeyFile(Workspace(folder)).create("prometheus")
    with running(folder, embedder) as server:
        yield server, key


def test_metrics_are_for_keys(closed: tuple[Running, str]) -> None:
    server, key = closed
    assert HTTP.get(f"{server.url}/metrics").status_code == 401
    by_proxy: httpx2.Response = HTTP.get(f"{server.url}/metrics", headers={"X-Groundtune-User": "ann"})
    assert by_proxy.status_code == 403
    assert value(read(server, authorization=f"Bearer {key}"), "groundtune_requests_total", status="401") == 1
