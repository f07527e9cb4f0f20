"""One bad file, passage or value never stops or loses the others, whatever part of the run it breaks."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from groundtune.errors import ProviderError
from groundtune.ingest.chunker import Chunker
from groundtune.ingest.sync import SyncReport
from groundtune.retrieve.stores.lance import LanceStore
from groundtune.types import IndexEntry
from tests.conftest import MakeProject
from tests.ingest.test_sync import Refusing, Words, _in_process, run, sources_with

__all__ = ["_in_process"]
pytestmark = pytest.mark.usefixtures("_in_process")

FILES = {"a.md": "The otter swims.", "b.md": "The badger digs.", "c.md": "A heron."}


def statuses(report: SyncReport) -> dict[str, tuple[str, str | None]]:
    return {file.row.source: (file.row.status, file.row.reason) for file in report.files}


async def others_are_found(folder: Path) -> bool:
    return [await sources_with(folder, word) for word in ("otter", "badger", "heron")] == [{"a.md"}, set(), {"c.md"}]


async def test_a_document_that_cannot_be_split(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, split = make_project(FILES), Chunker.split

    def broken(self: Chunker, document: Any, parsed: Any) -> Any:
        if "badger" in document.text:
            raise RuntimeError("unexpected end")
        return split(self, document, parsed)

    await run(folder)
    for name in FILES:
        (folder / name).write_text(FILES[name] + " ")
    with monkeypatch.context() as patch:
        patch.setattr(Chunker, "split", broken)
        report = await run(folder)
    reason = "cannot be split into passages (RuntimeError: unexpected end)"
    assert statuses(report) == {
        "a.md": ("indexed", None),
        "b.md": ("failed", reason),
        "c.md": ("indexed", None),
    }
    assert await others_are_found(folder)
    assert statuses(await run(folder))["b.md"] == ("indexed", None)


async def test_a_row_that_the_store_refuses(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, store_rows, words = make_project(FILES), LanceStore.replace, Words()

    async def refusing(self: LanceStore, ids: Sequence[str], entries: Sequence[IndexEntry]) -> None:
        if any("badger" in entry.passage.text for entry in entries):
            raise ValueError("invalid row")
        await store_rows(self, ids, entries)

    with monkeypatch.context() as patch:
        patch.setattr(LanceStore, "replace", refusing)
        report = await run(folder, words)
    assert statuses(report)["b.md"] == ("failed", "cannot be stored (ValueError: invalid row)")
    assert await others_are_found(folder)
    assert len(words.texts) == 3  # none is embedded, and paid, twice
    assert statuses(await run(folder))["b.md"] == ("indexed", None)


async def test_a_store_that_fails_altogether_stops_the_run(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object) -> None:
        raise ProviderError("no connection", kind="no_server")

    monkeypatch.setattr(LanceStore, "replace", down)
    with pytest.raises(ProviderError):
        await run(make_project(FILES))


async def test_characters_that_no_store_can_keep(make_project: MakeProject) -> None:
    lines = [
        {"id": "1", "text": "The badger \ud800 digs.", "note\ud800": "x\0y"},
        {"id": "\udfff", "text": "The heron waits.", "title": "T\ud800"},
    ]
    folder = make_project({"a.md": "The otter.", "r.jsonl": "\n".join(map(json.dumps, lines))})
    report = await run(folder)
    assert statuses(report) == {"a.md": ("indexed", None), "r.jsonl": ("indexed", None)}
    assert await sources_with(folder, "otter") == {"a.md"}
    assert await sources_with(folder, "badger") == {"r.jsonl#1"}
    assert len(await sources_with(folder, "heron")) == 1


async def test_a_refused_text_and_a_refused_row_together(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store_rows = make_project({**FILES, "d.md": "An owl XQZ."}), LanceStore.replace

    async def refusing(self: LanceStore, ids: Sequence[str], entries: Sequence[IndexEntry]) -> None:
        if any("badger" in entry.passage.text for entry in entries):
            raise TypeError("invalid row")
        await store_rows(self, ids, entries)

    monkeypatch.setattr(LanceStore, "replace", refusing)
    report = await run(folder, Refusing())
    assert {name: status for name, (status, _) in statuses(report).items()} == {
        "a.md": "indexed",
        "b.md": "failed",
        "c.md": "indexed",
        "d.md": "failed",
    }
    assert await others_are_found(folder)
