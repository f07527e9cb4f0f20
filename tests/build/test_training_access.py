"""A model trained on items of a source is open only to those who may read these items."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from groundtune.build.open_index import OpenIndex
from groundtune.build.training_access import TrainingAccess
from groundtune.config import load_config
from groundtune.errors import MissingError
from groundtune.ingest.forgotten import Forgotten, ForgottenSource, write_forgotten
from groundtune.ingest.rules import DocumentRules
from groundtune.types import EVERYONE
from groundtune.workflows.tuning import _access
from groundtune.workspace import Workspace
from tests.conftest import MakeProject
from tests.ingest.extension_package import installed
from tests.ingest.test_sync import opened, run

PACKAGE = """
from groundtune import SourceChanges, SourceItem

class Fixed:
    def __init__(self, folder): ...

    async def changes(self, cursor):
        items = [SourceItem("open", "An otter."), SourceItem("hr", "A secret.", groups=("hr", "law"))]
        return SourceChanges(items, complete=True)

def register(extensions):
    extensions.source("fixed", Fixed)
"""
TOML = '[sources.db]\nkind = "fixed"\n[[documents.access]]\ninclude = ["db:*", "a.md"]\ngroups = ["hr", "it"]\n'


async def readers(index: OpenIndex, folder: Path, *sources: str) -> list[frozenset[str]]:
    config = load_config(folder / "groundtune.toml", environ={})
    resources: Any = SimpleNamespace(root=folder, index=index)
    artifact: Any = SimpleNamespace(id="a-1", name="a", details={}, seen_documents=sources)
    return await TrainingAccess(config, resources, artifact).readers()


async def test_readers_need_a_group_of_the_source_and_one_of_the_rules(
    make_project: MakeProject, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_project({"a.md": "A file."}, toml=TOML)
    with installed(tmp_path / "site", PACKAGE, name="acme_fixed"):
        await run(folder)
        index = await opened(folder)
        try:
            rules = frozenset({"hr", "it"})
            assert await readers(index, folder, "a.md") == [rules]
            assert await readers(index, folder, "db:open") == [rules]
            assert await readers(index, folder, "db:hr") == [frozenset({"hr"}), rules]
            with pytest.raises(MissingError, match="was trained on documents that no longer exist"):
                await readers(index, folder, "db:gone")
            assert "db:gone" in caplog.text
            erased = ForgottenSource("db:gone", "2026-01-01", groups=("law",))
            write_forgotten(Workspace(folder), Forgotten([erased]))
            with pytest.raises(MissingError, match="documents that were forgotten; run groundtune tune a"):
                await readers(index, folder, "db:gone")
            write_forgotten(Workspace(folder), Forgotten([replace(erased, kept_models=("a-1",))]))
            assert await readers(index, folder, "db:gone") == [rules, frozenset({"law"})]
            assert await index.item_groups() == {"db:open": ("hr", "it"), "db:hr": ("hr",)}
        finally:
            await index.close()


def test_preflight_knows_the_groups_of_items(tmp_path: Path) -> None:
    def rules(text: str) -> DocumentRules:
        return DocumentRules(load_config(tmp_path / "groundtune.toml", text=f'name = "x"\n{text}'), tmp_path)

    documents = {"row": ["a.md", "db:1#2", "db:3"]}
    items = {"db:1": ("hr",), "db:3": (EVERYONE,)}
    prepared: Any = SimpleNamespace(rules=rules(""), item_groups=items)
    assert _access(prepared, documents) == {"a.md": (EVERYONE,), "db:1#2": ("hr",), "db:3": (EVERYONE,)}
    prepared.item_groups = {"db:3": (EVERYONE,)}
    assert _access(prepared, documents) is None
    prepared.rules = rules('[[documents.access]]\ninclude = ["db:*"]\ngroups = ["it"]')
    assert _access(prepared, documents) == {"a.md": (EVERYONE,), "db:1#2": ("it",), "db:3": ("it",)}
