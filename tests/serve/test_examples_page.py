"""The page of examples: all of them by origin and state, and drafts decided by one key each, in their file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from groundtune.dataset.examples import read_examples
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.types import Example
from tests.axe import violations
from tests.report.conftest import browser  # noqa: F401 (a fixture)
from tests.serve.conftest import HTTP, Running, running, write_project
from tests.serve.test_ask_page import Visit, is_readable, visit  # noqa: F401 (a fixture)

QUOTE = "A refund is paid within 30 days of delivery."
OWN = [
    {"id": "own", "input": "Is carriage refunded?", "output": "No", "split": "train"},
    {"id": "csv", "input": "Who pays?", "output": "We do", "split": "test", "origin": "faq.csv"},
    {"id": "kept", "input": "When?", "output": "Soon", "split": "train", "origin": "collected"},
]
DRAFTS = [
    {"id": "d1", "input": "When is a refund paid?", "output": "within 30 days", "split": "train", "origin": "drafted",
     "tags": ["fact"], "evidence": [{"source": "docs/refunds.md", "quote": QUOTE, "start": 9, "end": 9 + len(QUOTE)}]},
    {"id": "d2", "input": "What is refunded?", "output": "<b>nothing</b>", "split": "test", "origin": "drafted"},
    {"id": "d3", "input": "Do you ship to Iceland?", "output": None, "split": "train", "origin": "drafted"},
]  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def drafted(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Iterator[Running]:
    folder = write_project(tmp_path_factory.mktemp("drafted"), '[examples]\nfiles = ["examples.jsonl"]\n')
    write(folder / "examples.jsonl", OWN)
    with running(folder, embedder) as server:
        yield server


@pytest.fixture
def file(drafted: Running) -> Path:
    path = drafted.project.root / "drafted.jsonl"
    write(path, DRAFTS)
    return path


def states(file: Path) -> dict[str, str | None]:
    return {example.id: example.review.state if example.review else None for example in read_examples(file)}


def example(file: Path, name: str) -> Example:
    return next(each for each in read_examples(file) if each.id == name)


@pytest.mark.slow
def test_all_are_listed_and_filtered(visit: Visit, drafted: Running, file: Path) -> None:  # noqa: F811
    page = visit(drafted, "/examples")
    expect(page.locator("#summary")).to_have_text("6 examples in 2 files: 4 train, 0 validation, 2 test.")
    expect(page.locator(".notice")).to_contain_text("3 drafted examples wait for a person.")
    expect(page.get_by_text("is not used yet")).to_contain_text("drafted.jsonl")
    page.get_by_role("button", name="Imported").click()
    expect(page.get_by_role("rowheader")).to_have_text(["Who pays?examples.jsonl"])
    page.get_by_role("button", name="Drafted").click()
    page.get_by_label("Split").select_option("test")
    expect(page.get_by_role("rowheader")).to_have_count(1)
    expect(page.get_by_role("rowheader")).to_contain_text("What is refunded?")
    expect(page.get_by_role("cell", name="<b>nothing</b>")).to_be_visible()
    page.get_by_label("Search").fill("iceland")
    expect(page.get_by_text("No example is like this.")).to_be_visible()


@pytest.mark.slow
def test_one_key_decides_and_another_takes_it_back(visit: Visit, drafted: Running, file: Path) -> None:  # noqa: F811
    page = visit(drafted, "/examples")
    page.get_by_role("link", name="Decide").click()
    heading, said = page.get_by_role("heading", level=1), page.locator("#status")
    expect(heading).to_be_focused()
    expect(page.locator("mark")).to_have_text(QUOTE)
    page.keyboard.press("a")
    expect(said).to_have_text("Accepted.")
    expect(heading).to_have_text("What is refunded?")
    page.keyboard.press("r")
    expect(said).to_have_text("Rejected: the test split has changed.")
    expect(heading).to_have_text("Do you ship to Iceland?")
    page.keyboard.press("u")
    expect(heading).to_have_text("What is refunded?")
    assert states(file) == {"d1": "accepted", "d2": None, "d3": None}
    page.keyboard.press("e")
    page.get_by_label("Answer; empty").fill("")
    page.keyboard.press("Control+Enter")
    expect(said).to_have_text("Edited: the test split has changed.")
    expect(heading).to_have_text("Do you ship to Iceland?")
    assert (example(file, "d2").output, states(file)["d2"]) == (None, "edited")
    page.keyboard.press("s")
    expect(heading).to_have_text("Only what you skipped is left.")
    page.keyboard.press("u")
    expect(heading).to_have_text("What is refunded?")
    assert example(file, "d2").output == "<b>nothing</b>"


@pytest.mark.slow
def test_what_a_person_writes_meanwhile_stays(visit: Visit, drafted: Running, file: Path) -> None:  # noqa: F811
    page = visit(drafted, "/examples?show=drafts")
    expect(page.get_by_role("heading", level=1)).to_have_text("When is a refund paid?")
    write(file, [{**DRAFTS[0], "input": "When do I get my refund?"}, *DRAFTS[1:]])
    page.keyboard.press("a")
    expect(page.get_by_role("alert")).to_contain_text("somebody else changed this draft in drafted.jsonl meanwhile")
    expect(page.get_by_role("heading", level=1)).to_have_text("When do I get my refund?")
    assert states(file) == {"d1": None, "d2": None, "d3": None}
    page.keyboard.press("a")
    expect(page.get_by_role("heading", level=1)).to_have_text("What is refunded?")
    assert (example(file, "d1").input, states(file)["d1"]) == ("When do I get my refund?", "accepted")


@pytest.mark.slow
def test_it_reads_well(visit: Visit, drafted: Running, file: Path) -> None:  # noqa: F811
    page = visit(drafted, "/examples", width=360, color_scheme="light")
    expect(page.get_by_role("rowheader").first).to_be_visible()
    assert is_readable(page)
    assert violations(page) == []
    page.get_by_role("link", name="Decide").click()
    for key in ("e", "Escape"):
        expect(page.get_by_role("button", name="Accept").or_(page.get_by_role("button", name="Save"))).to_be_visible()
        assert is_readable(page)
        page.keyboard.press(key)
    assert violations(page) == []


def post(server: Running, **body: Any) -> Any:
    return HTTP.post(f"{server.url}/api/examples/decide", json=body)


def test_only_drafts_of_the_files_can_be_decided(drafted: Running, file: Path) -> None:
    before = (drafted.project.root / "examples.jsonl").read_bytes()
    for name, draft in (
        ("../drafted.jsonl", "d1"),
        ("groundtune.toml", "x"),
        ("drafted.jsonl", "d9"),
        ("examples.jsonl", "own"),
    ):
        reply = post(drafted, file=name, id=draft, version="x", state="accepted")
        assert reply.status_code == 404, name
    assert post(drafted, file="drafted.jsonl", id="d1", version="x", state="accepted").status_code == 409
    assert post(drafted, file="drafted.jsonl", id="d1", version="x", state="edited", input=" ").status_code == 400
    assert states(file) == {"d1": None, "d2": None, "d3": None}
    assert (drafted.project.root / "examples.jsonl").read_bytes() == before


def test_an_edit_that_nears_another_split_is_told(drafted: Running, file: Path) -> None:
    shown = HTTP.post(f"{drafted.url}/api/examples/next", json={}).json()["draft"]
    named = {"file": shown["file"], "id": shown["id"]}
    reply = post(drafted, **named, version=shown["version"], state="edited", input="who  pays?", output="We do").json()
    assert (reply["state"], reply["near"]) == ("edited", {"id": "csv", "split": "test"})
    undone = post(
        drafted, **named, version=reply["version"], state="undecided", input=shown["input"], output=shown["output"]
    )
    assert undone.json()["version"] == shown["version"]


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_listed(drafted: Running, file: Path) -> None:
    file.write_text('{"id": "d1", "input": 3}\n{"id"\n')
    reply = HTTP.get(f"{drafted.url}/api/examples").json()
    assert (reply["examples"], reply["found"]) == (3, 3)
    (problems,) = [each["problems"] for each in reply["files"] if each["problems"]]
    assert problems[0].startswith('line 1: "input" is not a string')
