"""Costs of a comparison: from its rows and its conditions, on its terms."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundtune.decide.costs import Range, default_assumptions
from groundtune.types import Result, Usage
from groundtune.workflows.reporting import Report, evaluate_run
from groundtune.workflows.runs import Run
from groundtune.workflows.verdict_files import verdict_content, verdict_text
from groundtune.workflows.what_if import assume


def run_of(about: dict[str, Any] | None = None, **usages: Usage) -> Run:
    """Approaches that are right in eight of ten questions, with these usages."""
    rows = [
        Result(str(at), name, "answered", "x", scores={"correct": float(at % 10 < 8)}, usage=usage)
        for at in range(40)
        for name, usage in usages.items()
    ]
    requirements = {"requests_per_month": 1_000}
    return Run(rows, Path("results.jsonl"), about={"requirements": requirements, **(about or {})})


def request_usd(report: Report, name: str) -> float | None:
    (cost,) = (each for each in report.costs.approaches if each.name == name)
    return cost.per_request_usd and cost.per_request_usd.likely


PAID = Usage(1_000, 200, 50, 2.0, 0.004)
HERE = Usage(1_000, 0, 50, 9.0, 0.0, machine_seconds=1.8)


def test_requests_cost_what_was_measured() -> None:
    report = evaluate_run(run_of(rag=PAID, prompt=Usage(10, 0, 5, 1.0, None)))
    assert request_usd(report, "rag") == pytest.approx(0.004)
    assert request_usd(report, "prompt") is None
    summary = report.summary()["costs"]
    assert [each["name"] for each in summary["approaches"]] == ["rag", "prompt"]
    assert summary["approaches"][1]["unknown"] == ("price of a request",)


def test_what_runs_here_costs_its_seconds() -> None:
    assumed = {"costs": {"assumptions": {"machine_usd_per_hour": [2.0, 2.0, 2.0]}}}
    report = evaluate_run(run_of(assumed, **{"quote-bm25": HERE}))
    assert request_usd(report, "quote-bm25") == pytest.approx(0.001), "1.8 s of the machine, not the 9 s of waiting"


def test_what_runs_here_has_the_price_of_its_seconds_everywhere() -> None:
    report = evaluate_run(run_of(None, rag=PAID, **{"quote-bm25": HERE}))
    price = 1000 * 1.8 * 0.20 / 3600
    assert {each.name: each.usd_per_1k for each in report.approaches} == {
        "rag": 4.0,
        "quote-bm25": pytest.approx(price),
    }
    assert report.verdict.choice == "quote-bm25"
    assert any("$0.10 per 1,000 questions" in reason for reason in report.verdict.reasons)
    assert (
        "The price of quote-bm25 is that of the seconds of this machine, at $0.20 an hour: machine_usd_per_hour under "
        "[costs.assumptions]." in report.verdict.caveats
    )
    dear = evaluate_run(assume(report.run, {"machine_usd_per_hour": "9"}))
    assert dear.verdict.choice == "rag"
    (flip,) = (flip for flip in report.verdict.flips if flip.key == "machine_usd_per_hour")
    assert isinstance(flip.value, float)
    for factor, changes in ((1.0, True), (0.99, False)):
        moved = evaluate_run(assume(report.run, {"machine_usd_per_hour": str(factor * flip.value)}))
        assert (moved.verdict.choice != "quote-bm25") is changes
    assumed = evaluate_run(assume(report.run, {"usd_per_1k.quote-bm25": "7"}))
    assert [each.usd_per_1k for each in assumed.approaches if each.name == "quote-bm25"] == [7.0]
    assert request_usd(assumed, "quote-bm25") == pytest.approx(0.007)


@pytest.mark.parametrize(("kind", "here"), [("lora", True), ("hosted", False), (None, False)])
def test_the_kind_of_a_training_says_where_it_runs(kind: str | None, here: bool) -> None:
    trainings = {"tuned": {"table": "tuned", "seeds": 1, "further": [], "kind": kind, "seconds": 60.0}}
    report = evaluate_run(run_of({"trainings": trainings, "training_usd": {"tuned": 0.0}}, tuned=PAID))
    parts = report.costs.approaches[0].parts
    assert ("hosting, monthly" not in parts) is here


def of_parts(name: str, *parts: str) -> dict[str, Any]:
    return {"parts": {name: [[part, None, None] for part in parts]}}


def test_a_combination_pays_for_the_trainings_of_what_it_asks() -> None:
    trainings = {"tuned": {"table": "tuned", "seeds": 1, "further": [], "kind": "hosted", "seconds": 60.0}}
    trained = {"trainings": trainings, "training_usd": {"tuned": 120.0}, "costs": {"documents_change": "monthly"}}
    report = evaluate_run(
        run_of({**trained, **of_parts("cascade", "rag", "tuned")}, cascade=PAID, tuned=PAID, rag=PAID)
    )
    costs = {cost.name: cost.parts for cost in report.costs.approaches}
    for part in ("training", "labelling", "hosting, monthly", "retraining, monthly"):
        assert costs["cascade"][part] == costs["tuned"][part]
        assert part not in costs["rag"]
    assert costs["cascade"]["storage, monthly"] == costs["rag"]["storage, monthly"]
    prices = {each.name: each.usd_per_1k for each in report.approaches}
    assert prices["cascade"] == prices["tuned"] == pytest.approx(4.0 + 1000 * 120 * (1 + 12) / (12 * 1_000))


def test_a_model_of_which_the_price_is_unknown_makes_its_combination_unknown() -> None:
    about = {"training_usd": {"tuned": None}, **of_parts("routed", "rag", "tuned")}
    report = evaluate_run(run_of(about, routed=PAID))
    (cost,) = report.costs.approaches
    assert cost.monthly_usd is None
    assert cost.unknown == ("price of its training",)


def test_a_combination_of_what_runs_here_runs_here() -> None:
    local = {
        "model_tables": {"rag": "default"},
        "settings": {"models": {"default": {"kind": "local"}}, "embedder": {"kind": "bundled"}},
    }
    unbilled = Usage(1_000, None, 50, 9.0, None, machine_seconds=1.8)
    report = evaluate_run(run_of({**local, **of_parts("cascade", "quote-bm25", "rag")}, cascade=unbilled))
    assert request_usd(report, "cascade") is not None


def test_a_dearer_month_than_that_of_another_leader_is_told() -> None:
    cheap_requests = Usage(100, 0, 10, 1.0, 0.0001)
    report = evaluate_run(run_of(None, rag=cheap_requests, prompt=PAID))
    assert report.verdict.choice == "rag"
    assert any("a month of rag costs about" in caveat for caveat in report.verdict.caveats)
    many = evaluate_run(assume(run_of(None, rag=cheap_requests, prompt=PAID), {"requests_per_month": "1e7"}))
    assert not any("a month of rag costs about" in caveat for caveat in many.verdict.caveats)


def test_no_share_of_a_cost_is_told_where_the_best_costs_nothing() -> None:
    names = set(default_assumptions()) - {"requests_per_month"}
    requirements = {"requests_per_month": 1_000, "max_p95_seconds": 5.0}
    about = {"requirements": requirements, "costs": {"assumptions": {name: [0.0, 0.0, 0.0] for name in names}}}
    report = evaluate_run(run_of(about, **{"quote-bm25": HERE, "rag": PAID}))
    assert report.verdict.choice == "rag"
    assert report.costs.sentence is None


def test_a_limit_of_nothing_is_among_what_is_required(tmp_path: Path) -> None:
    run = run_of({"requirements": {"max_usd_per_1k": 0.0, "citations": False, "max_p95_seconds": None}}, rag=PAID)
    (tmp_path / "results.jsonl").touch()
    text = verdict_text(verdict_content(evaluate_run(replace(run, file=tmp_path / "results.jsonl"))))
    assert "## Required\n\n- max_usd_per_1k = 0.0\n\n" in text


def test_tokens_can_have_another_price() -> None:
    about = {
        "model_tables": {"rag": "default"},
        "settings": {
            "models": {"default": {"model": "m.1", "kind": "openai"}},
            "prices": {"m.1": {"output_per_million": 10.0}},
        },
    }
    run = run_of(about, rag=PAID, prompt=PAID)
    report = evaluate_run(assume(run, {"prices.m.1.input_per_million": "5", "prices.m.1.cached_per_million": "1"}))
    assert request_usd(report, "rag") == pytest.approx((800 * 5 + 200 * 1 + 50 * 10) / 1e6)
    assert request_usd(report, "prompt") == pytest.approx(0.004), "it does not use the model"
    assert report.approaches[0].usd_per_1k == pytest.approx(4.7)


def test_tokens_of_a_combination_have_another_price_too() -> None:
    about = {
        "model_tables": {"rag": "default", "context": "default", "rag:large": "large"},
        "settings": {
            "models": {name: {"model": name, "kind": "openai"} for name in ("default", "large")},
            "prices": {"default": {"input_per_million": 1.0, "output_per_million": 10.0}},
        },
    }
    moved = {"prices.default.input_per_million": "5"}
    alike = evaluate_run(assume(run_of({**about, **of_parts("cascade", "rag", "context")}, cascade=PAID), moved))
    assert request_usd(alike, "cascade") == pytest.approx((1_000 * 5 + 50 * 10) / 1e6)
    mixed = run_of({**about, **of_parts("cascade", "rag", "rag:large")}, cascade=PAID)
    report = evaluate_run(assume(mixed, moved))
    assert request_usd(report, "cascade") is None
    assert any("assume usd_per_1k.cascade as well" in caveat for caveat in report.verdict.caveats)
    stated = evaluate_run(assume(mixed, {**moved, "usd_per_1k.cascade": "7"}))
    assert request_usd(stated, "cascade") == pytest.approx(0.007)
    assert not any("assume usd_per_1k.cascade" in caveat for caveat in stated.verdict.caveats)


def test_the_price_of_an_approach_can_be_assumed() -> None:
    report = evaluate_run(assume(run_of(None, rag=PAID), {"usd_per_1k.rag": "7"}))
    assert (report.approaches[0].usd_per_1k, request_usd(report, "rag")) == (7.0, pytest.approx(0.007))


def test_any_assumption_of_the_costs_can_be_replaced() -> None:
    free = dict.fromkeys(("person_usd_per_hour", "storage_usd_per_month", "embedding_usd"), "0")
    report = evaluate_run(assume(run_of(None, rag=PAID), free))
    monthly = report.costs.approaches[0].monthly_usd
    assert monthly is not None
    assert monthly.likely == pytest.approx(1_000 * 0.004)


def test_the_price_of_an_endpoint_means_that_it_is_reserved() -> None:
    trainings = {"tuned": {"table": "tuned", "seeds": 1, "further": [], "kind": "hosted", "seconds": 60.0}}
    run = run_of({"trainings": trainings, "training_usd": {"tuned": 0.0}}, tuned=PAID)
    assert evaluate_run(run).summary()["costs"]["hosting"] == "per_use"
    stated = assume(run, {"tuned_hosting_usd_per_month": "900"})
    (cost,) = evaluate_run(stated).costs.approaches
    assert (cost.parts["hosting, monthly"], request_usd(evaluate_run(stated), "tuned")) == (Range(900, 900, 900), 0)
    per_use = evaluate_run(assume(stated, {"hosting": "per_use"}))
    assert request_usd(per_use, "tuned") == pytest.approx(0.004)
