"""compare fills one matrix, and an interrupted run resumes where it stopped."""

import json
import shutil
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import pytest

from groundtune.build.approach_registry import ApproachRegistry
from groundtune.errors import MissingError, ProviderError, UsageError
from groundtune.measure.metrics import score_answer
from groundtune.measure.results import read_results
from groundtune.types import Answer, Example, Question, Result
from groundtune.workflows.comparing import complete_matrix, require_examples
from groundtune.workflows.runs import run_folder
from groundtune.workspace import Workspace

ABOUT: dict[str, Any] = {"about": {"index": "one"}, "score": score_answer}
EXAMPLES = [Example(f"e{number}", f"question {number}", "yes") for number in range(6)]


class Says:
    def __init__(self, name: str, text: str, failing: AbstractSet[str] = frozenset()) -> None:
        self.name = name
        self.failing = failing
        self.asked: list[str] = []
        self._text = text

    async def answer(self, question: Question) -> Answer:
        self.asked.append(question.text)
        if question.text in self.failing:
            raise ProviderError("the model is on holiday", kind="server")
        return Answer(self._text, "answered", approach=self.name)


def registry(*approaches: Says) -> ApproachRegistry:
    return ApproachRegistry({approach.name: approach for approach in approaches})


class CutShortError(Exception):
    """Interrupt a run in the middle."""


def cut_after(rows: int) -> Callable[[Result], None]:
    seen: list[Result] = []

    def progress(result: Result) -> None:
        seen.append(result)
        if len(seen) == rows:
            raise CutShortError

    return progress


async def test_there_is_one_row_per_cell(tmp_path: Path) -> None:
    folder = await complete_matrix(Workspace(tmp_path), registry(Says("a", "yes"), Says("b", "no")), EXAMPLES, **ABOUT)
    results = read_results(folder / "results.jsonl")
    assert {(row.approach, row.scores["correct"]) for row in results} == {("a", 1.0), ("b", 0.0)}
    assert len(results) == 12
    about = json.loads((folder / "run.json").read_text())
    assert (about["complete"], about["approaches"]) == (True, ["a", "b"])
    assert len((folder / "examples.jsonl").read_text().splitlines()) == 6


async def test_a_matching_run_is_resumed_and_runs_only_missing_cells(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    cut = Says("a", "yes")
    with pytest.raises(CutShortError):
        await complete_matrix(workspace, registry(cut), EXAMPLES, **ABOUT, progress=cut_after(4))
    again = Says("a", "yes")
    first = await complete_matrix(workspace, registry(again), EXAMPLES, **ABOUT)
    assert cut.asked + again.asked == [example.input for example in EXAMPLES]
    third = Says("a", "yes")
    assert await complete_matrix(workspace, registry(third), EXAMPLES, **ABOUT) == first
    assert third.asked == []
    fresh = Says("a", "yes")
    assert await complete_matrix(workspace, registry(fresh), EXAMPLES, **ABOUT, fresh=True) != first
    assert len(fresh.asked) == 6


async def test_errors_of_a_matching_run_are_retried(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    failing = Says("a", "yes", failing={"question 2"})
    await complete_matrix(workspace, registry(failing), EXAMPLES, **ABOUT)
    corrected = Says("a", "yes")
    folder = await complete_matrix(workspace, registry(corrected), EXAMPLES, **ABOUT)
    assert corrected.asked == ["question 2"]
    assert all(row.error is None for row in read_results(folder / "results.jsonl"))


async def test_other_conditions_are_another_run(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first = await complete_matrix(workspace, registry(Says("a", "yes")), EXAMPLES, **ABOUT)
    other = Says("a", "yes")
    second = await complete_matrix(workspace, registry(other), EXAMPLES, **{**ABOUT, "about": {"index": "two"}})
    assert (len(other.asked), second != first) == (6, True)
    assert run_folder(workspace) in (first, second)
    assert run_folder(workspace, first.name) == first
    with pytest.raises(MissingError, match="no run 'x'"):
        run_folder(workspace, "x")


async def test_settings_of_the_verdict_alone_need_no_new_calls(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first = await complete_matrix(workspace, registry(Says("a", "yes")), EXAMPLES, **ABOUT, context={"primary": "f1"})
    again = Says("a", "yes")
    assert await complete_matrix(workspace, registry(again), EXAMPLES, **ABOUT, context={"primary": "correct"}) == first
    assert again.asked == []
    assert json.loads((first / "run.json").read_text())["about"] == {"index": "one", "primary": "correct"}


async def test_a_run_without_rows_does_not_hide_the_previous_one(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first = await complete_matrix(workspace, registry(Says("a", "yes")), EXAMPLES, **ABOUT)

    stopped = shutil.copytree(first, first.with_name("later"))
    (stopped / "results.jsonl").unlink()
    about = json.loads((stopped / "run.json").read_text())
    (stopped / "run.json").write_text(json.dumps({**about, "used": "9999-01-01T00:00:00+00:00"}))
    assert run_folder(workspace) == first
    assert run_folder(workspace, "later") == stopped


def test_missing_examples_are_reported() -> None:
    with pytest.raises(UsageError, match="the validation split has no examples"):
        require_examples([], "validation")


def test_a_missing_run_is_reported(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no run yet"):
        run_folder(Workspace(tmp_path))
