"""Scores of labels, objects and written texts; validity and chrF agree with the libraries."""

from typing import Any

import jsonschema
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import UsageError
from groundtune.measure.object_leaves import align, object_leaves
from groundtune.measure.output_checks import Check
from groundtune.measure.scoring import label_scorer, object_scorer, text_scorer
from groundtune.types import Answer, Citation, Example

ABSTAINED = Answer("None of them.", "abstained")


def said(output: Any, text: str = "") -> Answer:
    return Answer(text, "answered", output=output)


# -- labels ---------------------------------------------------------------------------------------------------------

LABELS = label_scorer(["card", "card delayed", "Refund"])


@pytest.mark.parametrize(
    ("answer", "gold", "scores"),
    [
        (said("Card"), "card", {"abstention": 1.0, "correct": 1.0, "asserted_wrong": 0.0, "valid": 1.0}),
        (said(" refund\n"), "Refund", {"abstention": 1.0, "correct": 1.0, "asserted_wrong": 0.0, "valid": 1.0}),
        (said("card delayed"), "card", {"abstention": 1.0, "correct": 0.0, "asserted_wrong": 1.0, "valid": 1.0}),
        (said("The label is card."), "card", {"abstention": 1.0, "correct": 0.0, "asserted_wrong": 1.0, "valid": 0.0}),
        (said(None, "card"), "card", {"abstention": 1.0, "correct": 1.0, "asserted_wrong": 0.0, "valid": 1.0}),
        (said("card"), ["Refund", "card"], {"abstention": 1.0, "correct": 1.0, "asserted_wrong": 0.0, "valid": 1.0}),
        (said("card"), None, {"abstention": 0.0, "correct": 0.0, "asserted_wrong": 1.0, "valid": 1.0}),
        (ABSTAINED, None, {"abstention": 1.0, "correct": 1.0, "asserted_wrong": 0.0}),
        (ABSTAINED, "card", {"abstention": 0.0, "correct": 0.0, "asserted_wrong": 0.0}),
        (said(3), "3", {"abstention": 1.0, "correct": 1.0, "asserted_wrong": 0.0, "valid": 0.0}),
    ],
)
def test_scores_of_labels(answer: Answer, gold: Any, scores: dict[str, float]) -> None:
    assert LABELS(answer, Example("q", "Where is my card?", gold)) == scores


def test_without_known_labels_validity_is_absent() -> None:
    scores = label_scorer([])(said("card"), Example("q", "?", "card"))
    assert scores.keys() == {"abstention", "correct", "asserted_wrong"}


# -- objects --------------------------------------------------------------------------------------------------------

GOLD = {"name": "ACME", "total": 30, "tags": ["a", "b"], "lines": [{"x": 1, "y": 2}], "note": None}
SAME = {"total": 30.0, "name": "Acme", "tags": ["b", "a"], "lines": [{"y": 2, "x": 1}]}
SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "number"}, "name": {"type": "string"}, "tags": {"type": "array"}, "lines": {}},
    "required": ["total"],
}
EXTRACT = Example("q", "?", GOLD)


def scored(output: Any, schema: dict[str, Any] | None = None) -> dict[str, float]:
    return object_scorer(schema)(said(output), EXTRACT)


def test_an_equal_object_is_correct() -> None:
    whole = dict.fromkeys(("abstention", "valid", "exact", "correct", "precision", "recall", "f1"), 1.0)
    assert scored(SAME) == scored(SAME, SCHEMA) == whole | {"asserted_wrong": 0.0}


def test_a_wrong_field_costs_precision_and_recall_a_missing_one_recall_alone() -> None:
    wrong = scored({**SAME, "total": 31})
    assert (wrong["precision"], wrong["recall"], wrong["f1"], wrong["correct"]) == (5 / 6, 5 / 6, 5 / 6, 0.0)
    missing = scored({key: value for key, value in SAME.items() if key != "total"}, SCHEMA)
    assert (missing["precision"], missing["recall"], missing["valid"]) == (1.0, 5 / 6, 0.0)
    assert missing["f1"] == pytest.approx(2 * 1 * (5 / 6) / (1 + 5 / 6))
    assert scored({**SAME, "total": True})["exact"] == 0.0
    more = scored({**SAME, "extra": 1})
    assert (more["precision"], more["recall"], more["correct"]) == (6 / 7, 1.0, 0.0)


