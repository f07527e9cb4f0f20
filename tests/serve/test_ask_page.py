"""The page to ask on, in a real browser."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from groundtune.models.local_embedder import BundledEmbedder
from groundtune.serve.doors.keys import KeyFile
from groundtune.workspace import Workspace
from tests.report.conftest import PATIENCE_MS, browser  # noqa: F401 (a fixture)
from tests.serve.conftest import ANSWER, QUESTION, Running, running, write_project

CONTRAST = (Path(__file__).parent.parent / "report" / "contrast.js").read_text(encoding="utf-8")
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:  # noqa: F811
    """Open a page of a server; fail afterwards on any error, or any request elsewhere."""
    trouble: list[str] = []
    contexts = []

    def visit(server: Running, path: str = "/", *, width: int = 1280, **settings: object) -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **settings))  # type: ignore[arg-type]
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: _is_trouble(message) and trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on(
            "request", lambda request: request.url.startswith((server.url, "data:,")) or trouble.append(request.url)
        )
        page.goto(server.url + path)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert trouble == []


def _is_trouble(message: ConsoleMessage) -> bool:
    """Whether a message is an error of the page; the browser also reports each reply that is an error."""
    return message.type in ("error", "warning") and "Failed to load resource" not in message.text


def ask(page: Page, question: str = QUESTION) -> None:
    page.get_by_label("Question").fill(question)
    page.keyboard.press("Enter")


def finished(page: Page, turns: int = 1) -> None:
    expect(page.get_by_role("group", name="Was this answer helpful?")).to_have_count(turns)


def test_an_answer_leads_to_its_passage(visit: Visit, modelled: Running) -> None:
    page = visit(modelled)
    ask(page)
    finished(page)
    expect(page.locator(".answer")).to_contain_text("A refund is paid within 30 days of delivery")
    chip = page.get_by_role("button", name="Citation 1, exact, docs/refunds.md").first
    chip.hover()
    expect(page.get_by_role("dialog").locator("mark")).to_have_text("A refund is paid within 30 days of delivery.")
    chip.click()
    page.get_by_role("link", name="Open the document").click()
    expect(page.locator("mark#passage")).to_be_focused()
    expect(page.locator("mark#passage")).to_contain_text("Carriage is not refunded.")


def test_the_conversation_goes_on(visit: Visit, modelled: Running) -> None:
    page = visit(modelled)
    ask(page)
    finished(page)
    page.get_by_label("Answered by").select_option("rag")
    ask(page, "And carriage?")
    finished(page, 2)
    assert modelled.model is not None
    sent = [turn["content"] for turn in modelled.model.posts()[-1]["messages"]]
    assert QUESTION in sent
    assert ANSWER in sent


def test_an_abstention_shows_what_comes_nearest(visit: Visit, modelled: Running) -> None:
    page = visit(modelled)
    ask(page, "Do you deliver to Iceland?")
    finished(page)
    expect(page.get_by_role("heading", name="Not in your documents.")).to_be_visible()
    expect(page.locator(".abstention").get_by_role("link")).to_have_text("docs/refunds.md > Refunds")


def test_errors_are_told_and_the_next_question_is_answered(visit: Visit, modelled: Running) -> None:
    page = visit(modelled)
    ask(page, "fail, please")
    expect(page.get_by_role("alert").filter(has_text="refused the request")).to_be_visible()
    ask(page, "break, please")
    expect(page.get_by_role("alert").filter(has_text="broke")).to_be_visible()
    ask(page)
    finished(page)


def test_an_answer_can_be_stopped(visit: Visit, modelled: Running) -> None:
    page = visit(modelled)
    ask(page, "slowly, please")
    expect(page.locator(".answer")).to_contain_text("Carriage")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Stopped.").first).to_be_visible()
    expect(page.get_by_role("button", name="Ask")).to_be_visible()


def test_feedback_is_sent(visit: Visit, modelled: Running) -> None:
    page = visit(modelled)
    ask(page)
    page.get_by_role("button", name="Not helpful").click()
    expect(page.get_by_role("button", name="Not helpful")).to_have_attribute("aria-pressed", "true")
    with closing(sqlite3.connect(modelled.project.workspace.folder / "feedback.sqlite")) as database:
        assert database.execute("SELECT rating FROM feedback").fetchall()[-1] == ("down",)


def test_what_documents_and_models_write_is_text(visit: Visit, tmp_path: Path, embedder: BundledEmbedder) -> None:
    folder = write_project(tmp_path)
    script = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    (folder / "docs/evil.md").write_text(f"# Evil\n\nThe gnome lives in `{script}` since 1990.\n", encoding="utf-8")
    with running(folder, embedder) as server:
        page = visit(server)
        ask(page, "Where does the gnome live since 1990?")
        finished(page)
        expect(page.locator("#turns")).to_contain_text("img src=x")
        assert page.locator("#turns img, #turns script").count() == 0
        page.locator(".chip, .found a").first.click()


def test_a_key_is_asked_for(visit: Visit, tmp_path: Path, embedder: BundledEmbedder) -> None:
    folder = write_project(tmp_path)
    _, secret = KeyFile(Workspace(folder)).create("ann", groups=["hr"])
    with running(folder, embedder) as server:
        page = visit(server)
        page.get_by_label("API key").fill("gt-wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("this API key is not valid")
        page.get_by_label("API key").fill(secret)
        page.keyboard.press("Enter")
        ask(page, "Where does the pay band of grade nine end?")
        finished(page)
        expect(page.locator(".answer")).to_contain_text("91,000")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("API key")).to_be_visible()


def is_readable(page: Page) -> bool:
    """Whether nothing is cut off and all text stands out, once what moves and fades has come to rest."""
    for _ in range(20):
        if page.evaluate(OVERFLOW) <= 0 and page.evaluate(CONTRAST) == []:
            return True
        page.wait_for_timeout(100)
    return False


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_reads_well(visit: Visit, modelled: Running, width: int, scheme: str, tmp_path: Path) -> None:
    page = visit(modelled, width=width, color_scheme=scheme)
    ask(page)
    finished(page)
    ask(page, "Do you deliver to Iceland?")
    finished(page, 2)
    assert is_readable(page)
    page.locator(".chip").last.click()
    assert is_readable(page)
    page.screenshot(path=tmp_path / "ask.png", full_page=True)
    page.get_by_role("link", name="Open the document").click()
    expect(page.locator("mark#passage")).to_be_visible()
    assert is_readable(page)
    assert re.search("/passages/", page.url)
