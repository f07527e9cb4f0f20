"""`groundtune check --ship`: what is missing, one thing after the other, until nothing is."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundtune import Project
from groundtune.cli import main
from groundtune.models.local_embedder import BundledEmbedder
from tests.conftest import MakeProject

NAMES = ["Anna", "Ben", "Carla", "Dora", "Emil", "Fay"]
ROWS = [
    {"id": f"e{number}", "input": f"When is a refund paid, {name}?", "output": "30 days", "split": "test"}
    for number, name in enumerate(NAMES)
]
READY = """
[requirements]
max_asserted_wrong = 0.5
[drift]
canary = 6
[ship]
monitored_by = "https://grafana.example.com/d/handbook"
[fallback]
[review]
groups = ["editors"]
"""


@pytest.fixture
def project(make_project: MakeProject, embedder: BundledEmbedder) -> Iterator[Project]:
    folder = make_project(
        {
            "docs/refunds.md": "# Refunds\n\nA refund is paid within 30 days of delivery.\n",
            "examples.jsonl": "\n".join(map(json.dumps, ROWS)),
        },
        toml='[documents]\ninclude = ["docs/**"]\n[examples]\nfiles = ["examples.jsonl"]\n'
        '[compare]\napproaches = ["quote-bm25"]\n',
    )
    with Project.open(folder) as project:
        project.session.embedder = embedder
        project.ingest()
        yield project


def reopened(project: Project, embedder: BundledEmbedder) -> Project:
    again = Project.open(project.root)
    again.session.embedder = embedder
    return again


def missing(project: Project) -> set[str]:
    return {item.name for item in project.check_ship().items if not item.ready}


def test_a_project_becomes_ready_step_by_step(
    project: Project, embedder: BundledEmbedder, capsys: pytest.CaptureFixture[str]
) -> None:
    report = project.check_ship()
    assert missing(project) == {"choice", "asserted_wrong", "canary", "monitoring", "fallback", "review"}
    assert str(report).startswith("not ready to ship: choice, asserted_wrong, canary,")
    assert all(item.hint for item in report.items if not item.ready)
    assert next(item for item in report.items if item.name == "budget").message == (
        "no model costs anything but this machine"
    )
    file = Path(project.root, "groundtune.toml")
    file.write_text(file.read_text() + READY)
    with reopened(project, embedder) as ready:
        ready.compare()
        ready.use("quote-bm25")
        assert missing(ready) == {"canary"}
        assert ready.drift().canary is None
        assert missing(ready) == {"canary"}, "frozen, and not asked again yet"
        assert ready.drift().canary is not None
        assert missing(ready) == set()
    assert main(["check", "--ship", "-C", str(project.root)]) == 0
    assert capsys.readouterr().out.startswith("ready to ship\n")
    (project.root / "docs/refunds.md").write_text("# Refunds\n\nNo refund is paid.\n")
    with reopened(project, embedder) as changed:
        changed.ingest()
        changed.drift()
        assert missing(changed) == {"choice", "canary"}
        choice = next(item for item in changed.check_ship().items if item.name == "choice")
        assert "documents" in choice.message
    capsys.readouterr()
    assert main(["check", "--ship", "-C", str(project.root), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ready"] is False


def test_wrong_answers_and_models_that_cost_are_noticed(project: Project, embedder: BundledEmbedder) -> None:
    file = Path(project.root, "groundtune.toml")
    model = '[models.default]\nkind = "openai"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n'
    price = "[prices.m]\ninput_per_million = 1\noutput_per_million = 1\n"
    (project.root / "examples.jsonl").write_text(
        "\n".join(json.dumps({**row, "output": "60 days"}) for row in ROWS), encoding="utf-8"
    )
    file.write_text(file.read_text() + model + price + "[requirements]\nmax_asserted_wrong = 0.1\n")
    with reopened(project, embedder) as again:
        again.compare()
        again.use("quote-bm25")
        items = {item.name: item for item in again.check_ship().items}
    assert not items["budget"].ready
    assert not items["asserted_wrong"].ready
    assert items["asserted_wrong"].message.endswith("n=6; the limit is 10.0%")
