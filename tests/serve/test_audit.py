"""The record of every answer, and the chain that shows whether one was touched."""

import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune import MissingError, Project, ProviderError
from groundtune.cli import main
from groundtune.records.audit_log import AuditLog
from groundtune.testing.scripted_server import Reply
from groundtune.types import AnswerEvent, Reset, TextDelta
from groundtune.workspace import Workspace
from tests.serve.conftest import ANSWER, FIRST, HTTP, QUESTION, Running, Serve, script


def log_of(folder: Path, records: int = 5, *, days_old: int = 0) -> AuditLog:
    log = AuditLog(Workspace(folder))
    moment = datetime.now(UTC) - timedelta(days=days_old)
    for number in range(records):
        record = {
            "id": f"{number:032x}",
            "time": (moment + timedelta(seconds=number)).isoformat(timespec="milliseconds"),
        }
        log.append(record, {"question": f"What is {number}?", "answer": "42"})
    return log


def run_sql(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / ".groundtune/audit.sqlite")) as database, database:
        database.execute(statement, values)


def ask(server: Running, question: str = QUESTION, *, stream: bool = False) -> object:
    messages = [{"role": "user", "content": question}]
    return server.client().chat.completions.create(model="acme", messages=messages, stream=stream)  # type: ignore[call-overload]


@pytest.mark.parametrize("stream", [False, True])
def test_every_answer_is_recorded_before_it_is_complete(modelled: Running, stream: bool) -> None:
    reply = ask(modelled, stream=stream)
    field = (list(reply)[-1] if stream else reply).groundtune  # type: ignore[call-overload, attr-defined]
    log = AuditLog(modelled.project.workspace)
    entry = log.find(field["id"])
    assert entry.texts == {"question": QUESTION, "answer": ANSWER}
    record = entry.record
    assert (record["caller"], record["approach"], record["generator"]) == ("anonymous", "rag", "m")
    assert record["index"] == modelled.project.index_version()
    assert [citation["support"] for citation in record["citations"]] == ["exact", "exact", "uncited"]
    assert record["passages"][0]["id"] == record["citations"][0]["passage_id"]
    assert log.verify().problem is None


def test_an_answer_that_breaks_off_is_recorded_with_what_was_sent(serve: Serve) -> None:
    server = serve(reply=script)
    stream = ask(server, "slowly, please", stream=True)
    received = ""
    for chunk in stream:  # type: ignore[attr-defined]
        received += chunk.choices[0].delta.content or ""
        if received:
            break
    stream.close()  # type: ignore[attr-defined]
    log, end = AuditLog(server.project.workspace), time.monotonic() + 60
    while not (entries := list(log.entries())):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert entries[0].record["status"] == "broken off"
    assert entries[0].texts["answer"].startswith(received)


def test_a_project_may_keep_no_records(serve: Serve) -> None:
    server = serve("[serve]\naudit = false\n")
    ask(server)
    assert list(AuditLog(server.project.workspace).entries()) == []


