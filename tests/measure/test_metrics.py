import collections
import re
import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.measure.metrics import (
    contains,
    contains_most_of_quote,
    contains_quote,
    exact_match,
    fold,
    score_answer,
    squad_normalise,
    token_f1,
    without_markers,
)
from groundtune.types import Answer, Citation, Evidence, Example, Hit, Passage

QUOTE = "You may return it within 30 days of delivery"
PASSAGE = Passage("p1", "d1", "returns.md", 0, 0, 60, f"Refunds. {QUOTE}. Then it is too late.")
EXAMPLE = Example("q1", "How long?", "30 days", (Evidence("returns.md", QUOTE),))
CITED = Citation(1, "The window is 30 days [1].", "exact", "p1", "d1", "returns.md", quote=QUOTE, start=9, end=53)
ANSWER = Answer("The window is 30 days [1].", "answered", citations=(CITED,), hits=(Hit(PASSAGE, 1.0),))
ABSTAINED = Answer("Not in your documents.", "abstained")


# What evaluate-v2.0.py of SQuAD makes of these, worked out from its rules: (text, normalised).
NORMALISED = [
    ("The  Quick, brown fox!", "quick brown fox"),
    ("A man, an apple & the sea", "man apple sea"),
    ("theatre another banana", "theatre another banana"),
    ("U.S.A.", "usa"),
    ("state-of-the-art", "stateoftheart"),
    ("1,000.50", "100050"),
    ("\tline\nbreak\u00a0nbsp ", "line break nbsp"),
    ("ÉCOLE Supérieure", "école supérieure"),
    ("“the” quote", "“ ” quote"),  # only ASCII punctuation goes, and then the article
    ("İstanbul", "i̇stanbul"),
    ("Straße", "straße"),  # lower case, not case folding
    ("東京、日本。", "東京、日本。"),
    ("it’s", "it’s"),
    ("a", ""),
    ("!?", ""),
]


@pytest.mark.parametrize(("text", "expected"), NORMALISED)
def test_normalisation_agrees_with_squad(text: str, expected: str) -> None:
    assert squad_normalise(text) == expected


@given(st.text())
def test_normalising_gives_single_spaces_and_no_ascii_punctuation(text: str) -> None:
    done = squad_normalise(text)
    assert done == " ".join(done.split())
    assert not set(done) & set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


# (answer, gold, exact, F1) as evaluate-v2.0.py scores them.
SCORED = [
    ("30 days", "30 days", 1.0, 1.0),
    ("The 30 days.", "30 days", 1.0, 1.0),
    ("within 30 days", "30 days", 0.0, 0.8),
    ("30 30 days", "30 days", 0.0, 0.8),
    ("days 30", "30 days", 0.0, 1.0),
    ("60 days", "30 days", 0.0, 0.5),
    ("never", "30 days", 0.0, 0.0),
    ("", "30 days", 0.0, 0.0),
    ("", "", 1.0, 1.0),
    ("the", "a", 1.0, 1.0),
    ("Café au lait", "café AU LAIT!", 1.0, 1.0),
    ("Beyoncé", "Beyonce", 0.0, 0.0),
    ("It is the U.S.A.", "USA", 0.0, 0.5),
    ("1,000", "1000", 1.0, 1.0),
    ("30 days", "", 0.0, 0.0),  # an answer where there is none
    ("the", "30 days", 0.0, 0.0),  # nothing is left of it
]


@pytest.mark.parametrize(("answer", "gold", "exact", "f1"), SCORED)
def test_scores_agree_with_squad(answer: str, gold: str, exact: float, f1: float) -> None:
    assert exact_match(answer, gold) == exact
    assert token_f1(answer, gold) == pytest.approx(f1)


def official(answer: str, gold: str) -> tuple[float, float]:
    """Exact match and F1, following the steps of evaluate-v2.0.py."""

    def normal(text: str) -> str:
        text = "".join(character for character in text.lower() if character not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())

    want, have = normal(gold).split(), normal(answer).split()
    same = sum((collections.Counter(want) & collections.Counter(have)).values())
    exact = float(normal(gold) == normal(answer))
    if not want or not have:
        return exact, float(want == have)
    if same == 0:
        return exact, 0.0
    precision, recall = same / len(have), same / len(want)
    return exact, 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize(("answer", "gold", "exact", "f1"), SCORED)
def test_known_scores_agree_with_the_official_steps(answer: str, gold: str, exact: float, f1: float) -> None:
    assert official(answer, gold) == (exact, pytest.approx(f1))


TOKENS = st.lists(
    st.sampled_from(["a", "the", "The", "30", "days", "1.5", "U.S.", "—", "é", "-", "an apple"]), max_size=6
)


