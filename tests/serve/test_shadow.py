"""A second approach answers a share of the questions unseen: it delays and breaks nothing, and nobody is shown it."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from groundtune import ConfigError, Project
from groundtune.cli import main
from groundtune.config import load_config
from groundtune.records.audit_log import AuditEntry, AuditLog
from groundtune.records.spending import SHADOW, Spending
from groundtune.serve.doors.keys import KeyFile
from groundtune.testing.scripted_server import Reply
from groundtune.workflows.drifting import read_served
from tests.serve.conftest import ANSWER, HTTP, QUESTION, Running, Serve, script, write_project
from tests.serve.test_metrics import read, value

CHOICE = '[answers]\napproach = "quote-hybrid"\n'
SHADOWED = f'{CHOICE}[serve.shadow]\napproach = "rag"\nshare = 1.0\n'
PRICE = "[prices.m]\ninput_per_million = 1000\noutput_per_million = 1000\n"
TOKENS = {"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200}
COUNTER = "groundtune_shadow_answers_total"


def ask(server: Running, question: str = QUESTION, key: str = "any", **more: Any) -> dict[str, Any]:
    body = {"model": "acme", "messages": [{"role": "user", "content": question}], **more}
    reply = HTTP.post(f"{server.url}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"})
    assert reply.status_code == 200, reply.text
    return reply.json() if not more.get("stream") else {"text": reply.text}  # type: ignore[no-any-return]


def within(seconds: float, found: Callable[[], Any]) -> Any:
    """Return what is found as soon as it is true."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return value


def shadows(server: Running) -> list[AuditEntry]:
    return [entry for entry in AuditLog(server.project.workspace).entries(shadows=True) if entry.is_shadow]


def outcomes(server: Running) -> Mapping[str, float]:
    text = read(server)
    kinds = ("answered", "failed", "refused", "dropped", "over_budget")
    return {kind: found for kind in kinds if (found := value(text, COUNTER, outcome=kind))}


@pytest.mark.parametrize("stream", [False, True])
def test_the_second_answer_is_recorded_and_seen_by_nobody(serve: Serve, stream: bool) -> None:
    server = serve(SHADOWED + PRICE, reply=lambda _: Reply(ANSWER, usage=TOKENS))
    reply = ask(server, stream=stream)
    assert "So it is said there." not in str(reply), "the text of the model is in no reply"
    (shadow,) = within(20, lambda: shadows(server))
    log = AuditLog(server.project.workspace)
    (sent,) = log.entries()
    assert (sent.record["approach"], sent.record["shadow"]) == ("quote-hybrid", "rag")
    assert (shadow.record["approach"], shadow.record["shadow_of"]) == ("rag", sent.record["id"])
    assert shadow.texts == {"question": QUESTION, "answer": ANSWER}
    assert log.verify().problem is None
    assert [row.id for row in read_served(server.project.workspace, since="")] == [sent.record["id"]]
    spent = Spending(server.project.workspace)
    assert spent.spent(SHADOW, "day").usd == spent.spent(None, "day").usd == pytest.approx(0.2)
    assert spent.spent("", "day").usd == 0
    assert HTTP.get(f"{server.url}/v1/answers/{shadow.record['id']}").status_code == 404
    assert outcomes(server) == {"answered": 1}


