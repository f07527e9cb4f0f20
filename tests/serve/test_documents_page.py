"""The pages about documents: the ledger, one document, its pages as they look, and what is worth mending."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from groundtune.models.local_embedder import BundledEmbedder
from groundtune.serve.doors.keys import KeyFile
from groundtune.workspace import Workspace
from tests.axe import violations
from tests.ingest.test_page_images import pdf
from tests.report.conftest import browser  # noqa: F401 (a fixture)
from tests.serve.conftest import HTTP, Running, running, write_project
from tests.serve.test_ask_page import Visit, is_readable, visit  # noqa: F401 (a fixture)

OPERATORS = '[serve]\noperators = ["it"]\n'
SCRIPT = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Iterator[Running]:
    """A server without keys, whose documents have pages, rows, notes, failures, and something to mend."""
    folder = write_project(tmp_path_factory.mktemp("library"))
    docs = folder / "docs"
    (docs / "manual.pdf").write_bytes(pdf("Carriage costs 40 pounds.", "The frame lasts ten years."))
    (docs / "secret/pay.pdf").write_bytes(pdf("Grade nine ends at 91,000 pounds."))
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    (docs / "rows.jsonl").write_text("".join(f'{{"id": {n}, "text": "Row {n} is about bells."}}\n' for n in range(120)))
    (docs / "evil.md").write_text(f"# {SCRIPT}\n\nThe text has `{SCRIPT}` in it.\n")
    for name, days in (("returns", 14), ("shop", 30)):
        (docs / f"{name}.md").write_text(f"# Bikes\n\nYou can return a bike within {days} days of delivery.\n")
    (docs / "old.md").write_text("# Old rules\n\nThis document is valid until 31 January 2020.\n")
    with running(folder, embedder) as server:
        yield server


@pytest.mark.slow
def test_the_ledger_is_filtered_and_a_document_opens(visit: Visit, library: Running) -> None:  # noqa: F811
    page = visit(library, "/documents")
    expect(page.locator("#summary")).to_contain_text("files,")
    page.get_by_role("button", name="Failed").click()
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("rowheader")).to_contain_text("is damaged: it cannot be opened as a PDF")
    assert page.url.endswith("?state=failed")
    page.get_by_role("button", name="All").click()
    page.get_by_label("Search by name").fill("manual")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("link", name="docs/manual.pdf").click()
    picture = page.get_by_alt_text("Page 1 as it looks")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1400
    expect(page.locator(".document")).to_have_text("Carriage costs 40 pounds.")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_alt_text("Page 2 as it looks")).to_be_visible()
    page.get_by_role("link", name="Text").click()
    expect(page.locator(".document .page")).to_have_text(["page 1", "page 2"])
    page.get_by_role("link", name="passage").click()
    expect(page.locator(".pieces li")).to_have_count(2)


@pytest.mark.slow
def test_what_is_worth_mending_is_shown(visit: Visit, library: Running) -> None:  # noqa: F811
    page = visit(library, "/documents?show=state")
    expect(page.get_by_role("heading", name="14 days or 30 days")).to_be_visible()
    expect(page.locator(".sides mark")).to_have_text(["14 days", "30 days"])
    expect(page.get_by_role("heading", name="Dates that have passed")).to_be_visible()
    page.get_by_role("link", name="Open questions").click()
    expect(page.locator(".told")).to_contain_text("nothing is open")


@pytest.mark.slow
def test_they_read_well(visit: Visit, library: Running) -> None:  # noqa: F811
    page = visit(library, "/documents?state=notes", width=360, color_scheme="dark")
    expect(page.locator("#files")).not_to_be_empty()
    assert is_readable(page)
    for path in ("/documents?show=state", "/document?source=docs/evil.md", "/document?source=docs/manual.pdf"):
        page.set_viewport_size({"width": 360, "height": 900})
        page.goto(library.url + path)
        expect(page.locator(".told, .document").first).to_be_visible()
        assert is_readable(page), path
        assert violations(page) == [], path


def get(server: Running, path: str, key: str | None = None, **query: object) -> object:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return HTTP.get(f"{server.url}{path}", params=query, headers=headers)


def test_what_documents_write_is_text(library: Running) -> None:
    for view in ("text", "passages"):
        page = get(library, "/document", source="docs/evil.md", view=view).text  # type: ignore[attr-defined]
        assert "&lt;img src=x" in page
        assert "<img" not in page


def test_a_table_file_leads_to_its_rows(library: Running) -> None:
    page = get(library, "/document", source="docs/rows.jsonl", page=2).text  # type: ignore[attr-defined]
    assert page.count("<li>") == 20
    assert "Part 2 of 2" in page
    row = get(library, "/document", source="docs/rows.jsonl#7")
    assert "Row 7 is about bells." in row.text  # type: ignore[attr-defined]


@pytest.mark.parametrize("source", ["docs/none.md", "../groundtune.toml", "groundtune.toml", ""])
def test_nothing_else_is_shown(library: Running, source: str) -> None:
    assert get(library, "/document", source=source).status_code == 404  # type: ignore[attr-defined]
    assert get(library, "/page-image", source=source, page=1).status_code == 404  # type: ignore[attr-defined]


def test_a_changed_file_is_said_to_have(library: Running) -> None:
    path = library.project.root / "docs/manual.pdf"
    before = path.read_bytes()
    path.write_bytes(pdf("Another text."))
    try:
        page = get(library, "/document", source="docs/manual.pdf").text  # type: ignore[attr-defined]
        assert "The file has changed since it was indexed; groundtune ingest reads it again." in page
        assert "/page-image" not in page
        reply = get(library, "/page-image", source="docs/manual.pdf", page=1)
        assert (reply.status_code, "has changed" in reply.text) == (409, True)  # type: ignore[attr-defined]
    finally:
        path.write_bytes(before)


def test_pictures_are_for_readers_and_the_rest_for_operators(library: Running) -> None:
    folder = library.project.root
    keys = KeyFile(Workspace(folder))
    secrets = {name: keys.create(name, groups=groups)[1] for name, groups in {"ann": [], "hans": ["hr"]}.items()}
    try:
        for name, status in (("ann", 404), ("hans", 200)):
            reply = get(library, "/page-image", secrets[name], source="docs/secret/pay.pdf", page=1)
            assert reply.status_code == status  # type: ignore[attr-defined]
            for path in ("/api/documents", "/api/documents/state", "/api/examples", "/api/health", "/documents"):
                assert get(library, path, secrets[name]).status_code == 403, path  # type: ignore[attr-defined]
        hits = HTTP.post(
            f"{library.url}/api/search",
            json={"query": "carriage costs"},
            headers={"Authorization": f"Bearer {secrets['ann']}"},
        )
        passage = next(hit for hit in hits.json()["hits"] if hit["source"] == "docs/manual.pdf")
        page = get(library, f"/passages/{passage['id']}", secrets["ann"]).text  # type: ignore[attr-defined]
        assert "Page 1 as it looks" in page
    finally:
        (folder / ".groundtune/keys.json").unlink()
