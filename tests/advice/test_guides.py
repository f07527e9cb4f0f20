"""Published guides decide their authors' cases as their authors did."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from groundtune.advice.guides import apply_guide, published_guides, read_guide, team_guides
from groundtune.advice.situation import read_situation
from groundtune.errors import UsageError

CASES = tomllib.loads(Path(__file__).with_name("cases.toml").read_text(encoding="utf-8"))["cases"]
GUIDES = {guide.name: guide for guide in published_guides()}
TEAM = """
name = "F"
title = "How we decide"
adding_up = "first"

[[items]]
place = "rule 1"
when = { residency = "local", labelled_examples = { from = 100 } }
says = "fine-tune"
because = "we host it ourselves"
"""


@pytest.mark.parametrize("case", CASES, ids=[case["title"] for case in CASES])
def test_a_guide_decides_as_its_author(case: dict[str, Any]) -> None:
    opinion = apply_guide(GUIDES[case["guide"]], read_situation(case["answers"], origin="test"))
    assert opinion.says == case["says"], opinion


def test_there_are_five_guides_and_each_has_places_and_costs() -> None:
    assert sorted(GUIDES) == ["A", "B", "C", "D", "E"]
    assert all(guide.costs and all(item.place and item.because for item in guide.items) for guide in GUIDES.values())


def test_an_unanswered_question_decides_nothing() -> None:
    nothing = read_situation({}, origin="test")
    opinions = {name: apply_guide(guide, nothing) for name, guide in GUIDES.items()}
    assert {name: opinion.says for name, opinion in opinions.items()} == dict.fromkeys("ABCE", "rag") | {
        "D": "undecided"
    }


def test_a_remark_is_added_where_it_applies() -> None:
    situation = read_situation({"knowledge_changes": "daily", "problem": ["behaviour"]}, origin="test")
    assert apply_guide(GUIDES["C"], situation).remarks[0].startswith("add targeted fine-tuning when gaps appear")


def test_a_team_adds_a_guide_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "guides").mkdir()
    (tmp_path / "guides" / "ours.toml").write_text(TEAM)
    (guide,) = team_guides(tmp_path)
    assert apply_guide(guide, read_situation({"residency": "local"}, origin="test")).says == "undecided"
    known = read_situation({"residency": "local", "labelled_examples": 100}, origin="test")
    assert apply_guide(guide, known).says == "fine-tune"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "is no guide"),
        (TEAM.replace('says = "fine-tune"', 'says = "maybe"'), "items.0.says"),
        (TEAM.replace("residency", "weather"), "rule 1: 'weather' is no question"),
        (TEAM.replace("from = 100", "least = 100"), "takes the bounds below and from"),
    ],
)
def test_a_broken_guide_is_refused_by_place(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_guide(text, origin="ours.toml")


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"knowledge_changes": "hourly"}, "knowledge_changes: 'hourly' must be daily"),
        ({"weather": "fine"}, "weather: there is no such question"),
        ({"labelled_examples": -3}, "labelled_examples: -3 must be greater than or equal to 0"),
        ({"citations": "perhaps"}, "citations: 'perhaps' must be yes or no"),
        ({"latency_seconds": float("inf")}, "latency_seconds: inf must be a finite number"),
        ({"labelled_examples": 2.5}, "labelled_examples: 2.5 must be a valid integer"),
        ({"problem": ["money"]}, "problem: 'money' must be facts, behaviour, cost or speed"),
    ],
)
def test_wrong_answers_are_named(answers: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_situation(answers, origin="answers.json")
