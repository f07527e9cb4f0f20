"""Turn the rows of one approach into tables over labels or fields. Pure; never counts an error as an answer.

Where a share has nothing to count, precision, recall and F1 of a label or field are 0, as scikit-learn has them
with `zero_division=0`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from groundtune.measure.metrics import fold, gold_texts
from groundtune.measure.scoring import leaves
from groundtune.types import Example, Result

ABSTAINED = "–"
OTHER = "(other)"
"""Replies that are none of the labels."""

Key = tuple[int, str]
"""0 and the folded label; sorts before the two that are no labels, whatever the labels are called."""
_ABSTAINED: Key = (1, "")
_OTHER: Key = (2, "")


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One label; n = examples with it as gold label."""

    label: str
    precision: float
    recall: float
    f1: float
    n: int


@dataclass(frozen=True, slots=True)
class ClassTable:
    """Gold labels against predicted ones."""

    labels: tuple[str, ...]
    """The order of rows and columns: labels that are gold or predicted anywhere, then ABSTAINED, then OTHER."""
    confusion: tuple[tuple[int, ...], ...]
    """Rows are gold, columns predicted; the row of OTHER is empty."""
    per_class: tuple[ClassScore, ...]
    """Each label, and ABSTAINED where it is gold anywhere; an abstention or other reply is no class by itself."""
    accuracy: float | None
    """Right rows of the n; abstaining is right where the gold output is None. None when n is 0."""
    macro_f1: float | None
    """Mean F1 over `per_class`; None when n is 0."""
    n: int
    """Rows with an answer or abstention; those whose judge failed are among them."""
    errors: int
    """Rows left out of all other figures."""


@dataclass(frozen=True, slots=True)
class FieldScore:
    """One field, its path like `lines[].price`; n = gold leaves at it."""

    field: str
    precision: float
    recall: float
    f1: float
    n: int


@dataclass(frozen=True, slots=True)
class FieldTable:
    """Fields of the gold objects against those of the output."""

    per_field: tuple[FieldScore, ...]
    """Every field that is anywhere in gold or output, by path."""
    precision: float
    """Micro: over the leaves of all rows together."""
    recall: float
    f1: float
    macro_f1: float | None
    """Mean F1 over `per_field`; None when there is no field."""
    exact: float | None
    """Share of the n rows that are wholly right; where the gold output is None, by abstaining. None when n is 0."""
    valid: float | None
    """Share of the `answered` that satisfy the schema; None when nothing was answered, or it was not looked at."""
    answered: int
    n: int
    """Rows with an answer or abstention; those whose judge failed are among them."""
    errors: int
    """Rows left out of all other figures."""


def classification(results: Sequence[Result], examples: Sequence[Example]) -> ClassTable:
    """The table of one approach on task classify.

    A reply is a label when its score `valid` says so, or when it is a gold label of any of the examples. Labels are
    compared after `fold`. Of several gold labels the predicted one counts as gold, else the first. Raises ValueError
    for rows of several approaches or of an example that is not among `examples`.
    """
    rows, errors = _rows(results, examples)
    gold_names = {(0, fold(text)): text for one in examples if one.output is not None for text in _golds(one)}
    names: dict[Key, str] = {}
    cells: Counter[tuple[Key, Key]] = Counter()
    for result, example in rows:
        key = _ABSTAINED if _abstained(result, example) else _predicted(result, gold_names)
        wanted = [(0, fold(text)) for text in _golds(example)] if example.output is not None else [_ABSTAINED]
        gold = key if key in wanted else wanted[0]
        cells[gold, key] += 1
        names |= {one: gold_names.get(one, str(result.output)) for one in (gold, key) if one[0] == 0}
    keys = [*sorted(names), _ABSTAINED, _OTHER]
    labels = (*(names[key] for key in keys[:-2]), ABSTAINED, OTHER)
    confusion = tuple(tuple(cells[gold, key] for key in keys) for gold in keys)
    per_class = tuple(
        _class(labels[at], confusion, at) for at in range(len(keys) - 1) if keys[at] != _ABSTAINED or any(confusion[at])
    )
    right, n = sum(confusion[at][at] for at in range(len(keys))), len(rows)
    return ClassTable(
        labels=labels,
        confusion=confusion,
        per_class=per_class,
        accuracy=right / n if n else None,
        macro_f1=_mean([one.f1 for one in per_class]) if n else None,
        n=n,
        errors=errors,
    )


