"""Drafting with a model over real HTTP: quotes are verified, doubtful drafts dropped, calls paid once."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundtune.cli import main
from groundtune.dataset.examples import read_examples
from groundtune.drafting import model_drafts
from groundtune.errors import BudgetError, ProviderError
from groundtune.project import Project
from groundtune.testing.scripted_server import Reply, ScriptedServer

TOWNS = ("Marwin", "Teldra", "Osfen", "Winby")
TOML = """[documents]
include = ["docs/*.md"]
[models.writer]
kind = "openai"
model = "writer"
base_url = "%s"
window = 30000
max_output_tokens = 64
concurrency = 1
[prices."writer"]
input_per_million = 10.0
output_per_million = 10.0
"""


def toll(town: str) -> str:
    return f"The bridge toll in {town} is {100 + 7 * TOWNS.index(town)} pence."


class Writer:
    """Asks for the toll of the town in the passage and knows nothing by heart, except in towns with a scripted way."""

    def __init__(self) -> None:
        self.ways: dict[str, str] = {}

    def __call__(self, body: dict[str, Any]) -> Reply:
        system, user = body["messages"][0]["content"], body["messages"][-1]["content"]
        towns = [town for town in TOWNS if town in user]
        way = self.ways.get(towns[0] if towns else "", "")
        if system.startswith("You write questions"):
            return self.draft(json.loads(user), towns[0], way)
        asked = user.rpartition("Question: ")[2]
        if "ferry" in asked or ("numbered passages" not in system and way != "known"):
            return Reply("NOT_IN_DOCUMENTS")
        town = next(town for town in TOWNS if town in asked)
        return Reply("The bridge toll is nothing [1]." if way == "doubted" else f"{toll(town)[:-1]} [1].")

    def draft(self, material: dict[str, Any], town: str, way: str) -> Reply:
        assert town in material["passage 1"]["text"]
        if way == "garbled":
            return Reply("Sure! How much is the toll?")
        if way == "fail":
            return Reply("overloaded", status=400)
        number = re.search(r"\d+", toll(town))
        assert number
        quote = toll(town).replace("bridge", "tunnel") if way == "misquoted" else toll(town)
        answer = "999 pence" if way == "invented" else f"{number[0]} pence"
        question = f"How much does crossing the river cost in {town}?"
        return Reply(f"```json\n{json.dumps({'question': question, 'answer': answer, 'quote': quote})}\n```")


class Desk:
    def __init__(self, folder: Path, server: ScriptedServer, writer: Writer) -> None:
        self.folder, self.server, self.writer = folder, server, writer
        self.project = Project.open(folder)
        self.project.ingest()

    def draft(self, **more: Any) -> Any:
        return self.project.draft(
            self.folder / "drafted.jsonl", **{"n": 4, "model": "writer", "kinds": ["fact"], **more}
        )


@pytest.fixture
def desk(make_project: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for module in ("connection", "rate_limiter"):
        monkeypatch.setattr(f"groundtune.models.{module}.max_backoff_seconds", lambda first, tries: 0.02)
    writer = Writer()
    with ScriptedServer(writer) as server:
        text = {
            f"docs/{t}.md": f"# {t}\n\n{toll(t)} It is due on the north bank, in coins, before the gate.\n"
            for t in TOWNS
        }
        desk = Desk(make_project(text, toml=TOML % server.base_url), server, writer)
        yield desk
        desk.project.close()


def test_drafts_are_quoted_from_the_documents_and_paid_once(desk: Desk) -> None:
    done = desk.draft()
    assert (done.new, done.model, done.note, done.dropped) == (4, "writer", None, {})
    assert done.spent_usd > 0
    for example in read_examples(done.file):
        (proof,) = example.evidence
        document = desk.project.document(proof.source)
        assert document is not None
        assert (
            document.text[proof.start : proof.end] == proof.quote == toll(next(t for t in TOWNS if t in proof.source))
        )
        assert example.output in proof.quote
        assert (example.origin, example.tags) == ("drafted", ("fact",))
    calls = len(desk.server.posts())
    done.file.unlink()
    assert desk.draft().new == 4
    assert len(desk.server.posts()) == calls, "an interrupted run pays for nothing twice"


def test_each_way_to_be_wrong_is_counted(desk: Desk) -> None:
    desk.writer.ways = dict(zip(TOWNS, ("garbled", "misquoted", "invented", "known"), strict=True))
    done = desk.draft()
    assert done.new == 0
    assert done.exhausted == ("fact",)
    assert done.dropped == {
        model_drafts.UNUSABLE: 1,
        model_drafts.MISQUOTED: 1,
        "its answer is not in its evidence": 1,
        model_drafts.KNOWN: 1,
    }


def test_a_model_that_finds_another_answer_in_the_evidence_is_believed(desk: Desk) -> None:
    desk.writer.ways = {"Winby": "doubted"}
    done = desk.draft()
    assert done.dropped == {model_drafts.UNCONFIRMED: 1}
    assert done.new == 3


def test_the_budget_ends_the_run_and_keeps_what_was_drafted(desk: Desk) -> None:
    one = desk.draft(n=1).spent_usd
    desk.folder.joinpath("drafted.jsonl").unlink()
    with pytest.raises(BudgetError):
        desk.draft(budget_usd=one / 2)
    assert len(read_examples(desk.folder / "drafted.jsonl")) == 1, "from the cache, which costs nothing"


def test_a_model_that_fails_ends_the_run(desk: Desk) -> None:
    desk.writer.ways = dict.fromkeys(TOWNS, "fail")
    with pytest.raises(ProviderError):
        desk.draft()
    assert not (desk.folder / "drafted.jsonl").exists()


def test_command_line(desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(desk.folder)
    assert main(["examples", "draft", "-n", "2", "--kind", "fact", "--with", "writer", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "writer"
    assert main(["examples", "draft", "--with", "nobody"]) == 2
    assert main(["examples", "draft", "--with", "default"]) == 2
    assert "only quotes" in capsys.readouterr().err
    desk.writer.ways = dict.fromkeys(TOWNS, "fail")
    (desk.folder / "docs/Osfen.md").write_text(
        "# Osfen\n\nThe bridge in Osfen was closed for repairs of its piers, and nobody knows when."
    )
    desk.project.ingest()
    assert main(["examples", "draft", "-n", "4", "--kind", "fact", "--with", "writer"]) == 4
    assert len(read_examples(desk.folder / "drafted.jsonl")) >= 2
