"""Open reports in a real browser and fail on any console message, error, dialog or request."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from groundtune.report.html import render_page
from tests.report.pages import answer_page, crowded_page, hard_page, labelled_page

Visit = Callable[..., Page]
PATIENCE_MS = 60_000
"""Milliseconds that a page may take to show something on a busy machine."""
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Closed with the module, because asynchronous tests cannot run beside it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        reason = f"none of {', '.join(names)} is installed: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=["--no-sandbox"] if root else [])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    pages = {"answer": answer_page(), "labels": labelled_page(), "hard": hard_page(), "crowded": crowded_page()}
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(render_page(page), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in pages}


@pytest.fixture
def visit(browser: Browser, files: dict[str, Path], tmp_path: Path) -> Iterator[Visit]:
    """Open a report (a name, a file, or a page to render) at a hash; fail afterwards on any error or request."""
    trouble: list[str] = []
    contexts = []

    def visit(report: str | Path | dict[str, Any], at: str = "", *, width: int = 1280, **settings: Any) -> Page:
        path = files[report] if isinstance(report, str) else tmp_path / "report.html"
        if isinstance(report, Path):
            path = report
        elif not isinstance(report, str):
            path.write_text(render_page(report), encoding="utf-8")
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: trouble.append(f"dialog: {dialog.message}"))
        page.on(
            "request",
            lambda request: request.url.startswith(path.as_uri()) or trouble.append(f"requested {request.url}"),
        )
        page.goto(f"{path.as_uri()}#{at}")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert trouble == []
