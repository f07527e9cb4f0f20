"""Tables over labels and fields; checked against scikit-learn."""

import random
from dataclasses import replace
from typing import Any

import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from groundtune.measure.score_tables import ABSTAINED, OTHER, class_table, field_table
from groundtune.measure.scoring import label_scorer, object_scorer
from groundtune.measure.tables import ClassScore
from groundtune.types import Answer, Example, Failure, Result

LABELS = ("billing", "card", "delivery", "fraud", "Refund")
NOISE = "I think it is a card"


def rows(golds: list[Any], outputs: list[Any], *, score: Any = None) -> tuple[list[Result], list[Example]]:
    """Results and examples; an output of None is an abstention."""
    score = score or label_scorer(LABELS)
    examples = [Example(f"q{at}", "?", gold) for at, gold in enumerate(golds)]
    results = []
    for example, output in zip(examples, outputs, strict=True):
        answer = Answer("", "abstained" if output is None else "answered", output)
        scores = score(answer, example)
        results.append(Result(example.id, "a", answer.status, "Not known" if output is None else output, scores=scores))
    return results, examples


@pytest.mark.parametrize("seed", range(20))
def test_the_table_agrees_with_scikit_learn(seed: int) -> None:
    rng = random.Random(seed)
    n = rng.choice([5, 40, 300])
    golds = rng.choices(LABELS[: rng.randint(2, 5)], k=n)
    outputs = [gold if rng.random() < 0.6 else rng.choice(LABELS) for gold in golds]
    table = class_table(*rows(golds, outputs))
    names = list(table.labels[:-2])
    assert sorted(names, key=str.casefold) == names
    assert set(names) == {*golds, *outputs}
    assert [row[:-2] for row in table.confusion[:-2]] == [
        tuple(row) for row in confusion_matrix(golds, outputs, labels=names).tolist()
    ]
    assert table.accuracy == pytest.approx(accuracy_score(golds, outputs))
    assert table.macro_f1 == pytest.approx(f1_score(golds, outputs, average="macro", zero_division=0))
    precision, recall, f1, support = precision_recall_fscore_support(golds, outputs, labels=names, zero_division=0)
    for at, score in enumerate(table.per_class):
        assert score == ClassScore(
            names[at], pytest.approx(precision[at]), pytest.approx(recall[at]), pytest.approx(f1[at]), support[at]
        )
    assert (table.n, table.errors) == (n, 0)


@pytest.mark.parametrize("seed", range(20))
def test_abstentions_and_other_replies_lower_recall_and_are_not_classes(seed: int) -> None:
    rng = random.Random(seed)
    golds = rng.choices([*LABELS[:3], None], k=60)
    outputs = rng.choices([*LABELS[:4], NOISE, None], k=60)
    table = class_table(*rows(golds, outputs))
    want = [ABSTAINED if gold is None else gold for gold in golds]
    have = [ABSTAINED if output is None else OTHER if output == NOISE else output for output in outputs]
    everything = list(table.labels)
    assert everything[-2:] == [ABSTAINED, OTHER]
    assert [list(row) for row in table.confusion] == confusion_matrix(want, have, labels=everything).tolist()
    assert table.accuracy == pytest.approx(accuracy_score(want, have))
    classes = [score.label for score in table.per_class]
    assert classes == everything[:-1]  # abstaining is gold here
    assert table.macro_f1 == pytest.approx(f1_score(want, have, labels=classes, average="macro", zero_division=0))
    results, _ = rows(golds, outputs)
    assert table.accuracy == pytest.approx(sum(result.scores["correct"] for result in results) / 60)


def test_a_hand_computed_table() -> None:
    table = class_table(*rows(["card", "card", "fraud", "fraud"], ["Card", None, "card", NOISE]))
    assert table.labels == ("card", "fraud", ABSTAINED, OTHER)
    assert table.confusion == ((1, 0, 1, 0), (1, 0, 0, 1), (0, 0, 0, 0), (0, 0, 0, 0))
    assert table.per_class == (ClassScore("card", 0.5, 0.5, 0.5, 2), ClassScore("fraud", 0.0, 0.0, 0.0, 2))
    assert (table.accuracy, table.macro_f1) == (0.25, 0.25)


def test_with_several_gold_labels_the_predicted_one_counts() -> None:
    table = class_table(*rows([["card", "fraud"], ["card", "fraud"]], ["fraud", "billing"]))
    assert table.labels == ("billing", "card", "fraud", ABSTAINED, OTHER)
    assert (table.confusion[2][2], table.confusion[1][0]) == (1, 1)


def test_rows_without_a_validity_score_use_the_gold_labels() -> None:
    results, examples = rows(["card", "fraud"], ["fraud", "billing"], score=label_scorer([]))
    assert class_table(results, examples).confusion == ((0, 1, 0, 0), (0, 0, 0, 1), (0, 0, 0, 0), (0, 0, 0, 0))


