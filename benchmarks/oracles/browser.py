"""What Chromium shows of an HTML page: its accessibility tree, which has list numbers and generated text."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_TIMEOUT_MS = 30_000
_OPEN_ALL = "document.querySelectorAll('details').forEach(each => each.open = true)"
_LAY_OUT_ALL = """() => {
  const style = document.createElement('style')
  style.textContent = '* { content-visibility: visible !important }'
  document.head.append(style)
}"""
"""What a page does not lay out before it is scrolled to is in neither text nor tree."""
_INNER = """[document.documentElement.innerText, ...[...document.querySelectorAll('img[alt]')].map(each => each.alt)]
  .join('\\n')"""
_REMOVE = """selectors => {
  for (const selector of selectors) document.querySelectorAll(selector).forEach(each => each.remove())
}"""


def missing_browser() -> str | None:
    """Why no browser can be used; None if one can."""
    return None if _path() else f"none of {', '.join(_NAMES)} is installed: apt-get install chromium"


def _path() -> str | None:
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def print_pdfs(pages: Sequence[Path], folder: Path) -> list[Path | None]:
    """Print each page into a PDF file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_browser() as chromium:
        for number, page in enumerate(pages):
            chromium.print_pdf(page, folder / f"p{number}.pdf")
    return [folder / f"p{number}.pdf" for number in range(len(pages))]


@contextmanager
def open_browser() -> Iterator["Browser"]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        chromium = driver.chromium.launch(executable_path=_path(), args=arguments)
        context = chromium.new_context(java_script_enabled=False, offline=True)
        try:
            yield Browser(context)
        finally:
            chromium.close()


@dataclass(frozen=True, slots=True)
class Views:
    """Texts of one page: innerText with alternative texts of pictures, the accessibility tree, and a reduced tree."""

    inner: str
    tree: str
    reduced: str


class Browser:
    """One page that is used again and again. Never runs scripts of a page, never opens a connection."""

    def __init__(self, context: Any) -> None:
        self._page = context.new_page()
        self._session = context.new_cdp_session(self._page)
        self._page.route(
            "**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort()
        )

    def views(self, path: Path, *, left_out: Sequence[str] = ()) -> "Views":
        """Return what the page shows. left_out: CSS selectors of elements that `reduced` does not have."""
        self._page.goto(path.absolute().as_uri(), wait_until="domcontentloaded", timeout=_TIMEOUT_MS)
        self._page.evaluate(_LAY_OUT_ALL)
        self._page.evaluate(_OPEN_ALL)
        inner = str(self._page.evaluate(_INNER) or "")
        tree = self._tree(inner)
        self._page.evaluate(_REMOVE, list(left_out))
        return Views(inner, tree, self._tree(inner))

    def _tree(self, inner: str) -> str:
        nodes = self._session.send("Accessibility.getFullAXTree")["nodes"]
        return "\n".join(_tree_texts(nodes, inner))

    def print_pdf(self, path: Path, target: Path) -> None:
        """Print a page into a PDF file."""
        self._page.goto(path.absolute().as_uri(), wait_until="domcontentloaded", timeout=_TIMEOUT_MS)
        self._page.pdf(path=target, format="A4")


_TEXTS = {"StaticText", "ListMarker"}
_FIELDS = {"textbox", "spinbutton", "combobox"}
_BOXES = {"checkbox", "radio"}


def _tree_texts(nodes: list[dict[str, Any]], inner: str) -> Iterator[str]:
    """Yield the texts of the tree in order; the label of a field is its name there, and not a text of its own."""
    by_id = {node["nodeId"]: node for node in nodes}
    stack = [nodes[0]["nodeId"]] if nodes else []
    while stack:
        node = by_id.get(stack.pop())
        if node is None:
            continue
        role, name = node.get("role", {}).get("value"), str(node.get("name", {}).get("value", ""))
        if role in _TEXTS and not node.get("ignored"):
            yield name
        elif role in _BOXES:
            yield f"{_box(node)} {name if name in inner else ''}"
        elif role in _FIELDS:
            yield f"{name if name in inner else ''} {node.get('value', {}).get('value', '')}"
        else:
            stack.extend(reversed(node.get("childIds", ())))


def _box(node: dict[str, Any]) -> str:
    properties = {each["name"]: each["value"].get("value") for each in node.get("properties", ())}
    return "☑" if properties.get("checked") == "true" else "☐"