def test_what_was_spent_is_shown_by_day_and_key(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    server = serve(f"[serve]\nbudget_usd_per_day = 5\n{PRICE}", reply=lambda _: Reply(ANSWER, usage=TOKENS))
    key, secret = KeyFile(server.project.workspace).create("ann")
    ask(server, key=secret)
    spending = Spending(server.project.workspace)
    spending.add(SHADOW, 0.5)
    spending.add("", None)
    spending.add(key.id, 1.0, now=datetime.now(UTC) - timedelta(days=3))
    folder = str(server.project.root)
    assert main(["spend", "-C", folder]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("today $0.70 of $5.00; $1.70 in 14 days; 1 answer of unknown cost beside\n")
    assert [line.split()[:3] for line in shown.splitlines() if line.startswith("ann")] == [["ann", "2", "1.2000"]]
    assert "second answers, unseen" in shown
    assert main(["spend", "--days", "2", "--json", "-C", folder]) == 0
    assert json.loads(capsys.readouterr().out)["usd"] == pytest.approx(0.7)


def test_a_slow_second_approach_delays_nothing_and_what_does_not_fit_is_dropped(serve: Serve) -> None:
    server = serve(f"{SHADOWED}waiting = 1\n", reply=Reply(ANSWER, delay_seconds=3))
    ask(server)
    start = time.monotonic()
    for _ in range(4):
        ask(server)
    assert time.monotonic() - start < 3, "no reply waits for a second answer"
    assert outcomes(server) == {"dropped": 3}
    within(20, lambda: len(shadows(server)) == 2)
    assert len(list(AuditLog(server.project.workspace).entries())) == 5


def test_a_busy_server_begins_no_second_answer(serve: Serve) -> None:
    server = serve(f"{SHADOWED}busy = 1\n", reply=script)
    body = {"model": "rag", "messages": [{"role": "user", "content": "slowly, please"}], "stream": True}
    with HTTP.stream("POST", f"{server.url}/v1/chat/completions", json=body) as stream:
        lines = stream.iter_lines()  # kept, since it closes the stream when it goes
        assert next(lines)
        ask(server)
        time.sleep(1)
        assert not shadows(server)
    within(20, lambda: [shadow.record["status"] for shadow in shadows(server)] == ["answered"])


def test_a_second_approach_that_fails_breaks_nothing(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(SHADOWED, reply=Reply("no more", status=400))
    ask(server)
    (shadow,) = within(20, lambda: shadows(server))
    assert shadow.record["status"] == "broken off"
    assert "no more" in shadow.record["reason"]
    within(5, lambda: outcomes(server) == {"failed": 1})
    assert "the shadow of answer" in caplog.text


def test_it_stops_when_the_budget_of_the_day_is_spent(serve: Serve) -> None:
    toml = SHADOWED.replace("[serve.shadow]", "[serve]\nbudget_usd_per_day = 0.1\n[serve.shadow]")
    server = serve(f"[fallback]\n{toml}{PRICE}", reply=lambda _: Reply(ANSWER, usage=TOKENS))
    ask(server)
    within(20, lambda: shadows(server))
    Spending(server.project.workspace).add("", 0.0)
    reply = HTTP.post(f"{server.url}/v1/chat/completions", json={"model": "acme", "messages": [
        {"role": "user", "content": QUESTION}]})  # fmt: skip
    assert reply.status_code == 429, "the budget that the second answer has spent is that of everybody"
    assert len(shadows(server)) == 1


def test_only_questions_to_the_choice_get_one(serve: Serve) -> None:
    server = serve(SHADOWED, reply=Reply(ANSWER))
    ask(server, model="quote-bm25")
    HTTP.post(
        f"{server.url}/v1/chat/completions",
        json={"model": "acme", "messages": [{"role": "user", "content": "Write a title."}]},
        headers={"X-Groundtune-Task": "title_generation"},
    )
    ask(server)
    (shadow,) = within(20, lambda: shadows(server))
    assert shadow.texts["question"] == QUESTION
    assert outcomes(server) == {"answered": 1}


def test_it_has_the_groups_of_whoever_asked(serve: Serve) -> None:
    server = serve(SHADOWED, reply=Reply(ANSWER))
    key = KeyFile(server.project.workspace).create("ann", groups=["hr"])[1]
    ask(server, "Where does the pay band of grade nine end?", key)
    (shadow,) = within(20, lambda: shadows(server))
    assert shadow.record["groups"] == ["hr"]
    assert "docs/secret/pay.md" in {passage["source"] for passage in shadow.record["passages"]}


def test_it_leaves_the_machine_no_more_than_other_answers(serve: Serve) -> None:
    far = '[models.far]\nkind = "openai"\nmodel = "m"\nbase_url = "https://models.example.com/v1"\n'
    toml = SHADOWED.replace('"rag"', '"rag:far"')
    server = serve(f'{far}[requirements]\nresidency = "local"\n{toml}', reply=Reply(ANSWER))
    ask(server)
    (shadow,) = within(20, lambda: shadows(server))
    assert shadow.record["status"] == "broken off"
    assert "residency" in shadow.record["reason"]


def test_it_is_forgotten_with_its_document(serve: Serve) -> None:
    server = serve(SHADOWED, reply=Reply(ANSWER))
    ask(server)
    within(20, lambda: shadows(server))
    with Project.open(server.project.root) as project:
        project.forget("docs/refunds.md")
    (shadow,) = shadows(server)
    assert shadow.texts == {}
    assert AuditLog(server.project.workspace).verify().problem is None


def test_nothing_is_compared_that_is_not_recorded(tmp_path: Any) -> None:
    folder = write_project(tmp_path, '[serve]\naudit = false\n[serve.split]\napproach = "rag"\n')
    with pytest.raises(ConfigError, match="compares recorded answers"):
        load_config(folder / "groundtune.toml")
