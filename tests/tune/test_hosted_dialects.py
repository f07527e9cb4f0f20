"""Play every dialect against `tune`: those with jobs like OpenAI's train, others are refused before a row leaves."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from groundtune.errors import ProviderError, UsageError
from groundtune.models.dialects import dialect_table, dialects
from groundtune.testing.scripted_dialects import DIALECTS
from groundtune.testing.scripted_server import Received, Reply, ScriptedServer
from groundtune.testing.scripted_tuning import FailingRequest, JobScript, ScriptedTuning
from groundtune.tune.hosted.trainer import train, warnings
from groundtune.tune.job import TrainingStep, TuneError
from tests.tune.test_hosted import BASE, CREATE, LOOK, make_job, notes, sent, served, state

NEVER = JobScript(["queued", "running"])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDTUNE_POLL_SECONDS", "0.002")
    monkeypatch.setenv("TUNE_KEY", "sk-right")


def replied(body: Mapping[str, Any] | str) -> Reply:
    return Reply(raw_body=body if isinstance(body, str) else json.dumps(body))


def test_the_table_says_of_each_server_whether_it_can_tune() -> None:
    for server in dialect_table()["servers"]:
        dialect = DIALECTS[server["name"]]
        ways = [dialect.tuning is not None, dialect.no_tuning is not None, "own_tuning_api" in server]
        assert sum(ways) == 1, server["name"]
        assert server["tuning"].startswith(("jobs", "none", "an API of its own")[ways.index(True)])


@pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.tuning])
def test_a_server_with_jobs_trains(name: str, tmp_path: Path) -> None:
    make, steps = DIALECTS[name].tuning, list[TrainingStep]()
    assert make is not None
    with served(tuning := make()) as server:
        trained = train(make_job(tmp_path, server), steps.append)
    assert trained.details["model"] == f"ft:{BASE}:scripted::ftjob-1"
    assert list(tuning.jobs) == ["ftjob-1"]
    statuses = [note.removeprefix("status ") for note in notes(steps) if note.startswith("status")]
    assert statuses[-2:] == ["running", "succeeded"]


@pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.no_tuning])
def test_a_server_without_jobs_is_refused_in_its_own_words(name: str, tmp_path: Path) -> None:
    reply = DIALECTS[name].no_tuning
    assert reply is not None
    assert reply.raw_body is not None
    with ScriptedServer(extra=lambda _: reply) as server, pytest.raises(ProviderError) as caught:
        train(make_job(tmp_path, server), lambda _: None)
    assert caught.value.message.startswith(f"no fine-tuning jobs at {server.base_url}, and nothing was sent there: ")
    words = caught.value.message.rpartition(": ")[2].removeprefix("it answered ").strip("'")
    assert words in reply.raw_body or words in str(json.loads(reply.raw_body))
    assert caught.value.kind in ("bad_request", "bad_response")
    assert "kind = lora" in str(caught.value.hint)
    assert [request.method for request in server.requests] == ["GET"], "it is asked once, and gets no row"


@pytest.mark.parametrize("server", [each for each in dialects().servers if each.own_tuning_api], ids=lambda s: s.name)
def test_an_api_of_its_own_is_refused_at_each_of_its_hosts(server: Any, tmp_path: Path) -> None:
    for host in server.hosts:
        job = make_job(tmp_path, None, base_url=f"https://{host}/v1", details={})
        with pytest.raises(UsageError, match="fine-tuning API of its own"):
            warnings(job)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply("no such path", status=404), "answered 404: no such path"),
        (Reply("not with GET", status=405), "answered 405: not with GET"),
        (Reply("not built yet", status=501), "answered 501: not built yet"),
        (Reply(raw_body="", status=410), "answered 410"),
        (replied("<html>Welcome</html>"), "Welcome"),
        (replied({"error": {"message": "no route", "code": 404}}), "answered with an error: no route"),
        (replied({"detail": "Not Found"}), "answered with an error: Not Found"),
        (replied({"object": "list"}), "not a fine-tuning API: it answered"),
        (replied([]), "not a fine-tuning API: it answered"),
    ],
    ids=["404", "405", "501", "no words", "a page", "error in a 200", "detail in a 200", "no list", "other JSON"],
)
def test_no_fine_tuning_in_any_form_costs_one_request(reply: Reply, words: str, tmp_path: Path) -> None:
    def answer(request: Received) -> Reply | None:
        return reply if "fine_tuning" in request.path else None

    with ScriptedServer(extra=answer) as server, pytest.raises(ProviderError, match="nothing was sent there") as caught:
        train(make_job(tmp_path, server), lambda _: None)
    assert words in caught.value.message
    assert len(server.requests) == 1


@pytest.mark.parametrize("request_", ["GET /v1/fine_tuning/jobs", "POST /v1/files", CREATE, LOOK])
def test_an_error_in_a_200_that_passes_is_tried_again(request_: str, tmp_path: Path) -> None:
    told = replied({"error": {"message": "slow down", "code": "rate_limit_exceeded"}})
    tuning = ScriptedTuning(failing_requests=[FailingRequest(request_, told, times=2)])
    with served(tuning) as server:
        assert train(make_job(tmp_path, server), lambda _: None).details["job"] == "ftjob-1"
    assert list(tuning.jobs) == ["ftjob-1"]


@pytest.mark.parametrize("request_", ["POST /v1/files", CREATE])
def test_an_error_in_a_200_that_stays_is_told_in_its_words(request_: str, tmp_path: Path) -> None:
    told = replied({"error": {"message": "Model not available for this type", "type": "invalid_request_error"}})
    with served(ScriptedTuning(failing_requests=[FailingRequest(request_, told, times=9)])) as server:
        with pytest.raises(ProviderError, match="answered with an error: Model not available") as caught:
            train(make_job(tmp_path, server), lambda _: None)
        assert sent(server, request_) == 1
    assert caught.value.kind == "bad_request"


def test_a_file_is_waited_for_and_one_that_is_refused_says_why(tmp_path: Path) -> None:
    tuning = ScriptedTuning(file_statuses=("pending", "running", "error"))
    with served(tuning) as server:
        job = make_job(tmp_path, server)
        with pytest.raises(TuneError, match=r"the train file, file-1 at .*, was refused: line 1 is no JSON"):
            train(job, lambda _: None)
        tuning.file_statuses = ("processed",)
        assert train(job, lambda _: None).details["job"] == "ftjob-1"
    assert tuning.jobs["ftjob-1"]["training_file"] == "file-3", "it was uploaded again"


def test_an_unknown_status_leaves_the_job_alone(tmp_path: Path) -> None:
    tuning = ScriptedTuning([JobScript(["queued", "awaiting_moon"])])
    with served(tuning) as server:
        job = make_job(tmp_path, server)
        with pytest.raises(
            TuneError, match=r"ftjob-1 at .* unknown here: 'awaiting_moon'; it was left alone"
        ) as caught:
            train(job, lambda _: None)
        assert "resumes waiting" in str(caught.value.hint)
        assert state(job)["job"] == "ftjob-1"
        tuning._ahead["ftjob-1"].append("succeeded")
        assert train(job, lambda _: None).details["job"] == "ftjob-1"
    assert list(tuning.jobs) == ["ftjob-1"]


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ({"status": "FAILED_VALIDATION", "error": "line 3 is empty"}, "ftjob-1 at .* failed: line 3 is empty$"),
        ({"status": "error", "error": {"detail": "no GPU", "code": "capacity"}}, r"failed: no GPU \(capacity\)"),
        ({"status": "failed", "error": {"message": None, "code": None}}, "failed: the provider gives no reason"),
        ({"status": "failed"}, "failed: the provider gives no reason"),
        ({"status": "Canceled"}, "was cancelled"),
        ({"status": "succeeded", "fine_tuned_model": None}, "returned no model name"),
        ({"status": "SUCCESS"}, "returned no model name"),
    ],
    ids=["text", "detail", "empty", "nothing", "cancelled", "no model", "key missing"],
)
def test_every_end_without_a_model_is_an_error(end: dict[str, Any], message: str, tmp_path: Path) -> None:
    ended = FailingRequest(LOOK, replied({"id": "ftjob-1", "model": BASE, **end}), times=1)
    tuning = ScriptedTuning([NEVER], failing_requests=[ended])
    with served(tuning) as server, pytest.raises(TuneError, match=message):
        train(make_job(tmp_path, server), lambda _: None)


@pytest.mark.parametrize("status", ["succeeded", "SUCCESS", "Completed"])
def test_a_model_is_used_however_success_is_written(status: str, tmp_path: Path) -> None:
    ended = replied({"id": "ftjob-1", "model": BASE, "status": status, "fine_tuned_model": "mine", "trained_tokens": 9})
    with served(ScriptedTuning([NEVER], failing_requests=[FailingRequest(LOOK, ended)])) as server:
        trained = train(make_job(tmp_path, server), lambda _: None)
    assert (trained.details["model"], trained.details["trained_tokens"]) == ("mine", 9)
