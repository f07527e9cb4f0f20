"""The sliders of a report agree with the command: the same costs, and the same verdict."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from groundtune.decide.wording import usd
from groundtune.types import Result, Usage
from groundtune.workflows.report_page import write_page
from groundtune.workflows.reporting import Report, evaluate_run
from groundtune.workflows.runs import Run
from groundtune.workflows.what_if import assume
from tests.report.conftest import Visit

pytestmark = pytest.mark.slow
SLIDE = "(one, at) => { one.value = at; one.dispatchEvent(new Event('input')); }"


@pytest.fixture(scope="module")
def run() -> Run:
    """A dear and a cheap approach of like quality, one that runs here, and one of which the price is unknown."""
    rows = [
        Result(
            str(at),
            name,
            "answered",
            "x",
            scores={"correct": float((at * step) % 10 < right)},
            usage=Usage(100, 0, 10, seconds, price),
        )
        for at in range(120)
        for name, step, right, price, seconds in (
            ("rag", 1, 8, 0.003, 2.0),
            ("tuned", 3, 8, 0.0005, 0.5),
            ("quote-hybrid", 7, 6, 0.0, 0.1),
            ("context", 9, 7, None, 5.0),
        )
    ]
    about = {
        "primary": "correct",
        "requirements": {"requests_per_month": 20_000},
        "training_usd": {"tuned": 3_000.0},
        "trainings": {
            "tuned": {"table": "tuned", "seeds": 1, "further": [], "kind": "hosted", "seconds": 60.0},
            "quote-hybrid": {"table": "quotes", "seeds": 1, "further": [], "kind": "retriever", "seconds": 4_000.0},
        },
    }
    return Run(rows, Path("results.jsonl"), about=about)


@pytest.fixture(scope="module")
def file(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("costs") / "report.html"
    write_page(evaluate_run(run), path)
    return path


def shown_costs(page: Page) -> dict[str, str]:
    """Return the figures of each row of the costs, by approach."""
    rows = page.locator(".moved tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [row.cells[0].querySelector('bdi').textContent,"
        " [...row.cells].slice(1).map((cell) => [...cell.querySelectorAll('b, small')]"
        ".map((one) => one.textContent).join(' ') || cell.textContent).join(' | ')])"
    )
    return dict(rows)


def command_costs(report: Report) -> dict[str, str]:
    def shown(value: object) -> str:
        low, likely, high = (usd(getattr(value, name)) for name in ("low", "likely", "high"))
        return likely if low == high else f"{likely} {low} to {high}"

    return {
        each.name: " | ".join(
            "unknown" if value is None else shown(value)
            for value in (each.monthly_usd, each.per_request_usd, each.per_correct_usd)
        )
        for each in report.costs.approaches
    }


def test_costs_are_those_of_the_command_before_anything_moves(visit: Visit, file: Path, run: Run) -> None:
    page = visit(file)
    expect(page.locator(".moved tbody tr")).to_have_count(4)
    assert shown_costs(page) == command_costs(evaluate_run(run))
    assert shown_costs(page)["context"] == "unknown | unknown | unknown"


@pytest.mark.parametrize(
    ("slider", "key", "places"),
    [
        ("slide-volume", "requests_per_month", (20, 250, 330)),
        ("slide-months", "months", (0, 300)),
        ("slide-latency", "max_p95_seconds", (30, 250)),
        ("slide-price-3", "usd_per_1k.rag", (10, 150)),
        ("slide-machine", "machine_usd_per_hour", (40, 390)),
        ("slide-quality", "min_quality", (250, 330)),
    ],
)
def test_a_slider_tells_what_the_command_tells(
    visit: Visit, file: Path, run: Run, slider: str, key: str, places: tuple[int, ...]
) -> None:
    page = visit(file)
    for place in places:
        page.locator(f"#{slider}").evaluate(SLIDE, place)
        command = page.locator("section[aria-labelledby=costs] .small code").first
        expect(command).to_contain_text(f"--what-if {key}=")
        page.wait_for_timeout(100)
        value = command.inner_text().rpartition("=")[2]
        report = evaluate_run(assume(run, {key: value}))
        assert shown_costs(page) == command_costs(report), (key, value)
        told = page.locator("[role=status] .told").inner_text()
        choice = report.verdict.choice
        expected = choice or ("no clear winner" if report.verdict.leaders else "No approach")
        assert expected.lower() in told.lower(), (key, value, told)


def test_several_sliders_give_the_command_for_the_verdict(visit: Visit, file: Path, run: Run) -> None:
    page = visit(file)
    page.locator("#slide-volume").evaluate(SLIDE, 300)
    page.locator("#slide-months").evaluate(SLIDE, 100)
    expect(page.locator("[role=status] code")).to_contain_text("--what-if months=")
    words = page.locator("[role=status] code").inner_text().split("--what-if ")[1:]
    values = dict(word.strip().split("=") for word in words)
    page.wait_for_timeout(100)
    assert shown_costs(page) == command_costs(evaluate_run(assume(run, values)))
    page.get_by_role("button", name="Back to the values").click()
    expect(page.locator("[role=status] code")).to_have_count(0)
    assert shown_costs(page) == command_costs(evaluate_run(run))
