"""A project whose index is in PostgreSQL: the same verbs as with the local index, from several machines."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from groundtune import Project
from groundtune.errors import MissingError, ProviderError
from tests.conftest import MakeProject
from tests.postgres_server import PostgresServer

TOML = '[store]\nkind = "postgres"\ndsn_env = "SOME_DATABASE"\n'
FILES = {
    "a.md": "# Opening hours\n\nThe otter house opens at nine in the morning and closes at five.\n",
    "b.md": "# Tickets\n\nA ticket for adults costs twelve euros, and children pay half of that.\n",
}


@pytest.fixture
def folder(make_project: MakeProject, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOME_DATABASE", postgres_server.dsn)
    name = f"project {os.urandom(4).hex()}"
    folder = make_project(FILES)
    (folder / "groundtune.toml").write_text(f'name = "{name}"\n{TOML}')
    return folder


def sources(project: Project, question: str) -> list[str]:
    return [hit.passage.source for hit in project.search(question)]


def test_ingest_and_search(folder: Path) -> None:
    with Project.open(folder) as project:
        with pytest.raises(MissingError, match="no index"):
            project.search("When does the otter house open?")
        report = project.ingest()
        assert (report.documents, report.passages, report.embedded) == (2, 2, 2)
        assert sources(project, "When does the otter house open?")[0] == "a.md"
        assert project.ask("What does a ticket cost?").citations[0].source == "b.md"
        assert project.ingest().embedded == 0
        (folder / "a.md").unlink()
        project.ingest()
        assert sources(project, "When does the otter house open?") == ["b.md"]
        assert project.ingest(rebuild=True).embedded == 1
        assert sources(project, "What does a ticket cost?") == ["b.md"]
    assert not (folder / ".groundtune" / "index").exists()


@pytest.mark.slow
def test_another_machine_searches_what_this_one_ingested(folder: Path, tmp_path: Path) -> None:
    with Project.open(folder) as project:
        project.ingest()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(folder / "groundtune.toml", elsewhere)
    done = subprocess.run(
        [sys.executable, "-m", "groundtune", "search", "When does the otter house open?"],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"a\.md", done.stdout)


def test_without_the_variable_only_what_needs_the_index_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_DATABASE")
    with Project.open(folder) as project, pytest.raises(MissingError, match="SOME_DATABASE"):
        project.ingest()
    monkeypatch.setenv("SOME_DATABASE", "postgresql://me:hunter2@127.0.0.1:1/app")
    with Project.open(folder) as project, pytest.raises(ProviderError, match=r"127\.0\.0\.1:1/app") as caught:
        project.search("When?")
    assert "hunter2" not in str(caught.value)
