"""A server follows what other processes do to its project."""

from pathlib import Path

import pytest

from groundtune import Project
from groundtune.config import PROJECT_FILE
from groundtune.models.local_embedder import BundledEmbedder
from tests.serve.conftest import HTTP, Running, Serve


def approach_of(server: Running) -> str:
    messages = [{"role": "user", "content": "When is a refund paid?"}]
    reply = server.client().chat.completions.create(model="acme", messages=messages)  # type: ignore[arg-type]
    return str(reply.groundtune["approach"])  # type: ignore[attr-defined]


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / PROJECT_FILE
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_use_and_ingest_elsewhere_take_effect_at_once(serve: Serve, embedder: BundledEmbedder) -> None:
    server = serve()
    assert approach_of(server) == "quote-hybrid"
    (server.project.root / "docs/bikes.md").write_text("# Bikes\n\nA bike weighs nine kilograms.\n", encoding="utf-8")
    with Project.open(server.project.root) as other:
        other.session.embedder = embedder
        other.use("quote-bm25")
        other.ingest()
    assert approach_of(server) == "quote-bm25"
    hits = HTTP.post(f"{server.url}/api/search", json={"query": "bike"}).json()["hits"]
    assert hits[0]["source"] == "docs/bikes.md"


def test_a_broken_project_file_changes_nothing_and_is_told(serve: Serve) -> None:
    server = serve()
    edit(server.project.root, 'name = "acme"', 'name = "acme"\ntask = "sing"')
    assert approach_of(server) == "quote-hybrid"
    ready = HTTP.get(f"{server.url}/readyz")
    assert ready.status_code == 200
    assert "mistake" in ready.json()["project_file"]
    edit(server.project.root, 'task = "sing"', "")
    assert "project_file" not in HTTP.get(f"{server.url}/readyz").json()


def test_a_project_without_index_is_not_ready(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve()
    (server.project.workspace.index / "manifest.json").unlink()
    ready = HTTP.get(f"{server.url}/readyz")
    assert ready.status_code == 503
    assert "log" in ready.json()["reason"]
    HTTP.get(f"{server.url}/readyz")
    assert ["ingest" in record.message for record in caplog.records if "not ready" in record.message] == [True]


def test_a_pinned_model_that_is_gone_is_not_ready(serve: Serve) -> None:
    server = serve('[answers]\napproach = "tuned@letters-1"\n[tune.letters]\nkind = "lora"\nbase = "smollm2-135m"\n')
    assert HTTP.get(f"{server.url}/readyz").status_code == 503
