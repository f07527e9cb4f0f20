"""The combination of a project file: asked, streamed, compared and chosen, over real HTTP."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from groundtune import Done, Project
from groundtune.errors import ConfigError, MissingError
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.testing.scripted_server import Reply, ScriptedServer
from tests.conftest import MakeProject

FILES = {
    "docs/refunds.md": "# Refunds\n\nA refund is paid within 30 days of delivery. Carriage is not refunded.\n",
    "examples.jsonl": '{"id": "a", "input": "When is a refund paid?", "output": "30 days"}\n'
    '{"id": "b", "input": "Is carriage refunded?", "output": "no"}\n',
}
TOML = """[examples]
files = ["examples.jsonl"]
[models.default]
kind = "openai"
model = "m"
base_url = "{url}"
[prices.m]
input_per_million = 1.0
output_per_million = 1.0
[combined]
form = "prompt"
[cascade]
approaches = ["quote-hybrid", "combined"]
"""
MERGED = "Good question! A refund is paid within 30 days of delivery [1]."


def reply(body: dict[str, Any]) -> Reply:
    """Cite where passages are shown, and be friendly and wrong elsewhere."""
    if "A refund is paid" in str(body["messages"][-1]):
        return Reply("A refund is paid within 30 days of delivery [1].")
    return Reply("Good question! Refunds take 14 days.")


@pytest.fixture
def project(make_project: MakeProject, embedder: BundledEmbedder) -> Iterator[Project]:
    with ExitStack() as stack:
        server = stack.enter_context(ScriptedServer(reply))
        project = stack.enter_context(Project.open(make_project(FILES, toml=TOML.format(url=server.base_url))))
        project.session.embedder = embedder
        project.ingest()
        yield project


def test_it_is_asked_streamed_compared_and_chosen(project: Project) -> None:
    answer = project.ask("When is a refund paid?", approach="combined")
    assert (answer.text, answer.route) == (MERGED, ("combined", "prompt", "rag"))
    assert "disagree" in str(answer)
    (done,) = [
        event for event in project.stream("When is a refund paid?", approach="combined") if isinstance(event, Done)
    ]
    assert done.answer.text == MERGED
    report = project.compare(approaches=["rag", "prompt", "combined", "cascade"])
    by_name = {summary.name: summary for summary in report.approaches}
    assert not any(summary.errors for summary in by_name.values())
    parts = [by_name[name].usd_per_1k or 0.0 for name in ("rag", "prompt")]
    assert by_name["combined"].usd_per_1k == pytest.approx(sum(parts))
    assert [each.approach for each in project.estimate(approaches=["combined"])] == ["rag", "prompt"]
    project.use("combined")
    with Project.open(project.root) as reopened:
        reopened.session.embedder = project.session.embedder
        assert reopened.ask("When is a refund paid?").approach == "combined"


def test_a_part_that_cannot_run_is_named(make_project: MakeProject, embedder: BundledEmbedder) -> None:
    with Project.open(make_project(FILES, toml='[combined]\nfacts = "quote-hybrid"\n')) as project:
        project.session.embedder = embedder
        project.ingest()
        with pytest.raises(MissingError, match="combined asks tuned, which is no approach"):
            project.ask("When is a refund paid?", approach="combined")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('[combined]\nfacts = "tuned"\n', 'asks "tuned" twice'),
        ('[combined]\nform = "cascade"\n', "cannot be asked"),
        ('task = "classify"\n[combined]\n', "task classify has no combination"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, lines: str, message: str) -> None:
    (tmp_path / "groundtune.toml").write_text(f'name = "t"\n{lines}')
    with pytest.raises(ConfigError, match=message):
        Project.open(tmp_path)
