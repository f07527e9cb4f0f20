"""A comparison that stops once it is decided: who is dropped when, what is asked, and what the report says."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundtune.build.approach_registry import ApproachRegistry
from groundtune.decide.rules import Requirements
from groundtune.errors import ProviderError
from groundtune.measure.metrics import score_answer
from groundtune.measure.results import read_results
from groundtune.types import Answer, Citation, Example, Question
from groundtune.workflows import until_decided
from groundtune.workflows.comparing import CompareProgress, complete_matrix
from groundtune.workflows.reporting import evaluate_run
from groundtune.workflows.runs import read_run
from groundtune.workflows.until_decided import Race, random_units
from groundtune.workspace import Workspace

EXAMPLES = [Example(f"e{number:03}", f"question {number:03}", "yes") for number in range(400)]
RACE = Race("correct")


class CutShortError(Exception):
    """Interrupt a run in the middle."""


class Knows:
    """An approach that is right on a share of the questions."""

    def __init__(self, name: str, share: float, *, cites: bool = False) -> None:
        self.name = name
        self.asked: list[str] = []
        self._share = share
        self._citations = (Citation(1, "yes", "exact", source="a.md"),) if cites else ()

    async def answer(self, question: Question) -> Answer:
        self.asked.append(question.text)
        await asyncio.sleep(0)
        right = random.Random(f"{self.name} {question.text}").random() < self._share
        return Answer("yes" if right else "no", "answered", citations=self._citations, approach=self.name)


async def compared(
    folder: Path, *approaches: Knows, race: Race = RACE, examples: Sequence[Example] = EXAMPLES, **options: Any
) -> Path:
    registry = ApproachRegistry({approach.name: approach for approach in approaches}, concurrency={"best": 4})
    conditions: dict[str, Any] = {"about": {"index": "one"}, "score": score_answer, "race": race}
    return await complete_matrix(Workspace(folder), registry, examples, **conditions, **options)


async def test_the_worse_are_dropped_and_the_best_is_chosen(tmp_path: Path) -> None:
    approaches = [Knows("best", 0.9), Knows("middle", 0.65), Knows("worst", 0.3)]
    folder = await compared(tmp_path, *approaches)
    run = read_run(folder)
    stopping = run.stopping
    assert stopping is not None
    assert [drop.approach for drop in stopping.dropped] == ["worst", "middle"]
    assert stopping.remaining == ("best",)
    asked = {approach.name: len(approach.asked) for approach in approaches}
    assert asked == {"best": stopping.asked, **{drop.approach: drop.asked for drop in stopping.dropped}}
    assert sum(asked.values()) < 0.4 * 3 * len(EXAMPLES)
    report = evaluate_run(run)
    assert report.verdict.choice == "best"
    assert {summary.name: summary.n for summary in report.approaches} == asked
    (sentence, *_) = report.verdict.caveats
    assert sentence.startswith("Dropped, of 400 examples in random order: worst after ")
    assert report.summary()["stopping"]["dropped"][0]["approach"] == "worst"


async def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    def pair() -> list[Knows]:
        return [Knows("best", 0.9), Knows("worst", 0.65)]

    def cut(progress: CompareProgress) -> None:
        if progress.done == 70:
            raise CutShortError

    with pytest.raises(CutShortError):
        await compared(tmp_path, *pair(), progress=cut)
    (cut_off,) = Workspace(tmp_path).runs.iterdir()
    saved = len(read_results(cut_off / "results.jsonl"))
    again, whole, third = pair(), pair(), pair()
    folder = await compared(tmp_path, *again)
    other = await compared(tmp_path / "other", *whole)
    counts = [sum(len(approach.asked) for approach in approaches) for approaches in (again, whole)]
    assert counts[0] == counts[1] - saved > 0
    assert read_run(folder).stopping == read_run(other).stopping
    assert len(read_results(folder / "results.jsonl")) == len(read_results(other / "results.jsonl"))
    assert await compared(tmp_path, *third) == folder == cut_off
    assert [approach.asked for approach in third] == [[], []]


async def test_a_repeated_run_keeps_who_was_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise CutShortError

    before = read_run(await compared(tmp_path, Knows("best", 0.9), Knows("worst", 0.3))).stopping
    monkeypatch.setattr(until_decided, "reasons_to_drop", cut)
    with pytest.raises(CutShortError):
        await compared(tmp_path, Knows("best", 0.9), Knows("worst", 0.3))
    (folder,) = Workspace(tmp_path).runs.iterdir()
    assert read_run(folder).stopping == before
    assert before is not None
    assert before.dropped


async def test_without_a_difference_everything_is_asked_and_nothing_is_decided(tmp_path: Path) -> None:
    approaches = [Knows("one", 0.7), Knows("other", 0.7)]
    run = read_run(await compared(tmp_path, *approaches, examples=EXAMPLES[:150]))
    assert [len(approach.asked) for approach in approaches] == [150, 150]
    report = evaluate_run(run)
    assert report.verdict.choice is None
    assert "none was measurably behind after 150 of 150 examples" in report.verdict.caveats[0]


async def test_who_measurably_misses_a_requirement_is_dropped_and_drops_nobody(tmp_path: Path) -> None:
    approaches = [Knows("best", 0.95), Knows("cited", 0.6, cites=True), Knows("worse", 0.2, cites=True)]
    race = Race("correct", Requirements(citations=True))
    run = read_run(await compared(tmp_path, *approaches, race=race))
    assert run.stopping is not None
    reasons = {drop.approach: (drop.behind, drop.because) for drop in run.stopping.dropped}
    assert reasons["worse"] == ("cited", "measurably behind cited")
    assert reasons["best"][0] is None
    assert "0% of its answers are supported" in reasons["best"][1]
    assert run.stopping.remaining == ("cited",)
    run = replace(run, about={**run.about, "requirements": {"citations": True}})
    assert evaluate_run(run).verdict.choice == "cited"


async def test_who_is_measurably_below_the_least_quality_is_dropped(tmp_path: Path) -> None:
    approaches = [Knows("good", 0.95), Knows("also good", 0.95), Knows("poor", 0.4)]
    run = read_run(await compared(tmp_path, *approaches, race=Race("correct", Requirements(min_quality=0.8))))
    assert run.stopping is not None
    (dropped,) = run.stopping.dropped
    assert (dropped.approach, dropped.behind) == ("poor", None)
    assert "min_quality = 0.8" in dropped.because


async def test_an_approach_that_fails_stops_early_too(tmp_path: Path) -> None:
    class Fails(Knows):
        async def answer(self, question: Question) -> Answer:
            self.asked.append(question.text)
            raise ProviderError("on holiday", kind="server")

    approaches = [Knows("best", 0.9), Knows("worst", 0.3), Fails("failing", 0.0)]
    run = read_run(await compared(tmp_path, *approaches))
    assert run.stopping is not None
    assert run.stopping.decided
    assert len(approaches[2].asked) < 50
    assert evaluate_run(run).verdict.choice == "best"


def test_the_order_is_random_but_always_the_same_and_keeps_groups_together() -> None:
    units = random_units(EXAMPLES, {})
    assert units == random_units(EXAMPLES[::-1], {})
    assert [unit[0] for unit in units] != EXAMPLES
    clusters = {example.id: example.id[:3] for example in EXAMPLES}
    assert sorted(len(unit) for unit in random_units(EXAMPLES, clusters)) == [10] * 40


async def test_a_run_of_the_whole_matrix_is_another_run(tmp_path: Path) -> None:
    stopped = await compared(tmp_path, Knows("best", 0.9), Knows("worst", 0.3))
    registry = ApproachRegistry({"best": Knows("best", 0.9), "worst": Knows("worst", 0.3)})
    whole = await complete_matrix(Workspace(tmp_path), registry, EXAMPLES, about={"index": "one"}, score=score_answer)
    assert whole != stopped
    assert json.loads((whole / "run.json").read_text()).get("stopping") is None
    assert read_run(whole).stopping is None
