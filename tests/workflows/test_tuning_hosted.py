"""A hosted table against a scripted API: limits, prices, residency, and jobs that do not end."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from groundtune.cli import main
from groundtune.errors import MissingError, UsageError
from groundtune.project import Project
from groundtune.testing.scripted_models import ScriptedModel
from groundtune.testing.scripted_server import ScriptedServer
from groundtune.testing.scripted_tuning import JobScript, ScriptedTuning
from groundtune.tune.job import TuneError

pytestmark = pytest.mark.slow

NEVER = JobScript(["queued", "running"])
ROWS = [
    {"id": f"{split}-{n}", "input": f"where is parcel {split} {n}", "output": label, "split": split}
    for split, count in (("train", 10), ("validation", 2), ("test", 2))
    for n in range(count)
    for label in [("delivery", "refund")[n % 2]]
]
TABLE = """name = "desk"
task = "classify"
[examples]
files = ["rows.jsonl"]
[providers.desk]
base_url = "{url}"
api_key_env = "TUNE_KEY"
max_example_tokens = 2000
{more}
[providers.desk.bases.small]
usd_per_million = 4.0
ends = 2999-01-14
[tune.voice]
kind = "hosted"
provider = "desk"
base = "small"
{table}
"""
Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDTUNE_POLL_SECONDS", "0.005")
    monkeypatch.setenv("TUNE_KEY", "sk-right")


@pytest.fixture
def tuning() -> ScriptedTuning:
    gold = {row["input"]: row["output"] for row in ROWS}
    return ScriptedTuning([NEVER], make_model=lambda name, _: ScriptedModel(name, gold))


@pytest.fixture
def server(tuning: ScriptedTuning) -> Iterator[ScriptedServer]:
    with ScriptedServer(tuning.reply, extra=tuning.answer, api_key="sk-right") as server:
        yield server


@pytest.fixture
def desk(tmp_path: Path, server: ScriptedServer) -> Make:
    def make(table: str = "", *, more: str = "", rows: Any = ROWS, url: str | None = None) -> Path:
        (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        text = TABLE.format(url=url or server.base_url, table=table, more=more)
        (tmp_path / "groundtune.toml").write_text(text)
        return tmp_path

    return make


def trained(folder: Path, **more: Any) -> Any:
    with Project.open(folder) as project:
        return project.tune("voice", **more)


def looked(folder: Path) -> Any:
    with Project.open(folder) as project:
        return project.preflight("voice")


def test_a_provider_from_the_project_file_trains_answers_and_costs(desk: Make, tuning: ScriptedTuning) -> None:
    tuning.job_scripts = [JobScript()]
    folder = desk()
    preflight = looked(folder)
    assert preflight.errors == ()
    assert (preflight.lengths.limit, preflight.bounds.usd > 0) == (2000, True)
    assert any("small will be shut down on 2999-01-14" in warning.message for warning in preflight.warnings)
    artifact = trained(folder)
    assert artifact.usd == pytest.approx(artifact.details["trained_tokens"] * 4.0 / 1e6)
    with Project.open(folder) as project:
        assert project.ask("where is parcel test 0", approach="tuned").output == "delivery", "asked at the same place"
        calls = sum(row["split"] == "test" for row in ROWS)
        (expected,) = [estimate for estimate in project.estimate() if estimate.approach == "tuned"]
        assert (expected.model, expected.calls, expected.cached) == (artifact.details["model"], calls, 0)


def test_rows_that_the_provider_would_truncate_or_reject_are_refused_before_upload(
    desk: Make, server: ScriptedServer
) -> None:
    rows = [dict(row) for row in ROWS if row["id"] != "train-0"]
    rows[0]["input"] += " and again" * 900
    folder = desk(rows=rows)
    few, long = [error.message for error in looked(folder).errors]
    assert few == "train: 9 rows; at least 10 are needed"
    assert long.startswith("train: 1 row longer than 2,000 tokens; the longest has about 2,3")
    with pytest.raises(TuneError, match="not started because of 2 problems"):
        trained(folder)
    assert server.requests == []
    assert looked(desk("allow_truncation = 1", more="min_examples = 9", rows=rows)).errors == ()


def test_a_price_above_the_limit_is_refused(desk: Make, server: ScriptedServer) -> None:
    folder = desk("max_usd = 0.001")
    (error,) = looked(folder).errors
    assert "which is above max_usd = 0.001" in error.message
    with pytest.raises(TuneError, match=r"above max_usd = 0\.001"):
        trained(folder)
    assert server.requests == []


def test_rows_are_not_sent_where_the_requirements_forbid_it(desk: Make) -> None:
    url = "https://tune.example.com/v1"
    folder = desk('[requirements]\nresidency = "local"', url=url)
    for verb in (looked, trained):
        with pytest.raises(UsageError, match=r"tune\.voice: .* not allow sending text to tune\.example\.com"):
            verb(folder)
    allowed = desk('[requirements]\nresidency = ["tune.example.com"]', url=url)
    assert looked(allowed).errors == ()


def test_an_unknown_provider(desk: Make, tmp_path: Path) -> None:
    text = (desk() / "groundtune.toml").read_text().replace('provider = "desk"', 'provider = "dusk"')
    (tmp_path / "groundtune.toml").write_text(text)
    with pytest.raises(UsageError, match="unknown provider 'dusk'") as caught:
        looked(tmp_path)
    assert "[providers.dusk] with base_url" in (caught.value.hint or "")


def test_waiting_longer_does_not_start_another_job(desk: Make, tuning: ScriptedTuning) -> None:
    with pytest.raises(TuneError, match=r"ftjob-1 .* it was left running there"):
        trained(desk("max_minutes = 0.001"))
    with pytest.raises(TuneError, match=r"ftjob-1 at .* after 0\.002 min;"):
        trained(desk("max_minutes = 0.002\nmax_usd = 5"))
    tuning._ahead["ftjob-1"].append("succeeded")
    assert trained(desk("max_minutes = 5")).details["job"] == "ftjob-1"
    assert len(tuning.jobs) == 1


def test_a_running_job_of_other_rows_is_named(desk: Make, tuning: ScriptedTuning) -> None:
    with pytest.raises(TuneError, match="left running"):
        trained(desk("max_minutes = 0.001"))
    messages = [warning.message for warning in looked(desk("max_minutes = 0.001")).warnings]
    assert not [message for message in messages if "ftjob-1" in message], "it is this one"
    messages = [warning.message for warning in looked(desk("epochs = 9")).warnings]
    assert any("job ftjob-1 with different data or settings may still be running" in message for message in messages)


def test_a_job_is_controlled_by_table_name(
    desk: Make, tuning: ScriptedTuning, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = desk("max_minutes = 0.001")

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["tune", "voice", "--project", str(folder), *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    code, _, err = run("--job", "cancel")
    assert (code, "tune.voice has no job in progress" in err) == (3, True)
    code, _, err = run()
    assert (code, "resumes waiting for it" in err) == (1, True)
    assert run("--job", "stop")[0] == 2
    assert run("--job", "pause")[:2] == (0, "job ftjob-1 is pausing\n")
    assert run("--job", "resume")[:2] == (0, "job ftjob-1 is running\n")
    assert json.loads(run("--job", "cancel", "--json")[1]) == {"job": "ftjob-1", "status": "cancelled"}
    assert tuning.jobs["ftjob-1"]["status"] == "cancelled"
    with Project.open(folder) as project, pytest.raises(MissingError, match="no job in progress"):
        project.control_job("voice", "cancel")
    capsys.readouterr()
    main(["models", "list", "--project", str(folder), "--json"])
    (left,) = json.loads(capsys.readouterr().out)["incomplete"]
    assert left["state"].startswith("failed: job ftjob-1 at http://127.0.0.1")
    assert left["state"].endswith("was cancelled (groundtune tune voice)")
    run()
    assert list(tuning.jobs) == ["ftjob-1", "ftjob-2"], "what was cancelled is not waited for"


def test_a_finished_training_is_not_paid_for_twice(
    desk: Make, tuning: ScriptedTuning, capsys: pytest.CaptureFixture[str]
) -> None:
    tuning.job_scripts = [JobScript(), JobScript(), JobScript()]
    folder = desk()
    first = trained(folder)
    assert trained(folder) == first
    assert list(tuning.jobs) == ["ftjob-1"]
    capsys.readouterr()
    assert main(["tune", "voice", "--project", str(folder)]) == 0
    printed = " ".join("".join(capsys.readouterr()).split())
    reused = f"{first.id} was trained on the same data with the same settings"
    assert f"nothing to train: {reused}; use --fresh to train again" in printed
    assert main(["tune", "voice", "--project", str(folder), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["trained"], result["artifact"]["id"]) == (False, first.id)
    assert trained(desk("epochs = 2")).details["job"] == "ftjob-2", "different settings are a different training run"
    assert main(["tune", "voice", "--project", str(desk())]) == 0
    assert " is still the one in use; groundtune models remove voice-" in " ".join("".join(capsys.readouterr()).split())
    assert trained(folder, fresh=True).details["job"] == "ftjob-3"


def test_a_fresh_training_is_refused_while_a_job_may_run(desk: Make, tuning: ScriptedTuning) -> None:
    folder = desk("max_minutes = 0.001")
    with pytest.raises(TuneError, match="left running"):
        trained(folder)
    with pytest.raises(
        UsageError, match=r"job ftjob-1 of tune\.voice may still be running; --fresh would pay"
    ) as caught:
        trained(folder, fresh=True)
    assert "groundtune tune voice --job cancel" in (caught.value.hint or "")
    assert list(tuning.jobs) == ["ftjob-1"]


def test_a_retired_base_is_refused(desk: Make, server: ScriptedServer) -> None:
    folder = desk()
    file = folder / "groundtune.toml"
    file.write_text(file.read_text().replace("2999-01-14", "2020-01-14"))
    (error,) = looked(folder).errors
    assert error.message == "small was shut down on 2020-01-14, and with it everything tuned from it"
    with pytest.raises(TuneError, match="small was shut down on 2020-01-14"):
        trained(folder)
    assert server.requests == []


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            JobScript(error="line 3: the assistant message is empty"),
            "ftjob-1 .* failed: line 3: the assistant message is",
        ),
        (JobScript(["queued", "running", "cancelled"]), "ftjob-1 .* was cancelled"),
    ],
    ids=["failed", "cancelled"],
)
def test_a_failed_job_says_why_and_the_next_run_starts_another(
    script: JobScript, message: str, desk: Make, tuning: ScriptedTuning
) -> None:
    tuning.job_scripts = [script, JobScript()]
    folder = desk()
    with pytest.raises(TuneError, match=message):
        trained(folder)
    assert trained(folder).details["job"] == "ftjob-2"


def test_an_unreachable_provider_is_exit_code_4(desk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    folder = desk(url="http://127.0.0.1:9/v1")
    assert main(["tune", "voice", "--project", str(folder)]) == 4
    assert "cannot be reached" in capsys.readouterr().err
