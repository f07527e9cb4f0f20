"""Compute tables by label or field from the rows of one approach. Pure; never counts an error as an answer.

Precision, recall and F1 with a zero denominator are 0, as in scikit-learn with `zero_division=0`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from groundtune.measure.metrics import fold, gold_texts
from groundtune.measure.object_leaves import align, object_leaves
from groundtune.measure.tables import ClassScore, ClassTable, FieldScore, FieldTable
from groundtune.types import Example, Result

ABSTAINED = "–"
OTHER = "(other)"
"""Column for replies that are not a label."""

Key = tuple[int, str]
"""(0, folded label); sorts before the keys of ABSTAINED and OTHER, whatever the labels are called."""
_ABSTAINED: Key = (1, "")
_OTHER: Key = (2, "")


def class_table(results: Sequence[Result], examples: Sequence[Example]) -> ClassTable:
    """Return the table of one approach on task classify.

    A reply is a label if its score `valid` is 1 or it is a gold label of any example. Labels are compared after `fold`.
    With several gold labels, the predicted one counts as gold if it is among them, else the first. Raises ValueError
    for rows of several approaches or of an example that is not in `examples`.
    """
    rows, errors = _rows(results, examples)
    gold_names = {(0, fold(text)): text for item in examples if item.output is not None for text in _golds(item)}
    names: dict[Key, str] = {}
    cells: Counter[tuple[Key, Key]] = Counter()
    for result, example in rows:
        key = _ABSTAINED if _abstained(result, example) else _predicted(result, gold_names)
        accepted = [(0, fold(text)) for text in _golds(example)] if example.output is not None else [_ABSTAINED]
        gold = key if key in accepted else accepted[0]
        cells[gold, key] += 1
        names |= {label: gold_names.get(label, str(result.output)) for label in (gold, key) if label[0] == 0}
    keys = [*sorted(names), _ABSTAINED, _OTHER]
    labels = (*(names[key] for key in keys[:-2]), ABSTAINED, OTHER)
    confusion = tuple(tuple(cells[gold, key] for key in keys) for gold in keys)
    per_class = tuple(
        _class(labels[index], confusion, index)
        for index in range(len(keys) - 1)
        if keys[index] != _ABSTAINED or any(confusion[index])
    )
    correct, n = sum(confusion[index][index] for index in range(len(keys))), len(rows)
    return ClassTable(
        labels=labels,
        confusion=confusion,
        per_class=per_class,
        accuracy=correct / n if n else None,
        macro_f1=_mean([score.f1 for score in per_class]) if n else None,
        n=n,
        errors=errors,
    )


def field_table(results: Sequence[Result], examples: Sequence[Example], *, language: str = "english") -> FieldTable:
    """Return the table of one approach on task extract, comparing the leaves of `object_leaves`, lists aligned.

    An abstained row has no leaves; if abstaining is correct, every leaf of an output is wrong. Raises ValueError as
    `class_table` does.
    """
    rows, errors = _rows(results, examples)
    gold_counts: Counter[str] = Counter()
    output_counts: Counter[str] = Counter()
    common_counts: Counter[str] = Counter()
    exact = answered = 0
    for result, example in rows:
        abstained = _abstained(result, example)
        answered += not abstained
        output = result.output if not abstained and isinstance(result.output, Mapping) else None
        gold_leaves = Counter(object_leaves(example.output, language=language))
        output_leaves = Counter(object_leaves(align(output, example.output), language=language))
        common_leaves = gold_leaves & output_leaves
        for counter, part in (
            (gold_counts, gold_leaves),
            (output_counts, output_leaves),
            (common_counts, common_leaves),
        ):
            for (path, _), count in part.items():
                counter[_field(path)] += count
        exact += abstained if example.output is None else output is not None and gold_leaves == output_leaves
    per_field = tuple(
        FieldScore(name, *_precision_recall_f1(common_counts[name], output_counts[name], gold_counts[name]))
        for name in sorted(gold_counts | output_counts)
    )
    precision, recall, f1, _ = _precision_recall_f1(common_counts.total(), output_counts.total(), gold_counts.total())
    valid = [result.scores["valid"] for result, _ in rows if "valid" in result.scores]
    n = len(rows)
    return FieldTable(
        per_field=per_field,
        precision=precision,
        recall=recall,
        f1=f1,
        macro_f1=_mean([score.f1 for score in per_field]),
        exact=exact / n if n else None,
        valid=_mean(valid) if len(valid) == answered else None,
        answered=answered,
        n=n,
        errors=errors,
    )


def _rows(results: Sequence[Result], examples: Sequence[Example]) -> tuple[list[tuple[Result, Example]], int]:
    """Return the rows with an answer or abstention, paired with their examples, and the number of errors."""
    if len(approaches := {result.approach for result in results}) > 1:
        raise ValueError(f"expected rows of a single approach, got {', '.join(sorted(approaches))}")
    by_id = {example.id: example for example in examples}
    if unknown := [result.example for result in results if result.example not in by_id]:
        raise ValueError(f'unknown example "{unknown[0]}"')
    rows = [(result, by_id[result.example]) for result in results if result.error is None or _only_unjudged(result)]
    return rows, len(results) - len(rows)


def _only_unjudged(result: Result) -> bool:
    failed = result.error is not None and result.error.kind in ("judge", "scoring")
    return failed and "abstention" in result.scores


def _golds(example: Example) -> list[str]:
    return gold_texts(example.output)


def _abstained(result: Result, example: Example) -> bool:
    """Whether the row abstained. If the judge failed, the status is error and the abstention score tells."""
    if result.error is not None:
        return (result.scores["abstention"] == 1) == (example.output is None)
    return result.status == "abstained"


def _predicted(result: Result, gold_names: Iterable[Key]) -> Key:
    key = (0, fold(str(result.output)))
    return key if key in gold_names or result.scores.get("valid") == 1 else _OTHER


def _class(label: str, confusion: Sequence[Sequence[int]], index: int) -> ClassScore:
    predicted, gold = sum(row[index] for row in confusion), sum(confusion[index])
    return ClassScore(label, *_precision_recall_f1(confusion[index][index], predicted, gold))


def _precision_recall_f1(correct: int, predicted: int, gold: int) -> tuple[float, float, float, int]:
    """Return precision, recall, F1 and the gold count."""
    total = predicted + gold
    precision, recall = correct / predicted if predicted else 0.0, correct / gold if gold else 0.0
    return precision, recall, 2 * correct / total if total else 0.0, gold


def _field(path: str) -> str:
    """Generalise `.lines[0].price` to `lines[].price`."""
    return re.sub(r"\[\d+\]", "[]", path).removeprefix(".")


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
