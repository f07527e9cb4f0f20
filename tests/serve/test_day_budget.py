"""The whole project spends at most its budget of a day: requests are refused, or a cheaper approach answers them."""

from typing import Any

import pytest

from groundtune import ConfigError, Project
from groundtune.config import load_config
from groundtune.records.spending import Spending
from groundtune.testing.scripted_server import Reply
from tests.serve.conftest import ANSWER, HTTP, QUESTION, Running, Serve, write_project

PRICE = "[prices.m]\ninput_per_million = 1000\noutput_per_million = 1000\n"
TOKENS = {"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200}


def ask(server: Running, **body: Any) -> Any:
    body = {"model": "acme", "messages": [{"role": "user", "content": QUESTION}], **body}
    return HTTP.post(f"{server.url}/v1/chat/completions", json=body)


def reply(_: object) -> Reply:
    return Reply(ANSWER, usage=TOKENS)


def test_requests_are_refused_until_the_next_day(serve: Serve) -> None:
    server = serve(f"[serve]\nbudget_usd_per_day = 0.3\n{PRICE}", reply=reply)
    assert ask(server).status_code == ask(server, stream=True).status_code == 200
    spent = Spending(server.project.workspace)
    assert spent.spent(None, "day").usd == pytest.approx(0.4)
    assert spent.spent("nobody", "day").usd == 0
    for options in ({}, {"stream": True}, {"model": "quote-bm25"}):
        refused = ask(server, **options)
        assert refused.status_code == 429
        assert refused.json()["error"]["message"] == "the budget of the day is spent: $0.30 for all users together"
        assert 0 < int(refused.headers["retry-after"]) <= 86_400


def test_quotes_answer_when_it_is_spent(serve: Serve) -> None:
    toml = f'[fallback]\n[serve]\nbudget_usd_per_day = 0.1\nwhen_spent = "degrade"\n{PRICE}'
    server = serve(toml, reply=reply)
    assert ask(server).json()["groundtune"]["degradation"] is None
    for options in ({}, {"temperature": 0.5}):
        field = ask(server, **options).json()["groundtune"]
        assert field["approach"] == "quote-hybrid"
        assert field["degradation"] == "the budget of the day is spent; quote-hybrid answered instead"
    streamed = ask(server, stream=True).text
    assert "the budget of the day is spent" in streamed
    assert Spending(server.project.workspace).spent(None, "day").usd == pytest.approx(0.2)


def test_without_prices_the_budget_cannot_be_kept(serve: Serve) -> None:
    server = serve("[serve]\nbudget_usd_per_day = 0.1\n", reply=reply)
    assert ask(server).status_code == 200
    assert "prices are set under [prices]" in ask(server).json()["error"]["message"]


def test_degrading_needs_something_to_degrade_to(tmp_path: Any) -> None:
    folder = write_project(tmp_path, '[serve]\nwhen_spent = "degrade"\n')
    with pytest.raises(ConfigError, match=r"needs \[fallback\]"):
        load_config(folder / "groundtune.toml")
    with Project.open(write_project(tmp_path, '[fallback]\n[serve]\nwhen_spent = "degrade"\n')) as project:
        assert project.config.serve.when_spent == "degrade"