def test_a_reply_that_is_not_json_is_invalid_and_has_no_fields() -> None:
    none = {"abstention": 1.0, "valid": 0.0, "exact": 0.0, "correct": 0.0, "recall": 0.0, "f1": 0.0}
    none["asserted_wrong"] = 1.0
    assert scored("Sure! The total is 30.") == scored("text", SCHEMA) == scored(None) == scored(["a"]) == none
    assert scored({}) == {**none, "valid": 1.0}


def test_abstaining() -> None:
    score = object_scorer(SCHEMA)
    zero = ("abstention", "exact", "correct", "recall", "f1", "asserted_wrong")
    assert score(ABSTAINED, EXTRACT) == dict.fromkeys(zero, 0.0)
    nothing = Example("q", "?", None)
    assert score(ABSTAINED, nothing) == {"abstention": 1.0, "correct": 1.0, "asserted_wrong": 0.0}
    wrong = {"abstention": 0.0, "valid": 1.0, "correct": 0.0, "asserted_wrong": 1.0}
    assert score(said({"total": 1}), nothing) == wrong


def test_an_object_of_nothing_but_null_equals_an_empty_one() -> None:
    scores = object_scorer(None)(said({}), Example("q", "?", {"note": None}))
    right = dict.fromkeys(("abstention", "valid", "exact", "correct", "f1"), 1.0)
    assert scores == right | {"asserted_wrong": 0.0}


LINES = [{"item": "lamp", "price": 30}, {"item": "desk", "price": 90}, {"item": "chair", "price": 60}]


def test_lists_of_objects_are_aligned() -> None:
    score = object_scorer(None)
    gold = Example("q", "?", {"lines": LINES})
    assert score(said({"lines": LINES[::-1]}), gold)["correct"] == 1.0
    missing = score(said({"lines": LINES[1:]}), gold)
    assert (missing["precision"], missing["recall"]) == (1.0, 4 / 6)
    more = score(said({"lines": [{"item": "rug", "price": 5}, *LINES]}), gold)
    assert (more["precision"], more["recall"], more["correct"]) == (6 / 8, 1.0, 0.0)
    assert align([{"price": 90, "item": "table"}], LINES) == [None, {"price": 90, "item": "table"}, None]


@pytest.mark.parametrize(
    ("said_text", "gold", "language", "same"),
    [
        ("1000 €", "1.000 Euro", "german", True),
        ("1 €", "1.000 Euro", "german", False),
        ("3 May 2024", "2024-05-03", "english", True),
        ("9:30 pm", "21:30", "english", True),
        ("0042", "42", "english", False),
        ("8.20", "8.2", "english", False),
    ],
)
def test_formats_of_a_field_that_mean_the_same_are_equal(said_text: str, gold: str, language: str, same: bool) -> None:
    scores = object_scorer(None, language=language)(said({"value": said_text}), Example("q", "?", {"value": gold}))
    assert (scores["correct"], scores["asserted_wrong"]) == (float(same), float(not same))


def test_an_invalid_schema_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="not a JSON Schema"):
        object_scorer({"type": "objekt"})


def test_leaves_have_a_path_and_a_folded_value() -> None:
    assert list(object_leaves(GOLD)) == [
        (".name", "acme"),
        (".total", "30.0"),
        (".tags[]", "a"),
        (".tags[]", "b"),
        (".lines[0].x", "1.0"),
        (".lines[0].y", "2.0"),
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from(["total", "name", "tags"]), VALUES)