def test_a_label_may_share_the_name_of_a_special_column() -> None:
    table = class_table(*rows([OTHER, ABSTAINED], [OTHER, None], score=label_scorer([OTHER, ABSTAINED])))
    assert table.labels == (OTHER, ABSTAINED, ABSTAINED, OTHER)
    assert table.confusion == ((1, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 0), (0, 0, 0, 0))


def test_errors_are_only_counted_and_a_failed_judge_is_not_an_error() -> None:
    results, examples = rows(["card", "card", "card", None], ["card", "fraud", None, None])
    crashed = replace(results[0], status="error", output=None, scores={}, error=Failure("timeout", "slow"))
    unjudged = [replace(result, status="error", error=Failure("judge", "no JSON")) for result in results]
    table = class_table([crashed, *unjudged[1:]], examples)
    assert (table.n, table.errors, table.accuracy) == (3, 1, pytest.approx(1 / 3))
    assert class_table(unjudged, examples) == class_table(results, examples)
    assert class_table([crashed], examples).accuracy is None
    assert class_table([], examples).macro_f1 is None


def test_foreign_rows_are_refused() -> None:
    results, examples = rows(["card", "card"], ["card", "card"])
    with pytest.raises(ValueError, match="expected rows of a single approach, got a, b"):
        class_table([results[0], replace(results[1], approach="b")], examples)
    with pytest.raises(ValueError, match='unknown example "q1"'):
        field_table(results, examples[:1])


GOLD = {"name": "ACME", "lines": [{"price": 1}, {"price": 2}], "tags": ["x"]}


def test_a_hand_computed_field_table() -> None:
    """Seven gold leaves: a correct name, a wrong price, a missing tag; then an object where abstaining is correct."""
    outputs = [{"name": "acme", "lines": [{"price": 1}, {"price": 3}], "vat": 5}, "no JSON", {"name": "B"}, None]
    table = field_table(
        *rows([GOLD, {"name": "A", "tags": ["y", "z"]}, None, None], outputs, score=object_scorer(None))
    )
    scores = {score.field: (score.precision, score.recall, score.f1, score.n) for score in table.per_field}
    assert scores == {
        "lines[].price": (0.5, 0.5, 0.5, 2),
        "name": (0.5, 0.5, 0.5, 2),  # made: acme, B; gold: ACME, A
        "tags[]": (0.0, 0.0, 0.0, 3),
        "vat": (0.0, 0.0, 0.0, 0),
    }
    assert (table.precision, table.recall) == (pytest.approx(2 / 5), pytest.approx(2 / 7))
    assert table.f1 == pytest.approx(2 * 2 / (5 + 7))
    assert table.macro_f1 == pytest.approx(0.25)
    assert (table.exact, table.valid, table.answered, table.n, table.errors) == (0.25, pytest.approx(2 / 3), 3, 4, 0)


@pytest.mark.parametrize("seed", range(10))
def test_flat_fields_agree_with_micro_scores_of_scikit_learn(seed: int) -> None:
    """A field with at most one value is a label or its absence; micro scores exclude absence."""
    rng = random.Random(seed)
    names = ["a", "b", "c"]

    def draw() -> dict[str, str]:
        return {name: rng.choice("uvw") for name in names if rng.random() < 0.8}

    golds, outputs = [draw() for _ in range(50)], [draw() for _ in range(50)]
    table = field_table(*rows(golds, outputs, score=object_scorer(None)))
    for score in table.per_field:
        want = [gold.get(score.field, "-") for gold in golds]
        have = [output.get(score.field, "-") for output in outputs]
        precision, recall, f1, _ = precision_recall_fscore_support(
            want, have, labels=["u", "v", "w"], average="micro", zero_division=0
        )
        assert (score.precision, score.recall, score.f1) == pytest.approx((precision, recall, f1))
    want = [f"{name}{gold.get(name, '-')}" for gold in golds for name in names]
    have = [f"{name}{output.get(name, '-')}" for output in outputs for name in names]
    labels = [f"{name}{value}" for name in names for value in "uvw"]
    micro = precision_recall_fscore_support(want, have, labels=labels, average="micro", zero_division=0)[:3]
    assert (table.precision, table.recall, table.f1) == pytest.approx(micro)
    assert table.exact == pytest.approx(sum(map(dict.__eq__, golds, outputs)) / 50)


def test_validity_that_was_not_scored_is_unknown() -> None:
    results, examples = rows([GOLD], [GOLD], score=object_scorer(None))
    bare = [replace(result, scores={}) for result in results]
    assert (field_table(results, examples).valid, field_table(bare, examples).valid) == (1.0, None)
    abstained = field_table(*rows([GOLD], [None], score=object_scorer(None)))
    assert (abstained.valid, abstained.answered, abstained.exact, abstained.recall) == (None, 0, 0.0, 0.0)
