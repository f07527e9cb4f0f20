"""Labels to counts, and what is wrong with them: conflicts, labels of one example, imbalance. Pure."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.tune.job import Row
from groundtune.tune.preflight.findings import Finding, counted, finding, folded, named

FEW = 5
"""Examples of a label below which little can be learnt of it."""
IMBALANCE = 10
"""How many times the rarest label the most frequent one may have."""


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """Label to rows, most frequent first; rows without a label are left out."""
    found = Counter(row.output for row in rows if isinstance(row.output, str))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def conflicts(rows: Sequence[Row], *, labelled: bool) -> list[Finding]:
    """Inputs with different outputs. labelled: outputs are labels or objects, of which one alone can be right."""
    outputs: dict[str, set[str]] = defaultdict(set)
    ids: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        outputs[folded(row.input)].add(_canonical(row.output))
        ids[folded(row.input)].append(row.id)
    wrong = [text for text, said in outputs.items() if len(said) > 1]
    if not wrong:
        return []
    what = counted(len(wrong), "input") + (" has" if len(wrong) == 1 else " have")
    message = f"train: {what} different outputs ({'; '.join(' ≠ '.join(ids[one][:3]) for one in wrong[:3])})"
    rows_of = [name for text in wrong for name in ids[text]]
    hint = "decide which one is right" if labelled else "keep them only if each is right"
    return [finding("warning" if labelled else "note", "conflicts", message, hint=hint, rows=rows_of)]


def check(
    splits: Mapping[str, Sequence[Row]], *, labels: Sequence[str] = (), weighted: bool | None = None
) -> list[Finding]:
    """labels: those of the project. weighted: whether rare labels weigh more; None where the kind has no such setting.

    splits: train and validation.
    """
    train, held = splits.get("train", ()), splits.get("validation", ())
    found = counts(train)
    findings = []
    if len(found) < 2:
        message = f"train: {counted(len(found), 'label')}; there is nothing to tell apart"
        findings.append(finding("error", "labels", message, hint="add examples of at least two labels"))
    single = [label for label, number in found.items() if number == 1]
    few = [label for label, number in found.items() if 1 < number < FEW]
    if single:
        message = f"train: {counted(len(single), 'label')} with one example ({named(single)})"
        hint = "add examples; until then such a label is hardly ever found"
        findings.append(finding("warning", "labels", message, hint=hint, rows=_of(train, single)))
    if few:
        message = f"train: {counted(len(few), 'label')} with fewer than {FEW} examples ({named(few)})"
        findings.append(finding("note", "labels", message, hint="add examples", rows=_of(train, few)))
    if missing := [label for label in labels if label not in found]:
        message = f"train: {counted(len(missing), 'label')} of the project without an example ({named(missing)})"
        findings.append(finding("warning", "labels", message, hint="add examples: it is never said without"))
    if unseen := [label for label in counts(held) if label not in found]:
        message = f"validation: {counted(len(unseen), 'label')} that train does not have ({named(unseen)})"
        hint = "put examples of it into train"
        findings.append(finding("warning", "labels", message, hint=hint, rows=_of(held, unseen)))
    if held and all(row.output is not None for row in held):
        message = "validation: no row without a label: when to say that none fits cannot be fitted"
        hint = 'add inputs that belong to no label, with "output": null'
        findings.append(finding("note", "labels", message, hint=hint))
    return findings + _imbalance(found, weighted)


def _imbalance(found: Mapping[str, int], weighted: bool | None) -> list[Finding]:
    if len(found) < 2:
        return []
    (most, high), (least, low) = next(iter(found.items())), list(found.items())[-1]
    if high < IMBALANCE * low:
        return []
    message = f"train: {most} has {counted(high, 'example')}, {least} has {low:,}: {high / low:.0f} times as many"
    if weighted:
        return [finding("note", "labels", f"{message}; class_weights makes up for it")]
    hint = "add examples of the rare labels" + ("" if weighted is None else ", or class_weights = true")
    return [finding("warning", "labels", message, hint=hint)]


def _of(rows: Sequence[Row], labels: Sequence[str]) -> list[str]:
    wanted = set(labels)
    return [row.id for row in rows if isinstance(row.output, str) and row.output in wanted]


def _canonical(output: Any) -> str:
    return json.dumps(output, sort_keys=True, ensure_ascii=False, default=str)
