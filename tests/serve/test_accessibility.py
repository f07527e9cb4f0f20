"""Every page of the server passes axe-core, with what it shows when there is something to show."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from groundtune.models.local_embedder import BundledEmbedder
from groundtune.serve.doors.keys import KeyFile
from groundtune.serve.pages.frame import PAGES
from groundtune.testing.scripted_server import ScriptedServer
from groundtune.workspace import Workspace
from tests.axe import violations
from tests.report.conftest import browser  # noqa: F401 (a fixture)
from tests.serve.conftest import QUESTION, Running, model_table, running, script, write_project
from tests.serve.test_ask_page import Visit, ask, finished, visit  # noqa: F401 (a fixture)


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Iterator[Running]:
    """A server with a model and an answer that waits for a reviewer."""
    with ScriptedServer(script) as model:
        folder = write_project(tmp_path_factory.mktemp("lived-in"), model_table(model) + "[review]\nsample = 1.0\n")
        with running(folder, embedder, model) as server:
            server.client().responses.create(model="acme", input=QUESTION)
            yield server


@pytest.mark.parametrize("path", [page.path for page in PAGES])
def test_each_page(visit: Visit, lived_in: Running, path: str) -> None:  # noqa: F811
    assert violations(visit(lived_in, path)) == []


def test_an_answer_with_an_open_citation_and_an_abstention(visit: Visit, lived_in: Running) -> None:  # noqa: F811
    page = visit(lived_in)
    ask(page)
    finished(page)
    ask(page, "Do you deliver to Iceland?")
    finished(page, 2)
    page.locator(".chip").first.click()
    assert violations(page) == []


def test_a_passage_in_its_document(visit: Visit, lived_in: Running) -> None:  # noqa: F811
    page = visit(lived_in)
    ask(page)
    finished(page)
    page.locator(".chip").first.click()
    page.get_by_role("link", name="Open the document").click()
    expect(page.locator("mark#passage")).to_be_visible()
    assert violations(page) == []


def test_signing_in(visit: Visit, tmp_path: Path, embedder: BundledEmbedder) -> None:  # noqa: F811
    folder = write_project(tmp_path)
    KeyFile(Workspace(folder)).create("ann", groups=[])
    with running(folder, embedder) as server:
        page = visit(server)
        page.get_by_label("API key").fill("gt-wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        assert violations(page) == []
