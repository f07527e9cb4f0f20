"""What a sweep tries, how it halves, and what it says of the result."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest

from groundtune.config import Config
from groundtune.errors import UsageError
from groundtune.types import Difference, Evidence, Example, Hit, Interval, Passage
from groundtune.workflows.sweep_candidates import PRESENT, Candidate, list_candidates
from groundtune.workflows.sweep_report import RetrievalSettings, SweepReport, SweepScore, SweepTrial
from groundtune.workflows.sweeping import (
    FEWEST_QUESTIONS,
    FINALISTS,
    _Bench,
    _compared,
    _Plan,
    _Search,
    kept_after,
    round_sizes,
)

ROOT = Path("/work/shop")


def config(**tables: Any) -> Config:
    return Config.model_validate({"name": "shop", **tables})


def test_every_strategy_is_tried_and_the_present_settings_come_first() -> None:
    present = config(passages={"strategy": "fixed", "max_tokens": 100, "overlap_tokens": 10})
    candidates = list_candidates(present, {PRESENT: 256, "e5": 512})
    assert candidates[0] == Candidate(present.passages)
    assert len({candidate.name for candidate in candidates}) == len(candidates)
    own = [candidate.passages for candidate in candidates if candidate.embedder == PRESENT]
    assert {passages.strategy for passages in own} == {
        "paragraph", "fixed", "sentence-window", "parent-child", "document",
    }  # fmt: skip
    assert {passages.context for passages in own} == {"headings", "title", "none"}
    assert max(passages.max_tokens for passages in own) == 220
    assert max(one.passages.max_tokens for one in candidates if one.embedder == "e5") == 440
    assert list_candidates(config(), {PRESENT: 256})[0].name == "paragraph 220"
    assert [one.name for one in list_candidates(config(), {PRESENT: 256})].count("paragraph 220") == 1


def test_a_candidate_changes_nothing_but_its_own_tables() -> None:
    tables = {"e5": {"kind": "local", "model": "intfloat/e5-small-v2"}}
    project = config(sweep={"embedders": tables}, answers={"max_passages": 3})
    applied = Candidate(config(passages={"max_tokens": 64}).passages, "e5").applied(project)
    assert (applied.embedder.model, applied.passages.max_tokens) == ("intfloat/e5-small-v2", 64)
    assert applied.answers == project.answers


@pytest.mark.parametrize("questions", [2, 29, 59, 60, 100, 1_000, 12_345])
@pytest.mark.parametrize("candidates", [1, 4, 5, 12, 36])
def test_rounds_double_and_end_with_all_questions(questions: int, candidates: int) -> None:
    sizes = round_sizes(questions, candidates)
    assert sizes[-1] == questions
    assert all(left == right // 2 for left, right in pairwise(sizes))
    assert all(size >= FEWEST_QUESTIONS for size in sizes[:-1])
    assert len(sizes) == 1 or candidates > FINALISTS
    names = [Candidate(config().passages, str(number)) for number in range(candidates)]
    left = names
    for number in range(1, len(sizes) + 1):
        assert number == 1 or len(left) < candidates
        left = kept_after(left[::-1], names[-1], number, len(sizes), candidates)
        assert left[0] == names[-1], "the present settings always go on"
        assert len(set(left)) == len(left)
    assert len(left) == min(candidates, FINALISTS)


class OutOfTime(_Search):
    """A search whose present settings find least, and whose time is over within the second round."""

    async def _score(self, candidate: Candidate, examples: Sequence[Example], share: float) -> SweepScore:
        if self.rounds:
            self.deadline = 0.0
        return SweepScore(candidate.name, 0.5, float(candidate.embedder), 0.5, round(share * 10_000), 0.1)


async def test_the_present_settings_are_searched_over_all_documents_when_time_is_over() -> None:
    candidates = [Candidate(config().passages, str(number)) for number in range(16)]
    examples = [Example(str(number), "?", "x") for number in range(4 * FEWEST_QUESTIONS)]
    search = OutOfTime(create_autospec(_Bench), examples, 1_000, 10_000, math.inf, lambda _: None, {})
    finalists = await search.run(candidates)
    assert search.out_of_time
    whole = {score.candidate for score in search.rounds[-1].scores if score.passages == 10_000}
    assert {finalist.name for finalist in finalists} <= whole
    assert candidates[0] in finalists


def test_the_present_index_with_another_weight_shows_as_many_passages() -> None:
    passages = [Passage(f"p{at}", "d", "a.md", at, 100 * at, 100 * at + 100, "x" * 100) for at in range(10)]
    hits = [[Hit(passage, 1.0) for passage in passages]] * 2
    examples = [Example(str(at), "?", "x", evidence=(Evidence("a.md", "x" * 100),)) for at in range(2)]
    index = Candidate(config().passages)
    present, other = _Plan(index, 0.5, None), _Plan(index, 0.9, None)
    trials = _compared({present: hits, other: hits}, examples, 590, 6)
    assert [trial.settings.max_passages for trial in trials] == [6, 6]


def interval(mean: float) -> Interval:
    return Interval(mean, mean - 0.1, mean + 0.1, 80)


def difference(value: float, p: float) -> Difference:
    return Difference("b", "present", value, value - 0.02, value + 0.02, p / 4, p, 80, 0.06, 200)


def settings(size: int, **changes: Any) -> RetrievalSettings:
    given: dict[str, Any] = {
        "passages": config(passages={"max_tokens": size}).passages,
        "embedder": PRESENT,
        "dense_weight": 0.5,
        "reranker": None,
        "max_passages": 9,
    }
    return RetrievalSettings(**{**given, **changes})


def trial(size: int, ndcg: float, *differences: Difference) -> SweepTrial:
    made = SweepTrial(settings(size), interval(ndcg), interval(0.9), {"half": 0.8, "same": 0.9, "twice": 0.95})
    return replace(made, ndcg_difference=differences[0], recall_difference=differences[1]) if differences else made


def report(*trials: SweepTrial) -> SweepReport:
    return SweepReport(
        candidates=12,
        search_questions=81,
        questions=80,
        characters=3_210,
        rounds=(),
        present=trial(220, 0.7),
        trials=trials,
        failed={"e5": "cannot be loaded"},
        embedded=5,
        seconds=1.0,
    )


def test_only_a_measurable_gain_wins() -> None:
    gain, none, loss = difference(0.05, 0.01), difference(0.01, 0.8), difference(-0.05, 0.01)
    assert report(trial(64, 0.8, none, none)).winner is None
    assert report(trial(64, 0.8, gain, loss)).winner is None
    assert report(trial(64, 0.8, loss, loss)).winner is None
    assert report(trial(64, 0.8, none, gain)).winner == settings(64)
    both = report(trial(64, 0.8, gain, none), trial(110, 0.85, gain, gain), trial(160, 0.9, none, none))
    assert both.winner == settings(110)
    assert both.sentence.startswith(
        "Measurably better than the present settings: paragraph 110, weight 0.5: nDCG +0.050"
    )
    assert report().sentence == "Nothing could be compared with the present settings."


def test_no_measurable_gain_is_an_answer_with_what_would_have_been_found() -> None:
    said = report(trial(64, 0.8, difference(0.01, 0.8), difference(0.0, 1.0)))
    assert said.sentence == (
        "No measurable gain over the present settings. The best of the others, paragraph 64, weight 0.5: nDCG +0.010 "
        "[-0.010, +0.030] (p = 0.8), recall +0.000 [-0.020, +0.020] (p = 1), n = 80. A difference in nDCG of 0.06 "
        "would be found in 80% of such trials."
    )
    shown = str(said)
    assert "12 candidates searched with 81 questions, the last of them compared on 80 others" in shown
    assert "cannot be loaded" in shown


def test_the_tables_of_the_winner_name_only_what_changes() -> None:
    project = config()
    assert settings(220).tables(project, ROOT) == {"retrieval": {"dense_weight": 0.5}, "answers": {"max_passages": 9}}
    tables = {"ours": {"kind": "local", "model": "/work/shop/models/ours"}}
    project = config(sweep={"embedders": tables})
    changed = settings(64, embedder="ours", reranker="/work/shop/models/order", max_passages=6).tables(project, ROOT)
    assert changed["passages"] == {"max_tokens": 64}
    assert changed["retrieval"] == {"dense_weight": 0.5, "reranker": "models/order"}
    assert (changed["embedder"]["kind"], changed["embedder"]["model"]) == ("local", "models/ours")
    assert changed["embedder"]["base_url"] is None
    assert "answers" not in changed


def test_an_embedder_with_options_is_not_half_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    project = config(sweep={"embedders": {"ours": {"kind": "local", "model": "x"}}})
    embedder = project.sweep.embedders["ours"].model_copy(update={"options": {"pooling": "max"}})
    project = project.model_copy(update={"sweep": project.sweep.model_copy(update={"embedders": {"ours": embedder}})})
    with pytest.raises(UsageError, match=r"\[sweep.embedders.ours\] has options"):
        settings(64, embedder="ours").tables(project, ROOT)