@given(TOKENS.map(" ".join), TOKENS.map(" ".join))
def test_scores_follow_the_official_steps(answer: str, gold: str) -> None:
    assert (exact_match(answer, gold), token_f1(answer, gold)) == (
        official(answer, gold)[0],
        pytest.approx(official(answer, gold)[1]),
    )


@given(st.text(max_size=40), st.text(max_size=40))
def test_f1_is_symmetric_and_1_for_itself(first: str, second: str) -> None:
    assert token_f1(first, second) == pytest.approx(token_f1(second, first))
    assert 0 <= token_f1(first, second) <= 1
    assert token_f1(first, first) == 1.0


def test_the_best_of_several_gold_answers_counts() -> None:
    assert exact_match("thirty days", ["30 days", "Thirty days"]) == 1.0
    assert token_f1("thirty days", ["30 days", "a month"]) == 0.5
    assert contains("it takes a month", ["30 days", "a month"]) == 1.0


@pytest.mark.parametrize(
    ("answer", "gold", "inside"),
    [
        ("It is 3.", "3", True),
        ("It is 30.", "3", False),
        ("It is 3.5 kg", "3", False),
        ("It is 1.5", "15", False),
        ("They won 3-0", "30", False),
        ("They won 3–0", "3-0", True),
        ("It costs $1,000 now", "1000", True),
        ("at 10:30, sharp", "10:30", True),
        ("The refund of the order", "refund of order", True),
        ("Vitamin C", "vitamin A", False),
        ("Take vitamin A daily", "vitamin A", True),
        ("Send an e-mail", "email", True),
        ("COVID19 rules", "covid-19", True),
        ("In the U.S. only", "US", True),
        ("it doesn’t apply", "doesn't apply", True),
        ("days 30", "30 days", False),
        ("carpet", "car", False),
        ("大阪と東京です", "東京", True),
        ("Beyoncé sang", "Beyonce\u0301", True),  # composed and decomposed
        ("It is 40 %", "%", True),
        ("anything", "", False),
    ],
)
def test_contains_takes_whole_words_in_order(answer: str, gold: str, inside: bool) -> None:
    assert contains(answer, gold) == inside


@given(st.lists(st.sampled_from(["alpha", "beta", "gamma", "12", "3.5"]), min_size=1, max_size=6), st.data())
def test_every_run_of_words_is_contained(tokens: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(tokens) - 1))
    end = data.draw(st.integers(start + 1, len(tokens)))
    assert contains(" ".join(tokens), " ".join(tokens[start:end])) == 1.0


def test_quotes_are_compared_without_space_case_and_typography() -> None:
    assert contains_quote("“It’s”  1–2\u00a0DAYS", '"it\'s" 1-2 days')
    assert contains_quote("the ﬁle", "file")
    assert not contains_quote("130 days", "30 days")
    assert not contains_quote("on page 46.5", "46")
    assert contains_quote("on page 46.", "46")
    assert not contains_quote("anything", " ")
    assert fold("A\u00ad\u2014B") == "a-b"


def test_half_of_a_quote_in_one_run_covers_it() -> None:
    assert contains_most_of_quote("may return it within 30", QUOTE)  # 5 of 9
    assert not contains_most_of_quote("return it within 30", QUOTE)  # 4 of 9
    assert not contains_most_of_quote("you delivery of days may within return it 30", QUOTE)
    assert not contains_most_of_quote("many days", "30 days")  # short quotes are not halved
    assert not contains_most_of_quote("text", "")


def test_a_correct_answer_with_a_correct_citation() -> None:
    assert score_answer(ANSWER, EXAMPLE) == {
        "abstention": 1.0,
        "exact": 0.0,
        "f1": pytest.approx(2 / 3),  # `window is 30 days`: the marker is not counted
        "contains": 1.0,
        "correct": 1.0,
        "asserted_wrong": 0.0,
        "citation_precision": 1.0,
        "citation_recall": 1.0,
        "supported": 1.0,
    }


def test_abstaining_on_an_answerable_question_is_wrong() -> None:
    zero = ("abstention", "exact", "f1", "contains", "correct", "asserted_wrong")
    assert score_answer(ABSTAINED, EXAMPLE) == dict.fromkeys(zero, 0.0)
    parrot = replace(ABSTAINED, text="30 days")
    assert score_answer(parrot, EXAMPLE)["correct"] == 0.0


def test_on_a_question_without_an_answer_only_abstaining_is_correct() -> None:
    unanswerable = replace(EXAMPLE, output=None, evidence=())
    assert score_answer(ABSTAINED, unanswerable) == {"abstention": 1.0, "correct": 1.0, "asserted_wrong": 0.0}
    wrong = {"abstention": 0.0, "correct": 0.0, "asserted_wrong": 1.0, "supported": 1.0}
    assert score_answer(ANSWER, unanswerable) == wrong


