"""Count labels, and find conflicts, labels with few examples, and imbalance. Pure."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.common.text import format_count
from groundtune.tune.job import TrainingRow
from groundtune.tune.preflight.findings import PreflightFinding, format_ids, make_finding
from groundtune.tune.preflight.leakage import row_key

FEW = 5
"""Minimum number of examples of a label for a model to learn it well."""
IMBALANCE = 10
"""Ratio of the most frequent to the rarest label from which a warning is given."""


def counts(rows: Sequence[TrainingRow]) -> dict[str, int]:
    """Count rows by label, most frequent first; rows without a label are left out."""
    numbers = Counter(row.output for row in rows if isinstance(row.output, str))
    return dict(sorted(numbers.items(), key=lambda item: (-item[1], item[0])))


def conflicts(rows: Sequence[TrainingRow], *, labelled: bool) -> list[PreflightFinding]:
    """Find inputs with different outputs. labelled: outputs are labels or objects, of which only one can be correct."""
    outputs: dict[str, set[str]] = defaultdict(set)
    ids: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        outputs[row_key(row)].add(_canonical(row.output))
        ids[row_key(row)].append(row.id)
    conflicting = [text for text, different in outputs.items() if len(different) > 1]
    if not conflicting:
        return []
    inputs = format_count(len(conflicting), "input") + (" has" if len(conflicting) == 1 else " have")
    message = f"train: {inputs} different outputs ({'; '.join(' ≠ '.join(ids[text][:3]) for text in conflicting[:3])})"
    rows_of = [name for text in conflicting for name in ids[text]]
    hint = "decide which one is correct" if labelled else "keep them only if each is correct"
    return [make_finding("warning" if labelled else "note", "conflicts", message, hint=hint, rows=rows_of)]


def check(
    splits: Mapping[str, Sequence[TrainingRow]], *, labels: Sequence[str] = (), weighted: bool | None = None
) -> list[PreflightFinding]:
    """Check the labels of train and validation.

    labels: the project's. weighted: whether rare labels weigh more; None for kinds without such a setting.
    """
    train, validation = splits.get("train", ()), splits.get("validation", ())
    numbers = counts(train)
    findings = []
    if len(numbers) < 2:
        message = f"train: {format_count(len(numbers), 'label')}; at least two are needed"
        findings.append(make_finding("error", "labels", message, hint="add examples of at least two labels"))
    single = [label for label, number in numbers.items() if number == 1]
    rare = [label for label, number in numbers.items() if 1 < number < FEW]
    if single:
        message = f"train: {format_count(len(single), 'label')} with one example ({format_ids(single)})"
        hint = "add examples; a label with a single example is hardly ever predicted"
        findings.append(make_finding("warning", "labels", message, hint=hint, rows=_with_labels(train, single)))
    if rare:
        message = f"train: {format_count(len(rare), 'label')} with fewer than {FEW} examples ({format_ids(rare)})"
        findings.append(make_finding("note", "labels", message, hint="add examples", rows=_with_labels(train, rare)))
    if missing := [label for label in labels if label not in numbers]:
        message = f"train: {len(missing):,} of the project's labels without examples ({format_ids(missing)})"
        findings.append(
            make_finding("warning", "labels", message, hint="add examples: without them it is never predicted")
        )
    if unseen := [label for label in counts(validation) if label not in numbers]:
        message = f"validation: {format_count(len(unseen), 'label')} missing from train ({format_ids(unseen)})"
        hint = "add examples of it to train"
        findings.append(make_finding("warning", "labels", message, hint=hint, rows=_with_labels(validation, unseen)))
    if validation and all(row.output is not None for row in validation):
        message = "validation: every row has a label, so the abstention threshold cannot be calibrated"
        hint = 'add inputs that no label fits, with "output": null'
        findings.append(make_finding("note", "labels", message, hint=hint))
    return findings + _imbalance(numbers, weighted)


def _imbalance(numbers: Mapping[str, int], weighted: bool | None) -> list[PreflightFinding]:
    if len(numbers) < 2:
        return []
    (most, high), (least, low) = next(iter(numbers.items())), list(numbers.items())[-1]
    if high < IMBALANCE * low:
        return []
    message = f"train: {most} has {format_count(high, 'example')}, {least} has {low:,}: {high / low:.0f} times as many"
    if weighted:
        return [make_finding("note", "labels", f"{message}; class_weights compensates for it")]
    hint = "add examples of the rare labels" + ("" if weighted is None else ", or set class_weights = true")
    return [make_finding("warning", "labels", message, hint=hint)]


def _with_labels(rows: Sequence[TrainingRow], labels: Sequence[str]) -> list[str]:
    wanted = set(labels)
    return [row.id for row in rows if isinstance(row.output, str) and row.output in wanted]


def _canonical(output: Any) -> str:
    return json.dumps(output, sort_keys=True, ensure_ascii=False, default=str)
