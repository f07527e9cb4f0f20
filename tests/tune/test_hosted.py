"""Hosted jobs against the scripted API over real HTTP: no job is lost or started twice, no money spent unasked."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import openai
import pytest

from groundtune.config.tune_tables import HostedTuneConfig
from groundtune.errors import MissingError, ProviderError, UsageError
from groundtune.testing.scripted_models import ScriptedModel
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.testing.scripted_tuning import FailingRequest, JobScript, ScriptedTuning
from groundtune.tune.artifacts import read_artifact
from groundtune.tune.hosted.trainer import control_job, estimate, train, warnings
from groundtune.tune.hosted.training_cost import estimate_bounds
from groundtune.tune.job import FAILURE, Job, TrainingRow, TrainingStep, TuneError, write_job
from groundtune.tune.launcher import launch_training

PROCESS = "groundtune.workflows.training_process"
BASE = "gpt-4o-mini-2024-07-18"
PROFILE = {"bases": {BASE: {"usd_per_million": 3.0, "ends": "2999-01-14"}}, "no_new_jobs": "2999-01-06"}
CREATE = "POST /v1/fine_tuning/jobs"
LOOK = r"GET /v1/fine_tuning/jobs/[^/]+"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDTUNE_POLL_SECONDS", "0.005")
    monkeypatch.setenv("TUNE_KEY", "sk-right")


@contextmanager
def served(tuning: ScriptedTuning) -> Iterator[ScriptedServer]:
    with ScriptedServer(tuning.reply, extra=tuning.answer, api_key="sk-right") as server:
        yield server


def rows(n: int, *, start: int = 0) -> list[TrainingRow]:
    return [
        TrainingRow(
            id=f"e{number}",
            input=f"Où est le colis {number} ?",
            output=f"parcel {number}",
            messages=(
                {"role": "system", "content": "Answer in English."},
                {"role": "user", "content": f"Où est le colis {number} ?"},
                {"role": "assistant", "content": f"parcel {number}"},
            ),
            rejected=f"colis {number}",
        )
        for number in range(start, start + n)
    ]


def make_job(
    folder: Path,
    server: ScriptedServer | None,
    *,
    n: int = 12,
    validation: int = 3,
    details: Any = None,
    **settings: Any,
) -> Job:
    place: dict[str, Any] = {"base_url": server.base_url, "api_key_env": "TUNE_KEY"} if server else {}
    config = HostedTuneConfig(kind="hosted", base=BASE, **{**place, **settings})
    about = {"provider": PROFILE} if details is None else details
    job = Job(folder / "desk-1", "desk", "hosted", BASE, config.model_dump(), about)
    write_job(job, rows(n), rows(validation, start=100))
    return job


def state(job: Job) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((job.folder / "state.json").read_bytes())
    return content


def sent(server: ScriptedServer, start: str) -> int:
    return sum(f"{request.method} {request.path}".split("?")[0] == start for request in server.requests)


def notes(steps: Sequence[TrainingStep]) -> list[str]:
    return [step.note for step in steps if step.note]


# -- the way through ------------------------------------------------------------------------------------------------


def test_rows_become_a_model_that_answers_under_its_name(tmp_path: Path) -> None:
    tuning, steps = ScriptedTuning(), list[TrainingStep]()
    with served(tuning) as server:
        job = make_job(tmp_path, server, epochs=2, suffix="desk")
        trained = train(job, steps.append)
        with openai.OpenAI(base_url=server.base_url, api_key="sk-right", max_retries=0) as sdk:
            messages: Any = list(rows(1)[0].messages[:-1])
            completion = sdk.chat.completions.create(model=trained.details["model"], messages=messages)
            with pytest.raises(openai.NotFoundError):
                sdk.chat.completions.create(model=BASE, messages=messages)
    assert completion.choices[0].message.content == "parcel 0"
    assert trained.details["model"] == f"ft:{BASE}:scripted:desk:ftjob-1"
    assert trained.base_digest == BASE
    assert trained.details["ends"] == "2999-01-14"
    assert trained.usd == pytest.approx(trained.details["trained_tokens"] * 3.0 / 1e6)
    assert trained.metrics == {"valid_loss": 0.6}
    assert [(row["step"], row["metrics"]["train_loss"]) for row in trained.details["checkpoints"]] == [
        (1, 2.0),
        (2, 1.0),
        (3, 0.5),
    ]
    remote_job = tuning.jobs["ftjob-1"]
    assert remote_job["method"] == {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}
    assert (remote_job["seed"], remote_job["training_file"], remote_job["validation_file"]) == (0, "file-1", "file-2")
    assert tuning.files["file-1"][0] == {"messages": list(rows(1)[0].messages)}
    assert len(tuning.files["file-2"]) == 3
    losses = [(step.step, step.steps, step.epoch, step.loss) for step in steps if step.loss is not None]
    assert losses == [(1, 3, pytest.approx(2 / 3), 2.0), (2, 3, pytest.approx(4 / 3), 1.0), (3, 3, 2.0, 0.5)]
    assert [note for note in notes(steps) if note.startswith("status")] == [
        "status queued",
        "status running",
        "status succeeded",
    ]


@pytest.mark.slow
async def test_the_worker_writes_an_artifact(tmp_path: Path) -> None:
    with served(ScriptedTuning()) as server:
        job, steps = make_job(tmp_path, server, validation=0), list[TrainingStep]()
        artifact = await launch_training(job.folder, module=PROCESS, progress=steps.append)
    assert artifact.details["model"] == f"ft:{BASE}:scripted::ftjob-1"
    assert artifact.base_digest == BASE
    assert artifact.details["base_url"] == server.base_url
    assert artifact.details["api_key_env"] == "TUNE_KEY"
    assert any(step.loss == 0.5 for step in steps)
    assert "sk-right" not in "".join(path.read_text() for path in job.folder.iterdir())


def test_what_comes_out_can_be_scripted(tmp_path: Path) -> None:
    gold = {row.input: row.output for row in rows(12)}
    tuning = ScriptedTuning(make_model=lambda name, _: ScriptedModel(name, gold))
    with served(tuning) as server:
        trained = train(make_job(tmp_path, server), lambda _: None)
    messages = [{"role": "user", "content": "Question: Où est le colis 3 ?"}]
    assert tuning.reply({"model": trained.details["model"], "messages": messages}).text == "parcel 3"


def test_preferences_are_sent_as_pairs(tmp_path: Path) -> None:
    tuning = ScriptedTuning()
    with served(tuning) as server:
        train(make_job(tmp_path, server, method="dpo"), lambda _: None)
    messages = list(rows(1)[0].messages)
    assert tuning.files["file-1"][0] == {
        "input": {"messages": messages[:-1]},
        "preferred_output": [{"role": "assistant", "content": "parcel 0"}],
        "non_preferred_output": [{"role": "assistant", "content": "colis 0"}],
    }
    assert tuning.jobs["ftjob-1"]["method"] == {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 3}}}


@pytest.mark.slow
def test_more_events_than_a_page_are_reported_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDTUNE_POLL_SECONDS", "0.0005")
    losses = [float(number) for number in range(130, 0, -1)]
    script = JobScript(["validating_files", *["running"] * 130, "succeeded"], losses=losses)
    failing_request = FailingRequest("GET .*/events", Reply(broken_stream_after=3), times=2)
    with served(ScriptedTuning([script], failing_requests=[failing_request])) as server:
        steps = list[TrainingStep]()
        train(make_job(tmp_path, server), steps.append)
    assert [step.loss for step in steps if step.loss is not None] == losses


# -- what ends a job ------------------------------------------------------------------------------------------------


def test_failed_validation_says_why_and_the_next_run_is_a_new_job(tmp_path: Path) -> None:
    tuning = ScriptedTuning([JobScript(error="line 3 has a role that is unknown"), JobScript()])
    with served(tuning) as server:
        job = make_job(tmp_path, server)
        with pytest.raises(TuneError, match=r"ftjob-1 .* failed: line 3 has a role .* \(invalid_training_file, train"):
            train(job, lambda _: None)
        assert train(job, lambda _: None).details["job"] == "ftjob-2"


def test_cancelled_from_outside(tmp_path: Path) -> None:
    tuning = ScriptedTuning([JobScript(["queued", "running"])])
    with served(tuning) as server:
        job = make_job(tmp_path, server)

        def cancel(step: TrainingStep) -> None:
            if step.note == "status running":
                assert control_job(job, "cancel") == ("ftjob-1", "cancelled")

        with pytest.raises(TuneError, match=r"ftjob-1 .* was cancelled"):
            train(job, cancel)


def test_a_paused_job_is_waited_for_until_it_resumes(tmp_path: Path) -> None:
    tuning, steps = ScriptedTuning(), list[TrainingStep]()
    with served(tuning) as server:
        job = make_job(tmp_path, server)

        def report_step(step: TrainingStep) -> None:
            steps.append(step)
            if step.note == "status running" and notes(steps).count(step.note) == 1:
                assert control_job(job, "pause") == ("ftjob-1", "pausing")
            if step.note == "status paused":
                assert control_job(job, "resume") == ("ftjob-1", "running")

        train(job, report_step)
        with pytest.raises(ProviderError, match="cannot pause"):
            control_job(job, "pause")
    statuses = [note for note in notes(steps) if note.startswith("status")]
    assert statuses == ["status queued", "status running", "status paused", "status running", "status succeeded"]


def test_a_job_that_never_ends_is_left_running_and_found_again(tmp_path: Path) -> None:
    tuning = ScriptedTuning([JobScript(["queued", "running"])])
    with served(tuning) as server:
        job = make_job(tmp_path, server, max_minutes=0.003)
        with pytest.raises(TuneError, match=r"ftjob-1 at .* is running after 0.003 min; it was left running") as caught:
            train(job, lambda _: None)
        assert "resumes waiting" in str(caught.value.hint)
        tuning._ahead["ftjob-1"].append("succeeded")
        trained = train(make_job(tmp_path, server, max_minutes=5), lambda _: None)
    assert trained.details["job"] == "ftjob-1"
    assert len(tuning.jobs) == 1


def test_steering_needs_a_job(tmp_path: Path) -> None:
    with served(ScriptedTuning()) as server, pytest.raises(MissingError, match="no job was started"):
        control_job(make_job(tmp_path, server), "cancel")


# -- kill -9 --------------------------------------------------------------------------------------------------------


def killed_in_trouble(job: Job, tuning: ScriptedTuning) -> None:
    """Run the worker until it has sent the request that is never answered, then kill it."""
    (failing_request,) = tuning.failing_requests
    worker = subprocess.Popen([sys.executable, "-m", PROCESS, str(job.folder)])
    deadline = time.monotonic() + 300
    while failing_request.times:
        assert worker.poll() is None, (job.folder / "log.txt").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with tuning._lock:
        pass  # the request has taken effect
    worker.send_signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize(
    ("request_", "done", "metadata", "reached"),
    [
        ("POST /v1/files", False, True, "POST /v1/files"),
        (CREATE, False, True, CREATE),
        (CREATE, True, True, CREATE),
        (CREATE, True, False, CREATE),
        (LOOK, False, True, "GET /v1/fine_tuning/jobs/ftjob-1"),
    ],
    ids=["in the upload", "before it was created", "after it was created", "without metadata", "while waiting"],
)
def test_a_killed_run_that_restarts_has_one_job(
    tmp_path: Path, request_: str, done: bool, metadata: bool, reached: str
) -> None:
    tuning = ScriptedTuning(
        failing_requests=[FailingRequest(request_, Reply(stall=True), takes_effect=done)], metadata=metadata
    )
    with served(tuning) as server:
        job = make_job(tmp_path, server)
        killed_in_trouble(job, tuning)
        before = state(job)
        if reached != "POST /v1/files":
            assert before["files"] == {"train": "file-1", "validation": "file-2"}
        assert before["job"] == (None if "POST" in reached else "ftjob-1")
        artifact = asyncio.run(launch_training(job.folder, module=PROCESS))
    assert list(tuning.jobs) == ["ftjob-1"]
    assert len(tuning.files) == 2
    assert artifact.details["job"] == "ftjob-1"
    assert read_artifact(job.folder) == artifact


def test_the_state_of_other_rows_is_refused(tmp_path: Path) -> None:
    with served(ScriptedTuning([JobScript(["running"])])) as server:
        job = make_job(tmp_path, server, max_minutes=0.001)
        with pytest.raises(TuneError, match="left running"):
            train(job, lambda _: None)
        other = make_job(tmp_path, server, n=13)
        with pytest.raises(TuneError, match=r"different data or settings \(job ftjob-1\)"):
            train(other, lambda _: None)
        with pytest.raises(TuneError, match="different data or settings"):
            train(make_job(tmp_path, server, epochs=9), lambda _: None)


# -- before money is spent ------------------------------------------------------------------------------------------


def test_the_price_is_a_bound_and_the_limit_holds(tmp_path: Path) -> None:
    tuning = ScriptedTuning()
    with served(tuning) as server:
        job = make_job(tmp_path, server, epochs=4)
        bounds = estimate(job)
        assert bounds.usd is not None
        trained = train(job, lambda _: None)
        assert trained.usd is not None
        assert 0 < trained.usd < bounds.usd < 20 * trained.usd
        assert "4 epochs" in bounds.note
        dear = make_job(tmp_path / "dear", server, max_usd=bounds.usd * 0.7)
        with pytest.raises(TuneError, match=r"may cost \$0.0\d, which is above max_usd"):
            train(dear, lambda _: None)
        assert estimate(make_job(tmp_path / "fair", server, epochs=4, max_usd=bounds.usd)).usd == bounds.usd
    assert list(tuning.jobs) == ["ftjob-1"]
    assert len(tuning.files) == 2


def test_an_unknown_price_is_not_zero(tmp_path: Path) -> None:
    with served(ScriptedTuning()) as server:
        job = make_job(tmp_path, server, details={})
        assert estimate(job).usd is None
        assert train(job, lambda _: None).usd is None
        assert warnings(job) == [f"the price of training {BASE} at {server.base_url[7:-3]} is unknown"]
        limited = make_job(tmp_path / "limited", server, details={}, max_usd=1000.0)
        with pytest.raises(TuneError, match=r"unknown, so it may cost more than \$1000"):
            train(limited, lambda _: None)


def test_a_preference_counts_as_two_chats(tmp_path: Path) -> None:
    ways = [make_job(tmp_path / way, None, method=way, details={}) for way in ("supervised", "dpo")]
    single, double = (estimate_bounds(job, today=date(2026, 11, 21)).usd for job in ways)
    assert single is not None
    assert double is not None
    assert 1.8 * single < double < 2.2 * single


def test_shutdowns_are_named_with_their_dates(tmp_path: Path) -> None:
    job = make_job(tmp_path, None, details={})
    caveats = warnings(job, today=date(2026, 11, 21))
    assert f"{BASE} will be shut down on 2027-01-14, in 54 days" in caveats[0]
    assert "no new fine-tuning jobs from 2027-01-06, in 46 days" in caveats[1]
    assert "60 days" in caveats[2]
    assert len(caveats) == 3
    assert estimate_bounds(job, today=date(2026, 11, 21)).usd is not None


@pytest.mark.parametrize(
    ("base", "today", "message"),
    [
        ("gpt-4.1-nano-2025-04-14", date(2026, 11, 21), "gpt-4.1-nano-2025-04-14 was shut down on 2026-10-23"),
        (BASE, date(2027, 1, 13), "openai has taken no new fine-tuning jobs since 2027-01-06"),
        (BASE, date(2027, 1, 14), f"{BASE} was shut down on 2027-01-14"),
    ],
)
def test_no_job_starts_on_a_closed_base_or_provider(tmp_path: Path, base: str, today: date, message: str) -> None:
    job = replace(make_job(tmp_path, None, details={}), base=base)
    with pytest.raises(TuneError, match=message) as caught:
        estimate_bounds(job, today=today)
    assert "[providers.openai]" in (caught.value.hint or "")
    assert not any("since" in caveat for caveat in warnings(job, today=today) if "60 days" not in caveat), "said once"
    overrides = {"provider": {"no_new_jobs": "2999-01-01", "bases": {base: {"ends": "2999-01-01"}}}}
    assert estimate_bounds(replace(job, details=overrides), today=today).usd is not None, (
        "what is known here can be corrected"
    )


@pytest.mark.parametrize("name", ["together", "fireworks"])
def test_a_provider_with_an_api_of_its_own_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="fine-tuning API of its own"):
        warnings(make_job(tmp_path, None, provider=name, details={}))


def test_unknown_providers(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown provider 'opnai'") as caught:
        warnings(make_job(tmp_path, None, provider="opnai", details={}))
    assert "openai, azure" in str(caught.value.hint)
    with pytest.raises(UsageError, match="base URL of azure depends"):
        warnings(make_job(tmp_path, None, provider="azure", details={}))
    azure = make_job(tmp_path, None, provider="azure", details={}, base_url="https://x.openai.azure.com/openai/v1")
    assert "deployment" in warnings(azure)[0]


def test_names_of_bases_without_a_date_and_of_tuned_models(tmp_path: Path) -> None:
    from groundtune.tune.hosted.providers import OPENAI, find_hosted_base

    assert find_hosted_base(OPENAI, "gpt-4o-mini")[0] == BASE
    assert find_hosted_base(OPENAI, "gpt-4o")[0] == "gpt-4o-2024-08-06"
    assert find_hosted_base(OPENAI, f"ft:{BASE}:acme:desk:abc")[0] == BASE
    assert find_hosted_base(OPENAI, "gpt-9")[1].ends is None


def test_too_few_rows_and_rows_without_a_reply(tmp_path: Path) -> None:
    tuning = ScriptedTuning()
    with served(tuning) as server:
        with pytest.raises(TuneError, match=r"9 training examples; .* requires at least 10"):
            train(make_job(tmp_path / "few", server, n=9), lambda _: None)
        for name, bad, method, message in (
            ("mute", {"messages": rows(1)[0].messages[:-1]}, "supervised", "1 row without an assistant reply .*: odd"),
            ("empty", {"messages": ()}, "supervised", "1 row without an assistant reply"),
            ("alone", {"messages": rows(1)[0].messages}, "dpo", "1 row without a rejected reply.*: odd"),
        ):
            job = make_job(tmp_path / name, server, method=method)
            write_job(job, [*rows(12), TrainingRow("odd", "x", "y", **bad)], [])
            with pytest.raises(TuneError, match=message):
                train(job, lambda _: None)
    assert sent(server, "POST /v1/files") == 0


# -- keys and the network -------------------------------------------------------------------------------------------


def test_without_the_key_it_is_exit_code_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNE_KEY")
    with served(ScriptedTuning()) as server:
        job = make_job(tmp_path, server)
        with pytest.raises(MissingError, match="TUNE_KEY is not set") as caught:
            asyncio.run(launch_training(job.folder, module=PROCESS))
    assert caught.value.exit_code == 3
    assert server.requests == []


def test_a_key_of_the_profile_or_the_environment_goes_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "sk-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-secret: sk-secret")
    tuning = ScriptedTuning()
    with ScriptedServer(tuning.reply, extra=tuning.answer) as server:
        job = make_job(tmp_path, server, api_key_env=None, details={})
        assert train(job, lambda _: None).details["api_key_env"] is None
    assert not any("sk-secret" in str(request.headers) for request in server.requests)


def test_a_wrong_key_is_not_tried_again_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_KEY", "sk-wrong")
    with served(ScriptedTuning()) as server:
        job = make_job(tmp_path, server)
        with pytest.raises(ProviderError, match="401: Incorrect API key") as caught:
            train(job, lambda _: None)
    assert caught.value.kind == "bad_key"
    assert "TUNE_KEY" in str(caught.value.hint)
    assert len(server.requests) == 1


@pytest.mark.parametrize("request_", ["POST /v1/files", CREATE, LOOK, "GET .*/checkpoints"])
@pytest.mark.parametrize(
    "reply",
    [
        Reply("slow down", status=429, headers={"Retry-After": "0.01"}),
        Reply("out of order", status=503),
        Reply(raw_body='{"id": "ftjob-1"', broken_stream_after=0),
        Reply(raw_body='{"id": "ftjob-1", "status": "running"}', broken_stream_after=9),
    ],
    ids=["429", "503", "cut off", "half a body"],
)
@pytest.mark.parametrize("done", [False, True], ids=["not done", "done, not told"])
def test_temporary_failures_are_retried_without_a_second_job(
    tmp_path: Path, request_: str, reply: Reply, done: bool
) -> None:
    tuning = ScriptedTuning(failing_requests=[FailingRequest(request_, reply, times=3, takes_effect=done)])
    with served(tuning) as server:
        trained = train(make_job(tmp_path, server), lambda _: None)
    assert trained.details["job"] == "ftjob-1"
    assert list(tuning.jobs) == ["ftjob-1"]
    assert tuning.failing_requests[0].times <= (2 if done and request_ == CREATE else 0)


def test_an_outage_ends_the_wait_but_not_the_job(tmp_path: Path) -> None:
    failing_request = FailingRequest(LOOK, Reply("out of order", status=500), times=8)
    tuning = ScriptedTuning(failing_requests=[failing_request])
    with served(tuning) as server:
        job = make_job(tmp_path, server)
        with pytest.raises(ProviderError, match="answered 500: out of order"):
            train(job, lambda _: None)
        assert state(job)["job"] == "ftjob-1"
        assert train(job, lambda _: None).details["job"] == "ftjob-1"
    assert len(tuning.jobs) == 1


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply("no credit", status=429, code="insufficient_quota"), "answered 429: no credit"),
        (Reply("the model cannot be tuned", status=400), "answered 400: the model cannot be tuned"),
        (Reply("", status=302, headers={"Location": "http://127.0.0.1:1/v1"}), "answered 302"),
        (Reply(raw_body="<html>"), "gave a bad response|not a fine-tuning API"),
        (Reply(raw_body='{"hello": 1}'), "not a fine-tuning API"),
    ],
    ids=["no credit", "refused", "redirect", "html", "other json"],
)
@pytest.mark.parametrize("request_", ["POST /v1/files", CREATE])
def test_permanent_failures_are_reported_at_once(tmp_path: Path, request_: str, reply: Reply, message: str) -> None:
    tuning = ScriptedTuning(failing_requests=[FailingRequest(request_, reply, times=9)])
    with served(tuning) as server:
        job = make_job(tmp_path, server)
        with pytest.raises(ProviderError, match=message):
            train(job, lambda _: None)
        assert sent(server, request_) == 1
        tuning.failing_requests[0].times = 0
        assert train(job, lambda _: None).details["job"] == "ftjob-1"
    assert list(tuning.jobs) == ["ftjob-1"]


def test_a_model_that_is_not_offered(tmp_path: Path) -> None:
    with (
        served(ScriptedTuning(base_models=["other"])) as server,
        pytest.raises(ProviderError, match="not available for fine"),
    ):
        train(make_job(tmp_path, server), lambda _: None)


def test_an_unreachable_server(tmp_path: Path) -> None:
    with served(ScriptedTuning()) as server:
        job = make_job(tmp_path, server)
    with pytest.raises(ProviderError, match="cannot be reached"):
        train(job, lambda _: None)


@pytest.mark.slow
def test_the_reason_of_a_failure_is_left_for_the_command(tmp_path: Path) -> None:
    with served(ScriptedTuning([JobScript(error="too short")])) as server:
        job = make_job(tmp_path, server)
        with pytest.raises(TuneError, match=r"ftjob-1 .* failed: too short"):
            asyncio.run(launch_training(job.folder, module=PROCESS))
    assert json.loads((job.folder / FAILURE).read_bytes())["exit_code"] == 1
    assert os.environ["TUNE_KEY"] not in (job.folder / "log.txt").read_text()