@pytest.mark.parametrize(
    ("text", "asserted"),
    [
        ("14 days.", 1.0),
        ("I think it is 14 days.", 0.0),
        ("It may be 14 days, I am not sure.", 0.0),
        ("Vermutlich 14 Tage, das ist nicht genau angegeben.", 0.0),
        ("Probably 30 days.", 0.0),
        ("30 days.", 0.0),
    ],
)
def test_a_wrong_answer_is_asserted_unless_it_says_that_it_is_unsure(text: str, asserted: float) -> None:
    assert score_answer(Answer(text, "answered"), EXAMPLE)["asserted_wrong"] == asserted


@pytest.mark.parametrize("text", ["30 days[1]", "30 days [1].", "30 days [1, 2]"])
def test_citation_markers_are_not_part_of_the_answer(text: str) -> None:
    answer = replace(ANSWER, text=text, citations=(CITED, replace(CITED, marker=2)))
    assert score_answer(answer, EXAMPLE)["exact"] == 1.0
    assert score_answer(replace(answer, citations=()), EXAMPLE)["exact"] == 0.0


def test_a_wrong_number_is_not_correct_even_if_squad_scores_it_as_exact() -> None:
    scores = score_answer(Answer("1.5", "answered"), Example("q", "?", "15"))
    assert (scores["exact"], scores["correct"]) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("change", "precision"),
    [
        ({}, 1.0),
        ({"source": "other.md"}, 0.0),
        ({"source": None, "passage_id": None, "quote": "", "support": "missing"}, 0.0),
        ({"quote": "YOU MAY  RETURN IT"}, 1.0),  # overlaps
        ({"quote": "Then it is too late", "sentence": "No."}, 1.0),  # the passage holds the quote
        ({"quote": "Then it is too late", "sentence": "No.", "passage_id": "p2"}, 0.0),
        ({"quote": "", "sentence": "Return it within 30 days.", "passage_id": "p2"}, 1.0),
    ],
)
def test_a_citation_is_correct_if_it_points_to_the_evidence(change: dict[str, Any], precision: float) -> None:
    answer = replace(ANSWER, citations=(replace(CITED, **change),))
    scores = score_answer(answer, EXAMPLE)
    assert scores["citation_precision"] == scores["citation_recall"] == precision


def test_precision_and_recall_differ() -> None:
    twice = replace(ANSWER, citations=(CITED, replace(CITED, source="other.md")))
    assert score_answer(twice, EXAMPLE)["citation_precision"] == 0.5
    more = replace(EXAMPLE, evidence=(*EXAMPLE.evidence, Evidence("other.md", "something else entirely")))
    assert score_answer(ANSWER, more)["citation_recall"] == 0.5


def test_every_sentence_that_can_be_checked_counts_as_supported_or_not() -> None:
    uncited = Citation(None, "Bikes are fun.", "uncited")
    unchecked = Citation(2, "They are said to be.", "unchecked", "p1", "d1", "returns.md")
    other = replace(unchecked, sentence="So it is told.", support="half true")
    scores = score_answer(replace(ANSWER, citations=(CITED, uncited, unchecked, other)), EXAMPLE)
    assert scores["supported"] == 0.5
    assert scores["citation_precision"] == 1.0, "a sentence without a marker names no passage"
    twice = (replace(CITED, support="missing"), CITED, uncited, replace(unchecked, sentence=uncited.sentence))
    assert score_answer(replace(ANSWER, citations=twice), EXAMPLE)["supported"] == 0.5
    assert "supported" not in score_answer(replace(ANSWER, citations=(unchecked, other)), EXAMPLE)
    assert score_answer(replace(ANSWER, citations=(uncited,)), EXAMPLE)["supported"] == 0.0
    assert without_markers(replace(ANSWER, text="30 days [1].[2]", citations=(CITED, uncited))) == "30 days  .[2]"


def test_an_answer_without_citations_has_recall_0_and_no_precision() -> None:
    scores = score_answer(replace(ANSWER, citations=()), EXAMPLE)
    assert scores["citation_recall"] == 0.0
    assert "citation_precision" not in scores
    assert "supported" not in scores


def test_supported_is_counted_by_sentence() -> None:
    lost = replace(CITED, support="missing")
    other = replace(CITED, sentence="Also free [2].", marker=2, support="missing")
    assert score_answer(replace(ANSWER, citations=(CITED, lost, other)), EXAMPLE)["supported"] == 0.5


@given(st.sampled_from([ANSWER, ABSTAINED]), st.sampled_from([EXAMPLE, replace(EXAMPLE, output=None)]))
def test_every_score_lies_between_0_and_1(answer: Answer, example: Example) -> None:
    assert all(0 <= value <= 1 for value in score_answer(answer, example).values())
