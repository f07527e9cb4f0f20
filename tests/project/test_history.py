"""A conversation reaches retrieval and the model through a project, its rewriting is paid with the answer."""

import json
from pathlib import Path

import pytest

from groundtune import Message, Project
from groundtune.approaches import prompts
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.testing.scripted_server import Reply, ScriptedServer
from tests.conftest import MakeProject

FILES = {
    "docs/norway.md": "# Norway\n\nA parcel to Norway takes five days.\n",
    "docs/iceland.md": "# Iceland\n\nIceland is reached by ship in nine days.\n",
}
HISTORY = [Message("user", "How long does a parcel to Norway take?"), Message("assistant", "Five days.")]
ALONE = "How long does a parcel to Iceland take?"
EXAMPLES = [
    {
        "id": name,
        "input": "And to Iceland?",
        "output": "nine days",
        "history": [{"role": turn.role, "content": turn.content} for turn in HISTORY] if name == "later" else None,
        "evidence": [{"source": "docs/iceland.md", "quote": "in nine days"}],
        "split": "test",
    }
    for name in ("alone", "later")
]


def answers(body: dict[str, list[dict[str, str]]]) -> Reply:
    """Rewrite questions, and quote what is written about Iceland."""
    if body["messages"][0]["content"] == prompts.REWRITTEN:
        return Reply(ALONE)
    passages = body["messages"][-1]["content"]
    number = passages.rpartition("] <passage>\ndocs/iceland.md")[0].rpartition("[")[2] or "1"
    return Reply(f"Iceland is reached by ship in nine days [{number}].")


def opened(make_project: MakeProject, embedder: BundledEmbedder, server: ScriptedServer, history: str) -> Project:
    toml = (
        '[examples]\nfiles = ["examples.jsonl"]\n'
        f'[retrieval]\nhistory = "{history}"\n'
        f'[models.default]\nkind = "openai"\nmodel = "m"\nbase_url = "{server.base_url}"\nmax_output_tokens = 50\n'
        '[prices."m"]\ninput_per_million = 1.0\noutput_per_million = 1.0\n'
    )
    files = {**FILES, "examples.jsonl": "".join(f"{json.dumps(example)}\n" for example in EXAMPLES)}
    project = Project.open(make_project(files, toml=toml, name=history))
    project.session.embedder = embedder
    project.ingest()
    return project


@pytest.mark.parametrize(
    ("history", "searched"),
    [("join", f"{HISTORY[0].content}\nAnd to Iceland?"), ("rewrite", ALONE), ("ignore", "And to Iceland?")],
)
def test_what_is_searched_for_is_configured(
    make_project: MakeProject, embedder: BundledEmbedder, history: str, searched: str
) -> None:
    with ScriptedServer(answers) as server, opened(make_project, embedder, server, history) as project:
        answer = project.ask("And to Iceland?", history=HISTORY)
        assert answer.trace.query == searched
        assert answer.citations[0].support == "exact"
        assert len(server.posts()) == (2 if history == "rewrite" else 1)
        assert answer.usage.usd == pytest.approx(project.ask("And to Iceland?", history=HISTORY).usage.usd)
        alone = project.ask("And to Iceland?")
        assert (alone.trace.query, "rewrite" in alone.steps) == ("And to Iceland?", False)


def test_a_comparison_and_its_estimate_count_the_rewriting(
    make_project: MakeProject, embedder: BundledEmbedder, tmp_path: Path
) -> None:
    with ScriptedServer(answers) as server, opened(make_project, embedder, server, "rewrite") as project:
        (estimate,) = project.estimate(approaches=["rag"])
        assert (estimate.calls, server.posts()) == (3, [])
        report = project.compare(approaches=["rag"])
        assert len(server.posts()) == 3
        (row,) = report.approaches
        assert row.metrics["correct"].mean == 1.0
        alone, later = sorted(report.run.results, key=lambda result: result.example)
        assert (later.usage.input_tokens or 0) > (alone.usage.input_tokens or 0)
        assert later.best_score is not None
        assert project.evaluate(k=1).stages[0].metrics["recall@1"].n == 2
        assert [example.history for example in report.run.examples] == [(), tuple(HISTORY)]
