"""compare and report end to end over real HTTP: their figures must match the scripts of the models."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundtune.models.hosted_generator import UNHELD
from groundtune.testing.scripted_models import Faults, ModelScript, ScriptedJudge, ScriptedModel, script_of
from groundtune.testing.scripted_server import ScriptedServer
from tests.workflows.scripted_bench import (
    FIVE,
    NINTH,
    TWO,
    Bench,
    Rows,
    asked,
    cells,
    documents,
    examples,
    gold,
    lines,
    pair,
    project_file,
    share,
    summary_of,
    ticket,
)

pytestmark = pytest.mark.slow

MakeBench = Callable[..., Bench]


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeBench]:
    for module in ("connection", "rate_limiter"):
        monkeypatch.setattr(f"groundtune.models.{module}.max_backoff_seconds", lambda first, tries: 0.02)
    with ExitStack() as stack:

        def make(
            rows: Rows, *models: ModelScript, toml: str = "", model: str = "", docs: dict[str, str] | None = None
        ) -> Bench:
            server = stack.enter_context(ScriptedServer(script_of(*models)))
            folder = tmp_path / f"project-{len(list(tmp_path.iterdir()))}"
            files = {"groundtune.toml": project_file(server.base_url, models, toml=toml, model=model), **(docs or {})}
            for path, text in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text)
            new_bench = Bench(folder, server, capsys.readouterr)
            new_bench.write(rows)
            if docs:
                new_bench("ingest")
            return new_bench

        yield make


# -- every approach ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["answer", "classify", "extract", "write"])
def test_every_approach_is_as_good_as_its_script(bench: MakeBench, task: Any) -> None:
    rows = examples(task, 30)
    model = ScriptedModel("m", gold(rows), task=task, right=0.4, with_shots=0.6, with_passages=0.9, cached=0.5)
    here = bench(rows, model, docs=documents(42 if task == "answer" else 9), model="concurrency = 16")
    report = here("compare")
    names = {approach["name"] for approach in report["approaches"]}
    quotes = {"quote-bm25", "quote-dense", "quote-hybrid", "quote-corpus"}
    held = {"constrained", "fewshot-constrained"}
    assert names == set(FIVE) | {"answer": quotes, "classify": {"nearest"}, "extract": held}.get(task, set())
    assert report["unavailable"] == {}
    assert all(
        (approach["errors"], approach["answered"] + approach["abstained"]) == (0, 30)
        for approach in report["approaches"]
    )
    assert len(lines(report)) == 30 * len(names)
    contexts = FIVE | ({"constrained": "alone", "fewshot-constrained": "shots"} if task == "extract" else {})
    for name, context in contexts.items():
        scores = [row["scores"] for row in lines(report) if row["approach"] == name]
        if task == "write":
            assert np.mean([row_scores["chrf"] > 0.999 for row_scores in scores]) == pytest.approx(
                share(model, rows, context)
            ), name
        elif (task, name) != ("answer", "rag"):
            assert summary_of(report, name)["mean"] == pytest.approx(share(model, rows, context)), name
    if task == "answer":  # right where retrieval found it, an abstention where it did not
        rag = summary_of(report, "rag")
        assert 0.8 * share(model, rows, "passages") <= rag["mean"] <= share(model, rows, "passages")
        assert (summary_of(report, "prompt")["cited"], rag["cited"] > 0.6) == (0.0, True)
    assert Path(report["html"]).stat().st_size > 10_000
    assert report["primary"] == ("chrf" if task == "write" else "correct")


# -- the verdict -------------------------------------------------------------------------------------------------


def test_the_better_model_is_chosen_although_it_costs_more(bench: MakeBench) -> None:
    rows = examples("classify", 120)
    good, cheap = pair(rows, right=0.7, seed=4, **NINTH)
    report = bench(rows, good, cheap)("compare", *TWO)
    assert report["choice"] == "prompt"
    assert report["sentence"].startswith("Use prompt: ")
    assert "measurably more than prompt:cheap" in report["sentence"]
    for name, model in (("prompt", good), ("prompt:cheap", cheap)):
        result = summary_of(report, name)
        assert result["mean"] == pytest.approx(share(model, rows))
        assert result["low"] < share(model, rows) < result["high"]
    (difference,) = report["comparisons"]
    assert difference["difference"] == pytest.approx(share(good, rows) - share(cheap, rows))
    assert difference["p_adjusted"] < 0.05


def test_among_equals_the_cheaper_is_chosen(bench: MakeBench) -> None:
    rows = examples("classify", 120)
    report = bench(rows, *pair(rows, **NINTH))("compare", *TWO)
    assert report["choice"] == "prompt:cheap"
    assert "not measurably worse than prompt" in report["sentence"]
    assert report["sentence"].endswith("and costs a ninth as much.")
    (dearer,) = (flip for flip in report["flips"] if flip["key"] == "usd_per_1k.prompt:cheap")
    assert (dearer["side"], dearer["choice"]) == ("or more", None)


def test_among_equals_at_the_same_price_none_is_chosen(bench: MakeBench) -> None:
    rows = examples("classify", 60)
    good, cheap = pair(rows, right=0.7, seed=4)
    good.right = 0.7
    report = bench(rows, good, cheap)("compare", *TWO)
    assert (report["choice"], set(report["verdict"]["leaders"])) == (None, {"prompt", "prompt:cheap"})
    assert report["sentence"].startswith("No clear winner yet: ")
    assert report["verdict"]["more_examples"] >= 10
    assert f"about {report['verdict']['more_examples']:,} more" in report["sentence"]


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [
        ("max_p95_seconds = 1.5", "; max_p95_seconds = 1.5"),
        ("max_usd_per_1k = 0.5", "; max_usd_per_1k = 0.5"),
        ('residency = ["localhost"]', "requirements.residency does not allow sending text to 127.1"),
        ("", ""),
    ],
)
def test_the_best_is_ruled_out_by_a_requirement(bench: MakeBench, requirement: str, reason: str) -> None:
    rows = examples("classify", 60)
    good, cheap = pair(rows, right=0.6, **NINTH)
    good.seconds = (0.0, 2.2) if "p95" in requirement else (0.0, 0.0)
    here = bench(rows, good, cheap, toml=f"[requirements]\n{requirement}", model="concurrency = 16")
    file = here.folder / "groundtune.toml"
    file.write_text(file.read_text().replace("127.0.0.1", "127.1", 1))  # the same server under a name that is not local
    barred = "residency" in requirement  # who is barred cannot be named, and is not asked
    report = here("compare", *(() if barred else TWO))
    assert bool(good.exchanges) != barred
    assert len(cheap.exchanges) >= 60
    if not barred:
        assert report["choice"] == ("prompt:cheap" if requirement else "prompt")
    ruled_out = report["verdict"]["ruled_out"]
    assert ("prompt" in ruled_out) == bool(requirement)
    assert reason in ruled_out.get("prompt", [""])[0]
    assert "prompt:cheap" not in ruled_out


def test_an_approach_without_citations_is_not_chosen_if_they_are_required(bench: MakeBench) -> None:
    rows = examples("answer", 40)
    model = ScriptedModel("m", gold(rows), with_passages=0.9)
    here = bench(rows, model, toml="[requirements]\ncitations = true", docs=documents(52))
    report = here("compare", "--approach", "prompt", "--approach", "context")
    assert summary_of(report, "prompt")["mean"] == 1.0
    assert report["choice"] == "context"
    assert report["verdict"]["ruled_out"]["prompt"] == [
        "0% of its answers are supported by the passages that they cite; citations = true requires 90%"
    ]
    (without,) = (flip for flip in report["flips"] if flip["key"] == "citations")
    assert (without["value"], without["choice"]) == (False, "prompt")


# -- faults ------------------------------------------------------------------------------------------------------


def test_failures_are_rows_with_their_kind_and_never_zeros(bench: MakeBench) -> None:
    rows = examples("classify", 80)
    good, cheap = pair(rows)
    good.faults = Faults(server_error=0.08, stall=0.03, half_body=0.03, malformed=0.03)
    here = bench(rows, good, cheap, model="concurrency = 16\ntimeout_seconds = 3")
    report = here("compare", *TWO)
    kinds = {"server_error": "server", "stall": "timeout", "half_body": "bad_response", "malformed": "bad_response"}
    faults = {text: kinds[fault] for text in asked(rows) if (fault := good.fault(text))}
    assert set(faults.values()) == set(kinds.values())
    result = summary_of(report, "prompt")
    assert result["failures"] == Counter(faults.values())
    assert (result["errors"], result["n"], result["answered"]) == (len(faults), 80 - len(faults), 80 - len(faults))
    healthy = [good.knows(text) for text in asked(rows) if text not in faults]
    assert result["mean"] == pytest.approx(np.mean(healthy))
    assert report["comparisons"][0]["n"] == len(healthy)
    failed = [row for row in lines(report) if row["status"] == "error"]
    assert all((row["output"], row["scores"], bool(row["error"]["message"])) == (None, {}, True) for row in failed)
    assert any(f"prompt: {len(faults)} errors" in caveat for caveat in report["verdict"]["caveats"])
    again = len([exchange for exchange in good.exchanges if exchange.input in faults])
    good.faults = Faults()
    corrected = here("compare", *TWO)  # an equal run asks again what failed, and nothing else
    assert (summary_of(corrected, "prompt")["errors"], summary_of(corrected, "prompt")["n"]) == (0, 80)
    assert len([exchange for exchange in good.exchanges if exchange.input in faults]) == again + len(faults)
    assert len(good.exchanges) - again - len(faults) == 80 - len(faults)


def test_transient_faults_are_retried_and_leave_no_trace(bench: MakeBench) -> None:
    rows = examples("classify", 40)
    model, _ = pair(rows)
    model.faults = Faults(server_error=0.2, half_body=0.1, times=2)
    report = bench(rows, model)("compare", "--approach", "prompt")
    assert (summary_of(report, "prompt")["errors"], summary_of(report, "prompt")["n"]) == (0, 40)
    assert len(model.exchanges) == 40 + 2 * sum(model.fault(text) is not None for text in asked(rows))


def test_rate_limits_only_slow_it_down(bench: MakeBench) -> None:
    rows = examples("classify", 60)
    model, _ = pair(rows)
    model.faults, model.seconds = Faults(at_once=3, retry_after_seconds=0.05), (0.1, 0.2)
    report = bench(rows, model, model="concurrency = 16")("compare", "--approach", "prompt")
    result = summary_of(report, "prompt")
    assert (result["errors"], result["n"], result["mean"]) == (0, 60, pytest.approx(share(model, rows)))
    statuses = Counter(exchange.status for exchange in model.exchanges)
    assert statuses[200] == 60
    assert statuses[429] > 5
    assert result["p95_seconds"] < 1.5, "what was waited for the limit is no property of the model"


# -- figures -----------------------------------------------------------------------------------------------------


def test_seconds_money_and_tokens_are_the_scripted_ones(bench: MakeBench) -> None:
    rows = examples("classify", 60)
    model, _ = pair(rows, seconds=(0.0, 0.0))
    model.seconds, model.cached, model.cached_per_million, model.output_per_million = (0.05, 0.3), 0.5, 2.0, 50.0
    report = bench(rows, model, model="concurrency = 8")("compare", "--approach", "prompt")
    result = summary_of(report, "prompt")
    seconds = [row["usage"]["seconds"] for row in lines(report)]
    for name, percent in (("p50_seconds", 50), ("p95_seconds", 95)):
        assert result[name] == pytest.approx(np.percentile(seconds, percent)), name
    assert result["usd_per_1k"] == pytest.approx(1000 * model.billed_usd / 60)
    by_input = {exchange.input: exchange for exchange in model.exchanges}
    inputs = {row["id"]: row["input"] for row in rows}
    overhead = [row["usage"]["seconds"] - model.delay(inputs[row["example"]]) for row in lines(report)]
    assert (min(overhead) >= 0, np.median(overhead) < 0.3) == (True, True), (
        "the time in the queue, 1 s and more, is not counted"
    )
    for row in lines(report):
        truth, usage = by_input[inputs[row["example"]]], row["usage"]
        assert usage["usd"] == pytest.approx(model.usd(truth))
        counts = (truth.prompt_tokens, truth.cached_tokens, truth.completion_tokens)
        assert (usage["input_tokens"], usage["cached_tokens"], usage["output_tokens"]) == counts


def test_a_budget_is_never_exceeded(bench: MakeBench) -> None:
    rows = examples("classify", 60)
    good, cheap = pair(rows, **NINTH)
    for model in (good, cheap):
        model.faults = Faults(half_body=0.1)
    here = bench(rows, good, cheap)
    (estimate,) = here("compare", "--estimate", "--approach", "prompt")["estimates"]
    budget = 0.7 * estimate["usd"]
    error = here("compare", *TWO, "--budget-usd", str(budget))["error"]
    assert (here.code, error["kind"]) == (1, "budget")
    assert 0 < good.billed_usd + cheap.billed_usd <= budget
    partial = here("report")
    assert (here.code, partial["complete"]) == (0, False)
    assert 0 < len(lines(partial)) < 120
    before = Counter(exchange.input for exchange in good.exchanges if exchange.right is not None)
    whole = here("compare", *TWO, "--budget-usd", "1")
    assert (whole["complete"], whole["run"], len(cells(whole))) == (True, partial["run"], 120)
    after = Counter(exchange.input for exchange in good.exchanges if exchange.right is not None)
    assert set(after.values()) == {1}
    assert before.keys() < after.keys()
    assert "error" in here("compare", *TWO, "--fresh", "--budget-usd", "0"), "errors are asked again, and cost"


def test_an_estimate_makes_no_calls_and_is_close(bench: MakeBench) -> None:
    rows = examples("answer", 30)
    model = ScriptedModel("m", gold(rows), input_per_million=3.0, output_per_million=15.0, seconds=(0.01, 0.02))
    here = bench(rows, model, docs=documents(42))
    named = [word for name in (*FIVE, "quote-bm25") for word in ("--approach", name)]
    estimates = {estimate["approach"]: estimate for estimate in here("compare", "--estimate", *named)["estimates"]}
    assert here.asked == 0
    report = here("compare", *named)
    for name in FIVE:
        usages = [row["usage"] for row in lines(report) if row["approach"] == name]
        for key, real in (
            ("input_tokens", sum(usage["input_tokens"] for usage in usages)),
            ("usd", sum(usage["usd"] for usage in usages)),
        ):
            assert real / 2 < estimates[name][key] < real * 2, (name, key)
        assert estimates[name]["usd"] < estimates[name]["usd_at_most"]
        assert (estimates[name]["calls"], estimates[name]["cached"]) == (30, 0)
    assert (estimates["quote-bm25"]["model"], estimates["quote-bm25"]["usd"]) == (None, 0.0)
    again = here("compare", "--estimate", "--approach", "rag")["estimates"][0]
    assert again["cached"] >= 27, "a near-tie of retrieval may turn between two processes"


# -- again, and cut short ----------------------------------------------------------------------------------------


def test_only_new_cells_are_run(bench: MakeBench) -> None:
    rows = examples("classify", 40)
    good, cheap = pair(examples("classify", 80))
    good.seconds = cheap.seconds = (0.1, 0.1)
    here = bench(rows, good, cheap)
    first = here("compare", *TWO)
    assert here.asked == 80
    again = here("compare", *TWO)
    assert (here.asked, again["run"]) == (80, first["run"])
    fresh = here("compare", *TWO, "--fresh")
    assert (here.asked, fresh["run"] != first["run"]) == (80, True)
    for name in ("prompt", "prompt:cheap"):
        kept = ("mean", "low", "high", "usd_per_1k")
        assert [summary_of(fresh, name)[key] for key in kept] == [summary_of(first, name)[key] for key in kept]
        assert summary_of(fresh, name)["p95_seconds"] >= 0.1, "an answer from the cache keeps the time it once took"
    text, output = ticket(60)
    here.write([*rows, {"id": "new", "input": text, "output": output, "split": "test"}])
    more = here("compare", *TWO)
    assert (more["n"], sorted(body["model"] for body in here.server.posts()[80:])) == (41, ["cheap", "good"])


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_an_interrupted_run_is_resumed(bench: MakeBench, how: signal.Signals) -> None:
    rows = examples("classify", 60)
    good, cheap = pair(rows)
    good.seconds = cheap.seconds = (0.05, 0.1)
    here = bench(rows, good, cheap, model="concurrency = 4")
    command = here.start("compare", *TWO)
    while here.asked < 40 and command.poll() is None:
        time.sleep(0.01)
    good.seconds = cheap.seconds = (100.0, 100.0)  # so that it does not end meanwhile
    command.send_signal(how)
    _, printed = command.communicate(timeout=300)
    assert command.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL), printed
    if how == signal.SIGINT:
        assert "groundtune report" in printed
        assert "Traceback" not in printed
    partial = here("report")
    assert (here.code, partial["complete"], 30 < len(lines(partial)) < 60) == (0, False, True)
    assert set(cells(partial).values()) == {1}
    good.seconds = cheap.seconds = (0.0, 0.0)
    whole = here("compare", *TWO)
    assert (whole["run"], whole["complete"]) == (partial["run"], True)
    assert (len(cells(whole)), set(cells(whole).values())) == (120, {1})
    assert 120 <= here.asked <= 120 + 4, "only what was under way is asked twice"
    assert summary_of(whole, "prompt")["mean"] == pytest.approx(share(good, rows))


# -- judges, demands, forms --------------------------------------------------------------------------------------


def test_a_judge_scores_or_fails_but_never_invents_a_score(bench: MakeBench) -> None:
    rows = examples("answer", 40)
    model = ScriptedModel("m", gold(rows), right=0.8)
    known = [text for text in asked(rows) if model.knows(text)]
    judge = ScriptedJudge("judge", failing=set(known[:2]))
    report = bench(rows, model, judge, toml='[judge]\nmodel = "judge"')("compare", "--approach", "prompt")
    result = summary_of(report, "prompt")
    assert result["failures"] == {"judge": 2}
    assert (result["n"], result["mean"]) == (40, pytest.approx(share(model, rows)))
    judged = result["metrics"]["judge"]
    assert (judged["n"], judged["mean"]) == (38, pytest.approx((len(known) - 2) / 38))
    for row in lines(report):
        if row["error"]:
            assert row["error"]["kind"] == "judge"
            assert ("correct" in row["scores"], "judge" in row["scores"]) == (True, False)


def test_demands_set_the_exit_code_and_a_results_file_is_enough(bench: MakeBench, tmp_path: Path) -> None:
    rows = examples("classify", 60)
    good, _ = pair(rows)
    here = bench(rows, good)
    report = here("compare", "--approach", "prompt", "--require", "correct>=0.8", "--require", "p95_seconds<=5")
    assert (here.code, report["unmet"]) == (0, [])
    unmet = here("compare", "--approach", "prompt", "--require", "correct>=0.99", "--require", "usd_per_1k<=0.001")
    assert (here.code, unmet["unmet"]) == (1, ["correct>=0.99", "usd_per_1k<=0.001"])
    assert here("report", "--require", "correct<=0.5")["unmet"] == ["correct<=0.5"]
    assert here.code == 1

    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "results.jsonl").write_bytes(Path(report["results"]).read_bytes())
    arguments = ["report", "--results", "results.jsonl", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "groundtune", *arguments], cwd=alone, capture_output=True, text=True, check=True
    )
    read = json.loads(done.stdout)
    assert read.keys() == report.keys()
    assert (read["choice"], read["n"], read["run"], read["html"]) == ("prompt", 60, None, None)
    (result,) = read["approaches"]
    assert result == summary_of(report, "prompt")
    assert sorted(path.name for path in alone.iterdir()) == ["results.jsonl"]


def test_a_schema_is_sent_to_hold_the_reply_unless_the_server_refuses_it(bench: MakeBench) -> None:
    rows = examples("extract", 40)
    good, cheap = pair(rows, task="extract", right=0.8)
    good.right, cheap.faults = 0.8, Faults(refuses=("response_format",))
    here = bench(rows, good, cheap, model="concurrency = 1")
    names = ("constrained", "constrained:cheap")
    report = here("compare", *(word for name in names for word in ("--approach", name)))
    sent = {name: [body for body in here.server.posts() if body["model"] == name] for name in ("good", "cheap")}
    schemas = [body["response_format"]["json_schema"]["schema"] for body in sent["good"]]
    assert all(list(schema["properties"]) == ["number", "total", "paid", "town"] for schema in schemas)
    assert ["response_format" in body for body in sent["cheap"]] == [True, *[False] * 40]
    for name, model in zip(names, (good, cheap), strict=True):
        result = summary_of(report, name)
        assert (result["errors"], result["mean"]) == (0, pytest.approx(share(model, rows))), name
    held, unheld = (summary_of(report, name)["metrics"] for name in names)
    assert (held["valid"]["mean"], unheld["valid"]["mean"] < 1.0) == (1.0, True)
    assert 0.9 < held["f1"]["mean"] < 1.0
    warned = Counter(row["approach"] for row in lines(report) if row["warnings"] == [UNHELD])
    assert warned == {"constrained:cheap": 40}
