"""Values of objects that do not stand in their input: an extractor marks what stands there. Trains nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from groundtune.spans import Layout, leaves, name
from groundtune.tune.encoders.align import Words, align, put, usual
from groundtune.tune.job import Row, TuneError
from groundtune.tune.preflight.findings import Finding, Level, counted, finding, named

FIELDS = 5
"""Fields that a message names."""


@dataclass(frozen=True, slots=True)
class _Lost:
    """What cannot be marked in the rows of one split."""

    values: int
    """Of all rows, marked or not."""
    by_field: Counter[str]
    never: tuple[str, ...]
    """Fields of which no value can."""
    rows: tuple[str, ...]


def check(train: Sequence[Row], validation: Sequence[Row], *, schema: Mapping[str, Any] | None) -> list[Finding]:
    """schema: of the objects. Says nothing where an output is no object: the trainer names it."""
    if not train or not all(isinstance(row.output, Mapping | None) for row in (*train, *validation)):
        return []
    pairs = [(row.input, row.output) for row in train]
    try:
        layout = align(pairs, schema).layout
    except TuneError as error:
        return [finding("error", "values", error.message, hint=error.hint)]
    words = usual(pairs, layout)
    levels: dict[str, Level] = {"train": "warning", "validation": "note"}
    return [
        one
        for (split, level), rows in zip(levels.items(), (train, validation), strict=True)
        for one in _said(_lost(rows, layout, words), split=split, level=level)
    ]


def _lost(rows: Sequence[Row], layout: Layout, words: Words) -> _Lost:
    plain = replace(layout, choices=tuple(replace(one, values=()) for one in layout.choices))
    there = Counter(name(path) for row in rows for path, _ in leaves(row.output))
    lost, ids = Counter[str](), []
    for row in rows:
        if missing := put([(row.input, row.output)], plain, words).unaligned:
            lost.update(missing)
            ids.append(row.id)
    never = tuple(field for field, number in lost.items() if number == there[field])
    return _Lost(there.total(), lost, never, tuple(ids))


def _said(found: _Lost, *, split: str, level: Level) -> list[Finding]:
    if not found.rows:
        return []
    each = ", ".join(f"{field} {number:,}" for field, number in found.by_field.most_common(FIELDS))
    more = f" and {len(found.by_field) - FIELDS:,} more fields" if len(found.by_field) > FIELDS else ""
    message = (
        f"{split}: {found.by_field.total():,} of {counted(found.values, 'value')} cannot be marked: "
        f"they do not stand in their input as they are written ({each}{more})"
    )
    hint = "write them as they stand in the input, or tune a causal model (lora): an extractor makes up nothing"
    findings = [finding(level, "values", message, hint=hint, rows=found.rows)]
    if found.never and split == "train":
        message = f"train: no value of {named(found.never)} can be marked, nor are they few enough to choose from"
        hint = "leave the field out of the objects, or tune a causal model (lora): it is never filled in"
        findings.append(finding(level, "values", message, hint=hint))
    return findings
