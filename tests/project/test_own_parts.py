"""Approaches and scorers of the caller's own, beside those of the project."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from groundtune import Answer, Example, Project, Question
from groundtune.cli import main
from groundtune.errors import BusyError, UsageError
from tests.conftest import MakeProject

EXAMPLES = [
    {"id": "a", "input": "When is a refund paid?", "output": "30 days", "split": "test"},
    {"id": "b", "input": "Which class do trains use?", "output": "second class", "split": "test"},
]
FILES = {
    "docs/refunds.md": "# Refunds\n\nA refund is paid within 30 days of delivery.\n",
    "docs/travel.md": "# Travel\n\nTrains are booked in second class.\n",
    "examples.jsonl": "".join(json.dumps(row) + "\n" for row in EXAMPLES),
}
TOML = 'name = "own"\n[documents]\ninclude = ["docs/**"]\n[examples]\nfiles = ["examples.jsonl"]\n'


class Always:
    """Gives one answer to everything."""

    def __init__(self, name: str = "always", text: str = "30 days") -> None:
        self.name = name
        self.text = text

    async def answer(self, question: Question) -> Answer:
        return Answer(text=self.text, status="answered")


def short(answer: Answer, example: Example) -> float:
    return float(len(answer.text) < 20)


@pytest.fixture
def project(make_project: MakeProject) -> Any:
    with Project.open(make_project({**FILES, "groundtune.toml": TOML})) as project:
        project.ingest()
        yield project


def test_an_own_approach_is_compared_and_stands_in_the_report(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    report = project.compare(approaches=["quote-hybrid", Always()])
    assert [summary.name for summary in report.approaches if summary.name == "always"]
    by_name = {summary.name: summary for summary in report.approaches}
    assert by_name["always"].mean == 0.5
    assert by_name["always"].usd_per_1k is None, "an unknown cost is not zero"
    capsys.readouterr()
    assert main(["report", "--json", "-C", str(project.root)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in printed["approaches"]} == {"always", "quote-hybrid"}


def test_an_own_scorer_stands_beside_those_of_the_task(project: Project) -> None:
    report = project.compare(approaches=["quote-hybrid", Always()], scorers=[short], primary="short")
    by_name = {summary.name: summary for summary in report.approaches}
    assert by_name["always"].metrics["short"].mean == 1
    assert report.primary == "short"
    other = project.compare(approaches=["quote-hybrid", Always()], scorers=[short])
    assert "short" in str(other).split("usd/1k")[0]


def test_a_run_is_resumed_only_with_the_same_code(project: Project) -> None:
    first = project.compare(approaches=[Always(), "quote-hybrid"])
    same = project.compare(approaches=[Always(), "quote-hybrid"])
    other = project.compare(approaches=[Always(text="second class"), "quote-hybrid"])
    assert same.run.name == first.run.name
    assert other.run.name != first.run.name


def test_an_own_approach_can_be_asked(project: Project) -> None:
    assert project.ask("When?", approach=Always()).text == "30 days"


class Nameless:
    async def answer(self, question: Question) -> Answer:
        return Answer("x", "answered")


class Silent:
    name = "silent"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Nameless(), "lacks a name"),
        (Silent(), r"lacks a method answer\(question\)"),
        (Always, "is a class"),
        (3, "lacks a name"),
    ],
)
def test_what_is_no_approach_is_refused(project: Project, choice: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        project.compare(approaches=[choice])


class Sync(Always):
    def answer(self, question: Question) -> Any:  # type: ignore[override]
        return Answer("x", "answered")


class Texts(Always):
    async def answer(self, question: Question) -> Any:
        return "x"


class Odd(Always):
    async def answer(self, question: Question) -> Any:
        return Answer("x", "done")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("approach", "message"),
    [
        (Sync("odd"), "answer is not a coroutine"),
        (Texts("odd"), "returned str, not an Answer"),
        (Odd("odd"), "the status 'done'"),
    ],
)
def test_an_approach_that_does_not_answer_says_so(project: Project, approach: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        project.ask("When?", approach=approach)
    report = project.compare(approaches=["quote-hybrid", approach])
    assert message in report.figures.errors["odd"]
    assert message in str(report)


def test_an_object_cannot_be_the_choice(project: Project) -> None:
    with pytest.raises(UsageError, match="only an approach with a name in the project"):
        project.use(Always())  # type: ignore[arg-type]


def test_an_unknown_approach_gets_a_hint(project: Project) -> None:
    with pytest.raises(UsageError, match="no approach 'quote-hybird'") as caught:
        project.ask("When?", approach="quote-hybird")
    assert caught.value.hint == 'did you mean "quote-hybrid"?'
    with pytest.raises(UsageError, match="no approach 'nonsense'") as caught:
        project.ask("When?", approach="nonsense")
    assert "quote-hybrid" in str(caught.value.hint)


def test_two_approaches_of_one_name_are_refused(project: Project) -> None:
    with pytest.raises(UsageError, match="two approaches have the name 'quote-hybrid'"):
        project.compare(approaches=["quote-hybrid", Always("quote-hybrid")])


def test_a_failing_approach_becomes_rows_of_errors(project: Project) -> None:
    class Failing(Always):
        async def answer(self, question: Question) -> Answer:
            raise RuntimeError("out of order")

    report = project.compare(approaches=["quote-hybrid", Failing("failing")])
    assert {summary.name: summary.errors for summary in report.approaches}["failing"] == 2


@pytest.mark.parametrize("value", [2, -0.1, float("nan"), "good"])
def test_a_score_outside_0_to_1_is_an_error_of_its_row(project: Project, value: Any) -> None:
    def odd(answer: Answer, example: Example) -> Any:
        return value

    report = project.compare(approaches=[Always(), "quote-hybrid"], scorers=[odd])
    assert all(summary.failures.get("scoring") == 2 for summary in report.approaches)


def test_an_unknown_scorer_is_refused(project: Project) -> None:
    with pytest.raises(UsageError, match="no scorer 'polite'"):
        project.compare(approaches=["quote-hybrid"], scorers=["polite"])


def test_an_own_approach_labels_inputs(project: Project, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs.txt"
    inputs.write_text("What is paid?\n")
    done = project.distil(inputs, approach=Always(), target=tmp_path / "out.jsonl")
    assert done.inputs == 1


class Waiting(Always):
    """Answers once the test allows it."""

    concurrency = 1
    digest = "waiting"

    def __init__(self) -> None:
        super().__init__("waiting")
        self.begun, self.allowed = threading.Event(), threading.Event()

    async def answer(self, question: Question) -> Answer:
        self.begun.set()
        await asyncio.to_thread(self.allowed.wait, 50)
        return await super().answer(question)


def test_a_comparison_keeps_the_index_it_began_with(project: Project) -> None:
    waiting, reports = Waiting(), list[Any]()
    chosen = [waiting, "quote-hybrid"]
    thread = threading.Thread(target=lambda: reports.append(project.compare(approaches=chosen)))
    thread.start()
    try:
        assert waiting.begun.wait(50)
        with Project.open(project.root) as other:
            with pytest.raises(BusyError, match="is running this comparison"):
                other.compare(approaches=[Waiting(), "quote-hybrid"])
            (project.root / "docs/refunds.md").write_text("# Refunds\n\nA refund is paid within 10 days.\n")
            (project.root / "docs/travel.md").unlink()
            other.ingest()
            other.ingest(rebuild=True)
            other.ingest()
            assert "10 days" in other.ask("When is a refund paid?").text
    finally:
        waiting.allowed.set()
        thread.join(50)
    (report,) = reports
    rows = {row.example: row for row in report.run.results if row.approach == "quote-hybrid"}
    assert "30 days" in rows["a"].output
    assert rows["b"].citations[0].source == "docs/travel.md"
    assert report.run.about["index_version"]
    assert "10 days" in project.ask("When is a refund paid?").text
