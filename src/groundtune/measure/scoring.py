"""Create scorers for labels, objects and written texts, each score 0 to 1. Omit metrics that do not apply.

`metrics.score_answer` scores text answers.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from groundtune.common.json_schema import schema_checker
from groundtune.measure.metric_names import ASSERTED_WRONG
from groundtune.measure.metrics import fold, gold_texts, without_markers
from groundtune.measure.object_leaves import align, object_leaves
from groundtune.measure.output_checks import Check
from groundtune.measure.written_facts import fact_score
from groundtune.types import Answer, Example

Scorer = Callable[[Answer, Example], dict[str, float]]


class ScorerError(Exception):
    """A scorer of a package or of the caller failed; the other scores of the row are known."""

    def __init__(self, message: str, scores: Mapping[str, float]) -> None:
        super().__init__(message)
        self.scores = scores


CHECK_PREFIX = "check:"
"""Prefix of the score name of a check."""


def label_scorer(labels: Collection[str]) -> Scorer:
    """Return the scorer of task classify. labels: the known labels; empty when unknown.

    - `correct`: the output equals the gold label, or one of several, after `fold`; abstained if the gold output is
      None.
    - `asserted_wrong`: answered and not correct; an answer below its confidence threshold is an abstention.
    - `abstention`: the decision to answer or abstain was correct.
    - `valid`: the output is a known label; absent when abstained or when the labels are unknown.
    """
    known = frozenset(map(fold, labels))

    def score(answer: Answer, example: Example) -> dict[str, float]:
        abstained = answer.status == "abstained"
        scores = {"abstention": float(abstained == (example.output is None))}
        if abstained:
            return {**scores, "correct": float(example.output is None), ASSERTED_WRONG: 0.0}
        predicted = fold(answer.text if answer.output is None else str(answer.output))
        correct = example.output is not None and predicted in map(fold, gold_texts(example.output))
        scores |= {"correct": float(correct), ASSERTED_WRONG: float(not correct)}
        return {**scores, **({"valid": float(predicted in known)} if known else {})}

    return score


def object_scorer(schema: Mapping[str, Any] | None, *, language: str = "english") -> Scorer:
    """Return the scorer of task extract. schema: JSON Schema of the output; None accepts any object.

    - `correct` and `exact` (identical): the `object_leaves` equal those of the gold object, its lists of objects
      aligned; abstained if the gold output is None.
    - `asserted_wrong`: answered and not correct; an answer below its confidence threshold is an abstention.
    - `abstention`: the decision to answer or abstain was correct.
    - `precision`, `recall`, `f1`: over the leaves of this object. Precision is absent when the output has none,
      recall when the gold object has none; when abstained, recall and `f1` are 0.
    - `valid`: the output is an object that satisfies the schema; 0 for a reply that is not JSON; absent when
      abstained.

    Raises UsageError when `schema` is not a JSON Schema.
    """
    checker = schema_checker(schema) if schema is not None else None

    def score(answer: Answer, example: Example) -> dict[str, float]:
        abstained, output = answer.status == "abstained", answer.output
        scores = {"abstention": float(abstained == (example.output is None))}
        if not abstained:
            is_object = isinstance(output, Mapping)
            scores["valid"] = float(is_object and (checker is None or checker(output) is None))
        if example.output is None:
            return {**scores, "correct": float(abstained), ASSERTED_WRONG: float(not abstained)}
        scores |= _score_object(None if abstained else output, example.output, language)
        return {**scores, ASSERTED_WRONG: float(not abstained and not scores["correct"])}

    return score


def text_scorer(checks: Sequence[Check], *, language: str = "english") -> Scorer:
    """Return the scorer of task write: similarity to the gold text, its facts, and the project's checks.

    - `chrf`: sentence chrF2 of sacrebleu divided by 100 (Popović 2015), against the best gold text.
    - `facts`: share of the facts that are right, see `fact_score`. Absent if the example has none.
    - `checks`: mean over the checks; `check:NAME`: each check. Absent without checks.
    - `facts_and_checks`: the product of both, so that neither makes up for the other. Absent unless both are present.
    - `abstention`: the decision to write or abstain was correct.

    If a text is expected and none was written, all are 0; if abstaining was correct, only `abstention` is present.
    There is no `correct`, because no rule can decide whether a free text is correct. Exceptions of a check propagate.
    """
    from sacrebleu.metrics.chrf import CHRF

    chrf = CHRF()

    def score(answer: Answer, example: Example) -> dict[str, float]:
        abstained, expected = answer.status == "abstained", example.output is not None
        scores = {"abstention": float(abstained != expected)}
        if abstained and not expected:
            return scores
        text = "" if abstained else without_markers(answer).strip()
        if expected:
            similarity = 0.0 if abstained else chrf.sentence_score(text, gold_texts(example.output)).score / 100
            scores["chrf"] = min(max(similarity, 0.0), 1.0)
        if expected and example.facts:
            scores["facts"] = 0.0 if abstained else fact_score(text, example, language=language)
        results = {check.name: 0.0 if abstained else check.test(text, example) for check in checks}
        if results:
            scores["checks"] = sum(results.values()) / len(results)
        if "facts" in scores and results:
            scores["facts_and_checks"] = scores["facts"] * scores["checks"]
        return scores | {CHECK_PREFIX + name: value for name, value in results.items()}

    return score


def _score_object(output: Any, gold: Any, language: str) -> dict[str, float]:
    is_object = isinstance(output, Mapping)
    gold_leaves = Counter(object_leaves(gold, language=language))
    leaves = object_leaves(align(output, gold), language=language) if is_object else ()
    output_leaves = Counter[tuple[str, str]](leaves)
    common = (gold_leaves & output_leaves).total()
    exact = float(is_object and gold_leaves == output_leaves)
    scores = {"exact": exact, "correct": exact}
    if output_leaves:
        scores["precision"] = common / output_leaves.total()
    if gold_leaves:
        scores["recall"] = common / gold_leaves.total()
    scores["f1"] = 2 * common / (gold_leaves.total() + output_leaves.total()) if gold_leaves or output_leaves else exact
    return scores
