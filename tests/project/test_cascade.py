"""The cascade of a project file: asked, streamed, compared and chosen, over real HTTP."""

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
    "docs/travel.md": "# Travel\n\nTrains are booked in second class.\n",
    "examples.jsonl": '{"id": "a", "input": "When is a refund paid?", "output": "30 days"}\n'
    '{"id": "b", "input": "Which class on trains?", "output": "second class"}\n',
}
TOML = """[examples]
files = ["examples.jsonl"]
[models.default]
kind = "openai"
model = "m"
base_url = "{url}"
window = 100000
[prices.m]
input_per_million = 1.0
output_per_million = 1.0
[answers]
max_passages = 1
[cascade]
approaches = ["rag", "context"]
"""


def reply(body: dict[str, Any]) -> Reply:
    """Be wrong about trains unless both documents are in the prompt."""
    prompt = str(body["messages"])
    if "When is" in prompt:
        return Reply("A refund is paid within 30 days of delivery [1].")
    both = "Trains are booked" in prompt and "A refund is paid" in prompt
    return Reply("Trains are booked in second class [2]." if both else "Tickets cost 90 euros [1].")


@pytest.fixture
def project(make_project: MakeProject, embedder: BundledEmbedder) -> Iterator[Project]:
    with ExitStack() as stack:
        server = stack.enter_context(ScriptedServer(reply))
        project = stack.enter_context(Project.open(make_project(FILES, toml=TOML.format(url=server.base_url))))
        project.session.embedder = embedder
        project.ingest()
        yield project


def test_it_is_asked_streamed_compared_and_chosen(project: Project) -> None:
    answer = project.ask("When is a refund paid?", approach="cascade")
    assert (answer.approach, answer.route) == ("cascade", ("cascade", "rag"))
    assert answer.citations[0].support == "exact"
    passed_on = project.ask("Which class on trains?", approach="cascade")
    assert passed_on.route == ("cascade", "rag", "context")
    assert passed_on.text == "Trains are booked in second class [1]."
    assert passed_on.trace.notes == ("rag: its passages do not support the answer",)
    (done,) = [
        event for event in project.stream("When is a refund paid?", approach="cascade") if isinstance(event, Done)
    ]
    assert done.answer.text == answer.text
    report = project.compare(approaches=["rag", "context", "cascade"])
    assert {summary.name: summary.errors for summary in report.approaches} == {"rag": 0, "context": 0, "cascade": 0}
    assert [estimate.approach for estimate in project.estimate(approaches=["cascade"])] == ["rag", "context"]
    project.use("cascade")
    with Project.open(project.root) as reopened:
        reopened.session.embedder = project.session.embedder
        assert reopened.ask("When is a refund paid?").approach == "cascade"


def test_a_part_that_cannot_run_is_named(make_project: MakeProject, embedder: BundledEmbedder) -> None:
    toml = '[cascade]\napproaches = ["quote-hybrid", "rag"]\n'
    with Project.open(make_project(FILES, toml=toml)) as project:
        project.session.embedder = embedder
        project.ingest()
        with pytest.raises(MissingError, match="cascade asks rag, which needs a text-generation model"):
            project.ask("When is a refund paid?", approach="cascade")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('["rag"]', "two to five approaches, not 1"),
        ('["rag", "rag"]', 'asks "rag" twice'),
        ('["rag", "cascade"]', "cannot be asked"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "groundtune.toml").write_text(f'name = "t"\n[cascade]\napproaches = {line}\n')
    with pytest.raises(ConfigError, match=message):
        Project.open(tmp_path)
