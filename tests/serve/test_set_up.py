"""The project is set up in the browser, step by step; what goes wrong is told."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from groundtune.config import load_config
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.serve.doors.keys import KeyFile
from groundtune.serve.pages.jobs import Jobs
from groundtune.serve.pages.uploads import document_source
from groundtune.workspace import Workspace
from tests.axe import violations
from tests.report.conftest import browser  # noqa: F401 (a fixture)
from tests.serve.conftest import HTTP, Running, Serve, running, write_project
from tests.serve.test_ask_page import Visit, visit  # noqa: F401 (a fixture)
from tests.serve.test_jobs import WAITING

JOB_MS = 300_000
"""Milliseconds that a command may take on a busy machine, where it has a low priority."""
ROW = '{"id": "q1", "input": "When is a refund paid?", "output": "within 30 days", "split": "test"}\n'


def state(server: Running) -> dict[str, Any]:
    return HTTP.get(f"{server.url}/api/setup").json()  # type: ignore[no-any-return]


def step(server: Running, name: str) -> dict[str, Any]:
    return next(each for each in state(server)["steps"] if each["id"] == name)


def start(server: Running, command: str, **more: Any) -> Any:
    return HTTP.post(f"{server.url}/api/setup/jobs", json={"command": command, **more})


def put(server: Running, kind: str, name: str, content: bytes, query: str = "") -> Any:
    return HTTP.put(f"{server.url}/api/setup/{kind}/{name}{query}", content=content)


def card(page: Page, name: str) -> Any:
    return page.locator(f"#step-{name}")


@pytest.mark.slow
def test_from_documents_to_a_choice(visit: Visit, serve: Serve) -> None:  # noqa: F811
    server = serve()
    page = visit(server, "/setup")
    page.get_by_role("button", name="Check", exact=True).click()
    expect(card(page, "check")).to_contain_text("Nothing is wrong", timeout=JOB_MS)
    text = b"# Carriage\n\nCarriage costs 12 pounds for each parcel.\n"
    page.locator("#documents").set_input_files([{"name": "carriage.md", "mimeType": "text/markdown", "buffer": text}])
    expect(card(page, "documents")).to_contain_text("3 documents in the index", timeout=JOB_MS)
    assert (server.project.root / "documents" / "carriage.md").read_bytes() == text
    page.locator("#number").fill("10")
    page.get_by_role("button", name="Draft from the documents").click()
    expect(card(page, "examples")).to_contain_text("Nobody has reviewed", timeout=JOB_MS)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(card(page, "compare")).to_contain_text("Compare again", timeout=JOB_MS)
    page.locator("#approach").select_option("quote-hybrid")
    page.get_by_role("button", name="Use it", exact=True).click()
    expect(card(page, "use")).to_contain_text("quote-hybrid answers the questions.", timeout=JOB_MS)


@pytest.mark.slow
def test_a_running_command_is_shown_stopped_and_told_of(visit: Visit, serve: Serve) -> None:  # noqa: F811
    server = serve()
    jobs = Jobs(server.project.workspace)
    with server.project.workspace.writer_lock():
        _while_one_runs(visit, server, jobs)


def _while_one_runs(visit: Visit, server: Running, jobs: Jobs) -> None:  # noqa: F811
    jobs.start("ingest", WAITING, by="ann")
    second = start(server, "check")
    assert second.status_code == 409
    assert "groundtune ingest --wait 600 is running (wait until it is done, or stop it)" in second.text
    page = visit(server, "/setup")
    expect(page.locator("#running")).to_contain_text("groundtune ingest --wait 600 runs for")
    expect(page.get_by_role("button", name="Check", exact=True)).to_be_disabled()
    page.reload()
    page.get_by_role("button", name="Stop").click()
    expect(card(page, "documents")).to_contain_text(
        "Stopped. Start it again, and it goes on where it was.", timeout=JOB_MS
    )
    job = jobs.start("ingest", WAITING, by="ann")
    page.reload()
    expect(page.locator("#running")).to_be_visible()
    assert violations(page) == []
    about = server.project.workspace.cache / "jobs" / job.id / "job.json"
    os.killpg(json.loads(about.read_bytes())["pid"], signal.SIGKILL)
    expect(card(page, "documents")).to_contain_text("It was killed by signal 9", timeout=JOB_MS)


@pytest.mark.slow
def test_broken_examples_are_told_of(visit: Visit, serve: Serve) -> None:  # noqa: F811
    server = serve()
    page = visit(server, "/setup")
    broken = (ROW + "{broken\n").encode()
    page.locator("#examples-file").set_input_files([{"name": "mine.jsonl", "mimeType": "", "buffer": broken}])
    expect(card(page, "examples").locator(".problem")).to_contain_text("mine.jsonl:2: ", timeout=JOB_MS)
    assert step(server, "examples")["state"] == "next"
    page.locator("#examples-file").set_input_files([{"name": "mine.jsonl", "mimeType": "", "buffer": ROW.encode()}])
    expect(card(page, "examples")).to_contain_text("1 example: train 0, validation 0, test 1.", timeout=JOB_MS)
    assert load_config(server.project.root / "groundtune.toml").examples.files == ("examples.jsonl",)


def test_what_the_browser_may_say(quotes: Running) -> None:
    assert start(quotes, "serve").status_code == 400
    assert start(quotes, "use", approach="--help").status_code == 400
    assert start(quotes, "ingest", rebuild=True).status_code == 400
    assert start(quotes, "draft", number=5_000).status_code == 400
    assert start(quotes, "import", file="../../../etc/passwd").status_code == 400
    assert start(quotes, "import", file="gone.jsonl").status_code == 404
    assert HTTP.get(f"{quotes.url}/api/setup/jobs/..%2f..").status_code in (400, 404)
    assert state(quotes)["jobs"] == {}


@pytest.mark.parametrize("name", ["..", ".groundtune", "a%2Fb.md", "a%5Cb.md", "%0A.md", "a" * 300 + ".md"])
def test_no_upload_leaves_its_folder(quotes: Running, name: str) -> None:
    before = sorted(quotes.project.root.rglob("*.md"))
    assert put(quotes, "documents", name, b"# A").status_code in (400, 404, 405)
    assert sorted(quotes.project.root.rglob("*.md")) == before


def test_a_document_is_replaced_only_when_asked(serve: Serve) -> None:
    server = serve()
    assert put(server, "documents", "new.md", b"# A").json() == {"source": "documents/new.md"}
    again = put(server, "documents", "new.md", b"# B")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "exists")
    assert put(server, "documents", "new.md", b"# B", "?replace=true").status_code == 200
    assert (server.project.root / "documents" / "new.md").read_bytes() == b"# B"
    assert "reads no .exe" in put(server, "documents", "new.exe", b"MZ").text
    assert "is empty" in put(server, "documents", "empty.md", b"").text
    assert sorted(path.name for path in (server.project.root / "documents").iterdir()) == ["new.md"]


def test_a_document_must_not_be_too_large(serve: Serve, tmp_path: Path) -> None:
    server = serve("[documents]\nmax_mb = 1\n")
    reply = put(server, "documents", "large.txt", b"x" * 1_100_000)
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_large")
    assert "1 MB that documents.max_mb allows" in reply.text
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = server.project.root / "documents"
    folder.rmdir()
    folder.symlink_to(elsewhere)
    assert "leads out of the project" in put(server, "documents", "a.md", b"# A").text
    assert list(elsewhere.iterdir()) == []


def test_a_document_goes_where_it_is_read(tmp_path: Path) -> None:
    toml = 'name = "a"\n[documents]\ninclude = ["*.txt", "hr/{a,b}/*.md", "docs/en/**/*.md"]\nexclude = ["old*"]\n'
    config = load_config(tmp_path / "groundtune.toml", text=toml)
    assert document_source("new.txt", config, tmp_path) == "new.txt"
    assert document_source("new.md", config, tmp_path) == "docs/en/new.md"
    for name in ("new.pdf", "old.md"):
        with pytest.raises(Exception, match="would not be read"):
            document_source(name, config, tmp_path)


@pytest.fixture
def keyed(tmp_path: Path, embedder: BundledEmbedder) -> Iterator[tuple[Running, dict[str, dict[str, str]]]]:
    folder = write_project(tmp_path, '[serve]\noperators = ["ops"]\norigins = ["https://site.example"]\n')
    keys = KeyFile(Workspace(folder))
    headers = {
        name: {"Authorization": f"Bearer {keys.create(name, groups=groups)[1]}"}
        for name, groups in {"ann": ["ops"], "bob": ["hr"]}.items()
    }
    with running(folder, embedder) as server:
        yield server, headers


def test_only_operators_and_only_from_its_own_pages(keyed: tuple[Running, dict[str, dict[str, str]]]) -> None:
    server, headers = keyed
    url, body = f"{server.url}/api/setup/jobs", {"command": "check"}
    assert HTTP.post(url, json=body).status_code == 401
    assert HTTP.post(url, json=body, headers=headers["bob"]).status_code == 403
    assert HTTP.put(f"{server.url}/api/setup/documents/a.md", content=b"# A", headers=headers["bob"]).status_code == 403
    assert HTTP.get(f"{server.url}/setup", headers=headers["bob"]).status_code == 403
    for origin in ("https://evil.example", "https://site.example", "null"):
        told = headers["ann"] | {"Origin": origin}
        assert HTTP.post(url, json=body, headers=told).status_code == 403
        assert HTTP.put(f"{server.url}/api/setup/documents/a.md", content=b"# A", headers=told).status_code == 403
    assert not (server.project.root / "documents").exists()
    assert HTTP.get(f"{server.url}/setup", headers=headers["ann"]).status_code == 200


def test_uploaded_examples_are_not_seen_before_they_are_imported(serve: Serve) -> None:
    server = serve()
    assert put(server, "examples", "mine.jsonl", ROW.encode()).json() == {"file": "mine.jsonl"}
    assert step(server, "examples")["told"] == []
    (server.project.root / "drafted.jsonl").write_text(json.dumps({**json.loads(ROW), "origin": "drafted"}) + "\n")
    assert step(server, "examples")["offers"]["unused"] == ["drafted.jsonl"]
    assert HTTP.post(f"{server.url}/api/setup/examples", json={"file": "drafted.jsonl"}).json() == {"changed": True}
    assert HTTP.post(f"{server.url}/api/setup/examples", json={"file": "drafted.jsonl"}).json() == {"changed": False}
    assert step(server, "examples")["told"][0].startswith("1 example")
    assert HTTP.post(f"{server.url}/api/setup/examples", json={"file": "none.jsonl"}).status_code == 404
