"""Find values of objects that do not occur in their input; an extractor can only mark what occurs. Trains nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from groundtune.common.text import format_count
from groundtune.models.span_decoding import Layout, iter_leaves, path_name
from groundtune.tune.encoders.align import ContextWords, align, align_rows, count_context_words
from groundtune.tune.job import TrainingRow, TuneError
from groundtune.tune.preflight.findings import Level, PreflightFinding, format_ids, make_finding

FIELDS = 5
"""Number of fields that a message names."""


@dataclass(frozen=True, slots=True)
class _Lost:
    """Values that cannot be marked in the rows of one split."""

    values: int
    """Number of values in all rows, marked or not."""
    by_field: Counter[str]
    never: tuple[str, ...]
    """Fields none of whose values can be marked."""
    rows: tuple[str, ...]


def check(
    train: Sequence[TrainingRow], validation: Sequence[TrainingRow], *, schema: Mapping[str, Any] | None
) -> list[PreflightFinding]:
    """Check the rows. schema: of the objects. Reports nothing when an output is no object: the trainer names it."""
    if not train or not all(isinstance(row.output, Mapping | None) for row in (*train, *validation)):
        return []
    pairs = [(row.input, row.output) for row in train]
    try:
        layout = align(pairs, schema).layout
    except TuneError as error:
        return [make_finding("error", "values", error.message, hint=error.hint)]
    words = count_context_words(pairs, layout)
    levels: dict[str, Level] = {"train": "warning", "validation": "note"}
    return [
        problem
        for (split, level), rows in zip(levels.items(), (train, validation), strict=True)
        for problem in _report(_lost(rows, layout, words), split=split, level=level)
    ]


def _lost(rows: Sequence[TrainingRow], layout: Layout, words: ContextWords) -> _Lost:
    plain = replace(layout, choices=tuple(replace(choice, values=()) for choice in layout.choices))
    totals = Counter(path_name(path) for row in rows for path, _ in iter_leaves(row.output))
    lost, ids = Counter[str](), []
    for row in rows:
        if missing := align_rows([(row.input, row.output)], plain, words).unaligned:
            lost.update(missing)
            ids.append(row.id)
    never = tuple(field for field, number in lost.items() if number == totals[field])
    return _Lost(totals.total(), lost, never, tuple(ids))


def _report(lost: _Lost, *, split: str, level: Level) -> list[PreflightFinding]:
    if not lost.rows:
        return []
    each = ", ".join(f"{field} {number:,}" for field, number in lost.by_field.most_common(FIELDS))
    more = f" and {format_count(len(lost.by_field) - FIELDS, 'more field')}" if len(lost.by_field) > FIELDS else ""
    message = (
        f"{split}: {lost.by_field.total():,} of {format_count(lost.values, 'value')} cannot be marked: "
        f"they do not occur in their input as written ({each}{more})"
    )
    hint = (
        "write them as they occur in the input, or tune a causal model (lora): "
        "an extractor can only copy values from the input"
    )
    findings = [make_finding(level, "values", message, hint=hint, rows=lost.rows)]
    if lost.never and split == "train":
        message = (
            f"train: no value of {format_ids(lost.never)} occurs in its input, "
            "and there are too many different values to classify"
        )
        hint = "remove the field from the objects, or tune a causal model (lora): an extractor never fills it in"
        findings.append(make_finding(level, "values", message, hint=hint))
    return findings
