"""A key spends at most its budget, over all processes and kinds of requests; costs that nobody knows are no zero."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from groundtune.cli import main
from groundtune.models.hosted_embedder import HostedEmbedder
from groundtune.records.spending import Spending, Spent, period_end
from groundtune.serve.doors.callers import budget_problem
from groundtune.serve.doors.keys import ApiKey, KeyFile
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.workspace import Workspace
from tests.serve.conftest import ANSWER, FIRST, HTTP, QUESTION, SECOND, Running, Serve, running, write_project
from tests.serve.test_running import wait_until

PRICE = "[prices.m]\ninput_per_million = 1000\noutput_per_million = 1000\n"
TOKENS = {"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200}


def ask(server: Running, secret: str, path: str = "/v1/chat/completions", **body: Any) -> Any:
    messages = [{"role": "user", "content": QUESTION}]
    body = {"model": "rag", "messages": messages, **body} if "chat" in path else body
    return HTTP.post(f"{server.url}{path}", json=body, headers={"Authorization": f"Bearer {secret}"})


def test_what_is_spent_is_refused_everywhere(serve: Serve) -> None:
    server = serve(PRICE, reply=lambda body: Reply(ANSWER, usage=TOKENS))
    keys = KeyFile(server.project.workspace)
    key, secret = keys.create("ann", budget_usd=0.30, budget_per="day")
    _, other = keys.create("bob")
    first = ask(server, secret)
    assert first.status_code == 200, first.text
    assert first.json()["groundtune"]["usage"]["usd"] == pytest.approx(0.2)
    assert "groundtune" in ask(server, secret, stream=True).text
    spent = Spending(server.project.workspace).spent(key.id, "day")
    assert (spent.usd, spent.unknown) == (pytest.approx(0.4), 0)
    for path, body in (("/v1/chat/completions", {}), ("/v1/chat/completions", {"stream": True}),
                       ("/api/search", {"query": "refund"}), ("/v1/models", None)):  # fmt: skip
        reply = (
            HTTP.get(f"{server.url}{path}", headers={"Authorization": f"Bearer {secret}"})
            if body is None
            else ask(server, secret, path, **body)
        )
        assert reply.status_code == 429, path
        assert reply.json()["error"]["code"] == "insufficient_quota"
        assert "$0.30 a day, is spent" in reply.json()["error"]["message"]
        assert 0 < int(reply.headers["retry-after"]) <= 86_400
    assert ask(server, other).status_code == 200
    Spending(server.project.workspace).add(key.id, None)  # as another process would
    assert Spending(server.project.workspace).spent(key.id, "day").estimate == pytest.approx(0.2)


def test_tasks_of_front_ends_are_charged_and_free_answers_are_free(serve: Serve) -> None:
    server = serve(PRICE, reply=lambda body: Reply("A title", usage=TOKENS))
    key, secret = KeyFile(server.project.workspace).create("ann", budget_usd=1.0)
    spending = Spending(server.project.workspace)
    body = {"model": "acme", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"Authorization": f"Bearer {secret}", "X-Groundtune-Task": "title_generation"}
    assert HTTP.post(f"{server.url}/v1/chat/completions", json=body, headers=headers).status_code == 200
    assert spending.spent(key.id, "month").usd == pytest.approx(0.2)
    assert ask(server, secret, model="quote-hybrid").status_code == 200
    assert spending.spent(key.id, "month") == Spent(pytest.approx(0.2), 0, pytest.approx(0.2))


def test_vectors_of_a_paid_embedder_are_charged(tmp_path: Path) -> None:
    with ScriptedServer() as model:
        embedder = HostedEmbedder("e", base_url=model.base_url, dimension=64)
        table = f'[embedder]\nkind = "openai"\nmodel = "e"\nbase_url = "{model.base_url}"\ndimension = 64\n'
        limits = "[prices.e]\ninput_per_million = 1000\noutput_per_million = 0\n[serve]\nbudget_usd_per_day = 0.01\n"
        with running(write_project(tmp_path / "project", table + limits), embedder) as server:
            keys, spending = KeyFile(server.project.workspace), Spending(server.project.workspace)
            key, secret = keys.create("ann", budget_usd=0.005, budget_per="day")
            _, other = keys.create("bob")
            texts, search = {"model": "e", "input": ["refund"]}, {"query": "refund"}  # 4 tokens each, by estimate
            assert ask(server, secret, "/v1/embeddings", **texts).status_code == 200
            assert spending.spent(key.id, "day") == Spent(pytest.approx(0.004), 0, pytest.approx(0.004))
            assert ask(server, secret, "/api/search", **search).status_code == 200
            assert spending.spent(key.id, "day").usd == pytest.approx(0.008)
            assert "of this key" in ask(server, secret, "/v1/embeddings", **texts).json()["error"]["message"]
            assert ask(server, other, "/v1/embeddings", **texts).status_code == 200
            for path, body in (("/v1/embeddings", texts), ("/api/search", search)):
                refused = ask(server, other, path, **body)
                assert refused.status_code == 429
                assert "the budget of the day is spent" in refused.json()["error"]["message"]


def test_a_budget_that_nobody_can_keep_is_said_to_be_one(serve: Serve) -> None:
    server = serve(reply=lambda body: Reply(ANSWER))
    key, secret = KeyFile(server.project.workspace).create("ann", budget_usd=5.0)
    _, free = KeyFile(server.project.workspace).create("bob")
    assert ask(server, secret).status_code == 200
    refused = ask(server, secret)
    assert refused.status_code == 429
    assert "cannot be kept: nobody knows what its answers cost" in refused.json()["error"]["message"]
    assert Spending(server.project.workspace).spent(key.id, "month") == Spent(0.0, 1)
    assert ask(server, free).status_code == 200


def test_periods_begin_anew_and_unknown_costs_count_as_the_dearest(tmp_path: Path) -> None:
    spending, now = Spending(Workspace(tmp_path)), datetime(2026, 1, 31, 23, 0, tzinfo=UTC)
    for days, usd in ((40, 9.0), (1, 2.0), (0, 1.0), (0, None)):
        spending.add("a", usd, now=now - timedelta(days=days))
    assert spending.spent("a", "day", now=now) == Spent(10.0, 1, 9.0)
    assert spending.spent("a", "month", now=now) == Spent(12.0, 1, 9.0)
    assert spending.spent("b", "month", now=now) == Spent(0.0, 0, 9.0)
    assert spending.spent("a", "month", now=now + timedelta(hours=1)).usd == 0
    spending.add("a", 1.0, now=now + timedelta(days=70))
    assert spending.spent("a", "month", now=now).usd == 1.0  # what is older than 62 days is gone, but for the new row
    assert period_end("month", now) == datetime(2026, 2, 1, tzinfo=UTC)
    assert period_end("day", now) == datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("spent", "refused"),
    [(Spent(4.99), False), (Spent(5.0), True), (Spent(0.0, 1), True), (Spent(2.0, 1, 2.0), False)],
)
def test_a_budget_is_used_up_at_its_end(spent: Spent, refused: bool) -> None:
    assert (budget_problem(ApiKey("i", "ann", "d", budget_usd=5.0), spent) is not None) is refused
    assert budget_problem(ApiKey("i", "ann", "d"), spent) is None


def test_the_list_says_what_was_spent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(write_project(tmp_path))
    assert main(["keys", "create", "ann", "--budget-usd", "5", "--per", "day", "-C", folder]) == 0
    capsys.readouterr()
    key = KeyFile(Workspace(tmp_path)).all()[0]
    Spending(Workspace(tmp_path)).add(key.id, None)
    assert main(["keys", "list", "-C", folder]) == 0
    assert "$0.00 of $5.00 a day, 1 answer of unknown cost" in capsys.readouterr().out
    Spending(Workspace(tmp_path)).add(key.id, 1.25)
    assert main(["keys", "list", "-C", folder]) == 0
    assert "$2.50 of $5.00 a day, 1 answer estimated" in capsys.readouterr().out


def test_what_a_client_left_half_way_has_an_unknown_cost(serve: Serve) -> None:
    server = serve(PRICE, reply=lambda body: Reply(pieces=[f"{FIRST} {SECOND} "] * 400, piece_seconds=0.1))
    key, secret = KeyFile(server.project.workspace).create("ann")
    body = {"model": "rag", "messages": [{"role": "user", "content": QUESTION}], "stream": True}
    headers = {"Authorization": f"Bearer {secret}"}
    with HTTP.stream("POST", f"{server.url}/v1/chat/completions", json=body, headers=headers) as reply:
        next(reply.iter_text())
    spending = Spending(server.project.workspace)
    wait_until(lambda: spending.spent(key.id, "month").unknown == 1)