@given(OBJECTS, OBJECTS)
def test_object_scores_lie_between_0_and_1_and_valid_is_what_jsonschema_says(
    output: dict[str, Any], gold: dict[str, Any]
) -> None:
    scores = object_scorer(SCHEMA)(said(output), Example("q", "?", gold))
    assert all(0 <= value <= 1 for value in scores.values())
    assert scores["valid"] == jsonschema.Draft202012Validator(SCHEMA).is_valid(output)
    assert (scores["f1"] == 1) == (scores["exact"] == 1)
    assert object_scorer(None)(said(gold), Example("q", "?", gold))["f1"] == 1


# -- texts ----------------------------------------------------------------------------------------------------------

LETTER = "Dear Ms Fox, your lamp leaves on Monday."
CHECKS = [
    Check("greets", lambda text, _: float(text.startswith("Dear"))),
    Check("share", lambda _, example: 0.5 if example.id == "q" else 0.0),
]


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        (LETTER, LETTER),
        ("Dear Ms Fox, the lamp is sent on Monday.", LETTER),
        ("Hello!", LETTER),
        ("Hello!", ["Hallo!", LETTER]),
        ("東京へ送ります", "東京に送ります"),
        ("", LETTER),
        ("x", LETTER),
    ],
)
def test_chrf_agrees_with_sacrebleu(text: str, gold: str | list[str]) -> None:
    golds = [gold] if isinstance(gold, str) else gold
    scores = text_scorer([])(Answer(text, "answered"), Example("q", "?", gold))
    assert scores == {"abstention": 1.0, "chrf": pytest.approx(sacrebleu.sentence_chrf(text, golds).score / 100)}


def test_known_values_of_chrf() -> None:
    score = text_scorer([])
    assert score(Answer(LETTER, "answered"), Example("q", "?", LETTER))["chrf"] == pytest.approx(1.0)
    assert score(Answer("hello world", "answered"), Example("q", "?", ["hello world!", "x"]))["chrf"] == pytest.approx(
        0.8993, abs=5e-5
    )


def test_each_check_and_their_mean_are_scored() -> None:
    scores = text_scorer(CHECKS)(Answer(LETTER, "answered"), Example("q", "?", LETTER))
    assert scores == {
        "abstention": 1.0,
        "chrf": pytest.approx(1.0),
        "checks": 0.75,
        "check:greets": 1.0,
        "check:share": 0.5,
    }
    assert "correct" not in scores


def test_a_missing_text_scores_0_and_a_correct_abstention_has_no_text_scores() -> None:
    score = text_scorer(CHECKS)
    nothing = dict.fromkeys(("abstention", "chrf", "checks", "check:greets", "check:share"), 0.0)
    assert score(ABSTAINED, Example("q", "?", LETTER)) == nothing
    assert score(ABSTAINED, Example("q", "?", None)) == {"abstention": 1.0}
    unwanted = score(Answer(LETTER, "answered"), Example("q", "?", None))
    assert unwanted == {"abstention": 0.0, "checks": 0.75, "check:greets": 1.0, "check:share": 0.5}


def test_facts_and_checks_are_shown_and_multiplied() -> None:
    example = Example("q", "Write to Ms Fox", LETTER, facts=(("£40",), ("7 days",)))
    scores = text_scorer(CHECKS)(Answer("Dear Fox, it is £40 for 9 days.", "answered"), example)
    assert scores["facts"] == pytest.approx(1 / 3)
    assert scores["facts_and_checks"] == pytest.approx(scores["facts"] * scores["checks"])
    assert "facts_and_checks" not in text_scorer([])(Answer(LETTER, "answered"), example)
    missing = text_scorer(CHECKS)(ABSTAINED, example)
    assert (missing["facts"], missing["facts_and_checks"]) == (0.0, 0.0)


def test_markers_are_not_part_of_the_text() -> None:
    cited = Answer("Dear Fox [1]", "answered", citations=(Citation(1, "Dear Fox [1]", "missing"),))
    assert text_scorer([])(cited, Example("q", "?", "Dear Fox"))["chrf"] == pytest.approx(1.0)


def test_an_exception_of_a_check_is_not_scored_as_0() -> None:
    def breaks(text: str, example: Example) -> float:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        text_scorer([Check("it", breaks)])(Answer("x", "answered"), Example("q", "?", "x"))
