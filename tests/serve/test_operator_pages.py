"""The pages of operators in a real browser: runs, advice, costs."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from playwright.sync_api import expect

from groundtune.models.local_embedder import BundledEmbedder
from groundtune.project.kept_advice import kept_answers
from groundtune.serve.doors.keys import KeyFile
from groundtune.types import Citation, Example, Result, Usage
from groundtune.workflows.report_page import write_report
from groundtune.workflows.reporting import evaluate_run
from groundtune.workflows.runs import read_run
from groundtune.workflows.verdict_files import write_verdict
from groundtune.workspace import Workspace
from tests.axe import WIDTHS, violations
from tests.report.conftest import browser  # noqa: F401 (a fixture)
from tests.serve.conftest import HTTP, Running, running, write_project
from tests.serve.test_ask_page import OVERFLOW, Visit, visit  # noqa: F401 (a fixture)

RUN = "20261128-120000"
SENTENCE = "A refund is paid within 30 days of delivery."
SLIDE = "(one, at) => { one.value = at; one.dispatchEvent(new Event('input')); }"
PATHS = ("/runs", f"/runs/{RUN}", "/advice", "/costs")


def write_run(folder: Path, passage: str, *, examples: int = 40) -> None:
    """Write a comparison of a dear and a cheap approach, both of which cite the passage, and one that runs here."""
    cited = Citation(
        marker=1,
        sentence=SENTENCE,
        support="exact",
        passage_id=passage,
        source="docs/refunds.md",
        quote=SENTENCE,
        start=11,
        end=55,
    )
    approaches = (("rag", 9, 0.003, 2.0), ("tuned", 7, 0.0005, 0.5), ("quote-hybrid", 4, 0.0, 0.1))
    rows = [
        Result(str(at), name, "answered", f"{SENTENCE[:-1]} [1].", (cited,), scores={"correct": float(at % 10 < right)},
               usage=Usage(100, 0, 10, seconds, usd))
        for at in range(examples) for name, right, usd, seconds in approaches
    ]  # fmt: skip
    asked = [Example(str(at), f"When is refund {at} paid?", "30 days") for at in range(examples)]
    trained = {"table": "tuned", "seeds": 1, "further": [], "kind": "hosted", "seconds": 60.0}
    about = {
        "name": "acme", "primary": "correct", "task": "answer", "split": "test", "trainings": {"tuned": trained},
        "training_usd": {"tuned": 300.0}, "requirements": {"requests_per_month": 20_000},
        "costs": {"documents_change": "weekly"},
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "results.jsonl").write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    (folder / "examples.jsonl").write_text("".join(json.dumps(asdict(each)) + "\n" for each in asked))
    text = f"# Refunds\n\n{SENTENCE}"
    note = {"id": passage, "source": "docs/refunds.md", "heading": "Refunds", "page": None, "start": 0, "text": text}
    (folder / "passages.jsonl").write_text(json.dumps(note) + "\n")
    run = {"about": about, "complete": True, "format": 1, "started": "2026-11-28T12:00:00+00:00"}
    (folder / "run.json").write_text(json.dumps(run))


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Iterator[Running]:
    """A server whose project has one comparison with a verdict, and one that was interrupted."""
    folder = write_project(tmp_path_factory.mktemp("compared"), "[costs]\nrequests_per_month = 20_000\n")
    with running(folder, embedder) as server:
        (hit, *_) = server.project.search("When is a refund paid?", k=1)
        runs = server.project.workspace.runs
        write_run(runs / RUN, hit.passage.id)
        report = evaluate_run(read_run(runs / RUN))
        write_verdict(report, runs / RUN)
        write_report(report, runs / RUN)
        (runs / "20261128-130000").mkdir()
        (runs / "20261128-130000/run.json").write_text('{"started": "2026-11-28T13:00:00+00:00", "format": 1}')
        yield server


def test_runs_are_listed_with_what_is_stale(visit: Visit, compared: Running) -> None:  # noqa: F811
    page = visit(compared, "/runs")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("incomplete")
    expect(rows.nth(1)).to_contain_text("Use rag: it answers 90% of 40 examples correctly")
    expect(rows.nth(1).locator(".badge")).to_have_text("stale")
    rows.nth(1).locator("summary").click()
    expect(rows.nth(1)).to_contain_text("changed in groundtune.toml under [costs]: documents_change")
    expect(rows.nth(1)).to_contain_text("groundtune compare: no model is asked again")


def test_a_run_is_its_report_in_the_frame_of_the_server(visit: Visit, compared: Running) -> None:  # noqa: F811
    page = visit(compared, "/runs")
    page.get_by_role("link", name="28 November 2026, 12:00").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Use rag")
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link", name="Runs")).to_be_visible()
    page.keyboard.press("2")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.goto(f"{page.url.partition('#')[0]}#example/39")
    page.locator(".chip").first.click()
    page.get_by_role("link", name="Open the document").click()
    expect(page.locator("mark#passage")).to_contain_text(SENTENCE)


def test_the_page_of_a_run_follows_what_it_shows(compared: Running) -> None:
    folder = compared.project.workspace.runs / RUN
    page = folder / "report.html"
    page.write_text(page.read_text().replace("script-src 'sha256-", "script-src 'sha256-old", 1))
    url = f"{compared.url}/runs/{RUN}"
    assert HTTP.get(url).headers["content-security-policy"].count("sha256-") == 2
    assert "sha256-old" not in page.read_text(), "written again, as its script is that of another version"
    before = page.stat().st_mtime_ns
    assert HTTP.get(url).status_code == 200
    assert page.stat().st_mtime_ns == before, "handed out as it lies there"
    time.sleep(0.02)
    (folder / "results.jsonl").touch()
    assert HTTP.get(url).status_code == 200
    assert page.stat().st_mtime_ns > before
    missing = HTTP.get(f"{compared.url}/runs/nowhere")
    assert missing.status_code == 404
    assert "no run &#x27;nowhere&#x27;" in missing.text


def test_advice_follows_each_answer_and_is_kept_on_demand(visit: Visit, compared: Running) -> None:  # noqa: F811
    page = visit(compared, "/advice")
    expect(page.locator("#headline")).to_have_text("Recommended: retrieve (RAG)")
    question = page.get_by_role("group", name="What is wrong today?")
    question.get_by_text("It behaves wrongly").click()
    page.get_by_role("group", name="How did prompting do so far?").get_by_text("Tried in earnest,").click()
    expect(page.locator("#headline")).to_contain_text("retrieve and fine-tune")
    page.get_by_role("group", name="Must answers name their sources?").get_by_role("radio", name="yes").focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("answers must name their sources").first).to_be_visible()
    expect(page.get_by_role("table", name="What the guides say").locator("tbody tr")).to_have_count(5)
    expect(page.get_by_role("group", name="What should come out?")).to_contain_text(
        "As seen here: Answers to questions"
    )
    expect(page.locator(".commands")).to_contain_text("groundtune compare")
    assert kept_answers(compared.project.root) == {}
    page.get_by_role("button", name="Keep these answers").click()
    expect(page.get_by_text("3 answers kept.")).to_be_visible()
    assert kept_answers(compared.project.root) == {
        "problem": ["behaviour"], "prompting_exhausted": True, "citations": True,
    }  # fmt: skip
    page.reload()
    expect(page.locator("#headline")).to_contain_text("retrieve and fine-tune")


def test_costs_move_with_the_price_of_the_machine(visit: Visit, compared: Running) -> None:  # noqa: F811
    page = visit(compared, "/costs")
    row = (
        page.get_by_role("table", name="Simulated costs by approach").get_by_role("row").filter(has_text="quote-hybrid")
    )
    before = row.inner_text()
    page.get_by_label("Price of an hour of this machine").evaluate(SLIDE, 400)
    expect(page.locator("div[role=status]")).to_contain_text("--what-if machine_usd_per_hour=20")
    expect(row).not_to_have_text(before, use_inner_text=True)
    page.get_by_role("button", name="An endpoint of their own").click()
    expect(page.get_by_role("table", name="A month")).to_contain_text("hosting")
    expect(page.get_by_text("Requests to a tuned model cost nothing beyond")).to_be_visible()


def test_before_there_is_a_comparison_costs_are_assumed(visit: Visit, quotes: Running) -> None:  # noqa: F811
    page = visit(quotes, "/costs")
    expect(page.get_by_text("Nothing is measured yet")).to_be_visible()
    rows = page.get_by_role("table", name="Simulated costs by approach").locator("tbody tr")
    expect(rows).to_have_count(4)
    before = rows.first.inner_text()
    page.get_by_role("slider", name="Requests a month").evaluate(SLIDE, 300)
    expect(rows.first).not_to_have_text(before, use_inner_text=True)
    expect(visit(quotes, "/runs").get_by_text("There is no comparison yet.")).to_be_visible()


def test_only_operators_see_them(visit: Visit, tmp_path: Path, embedder: BundledEmbedder) -> None:  # noqa: F811
    folder = write_project(tmp_path, '[serve]\noperators = ["ops"]\n')
    keys = KeyFile(Workspace(folder))
    _, reader = keys.create("ann", groups=["hr"])
    _, operator = keys.create("olga", groups=["ops"])
    with running(folder, embedder) as server:
        for path in (*PATHS, "/api/runs", f"/api/runs/{RUN}/state", "/api/advice"):
            replies = [
                HTTP.get(f"{server.url}{path}", headers={"Authorization": f"Bearer {key}"}).status_code
                for key in (reader, operator)
            ]
            assert replies[0] == 403, path
            assert replies[1] == (404 if RUN in path else 200), path
            assert HTTP.get(f"{server.url}{path}").status_code == 401
        for path in ("/api/advice", "/api/advice/keep"):
            headers = {"Authorization": f"Bearer {reader}"}
            assert HTTP.post(f"{server.url}{path}", json={"answers": {}}, headers=headers).status_code == 403


def test_a_wrong_answer_is_named(compared: Running) -> None:
    for path in ("/api/advice", "/api/advice/keep"):
        reply = HTTP.post(f"{compared.url}{path}", json={"answers": {"weather": "fine"}})
        assert reply.status_code == 409
        assert "weather: there is no such question" in reply.json()["error"]["message"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "shown"),
    [("/runs", ".badge"), (f"/runs/{RUN}", ".plot svg"), ("/advice", "#headline"), ("/costs", ".plot svg")],
)
def test_they_read_well(visit: Visit, compared: Running, path: str, shown: str) -> None:  # noqa: F811
    page = visit(compared, path)
    expect(page.locator(shown).first).to_be_visible()
    for details in page.locator("details").all():
        details.evaluate("(one) => { one.open = true; }")
    assert violations(page) == []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(OVERFLOW) <= 0