BREAKS = {
    "changed": (
        "UPDATE records SET record = replace(record, '\"id\"', '\"ID\"') WHERE number = 3",
        "record 3 was changed",
    ),
    "removed": ("DELETE FROM records WHERE number = 2", "record 2 is missing"),
    "text": ("UPDATE texts SET text = '43' WHERE number = 4 AND name = 'answer'", "'answer' of record 4 was changed"),
    "answer": ("UPDATE records SET answer = 'x' WHERE number = 2", "record 2 was changed"),
    "time": ("UPDATE records SET time = '1970' WHERE number = 2", "record 2 was changed"),
    "first": ("DELETE FROM records WHERE number = 1", "record 1 is missing"),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_what_was_touched_is_noticed(tmp_path: Path, kind: str) -> None:
    log = log_of(tmp_path)
    assert log.verify().problem is None
    statement, problem = BREAKS[kind]
    run_sql(tmp_path, statement)
    found = log.verify().problem
    assert found is not None
    assert problem in found


def test_a_noted_digest_shows_that_the_end_was_cut(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    head = log.verify().head
    log.append({"id": "x", "time": "2030"}, {})
    assert log.verify(head=head).problem is None
    run_sql(tmp_path, "DELETE FROM records WHERE number >= 5")
    assert log.verify().problem is None
    assert log.verify(head=head).problem is not None


def test_texts_can_be_erased(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    run_sql(tmp_path, "DELETE FROM texts WHERE number = 2")
    assert log.verify().problem is None
    assert log.find(f"{1:032x}").texts == {}


def test_old_records_expire_and_the_chain_goes_on(tmp_path: Path) -> None:
    log_of(tmp_path, 4, days_old=40)
    log = log_of(tmp_path, 3)
    assert log.expire(days=30) == 4
    assert log.expire(days=30) == 0
    assert [entry.number for entry in log.entries()] == [5, 6, 7]
    assert log.verify().problem is None
    run_sql(tmp_path, "DELETE FROM records WHERE number = 5")
    assert log.verify().problem is not None
    later = datetime.now(UTC) + timedelta(days=60)
    log.expire(days=30, now=later)
    log.append({"id": "new", "time": later.isoformat()}, {})
    assert [entry.number for entry in log.entries()] == [8]
    assert log.verify().problem is None


def test_records_that_seem_expired_are_told(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    head = log.verify().head
    run_sql(tmp_path, "INSERT INTO expired SELECT number, digest FROM records WHERE number = 2")
    run_sql(tmp_path, "DELETE FROM records WHERE number <= 2")
    assert (log.verify(head=head).problem, log.verify().expired) == (None, 2)
    assert "records 1 to 2 are missing" in str(log.verify(expires=False).problem)
    assert "have expired" in str(log.verify(head="0" * 64).problem)


def test_text_that_was_taken_back_is_recorded_when_no_answer_follows(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> AsyncIterator[AnswerEvent]:
        yield TextDelta(FIRST)
        yield Reset()
        raise ProviderError("no server answers", kind="no_server")

    server = serve()
    monkeypatch.setattr(Project, "astream", fails)
    text = HTTP.post(f"{server.url}/api/ask", json={"question": QUESTION}).text
    assert "event: reset" in text
    assert "event: error" in text
    log, end = AuditLog(server.project.workspace), time.monotonic() + 60
    while not (entries := list(log.entries())):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert entries[0].texts["answer"] == FIRST


@settings(max_examples=4)
@given(st.text(max_size=20))
def test_any_text_is_kept(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    log = AuditLog(Workspace(tmp_path_factory.mktemp("log")))
    log.append({"id": "a", "time": "2030"}, {"question": text.encode("utf-8", "replace").decode()})
    assert log.verify().problem is None


def test_commands_show_export_and_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "groundtune.toml").write_text('name = "acme"\n')
    folder = ["-C", str(tmp_path)]
    assert main(["audit", *folder]) == 0
    log = log_of(tmp_path, 2)
    capsys.readouterr()
    assert main(["audit", "show", f"{1:032x}", *folder]) == 0
    assert "What is 1?" in capsys.readouterr().out
    assert main(["audit", "show", "nothing", *folder]) == 3
    capsys.readouterr()
    assert main(["audit", "export", *folder]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["number"] for line in lines] == [1, 2]
    assert main(["audit", "verify", "--json", "--head", log.verify().head, *folder]) == 0
    run_sql(tmp_path, "DELETE FROM records WHERE number = 1")
    assert main(["audit", "verify", *folder]) == 1
    assert "record 1 is missing" in capsys.readouterr().out
    with pytest.raises(MissingError):
        log.find("")


def test_a_recorded_question_is_asked_again(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    server = serve(reply=lambda body: Reply(ANSWER))
    body = {"question": "And carriage?", "history": [{"role": "user", "content": QUESTION}], "model": "rag"}
    HTTP.post(f"{server.url}/api/ask", json=body)
    (entry,) = AuditLog(server.project.workspace).entries()
    assert json.loads(entry.texts["history"]) == [["user", QUESTION]]
    same = server.project.replay(entry.record["id"][:12])
    assert (same.is_same, same.changes, set(same.passages.values())) == (True, (), {"same"})
    assert same.support_then == same.support_now
    assert set(same.steps_now) == set(same.steps_then)
    assert server.model is not None
    assert QUESTION in json.dumps(server.model.posts()[-1])  # the conversation is asked with it

    (server.project.root / "docs/refunds.md").write_text("# Refunds\n\nA refund is paid within 60 days of delivery.\n")
    server.project.ingest()
    other = server.project.replay(entry.record["id"])
    assert "the index is another one" in " ".join(other.changes)
    assert "changed" in other.passages.values()
    assert other.support_now != other.support_then
    assert main(["audit", "replay", entry.record["id"], "-C", str(server.project.root)]) == 0
    assert "the index is another one" in capsys.readouterr().out
    assert len(list(AuditLog(server.project.workspace).entries())) == 1

    file = server.project.root / "groundtune.toml"
    file.write_text('name = "acme"\n')
    with Project.open(server.project.root) as project:
        gone = project.replay(entry.record["id"])
    assert (gone.now, gone.is_same) == (None, None)
    assert "it cannot be asked now" in gone.changes[0]
    AuditLog(server.project.workspace).erase([entry.record["id"]])
    with pytest.raises(MissingError, match="was erased"):
        server.project.replay(entry.record["id"])
