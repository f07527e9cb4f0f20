"""`groundtune serve` in a folder without a project: a page sets it up, and the server goes on with it."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from groundtune import cli
from groundtune.config import load_config
from groundtune.config.serve_table import ServeConfig
from groundtune.serve.doors.keys import KeyFile
from groundtune.serve.running import set_up
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.workspace import Workspace
from tests.axe import violations
from tests.report.conftest import PATIENCE_MS, browser  # noqa: F401 (a fixture)
from tests.serve.conftest import HTTP
from tests.serve.test_set_up import JOB_MS

TEXT = b"# Returns\n\nA bike can be sent back within 30 days of delivery.\n"


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run the command in a folder; stop it in the end."""
    command = [sys.executable, "-m", "groundtune", "serve", "--port", "0", "--json", "-C", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline() for _ in range(4)]
            yield json.loads("".join(lines))["url"].removesuffix("/setup")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@pytest.mark.slow
def test_from_an_empty_folder_to_a_cited_answer(browser: Browser, tmp_path: Path) -> None:  # noqa: F811
    with serving(tmp_path) as url:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(url)
        expect(page.get_by_text("No document is here yet")).to_be_visible()
        assert violations(page) == []
        page.get_by_label("Name of the project").fill("Bikes")
        page.get_by_label("Folder of the documents").fill("nowhere")
        page.get_by_role("button", name="Create the project").click()
        expect(page.get_by_role("alert")).to_contain_text(f"there is no folder nowhere in {tmp_path}")
        page.get_by_label("Folder of the documents").fill("")
        page.get_by_role("button", name="Create the project").dblclick()
        expect(page.get_by_role("heading", name="Set-up")).to_be_visible()
        assert page.url == f"{url}/setup"
        page.locator("#documents").set_input_files([{"name": "returns.md", "mimeType": "", "buffer": TEXT}])
        expect(page.locator("#step-documents")).to_contain_text("1 document in the index", timeout=JOB_MS)
        page.get_by_role("link", name="Ask the documents").click()
        page.get_by_label("Question").fill("How long do I have to send a bike back?")
        page.keyboard.press("Enter")
        expect(page.locator(".answer")).to_contain_text("within 30 days of delivery")
        expect(page.get_by_role("button", name="Citation 1, exact, documents/returns.md")).to_be_visible()
        page.close()
    config = load_config(tmp_path / "groundtune.toml")
    assert (config.name, config.documents.include) == ("Bikes", ("documents/**/*",))


@pytest.fixture
def setting_up(tmp_path: Path) -> Iterator[str]:
    """The page of an empty folder, served by a thread."""
    ready: list[str] = []
    is_ready = threading.Event()
    done: list[Any] = []

    def run() -> None:
        settings = ServeConfig().model_copy(update={"port": 0})
        done.append(set_up(tmp_path, settings, on_ready=lambda url: (ready.append(url), is_ready.set())[0]))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert is_ready.wait(60)
    yield ready[0]
    if not (tmp_path / "groundtune.toml").exists():  # else it ends by itself, and the socket goes on listening
        (tmp_path / "groundtune.toml").touch()
        HTTP.get(f"{ready[0]}/setup", headers={"Connection": "close"})
    thread.join(30)
    done[0].close()


def create(url: str, **values: Any) -> Any:
    return HTTP.post(f"{url}/api/setup/new", json={"name": "a", **values}, headers={"Connection": "close"})


def test_what_is_wrong_is_told_before_anything_is_written(setting_up: str, tmp_path: Path) -> None:
    with ScriptedServer(Reply("Yes."), models=["m"]) as model:
        endpoint = {"answers": "endpoint", "model": "m"}
        wrong = {
            "there is no folder nowhere": {"folder": "nowhere"},
            f"is not in {tmp_path}": {"folder": ".."},
            "needs its address and the name of a model": {"answers": "endpoint"},
            "cannot be reached": {**endpoint, "base_url": "http://127.0.0.1:9/v1"},
            "is not a URL": {**endpoint, "base_url": "somewhere"},
            "has no model other": {**endpoint, "base_url": model.base_url, "model": "other"},
            "should have at least 1 character": {"name": " "},
        }
        for words, values in wrong.items():
            reply = create(setting_up, **values)
            assert reply.status_code in (400, 409), words
            assert words in reply.json()["error"]["message"]
        assert list(tmp_path.iterdir()) == []
        assert HTTP.get(f"{setting_up}/healthz").status_code == 503
        assert create(setting_up, **endpoint, base_url=model.base_url).status_code == 200
    config = load_config(tmp_path / "groundtune.toml")
    assert config.models["default"].base_url == model.base_url


def test_an_address_that_does_not_answer_now_can_be_written_all_the_same(setting_up: str, tmp_path: Path) -> None:
    values = {"answers": "endpoint", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
    assert create(setting_up, **values).json()["error"]["code"] == "no_endpoint"
    assert create(setting_up, **values, unchecked=True).status_code == 200
    assert load_config(tmp_path / "groundtune.toml").models["default"].model == "m"


def test_no_other_site_sets_up_a_project(setting_up: str, tmp_path: Path) -> None:
    url, body = f"{setting_up}/api/setup/new", {"name": "a"}
    assert HTTP.post(url, json=body, headers={"Origin": "https://evil.example"}).status_code == 403
    assert HTTP.get(f"{setting_up}/setup", headers={"Host": "evil.example"}).status_code == 400
    assert list(tmp_path.iterdir()) == []


def test_the_page_is_for_this_machine_and_for_a_folder_without_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["serve", "-C", str(tmp_path), "--host", "0.0.0.0"]) == 3
    KeyFile(Workspace(tmp_path)).create("ann")
    assert cli.main(["serve", "-C", str(tmp_path)]) == 3
    assert "no groundtune.toml" in capsys.readouterr().err
