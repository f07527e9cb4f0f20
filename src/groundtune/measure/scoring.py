"""Make what scores labels, objects and written texts, each score 0 to 1. Never gives a number to what does not apply.

Text answers are scored by `metrics.score_answer`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from groundtune.json_values import schema_fault
from groundtune.measure.checks import Check
from groundtune.measure.metrics import fold, gold_texts, without_markers
from groundtune.types import Answer, Example

Score = Callable[[Answer, Example], dict[str, float]]

CHECK = "check:"
"""Before the name of a check in the name of its score."""


def label_scorer(labels: Collection[str]) -> Score:
    """Scores of task classify. labels: those that there are; empty when they are not known.

    - `correct`: the gold label, compared after `fold`; one of them where there are several; abstained where it is
      None.
    - `abstention`: the decision to answer or abstain was right.
    - `valid`: the output is one of the labels; absent when abstained, or when the labels are not known.
    """
    known = frozenset(map(fold, labels))

    def score(answer: Answer, example: Example) -> dict[str, float]:
        abstained = answer.status == "abstained"
        scores = {"abstention": float(abstained == (example.output is None))}
        if abstained:
            return {**scores, "correct": float(example.output is None)}
        said = fold(answer.text if answer.output is None else str(answer.output))
        right = example.output is not None and said in map(fold, gold_texts(example.output))
        return {**scores, "correct": float(right), **({"valid": float(said in known)} if known else {})}

    return score


def object_scorer(schema: Mapping[str, Any] | None) -> Score:
    """Scores of task extract. schema: JSON Schema of the output; None when any object will do.

    - `correct`, `exact` (the same): all `leaves` are those of the gold object; abstained where it is None.
    - `abstention`: the decision to answer or abstain was right.
    - `precision`, `recall`, `f1`: over the leaves of this one object. Precision is absent when the output has
      none, recall when the gold object has none; when abstained, recall and `f1` are 0.
    - `valid`: the output is an object that satisfies the schema; 0 for a reply that was no JSON; absent when
      abstained.

    Raises UsageError when `schema` is no JSON Schema.
    """
    fault = schema_fault(schema) if schema is not None else None

    def score(answer: Answer, example: Example) -> dict[str, float]:
        abstained, output = answer.status == "abstained", answer.output
        scores = {"abstention": float(abstained == (example.output is None))}
        if not abstained:
            whole = isinstance(output, Mapping)
            scores["valid"] = float(whole and (fault is None or fault(output) is None))
        if example.output is None:
            return {**scores, "correct": float(abstained)}
        return scores | _score_object(None if abstained else output, example.output)

    return score


def text_scorer(checks: Sequence[Check]) -> Score:
    """Scores of task write: how near the gold text, and what of the project's checks holds.

    - `chrf`: sentence chrF2 of sacrebleu over 100 (Popović 2015), against the best of the gold texts.
    - `checks`: mean over the checks; `check:NAME`: each of them. Absent without checks.
    - `abstention`: the decision to write or abstain was right.

    Where a text is wanted and none was written, all are 0; where abstaining was right, only `abstention` is there.
    There is no `correct`: no rule says which letter is right. What a check raises is not caught.
    """
    from sacrebleu.metrics.chrf import CHRF

    chrf = CHRF()

    def score(answer: Answer, example: Example) -> dict[str, float]:
        abstained, wanted = answer.status == "abstained", example.output is not None
        scores = {"abstention": float(abstained != wanted)}
        if abstained and not wanted:
            return scores
        text = "" if abstained else without_markers(answer).strip()
        if wanted:
            near = 0.0 if abstained else chrf.sentence_score(text, gold_texts(example.output)).score / 100
            scores["chrf"] = min(max(near, 0.0), 1.0)
        held = {check.name: 0.0 if abstained else check.test(text, example) for check in checks}
        if held:
            scores["checks"] = sum(held.values()) / len(held)
        return scores | {CHECK + name: value for name, value in held.items()}

    return score


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of an object as (path, folded value); null is the same as absent, plain lists have no order.

    A path is like `.total`, `.tags[]` or `.lines[0].price`.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{at if isinstance(inner, Mapping | list) else ''}]")
    elif isinstance(value, bool):
        yield path, str(value).lower()
    elif isinstance(value, int | float):
        yield path, repr(float(value))
    elif value is not None:
        yield path, fold(str(value))


def _score_object(output: Any, gold: Any) -> dict[str, float]:
    whole = isinstance(output, Mapping)
    want = Counter(leaves(gold))
    have = Counter(leaves(output)) if whole else Counter[tuple[str, str]]()
    both = (want & have).total()
    exact = float(whole and want == have)
    scores = {"exact": exact, "correct": exact}
    if have:
        scores["precision"] = both / have.total()
    if want:
        scores["recall"] = both / want.total()
    scores["f1"] = 2 * both / (want.total() + have.total()) if want or have else exact
    return scores
