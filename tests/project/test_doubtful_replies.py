"""Replies that were cut off, that abstain in their own way, or that nobody can read: from the server to the report."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from groundtune import Project, ProviderError
from groundtune.testing.scripted_server import Reply, Script, ScriptedServer
from tests.conftest import MakeProject

USAGE = {"prompt_tokens": 60, "completion_tokens": 9, "total_tokens": 69}
LABELS = 'task = "classify"\n[labels]\nbilling = "money"\nreturns = "sending back"\n'
TOML = """[documents]
include = ["*.md"]
[examples]
files = ["e.jsonl"]
[models.default]
kind = "openai"
model = "m"
base_url = "{url}"
[prices.m]
input_per_million = 1
output_per_million = 1
"""

Open = Callable[..., tuple[Project, ScriptedServer]]


@pytest.fixture
def open_project(make_project: MakeProject) -> Iterator[Open]:
    with ExitStack() as stack:

        def open_(script: Script, *outputs: Any, task: str = "") -> tuple[Project, ScriptedServer]:
            server = stack.enter_context(ScriptedServer(script))
            rows = [{"id": f"q{at}", "input": f"Question {at}?", "output": output} for at, output in enumerate(outputs)]
            files = {"e.jsonl": "".join(f"{json.dumps({**row, 'split': 'test'})}\n" for row in rows)}
            folder = make_project(files, toml=task + TOML.format(url=server.base_url))
            return stack.enter_context(Project.open(folder)), server

        yield open_


def test_a_cut_reply_is_told_in_every_run_also_out_of_the_cache(open_project: Open) -> None:
    project, server = open_project(Reply("You can return it within 30", finish_reason="length", usage=USAGE), "30 days")
    for fresh in (False, True):
        report = project.compare(approaches=["prompt"], fresh=fresh)
        assert [row.cut for row in report.run.results] == ["max_output_tokens"]
        assert report.approaches[0].cut == {"max_output_tokens": 1}
        caveats = [caveat for caveat in report.verdict.caveats if "cut off" in caveat]
        assert caveats == [
            "prompt: 1 reply of 1 cut off at max_output_tokens: raise max_output_tokens in [models.default]."
        ]
    assert len(server.posts()) == 1
    answer = project.ask("Question 1?", approach="prompt")
    assert answer.cut == "max_output_tokens"
    assert "raise max_output_tokens" in str(answer)


def test_a_reply_that_was_all_thinking_counts_as_cut_too(open_project: Open) -> None:
    project, _ = open_project(Reply("<think>Hm, let me", finish_reason="length", usage=USAGE), "30 days")
    report = project.compare(approaches=["prompt"])
    (row,) = report.run.results
    assert (row.status, row.cut, row.usage.output_tokens) == ("error", "max_output_tokens", 9)
    assert any("[models.default]" in caveat for caveat in report.verdict.caveats)


def test_what_cannot_be_read_is_an_error_that_was_paid_once(open_project: Open) -> None:
    project, server = open_project(Reply("billing or returns", usage=USAGE), "billing", task=LABELS)
    for _ in range(2):  # the second run resumes the first, and tries its errors again
        report = project.compare(approaches=["prompt"])
        (row,) = report.run.results
        assert row.error is not None
        assert (row.error.kind, row.usage.usd) == ("unreadable", pytest.approx(69e-6))
        assert "'billing or returns'" in row.error.message
        assert report.approaches[0].failures == {"unreadable": 1}
    assert len(server.posts()) == 1
    with pytest.raises(ProviderError, match="names 2 labels"):
        project.ask("Question 1?", approach="prompt")


@pytest.mark.parametrize(("task", "outputs"), [("", ["30 days"]), (LABELS, ["billing"])])
def test_an_abstention_after_an_explanation_scores_as_one(open_project: Open, task: str, outputs: list[str]) -> None:
    word = "NONE" if task else "NOT\\_IN\\_DOCUMENTS"
    reply = Reply(f"<think>Is it billing?</think>Nothing fits this question.\n\n**{word}**", usage=USAGE)
    project, _ = open_project(reply, *outputs, None, task=task)
    answered, abstained = project.compare(approaches=["prompt"]).run.results
    assert [answered.status, abstained.status] == ["abstained", "abstained"]
    assert [answered.scores["correct"], abstained.scores["correct"]] == [0.0, 1.0]
