"""Several processes that serve one project: nothing is lost between them, and they end together."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import httpx2
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from groundtune import Project
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.records.audit_log import AuditLog
from groundtune.records.feedback import FeedbackLog
from groundtune.serve.doors.keys import KeyFile
from groundtune.serve.doors.rate_limit import RateLimit
from groundtune.serve.errors import RequestRefusedError
from groundtune.serve.running import _end_after
from groundtune.workspace import Workspace
from tests.serve.conftest import QUESTION, write_project

REQUESTS = 200
RATED = 50
LIMIT = 150
"""Requests a minute of the key."""


@pytest.fixture
def served(tmp_path: Path, embedder: BundledEmbedder) -> Iterator[tuple[Path, str, psutil.Process]]:
    """A project that two workers serve, its address, and the process that started them."""
    folder = write_project(tmp_path, '[answers]\napproach = "quote-bm25"\n[serve]\nseconds = 900\n')
    with Project.open(folder) as project:
        project.session.embedder = embedder
        project.ingest()
    command = [sys.executable, "-m", "groundtune", "serve", "--port", "0", "--workers", "2", "-C", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"})
    assert process.stdout is not None
    try:
        yield folder, re.findall(r"http\S+", process.stdout.readline())[0], psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait(60)
        process.stdout.close()


def workers_of(parent: psutil.Process) -> list[psutil.Process]:
    alive = [child for child in parent.children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in alive if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.slow
def test_two_workers_lose_nothing_and_end_together(served: tuple[Path, str, psutil.Process]) -> None:
    folder, url, parent = served
    _, key = KeyFile(Workspace(folder)).create("load", per_minute=LIMIT)
    _, watcher = KeyFile(Workspace(folder)).create("watcher")
    body = {"model": "acme", "messages": [{"role": "user", "content": QUESTION}]}
    start = time.monotonic()
    with httpx2.Client(timeout=300, headers={"authorization": f"Bearer {key}"}) as http:

        def ask(_: int) -> str | None:
            reply = http.post(f"{url}/v1/chat/completions", json=body)
            if reply.status_code == 429:
                return None
            assert reply.status_code == 200, reply.text
            return str(reply.json()["groundtune"]["id"])

        with ThreadPoolExecutor(100) as pool:
            ids = [answer for answer in pool.map(ask, range(REQUESTS)) if answer]
            seconds = time.monotonic() - start

    with httpx2.Client(timeout=300, headers={"authorization": f"Bearer {watcher}"}) as http:

        def rate(answer: str) -> int:
            return int(http.post(f"{url}/v1/feedback", json={"answer": answer, "rating": "up"}).status_code)

        with ThreadPoolExecutor(20) as pool:
            assert set(pool.map(rate, ids[:RATED])) == {200}
        text = http.get(f"{url}/metrics").text
    assert LIMIT <= len(ids) <= LIMIT * (1 + seconds / 60) + 1  # one limit for both
    check = AuditLog(Workspace(folder)).verify()
    assert (check.records, check.problem) == (len(ids), None)
    assert {entry.record["id"] for entry in AuditLog(Workspace(folder)).entries()} == set(ids)
    assert sorted(row.answer for row in FeedbackLog(Workspace(folder)).rows()) == sorted(ids[:RATED])
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert sum(each.value for each in samples if each.name == "groundtune_answers_total") == len(ids)

    workers = workers_of(parent)
    assert len(workers) == 2
    start = time.monotonic()
    parent.terminate()
    _, left = psutil.wait_procs([parent, *workers], timeout=60)
    assert left == []
    assert time.monotonic() - start < 20


def test_a_worker_ends_after_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *arguments: killed.append(arguments))
    parent = Thread()
    parent.start()
    _end_after(parent)
    assert killed == [(os.getpid(), signal.SIGTERM)]


def test_a_rate_limit_holds_for_all_processes(tmp_path: Path) -> None:
    limits = [RateLimit(tmp_path / "rates.sqlite") for _ in range(2)]
    for taken in range(10):
        limits[taken % 2].take("ann", 10)
    with pytest.raises(RequestRefusedError) as caught:
        limits[0].take("ann", 10)
    assert caught.value.reply.headers["Retry-After"] == "6"
    limits[1].take("bob", 10)


def test_a_rate_limit_begins_anew_with_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = RateLimit(tmp_path / "rates.sqlite")
    for _ in range(10):
        before.take("ann", 10)
    monkeypatch.setattr(time, "monotonic", lambda: 0.5)
    RateLimit(tmp_path / "rates.sqlite").take("ann", 10)
