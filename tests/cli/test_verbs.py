"""The verbs as a user runs them: one process each, exit codes, streams, --json."""

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from groundtune.types import Result

pytestmark = pytest.mark.slow

PROJECT = """name = "shop"
[documents]
include = ["docs/**/*"]
[[documents.access]]
include = ["docs/hr/**"]
groups = ["hr"]
[examples]
files = ["examples.jsonl"]
"""
RETURNS = """---
product: bikes
---
# Returns

## How long

A bike can be returned within 30 days of delivery. The customer pays the carriage.

## Refunds

Refunds go to the card that was used, within ten working days.
"""
HOURS = "# Opening hours\n\nThe Marrowby store is open from 9 to 17 on weekdays and closed on Sundays.\n"
PAY = "# Salary bands\n\nBand C starts at 31,000 pounds a year.\n"
EXAMPLES = [
    ("How long may I keep a bike before sending it back?", "30 days", "docs/returns.md", "within 30 days of delivery"),
    ("When does the store in Marrowby open?", "9", "docs/hours.md", "open from 9 to 17"),
    ("How fast is the money refunded?", "ten working days", "docs/returns.md", "within ten working days"),
    ("Do you deliver to Iceland?", None, None, None),
]


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "groundtune", *arguments],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def run_json(folder: Path, *arguments: str) -> Any:
    done = run(folder, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "docs/hr").mkdir(parents=True)
    (folder / "groundtune.toml").write_text(PROJECT)
    (folder / "docs/returns.md").write_text(RETURNS)
    (folder / "docs/hours.md").write_text(HOURS)
    (folder / "docs/hr/pay.md").write_text(PAY)
    (folder / "docs/logo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    rows = []
    for number, (question, output, source, quote) in enumerate(EXAMPLES * 8):
        evidence = [{"source": source, "quote": quote}] if source else []
        split = ("train", "validation", "test")[(number // 4) % 3]
        rows.append({"id": f"q{number}", "input": question, "output": output, "evidence": evidence, "split": split})
    (folder / "examples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = run(folder, "ingest")
    assert done.returncode == 0, done.stderr
    assert "4 files: 4 added" in done.stdout
    assert "failed: docs/logo.png: is damaged" in done.stdout
    assert "Abstention threshold" in done.stderr, "there are enough examples to calibrate on"
    assert done.stderr.rstrip().splitlines()[-1].startswith("next: ")
    return folder


def test_ingest_again_finds_nothing_to_do(shop: Path) -> None:
    report = run_json(shop, "ingest")
    assert {row["change"] for row in report["files"]} == {"unchanged"}
    assert (report["embedded"], report["documents"]) == (0, 3)
    logo = next(row for row in report["files"] if row["source"] == "docs/logo.png")
    assert (logo["status"], bool(logo["reason"])) == ("failed", True)


def test_search_shows_places_and_respects_groups_and_filters(shop: Path) -> None:
    hits = run_json(shop, "search", "starting salary", "-k", "10")["hits"]
    assert hits
    assert all("hr/" not in hit["passage"]["source"] for hit in hits)
    allowed = run_json(shop, "search", "starting salary", "--group", "hr")["hits"]
    assert allowed[0]["passage"]["source"] == "docs/hr/pay.md"
    filtered = run_json(shop, "search", "store", "--filter", "product=bikes")["hits"]
    assert {hit["passage"]["source"] for hit in filtered} == {"docs/returns.md"}
    shown = run(shop, "search", "bring a bike back", "-k", "1").stdout
    assert "docs/returns.md > Returns > How long" in shown


def test_ask_cites_and_abstains(shop: Path) -> None:
    answer = run_json(shop, "ask", "How many days do I have to return a bike?")
    assert (answer["usage"]["usd"], answer["paid"], answer["cached"]) == (0.0, False, False)
    assert answer["status"] == "answered"
    assert "30 days" in answer["text"]
    citation = answer["citations"][0]
    assert (citation["support"], citation["source"]) == ("exact", "docs/returns.md")
    nothing = run(shop, "ask", "What is the boiling point of tungsten?", "--strict")
    assert nothing.returncode == 1
    assert nothing.stdout.startswith("Not in your documents.")


def test_a_trace_is_shown_on_request(shop: Path) -> None:
    question = "How many days do I have to return a bike?"
    plain, traced = run_json(shop, "ask", question), run_json(shop, "ask", question, "--trace")
    assert "trace" not in plain
    assert plain["id"] != traced["id"]
    assert traced["trace"]["query"] == question
    assert traced["trace"]["prompt"]["hits"][0]["stages"]["fused"] > 0
    shown = run(shop, "ask", question, "--trace").stdout
    assert shown.startswith(plain["text"])
    assert f"searched for  {question}" in shown
    assert "bm25" in shown


def test_a_deleted_document_never_answers_again(shop: Path) -> None:
    extra = shop / "docs/loan.md"
    extra.write_text("# Loan bikes\n\nA loan bike costs 12 pounds a day while yours is repaired.\n")
    run_json(shop, "ingest")
    question = "What does a loan bike cost a day?"
    assert "12 pounds" in run_json(shop, "ask", question)["text"]
    extra.unlink()
    report = run_json(shop, "ingest")
    assert [row["source"] for row in report["files"] if row["change"] == "removed"] == ["docs/loan.md"]
    after = run_json(shop, "ask", question)
    assert "12 pounds" not in json.dumps(after)
    assert "loan.md" not in json.dumps(run_json(shop, "search", question, "-k", "50"))


def test_evaluate_gives_intervals_by_stage(shop: Path) -> None:
    report = run_json(shop, "evaluate")
    assert [stage["stage"] for stage in report["stages"]] == ["bm25", "dense", "fused"]
    recall = report["stages"][-1]["metrics"]["recall@5"]
    assert recall["n"] == 24
    assert 0 <= recall["low"] <= recall["mean"] <= recall["high"] <= 1
    assert "ndcg@10" in run(shop, "evaluate").stdout


def test_compare_fills_a_matrix(shop: Path) -> None:
    report = run_json(shop, "compare")
    names = {approach["name"] for approach in report["approaches"]}
    assert names == {"quote-bm25", "quote-dense", "quote-hybrid", "quote-corpus"}
    rows = [json.loads(line) for line in Path(report["results"]).read_text().splitlines()]
    assert len(rows) == report["n"] * len(names)
    assert set(rows[0]) == {field.name for field in fields(Result)}
    assert report["choice"] is None or report["choice"] in names
    assert Path(report["html"]).read_text().startswith("<!doctype html>")
    alone = run(shop, "compare", "--approach", "quote-bm25")
    assert "quote-bm25" in alone.stdout
    assert "quote-dense" not in alone.stdout
    costs = run_json(shop, "costs")
    assert costs["run"]
    (approach,) = costs["approaches"]
    assert approach["name"] == "quote-bm25"
    assert 0 < approach["per_request_usd"]["low"] <= approach["per_request_usd"]["high"] < 0.01, "seconds of a machine"
    assert approach["monthly_usd"]["likely"] > 0
    shown = run(shop, "costs").stdout
    assert "Where monthly costs cross" in shown
    assert "quote-bm25 has the best quality" in shown
    measured = run_json(shop, "advise")["measured"]
    assert (measured["leaders"], measured["guides"]["B"]) == (["quote-bm25"], "right")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("ask", "  "), 2, "empty"),
        (("ask", "x", "--approach", "nope"), 2, "no approach 'nope'"),
        (("search", "x", "--filter", "nope"), 2, "KEY=VALUE"),
        (("evaluate", "--split", "nope"), 2, "is not one of"),
        (("evaluate", "--sweep", "--fit"), 2, "cannot be combined"),
        (("evaluate", "--adopt"), 2, "--adopt uses what a sweep finds"),
        (("evaluate", "--parser", "nope"), 3, 'there is no parser "nope"'),
        (("evaluate", "--include", "*.pdf"), 2, "add --parser"),
        (("compare", "--split", "none"), 2, "is not one of"),
        (("ask", "x", "--project", "/nowhere"), 3, "/nowhere"),
    ],
)
def test_bad_calls_say_what_is_wrong(shop: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = run(shop, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(run(shop, *arguments, "--json").stdout)["error"]["message"]


def test_without_an_index_the_hint_names_the_fix(tmp_path: Path) -> None:
    (tmp_path / "groundtune.toml").write_text('name = "x"\n')
    done = run(tmp_path, "ask", "anything?")
    assert done.returncode == 3
    assert "groundtune ingest" in done.stderr


def test_changed_parts_are_refused_until_rebuilt(shop: Path) -> None:
    before = (shop / "groundtune.toml").read_text()
    (shop / "groundtune.toml").write_text(before + "[passages]\nmax_tokens = 100\n")
    try:
        for verb in (("ask", "How long?"), ("ingest",)):
            done = run(shop, *verb)
            assert done.returncode == 3
            assert re.search(r"splitter: built with \d+/220/60, now configured as \d+/100/60", done.stderr)
            assert "groundtune ingest --rebuild" in done.stderr
    finally:
        (shop / "groundtune.toml").write_text(before)


def test_another_parser_is_tried_beside_the_present_ones(shop: Path) -> None:
    trial = run_json(shop, "evaluate", "--parser", "markitdown", "--include", "**/returns.md")
    assert trial["parser"] == "markitdown"
    assert (trial["read"], trial["failed"]) == (1, {})
    assert len(trial["own"]["by_question"]) == trial["difference"]["n"] > 0
    assert trial["own"]["by_question"].keys() == trial["trial"]["by_question"].keys()
    assert -1 <= trial["difference"]["low"] <= trial["difference"]["mean"] <= trial["difference"]["high"] <= 1
    printed = run(shop, "evaluate", "--parser", "markitdown").stdout
    assert "present parsers" in printed
    assert "between markitdown and the present parsers" in printed
    assert run_json(shop, "ingest")["embedded"] == 0, "the index stays as it is"
    done = run(shop, "evaluate", "--parser", "markitdown", "--include", "*.pdf")
    assert done.returncode == 2
    assert "no example has evidence in a document that matches *.pdf" in done.stderr


def test_fit_says_what_it_needs(shop: Path) -> None:
    done = run(shop, "evaluate", "--fit")
    assert done.returncode == 2
    assert "fitting needs at least 20" in done.stderr
