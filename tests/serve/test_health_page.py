"""The page of health: what it says of a server that is well, and of one that is not; quickly on a long log."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from groundtune.models.local_embedder import BundledEmbedder
from groundtune.records.audit_log import AuditLog
from groundtune.records.feedback import FeedbackLog
from groundtune.records.spending import Spending
from groundtune.workspace import Workspace
from tests.axe import violations
from tests.report.conftest import browser  # noqa: F401 (a fixture)
from tests.serve.conftest import HTTP, Running, Serve, running, write_project
from tests.serve.test_ask_page import Visit, is_readable, visit  # noqa: F401 (a fixture)

ANSWERS = 10_000
SECONDS = 1.0
SETTINGS = "[serve]\nbudget_usd_per_day = 20\n[review]\nsample = 0.0\n"


def fill(workspace: Workspace, number: int, now: datetime) -> None:
    """Write a log of answers over ten days: appended one by one they would take minutes."""
    AuditLog(workspace).append({"id": "first", "time": _text(now - timedelta(days=10)), "status": "broken off"}, {})
    rows = []
    for place in range(2, number + 1):
        moment = _text(now - timedelta(days=10 * (1 - place / number), seconds=1))
        record = {
            "id": f"{place:032x}",
            "time": moment,
            "number": place,
            "texts": {},
            "status": "broken off" if place % 1_000 == 0 else "abstained" if place % 10 == 0 else "answered",
            "approach": "quote-hybrid",
            "confidence": 0.9,
            "degradation": None,
            "groups": [],
            "usage": {"seconds": 0.1 + place % 100 / 100, "usd": 0.0},
            "citations": [{"marker": 1, "support": "missing" if place % 50 == 1 else "exact"}] * 3,
            "passages": [
                {"id": f"p{n}", "source": "docs/refunds.md", "start": 0, "end": 9, "text": "x" * 64} for n in range(8)
            ],
        }
        rows.append((place, record["id"], moment, json.dumps(record), f"{place}"))
    with closing(sqlite3.connect(workspace.folder / "audit.sqlite")) as database, database:
        database.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", rows)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Iterator[Running]:
    """A server with a log of ten days, thumbs, and a day's spending near its budget."""
    folder = write_project(tmp_path_factory.mktemp("busy"), SETTINGS)
    now = datetime.now(UTC)
    with running(folder, embedder) as server:
        workspace = server.project.workspace
        fill(workspace, ANSWERS, now)
        for place in range(6):
            rating = "up" if place % 3 else "down"
            FeedbackLog(workspace).append(f"{ANSWERS - 1 - place:032x}", rating, comment="", caller="ann")
        Spending(workspace).add("", 17.0)
        Spending(workspace).add("", 3.5, now=now - timedelta(days=1))
        yield server


def test_a_long_log_is_read_quickly(busy: Running) -> None:
    HTTP.get(f"{busy.url}/api/health")  # the queue follows the whole log once
    start = time.process_time()  # of the server too, which runs in a thread: a busy machine counts for nothing
    health = HTTP.get(f"{busy.url}/api/health").json()
    assert time.process_time() - start < SECONDS
    day, week = health["traffic"]["day"], health["traffic"]["week"]
    assert day["answers"] + day["broken_off"] == pytest.approx(ANSWERS / 10, abs=2)
    assert week["answers"] + week["broken_off"] == pytest.approx(ANSWERS * 0.7, abs=2)
    assert week["abstained"] / week["answers"] == pytest.approx(0.1, abs=0.01)
    assert (day["up"], day["down"]) == (4, 2)
    assert (week["p50_seconds"], week["p95_seconds"]) == pytest.approx((0.6, 1.04), abs=0.03)
    assert (health["spending"]["usd"], health["spending"]["days"][-2]["usd"]) == (17.0, 3.5)
    assert (health["ready"], health["trouble"], health["index"]["states"]["indexed"]) == (True, None, 2)
    assert (health["drift"], health["canary"], health["models"]) == (None, None, [])


@pytest.mark.slow
def test_it_says_what_needs_a_look(visit: Visit, busy: Running) -> None:  # noqa: F811
    page = visit(busy, "/health", width=360, color_scheme="dark")
    expect(page.locator(".ship li")).to_have_count(8)
    expect(page.get_by_role("heading", level=1)).to_have_text("Ready to answer; 3 things need a look.")
    expect(page.locator(".needs li")).to_contain_text(
        ["85% of the budget of today is spent.", "broke off in the last", "wait for a person, the oldest for 9 days"]
    )
    expect(page.locator(".ship .missing code").first).to_have_text("groundtune compare, then groundtune use --verdict")
    assert is_readable(page)
    assert violations(page) == []


@pytest.mark.slow
def test_what_is_wrong_is_said_first(visit: Visit, serve: Serve) -> None:  # noqa: F811
    server = serve('[answers]\napproach = "quote-hybrid"\n')
    (server.project.root / "groundtune.toml").write_text('name = "acme"\n[answers]\napproach = "rag"\n')
    page = visit(server, "/health")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Not ready to answer")
    expect(page.locator(".needs")).to_contain_text("The choice cannot be asked")
    (server.project.root / "groundtune.toml").write_text("name = 3\n")
    page.get_by_role("link", name="Look again").click()
    expect(page.locator(".needs")).to_contain_text("groundtune.toml has a mistake, and the one before is used")
