"""The router of a project: trained on a comparison, kept where it pays, asked and chosen, over real HTTP."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from groundtune import Done, Project
from groundtune.cli import main
from groundtune.errors import MissingError, UsageError
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.testing.scripted_server import Reply, ScriptedServer
from tests.conftest import MakeProject

DOGS = ("terrier", "poodle", "beagle", "collie", "spaniel", "hound", "puppy", "mastiff")
TAXES = ("income tax", "invoice", "customs duty", "tax return", "payroll", "audit", "dividend", "receipt")
ABOUT = ("How do I handle the {0}?", "What about a {0}?", "Is the {0} allowed?", "Who looks after the {0}?")
TOML = """task = "classify"
[labels]
animals = "dogs"
money = "taxes"
[examples]
files = ["examples.jsonl"]
[models.default]
kind = "openai"
model = "m"
base_url = "{url}"
[models.large]
kind = "openai"
model = "l"
base_url = "{url}"
[prices.m]
input_per_million = 1.0
output_per_million = 1.0
[prices.l]
input_per_million = 1.0
output_per_million = 1.0
"""


def examples(group: str | None = None) -> str:
    rows = []
    for label, words in (("animals", DOGS), ("money", TAXES)):
        for word in words:
            for at, about in enumerate(ABOUT):
                rows.append({"id": f"{word}-{at}", "input": about.format(word), "output": label, "split": "test"})
    rows = [{**row, "group": group} for row in rows] if group else rows
    return "\n".join(json.dumps(row) for row in rows)


def one_sided(body: dict[str, Any]) -> Reply:
    """Answer as if everything were about what the model knows: animals for m, money for l."""
    return Reply("animals" if body["model"] == "m" else "money")


def never_right(body: dict[str, Any]) -> Reply:
    return Reply("animals")


@pytest.fixture
def open_project(make_project: MakeProject, embedder: BundledEmbedder) -> Iterator[Any]:
    with ExitStack() as stack:

        def open_(reply: Any) -> Project:
            server = stack.enter_context(ScriptedServer(reply))
            folder = make_project({"examples.jsonl": examples()}, toml=TOML.format(url=server.base_url))
            project = stack.enter_context(Project.open(folder))
            project.session.embedder = embedder
            return project

        yield open_


@pytest.mark.slow
def test_a_router_that_pays_is_kept_asked_and_chosen(open_project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    project: Project = open_project(one_sided)
    with pytest.raises(MissingError, match="routed needs a router that pays"):
        project.ask("How do I handle the dog?", approach="routed")
    report = project.compare(approaches=["prompt", "prompt:large"])
    assert report.routing_sentence == (
        "Asking the best approach for each question would reach 100%, 50.0 points above prompt alone (n = 64); "
        "groundtune route finds out whether a router pays."
    )
    routing = project.route()
    assert routing.adopted
    assert project.report().routing_sentence == routing.sentence
    assert routing.sentence.startswith("A router pays: +")
    assert routing.gain.low > 0.2
    assert routing.quality.mean > 0.85
    assert routing.shares == pytest.approx({"prompt": 0.5, "prompt:large": 0.5}, abs=0.15)
    assert "A router pays" in str(routing)
    for question, label, asked in (
        ("How do I handle the dog?", "animals", "prompt"),
        ("Is the sales tax allowed?", "money", "prompt:large"),
    ):
        answer = project.ask(question, approach="routed")
        assert (answer.output, answer.route, answer.approach) == (label, ("routed", asked), "routed")
        assert answer.trace.notes[0].startswith(f"expected to be right: {asked} ")
        (done,) = [event for event in project.stream(question, approach="routed") if isinstance(event, Done)]
        assert done.answer.output == label
    with pytest.raises(UsageError, match="routed was trained on 64 of these 64 examples"):
        project.compare(approaches=["routed"])
    assert project.use("routed").approach == "routed"
    assert main(["route", "-C", str(project.root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["adopted"] is True


def test_a_router_that_does_not_pay_is_not_kept(open_project: Any) -> None:
    project: Project = open_project(never_right)
    report = project.compare(approaches=["prompt", "prompt:large"])
    assert report.routing_sentence == (
        "No router: even the best approach for each question would reach 50%, 0.0 points above prompt alone (n = 64)."
    )
    project.workspace.router.write_text("{}")
    routing = project.route()
    assert not routing.adopted
    assert routing.sentence.startswith("No router: its gain is not measurable, ±0.0 points")
    assert not project.workspace.router.exists()
    with pytest.raises(MissingError, match="needs a router that pays"):
        project.use("routed")


def test_questions_that_all_belong_together_are_refused(open_project: Any) -> None:
    project: Project = open_project(never_right)
    (project.root / "examples.jsonl").write_text(examples(group="one"))
    project.compare(approaches=["prompt", "prompt:large"])
    with pytest.raises(UsageError, match="needs examples of 5 groups or documents, not 1"):
        project.route()


def test_too_few_approaches_are_refused(open_project: Any) -> None:
    project: Project = open_project(one_sided)
    project.compare(approaches=["prompt"])
    with pytest.raises(UsageError, match="a router needs two approaches"):
        project.route()
