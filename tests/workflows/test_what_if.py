"""Another assumption gives another verdict from the same answers, and asks nothing again."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from groundtune.cli import main
from groundtune.cli.options import key_values
from groundtune.errors import UsageError
from groundtune.types import Result, Usage
from groundtune.workflows.reporting import evaluate_run
from groundtune.workflows.runs import Run
from groundtune.workflows.what_if import KEYS, assume


@pytest.fixture(scope="module")
def paid() -> Run:
    """A dear approach that is right in 95 of 100 questions, and a cheap, slow one that is right in 60."""
    rows = [
        Result(
            str(n), name, "answered", output="x", scores={"correct": float(n < right)}, usage=Usage(usd=usd, seconds=s)
        )
        for n in range(100)
        for name, right, usd, s in (("rag", 95, 0.02, 1.0), ("prompt", 60, 0.001, 4.0))
    ]
    return Run(tuple(rows), Path("results.jsonl"), about={"primary": "correct", "requirements": {}})


def test_nothing_assumed_changes_nothing(paid: Run) -> None:
    assert evaluate_run(assume(paid, {})).verdict == evaluate_run(paid).verdict


def test_a_budget_at_another_volume_rules_the_dear_one_out(paid: Run) -> None:
    assert evaluate_run(paid).verdict.choice == "rag"
    few = evaluate_run(assume(paid, {"max_usd_per_month": "100", "requests_per_month": "4e3"}))
    many = evaluate_run(assume(paid, {"max_usd_per_month": "100", "requests_per_month": "1e5"}))
    assert (few.verdict.choice, many.verdict.choice) == ("rag", "prompt")
    assert "rag" in many.verdict.ruled_out
    assert paid.about["requirements"] == {}, "the run itself stays as it was"


def test_a_latency_ceiling_can_be_set_and_lifted(paid: Run) -> None:
    strict = assume(paid, {"max_p95_seconds": "2"})
    assert "prompt" in evaluate_run(strict).verdict.ruled_out
    assert not evaluate_run(assume(strict, {"max_p95_seconds": "none"})).verdict.ruled_out


def test_a_gate_on_quality_can_be_set_and_lifted(paid: Run) -> None:
    strict = assume(paid, {"min_quality": "0.99"})
    assert evaluate_run(strict).verdict.choice is None
    assert evaluate_run(assume(strict, {"min_quality": "none"})).verdict.choice == "rag"


def test_training_is_spread_over_the_volume(paid: Run) -> None:
    run = assume(paid, {})
    run.about["training_usd"] = {"rag": 1_200.0}
    few, many = (
        evaluate_run(assume(run, {"requests_per_month": volume, "months": "12"})) for volume in ("100", "100000")
    )
    prices = [next(each.usd_per_1k for each in report.approaches if each.name == "rag") for report in (few, many)]
    assert prices == [pytest.approx(20 + 1_000), pytest.approx(20 + 1)]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["volume"], "is not KEY=VALUE"),
        (["weather=fine"], "there is no such key"),
        (["requests_per_month=many"], "must be a number, such as"),
        (["requests_per_month=0"], "whole number of 1 or more"),
        (["requests_per_month=1.000"], "may mean two numbers: write 1000 or 1"),
        (["requests_per_month=1e16"], "must be at most 1e+15"),
        (["months=6", "months=12"], "--what-if months is given twice"),
        (["max_asserted_wrong=5"], "between 0 and 1"),
        (["max_usd_per_month=nan"], "number of 0 or more"),
        (["citations=perhaps"], "true or false"),
        (["documents_change=hourly"], "must be one of daily, weekly"),
        (["hosting=rented"], "must be one of per_use, reserved"),
        (["usd_per_1k.nobody=3"], "no such approach"),
        (["prices.m.input_per_million=3"], "no such price"),
        (["machine_usd_per_hour=3,2,1"], "three that rise"),
    ],
)
def test_a_wrong_assumption_is_named(paid: Run, texts: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        assume(paid, dict(key_values(texts, option="--what-if", example="months=6")))
    assert message in str(caught.value)


def test_the_only_assumption_of_costs_can_be_replaced(paid: Run) -> None:
    costs = {"assumptions": {"requests_per_month": [100.0, 100.0, 100.0]}}
    run = replace(paid, about={**paid.about, "costs": costs})
    assert evaluate_run(assume(run, {"requests_per_month": "5000"})).case.rules.requirements.requests_per_month == 5000


def test_every_key_is_a_requirement_of_the_verdict(paid: Run) -> None:
    values = {
        "citations": "true",
        "max_asserted_wrong": "0.5",
        "prefer_simpler": "false",
        "documents_change": "daily",
        "hosting": "reserved",
    }
    for key in KEYS:
        evaluate_run(assume(paid, {key: values.get(key, "3")}))


def test_the_command_prints_what_report_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        Result(str(n), name, "answered", output="x", scores={"correct": right}, usage=Usage(usd=usd, seconds=1.0))
        for n in range(60)
        for name, right, usd in (("rag", 1.0, 0.02), ("prompt", 0.0, 0.001))
    ]
    file = tmp_path / "results.jsonl"
    file.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    words = ("report", "--results", str(file), "--what-if", "max_usd_per_1k=5", "--json")
    code = main(words)
    report = json.loads(capsys.readouterr().out)
    assert code == 1, "what is left is never right"
    assert report["verdict"]["ruled_out"]["rag"]


@pytest.mark.slow
def test_a_stored_report_imports_nothing_that_it_does_not_need(tmp_path: Path, paid: Run) -> None:
    folder = tmp_path / ".groundtune/runs/20261128-120000"
    folder.mkdir(parents=True)
    (tmp_path / "groundtune.toml").write_text('name = "shop"\n')
    (folder / "results.jsonl").write_text("".join(json.dumps(asdict(row)) + "\n" for row in paid.results))
    (folder / "examples.jsonl").write_text("")
    (folder / "run.json").write_text(json.dumps({"about": {"primary": "correct"}, "complete": True, "format": 1}))
    words = ["report", "--what-if", "requests_per_month=1e6", "--json", "-C", str(tmp_path)]
    assert main(words) == 0, "keeps the figures"
    code = f"import sys, groundtune.cli as c; c.main({words!r}); print([m for m in sys.modules if m.split('.')[0] in "
    code += "('scipy', 'pydantic', 'filelock', 'lancedb', 'openai', 'asyncio', 'tomlkit')], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.endswith("[]\n"), done.stderr
