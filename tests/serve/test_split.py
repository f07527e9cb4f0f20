"""A second approach really serves a share of the callers or conversations, and each of them has one approach."""

from typing import Any

import pytest

from groundtune.records.audit_log import AuditLog
from groundtune.serve.doors.keys import KeyFile
from groundtune.testing.scripted_server import Reply
from tests.serve.conftest import HTTP, QUESTION, Running, Serve

CHOICE = '[answers]\napproach = "quote-hybrid"\n'
BY_CONVERSATION = f'{CHOICE}[serve.split]\napproach = "quote-bm25"\nshare = 0.5\nby = "conversation"\n'


def ask(server: Running, *turns: str, key: str = "any", **more: Any) -> dict[str, Any]:
    """Ask with the turns of a conversation, the first one by the user; return the field `groundtune`."""
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(turns)]
    body = {"model": "acme", "messages": messages, **more}
    reply = HTTP.post(f"{server.url}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"})
    assert reply.status_code == 200, reply.text
    return reply.json()["groundtune"]  # type: ignore[no-any-return]


def test_a_conversation_stays_with_its_approach(serve: Serve) -> None:
    server = serve(BY_CONVERSATION)
    first = {number: ask(server, f"{QUESTION} I am number {number}.") for number in range(16)}
    assert {field["approach"] for field in first.values()} == {"quote-hybrid", "quote-bm25"}
    assert all(field["split"] == field["approach"] for field in first.values())
    for number in (0, 1, 2):
        later = ask(server, f"{QUESTION} I am number {number}.", first[number]["id"], "Is carriage refunded?")
        assert later["approach"] == first[number]["approach"]
    record = AuditLog(server.project.workspace).find(first[0]["id"]).record
    drawn = {"choice": "quote-hybrid", "second": "quote-bm25", "share": 0.5, "by": "conversation"}
    assert record["split"] == {**drawn, "drawn": first[0]["approach"]}
    assert record["approach"] == first[0]["approach"]
    assert ask(server, QUESTION, model="quote-dense")["split"] is None


def test_a_caller_stays_with_one_approach_and_streams_say_so(serve: Serve) -> None:
    server = serve(BY_CONVERSATION.replace('"conversation"', '"caller"'))
    keys = KeyFile(server.project.workspace)
    secrets = [keys.create(f"user {number}")[1] for number in range(12)]
    drawn = [ask(server, QUESTION, key=secret)["split"] for secret in secrets]
    assert set(drawn) == {"quote-hybrid", "quote-bm25"}
    again = [ask(server, "Is carriage refunded?", key=secret)["split"] for secret in secrets]
    assert again == drawn
    body = {"model": "acme", "messages": [{"role": "user", "content": QUESTION}], "stream": True}
    bearer = {"Authorization": f"Bearer {secrets[0]}"}
    streamed = HTTP.post(f"{server.url}/v1/chat/completions", json=body, headers=bearer).text
    assert f'"split": "{drawn[0]}"' in streamed


def test_everybody_gets_the_choice_while_the_second_approach_cannot_be_asked(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    tune = '[tune.letters]\nkind = "lora"\nbase = "smollm2-135m"\n'
    server = serve(f'{CHOICE}{tune}[serve.split]\napproach = "tuned"\nshare = 1.0\n')
    for _ in range(2):
        field = ask(server, QUESTION)
        assert (field["approach"], field["split"]) == ("quote-hybrid", None)
    assert caplog.text.count("[serve.split] is not used, as tuned cannot be asked") == 1


def test_who_asks_the_model_for_what_the_second_cannot_do_takes_no_part(serve: Serve) -> None:
    server = serve('[serve.split]\napproach = "quote-bm25"\nshare = 1.0\n', reply=Reply("Within 30 days [1]."))
    assert ask(server, QUESTION)["approach"] == "quote-bm25"
    field = ask(server, QUESTION, temperature=0.3)
    assert (field["approach"], field["split"]) == ("rag", None)
