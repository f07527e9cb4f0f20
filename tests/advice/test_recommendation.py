"""What groundtune recommends, and on which answers it hangs."""

from typing import Any

import pytest

from groundtune.advice.conditions import check_condition
from groundtune.advice.recommendation import _table, applying, recommend
from groundtune.advice.situation import Situation, alternatives, read_situation

WIKI = {"knowledge_changes": "weekly", "citations": True, "problem": ["facts"], "task": "answer"}
TICKETS = {"task": "classify", "labelled_examples": 3_000, "problem": ["speed"]}
LETTERS = {"task": "write", "labelled_examples": 500, "problem": ["behaviour"], "prompting_exhausted": True}
SUPPORT = LETTERS | {"problem": ["facts", "behaviour"], "knowledge_changes": "weekly"}


def situation(answers: dict[str, Any]) -> Situation:
    return read_situation(answers, origin="test")


@pytest.mark.parametrize(
    ("answers", "approach"),
    [
        ({}, "rag"),
        (WIKI, "rag"),
        (TICKETS, "fine-tune"),
        (LETTERS, "fine-tune"),
        (SUPPORT, "both"),
        (LETTERS | {"prompting_exhausted": False}, "prompt"),
        (LETTERS | {"labelled_examples": 12}, "prompt"),
        (SUPPORT | {"prompting_exhausted": False}, "rag"),
        ({"task": "extract"}, "prompt"),
        ({"access_rules": True}, "rag"),
    ],
)
def test_it_recommends(answers: dict[str, Any], approach: str) -> None:
    recommendation = recommend(situation(answers))
    assert recommendation.approach == approach
    assert recommendation.steps[0].startswith(("Prompt first", "Keep your best prompt as the baseline"))


def test_without_a_reason_it_says_only_where_to_start() -> None:
    assert recommend(situation({})).reasons == ()
    assert recommend(situation(WIKI)).reasons


def test_every_flip_changes_the_recommendation_and_no_other_answer_does() -> None:
    for answers in ({}, WIKI, TICKETS, LETTERS, SUPPORT):
        here = situation(answers)
        recommendation = recommend(here)
        flips = {(flip.question, flip.answer): flip.approach for flip in recommendation.flips}
        for name in Situation.model_fields:
            for value in alternatives(name):
                other = recommend(here.model_copy(update={name: value})).approach
                assert flips.get((name, value), recommendation.approach) == other
        assert set(recommendation.hangs_on) == {question for question, _ in flips}


def test_training_that_is_held_back_is_explained() -> None:
    recommendation = recommend(situation(LETTERS | {"labelled_examples": 12}))
    assert [reason.text for reason in recommendation.against] == [
        "fewer than 50 examples train nothing that could be measured afterwards"
    ]


def test_a_user_is_warned_of_the_mistakes_that_are_near() -> None:
    texts = [entry["text"] for entry in applying("mistakes", situation(WIKI))]
    assert any(text.startswith("Fine-tuning to add facts") for text in texts)
    assert not any(text.startswith("Retrieval for a behaviour problem") for text in texts)
    assert any(
        text.startswith("Retrieval for a behaviour")
        for text in [e["text"] for e in applying("mistakes", situation(LETTERS))]
    )


def test_conflicts_of_the_guides_say_why_we_side() -> None:
    (conflict,) = applying("conflicts", situation({"knowledge_changes": "monthly"}))
    assert "too often for tuning (E)" in conflict["text"]
    assert conflict["side"].startswith("We side with E")


def test_every_condition_asks_known_questions_and_every_reason_has_a_source() -> None:
    for section, entries in _table().items():
        for entry in entries:
            assert check_condition(entry["when"]) is None, entry
            assert entry.get("source") or entry.get("side"), (section, entry)