def fields(results: Sequence[Result], examples: Sequence[Example]) -> FieldTable:
    """The table of one approach on task extract; leaves are compared as `scoring.leaves` has them.

    An abstained row has no leaves; an output where the right answer is to abstain has only wrong ones. Raises
    ValueError as `classification` does.
    """
    rows, errors = _rows(results, examples)
    want: Counter[str] = Counter()
    have: Counter[str] = Counter()
    both: Counter[str] = Counter()
    exact = answered = 0
    for result, example in rows:
        abstained = _abstained(result, example)
        answered += not abstained
        output = result.output if not abstained and isinstance(result.output, Mapping) else None
        gold, made = Counter(leaves(example.output)), Counter(leaves(output))
        for counter, part in ((want, gold), (have, made), (both, gold & made)):
            for (path, _), times in part.items():
                counter[_field(path)] += times
        exact += abstained if example.output is None else output is not None and gold == made
    per_field = tuple(FieldScore(name, *_shares(both[name], have[name], want[name])) for name in sorted(want | have))
    precision, recall, f1, _ = _shares(both.total(), have.total(), want.total())
    valid = [result.scores["valid"] for result, _ in rows if "valid" in result.scores]
    n = len(rows)
    return FieldTable(
        per_field=per_field,
        precision=precision,
        recall=recall,
        f1=f1,
        macro_f1=_mean([one.f1 for one in per_field]),
        exact=exact / n if n else None,
        valid=_mean(valid) if len(valid) == answered else None,
        answered=answered,
        n=n,
        errors=errors,
    )


def _rows(results: Sequence[Result], examples: Sequence[Example]) -> tuple[list[tuple[Result, Example]], int]:
    """Rows with an answer beside their examples, and how many have none."""
    if len(approaches := {result.approach for result in results}) > 1:
        raise ValueError(f"one approach at a time, not {', '.join(sorted(approaches))}")
    by_id = {example.id: example for example in examples}
    if unknown := [result.example for result in results if result.example not in by_id]:
        raise ValueError(f'no example "{unknown[0]}" among the examples')
    rows = [(result, by_id[result.example]) for result in results if result.error is None or _only_unjudged(result)]
    return rows, len(results) - len(rows)


def _only_unjudged(result: Result) -> bool:
    return result.error is not None and result.error.kind == "judge" and "abstention" in result.scores


def _golds(example: Example) -> list[str]:
    return gold_texts(example.output)


def _abstained(result: Result, example: Example) -> bool:
    """A row whose judge failed has the status of an error; its other scores still say whether it abstained."""
    if result.error is not None:
        return (result.scores["abstention"] == 1) == (example.output is None)
    return result.status == "abstained"


def _predicted(result: Result, gold_names: Iterable[Key]) -> Key:
    key = (0, fold(str(result.output)))
    return key if key in gold_names or result.scores.get("valid") == 1 else _OTHER


def _class(label: str, confusion: Sequence[Sequence[int]], at: int) -> ClassScore:
    said, gold = sum(row[at] for row in confusion), sum(confusion[at])
    return ClassScore(label, *_shares(confusion[at][at], said, gold))


def _shares(both: int, have: int, want: int) -> tuple[float, float, float, int]:
    """Precision, recall, F1 and how many were wanted."""
    total = have + want
    return both / have if have else 0.0, both / want if want else 0.0, 2 * both / total if total else 0.0, want


def _field(path: str) -> str:
    """`.lines[0].price` as `lines[].price`."""
    return re.sub(r"\[\d+\]", "[]", path).removeprefix(".")


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
