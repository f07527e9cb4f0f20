"""compare fills one matrix, and a run that was cut short goes on where it stopped."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from groundtune.errors import UsageError
from groundtune.types import Answer, Example, Question, Result
from groundtune.workflows.comparing import compare
from groundtune.workspace import Workspace

EXAMPLES = [Example(f"e{number}", f"question {number}", "yes") for number in range(6)]


class Says:
    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.asked: list[str] = []
        self._text = text

    async def answer(self, question: Question) -> Answer:
        self.asked.append(question.text)
        return Answer(self._text, "answered", approach=self.name)


class CutShortError(Exception):
    """What ends a run in the middle."""


def cut_after(rows: int) -> Callable[[Result], None]:
    seen: list[Result] = []

    def progress(result: Result) -> None:
        seen.append(result)
        if len(seen) == rows:
            raise CutShortError

    return progress


async def test_one_row_a_cell_and_one_summary_an_approach(tmp_path: Path) -> None:
    approaches = {"a": Says("a", "yes"), "b": Says("b", "no")}
    done = await compare(Workspace(tmp_path), approaches, EXAMPLES, conditions={})
    assert [(one.approach, one.n, one.metrics["correct"].mean) for one in done.summaries] == [
        ("a", 6, 1.0),
        ("b", 6, 0.0),
    ]
    assert len(done.results_file.read_text().splitlines()) == 12
    about = json.loads((done.results_file.parent / "run.json").read_text())
    assert about["complete"] is True


async def test_a_run_cut_short_resumes_and_a_complete_one_does_not(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    cut = Says("a", "yes")
    with pytest.raises(CutShortError):
        await compare(workspace, {"a": cut}, EXAMPLES, conditions={"index": "one"}, progress=cut_after(4))
    again = Says("a", "yes")
    first = await compare(workspace, {"a": again}, EXAMPLES, conditions={"index": "one"})
    assert cut.asked + again.asked == [example.input for example in EXAMPLES]
    fresh = Says("a", "yes")
    second = await compare(workspace, {"a": fresh}, EXAMPLES, conditions={"index": "one"})
    assert (second.run != first.run, len(fresh.asked)) == (True, 6)


async def test_other_conditions_are_another_run(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(CutShortError):
        await compare(workspace, {"a": Says("a", "yes")}, EXAMPLES, conditions={"index": "one"}, progress=cut_after(3))
    other = Says("a", "yes")
    await compare(workspace, {"a": other}, EXAMPLES, conditions={"index": "two"})
    assert len(other.asked) == 6


async def test_no_examples_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="test split"):
        await compare(Workspace(tmp_path), {"a": Says("a", "yes")}, [], conditions={})
