"""Find rows that occur twice in the train split, and train rows that occur in validation or test as well. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from groundtune.common.text import format_count
from groundtune.dataset.examples import example_key, input_key
from groundtune.errors import MissingError
from groundtune.tune.job import TrainingRow
from groundtune.tune.preflight.findings import PreflightFinding, format_ids, make_finding
from groundtune.tune.preflight.near_duplicate_rows import NearDuplicateIndex, strip_frames
from groundtune.types import Example

LeakKind = Literal["exact", "near", "document", "group"]
SHOWN = 3
"""Number of pairs that a message names."""
SPLITS = ("validation", "test")


@dataclass(frozen=True, slots=True)
class Leak:
    """An evaluated row, and the train row that leaks it."""

    split: str
    row: str
    train: str
    how: LeakKind
    similarity: float = 1.0
    """Share of the character runs that both have."""


def remove_test_examples(
    examples: Sequence[Example], test: Sequence[Example], *, with_history: bool = True
) -> tuple[list[Example], dict[str, str]]:
    """Remove examples whose input is in the test split. Returns the rest, and the removed ids with their test ids.

    with_history: whether the model sees the history, so that an equal input after another one is another example.
    """
    key = partial(example_key, with_history=with_history)
    test_ids = {key(example): example.id for example in reversed(test)}
    removed = {example.id: test_ids[key(example)] for example in examples if key(example) in test_ids}
    return [example for example in examples if example.id not in removed], removed


def row_key(row: TrainingRow) -> str:
    """Return what rows with equal inputs have in common, as far as the model sees them."""
    return input_key(row.input, (turn["content"] for turn in row.history))


def find_duplicates(train: Sequence[TrainingRow]) -> list[PreflightFinding]:
    """Find rows with the same input and output; different outputs are a conflict, which `labels.py` reports."""
    first: dict[tuple[str, str], str] = {}
    again = [row.id for row in train if first.setdefault((row_key(row), repr(row.output)), row.id) != row.id]
    if not again:
        return []
    message = f"train: {format_count(len(again))} with the same input and output as another row"
    hint = "remove them, unless they are meant to count more than once"
    return [make_finding("warning", "duplicates", message, hint=hint, rows=again)]


def report_indexed_test_examples(test_ids_by_source: Mapping[str, Sequence[str]]) -> list[PreflightFinding]:
    """Report test examples whose question and answer both occur in an indexed document."""
    if not test_ids_by_source:
        return []
    ids = list(dict.fromkeys(name for test_ids in test_ids_by_source.values() for name in test_ids))
    files = sorted({source.partition("#")[0] for source in test_ids_by_source})
    message = (
        f"test: {format_count(len(ids))} with question and answer in indexed documents ({format_ids(files)}); "
        "these passages are not trained on"
    )
    hint = "if these are exported examples, add them to [documents] exclude: retrieval finds the answers there"
    return [make_finding("warning", "leakage", message, hint=hint, rows=ids)]


def find_leaks(
    splits: Mapping[str, Sequence[TrainingRow]],
    *,
    documents: Mapping[str, Sequence[str]] | None = None,
    groups: Mapping[str, str] | None = None,
) -> tuple[list[PreflightFinding], list[Leak]]:
    """Find near-duplicates within train, and leakage from train.

    splits: rows of train, validation and test. documents: row id to the sources of its evidence. groups: row id to the
    group of dependent rows it belongs to. Each row is reported only once, in this order: exact, near, group, document.
    """
    train = splits.get("train", ())
    near, findings = _near(splits)
    leaks: list[Leak] = []
    train_ids = {row_key(row): row.id for row in reversed(train)}
    by_group = _first(train, {name: (group,) for name, group in (groups or {}).items()})
    by_document = _first(train, documents or {})
    for split in SPLITS:
        for row in splits.get(split, ()):
            group, sources = (groups or {}).get(row.id), (documents or {}).get(row.id, ())
            shared = next((by_document[source] for source in sources if source in by_document), None)
            if (train_id := train_ids.get(row_key(row))) is not None:
                leaks.append(Leak(split, row.id, train_id, "exact"))
            elif (split, row.id) in near:
                leaks.append(Leak(split, row.id, *near[split, row.id]))
            elif group is not None and group in by_group:
                leaks.append(Leak(split, row.id, by_group[group], "group"))
            elif shared is not None:
                leaks.append(Leak(split, row.id, shared, "document"))
    for split in SPLITS:
        for how in ("exact", "near", "group", "document"):
            matching = [leak for leak in leaks if (leak.split, leak.how) == (split, how)]
            if matching:
                findings.append(_leak_finding(matching, len(splits[split])))
    return findings + _test_in_validation(splits), leaks


def _text(row: TrainingRow) -> str:
    return "\n".join([*(turn["content"] for turn in row.history), row.input])


def _near(
    splits: Mapping[str, Sequence[TrainingRow]],
) -> tuple[dict[tuple[str, str], tuple[str, LeakKind, float]], list[PreflightFinding]]:
    """Return near-duplicates of train rows in the other splits by (split, id), and findings about train itself."""
    train = {row_key(row): row for row in reversed(splits.get("train", ()))}
    evaluated = [(split, row) for split in SPLITS for row in splits.get(split, ()) if row_key(row) not in train]
    rows = list(reversed(train.values()))
    try:
        index = NearDuplicateIndex()
    except MissingError as error:
        message = f"near-duplicates were not checked: {error.message}"
        return {}, [make_finding("warning", "duplicates", message, hint=error.hint)]
    texts = strip_frames([_text(row) for row in rows] + [_text(row) for _, row in evaluated])
    pairs = [(row.id, index.add(text)) for row, text in zip(rows, texts, strict=False)]
    near_duplicates = [(name, rows[match[0]].id) for name, match in pairs if match]
    near: dict[tuple[str, str], tuple[str, LeakKind, float]] = {}
    for (split, row), text in zip(evaluated, texts[len(rows) :], strict=True):
        if match := index.find(text):
            near[split, row.id] = (rows[match[0]].id, "near", match[1])
    if not near_duplicates:
        return near, []
    shown = ", ".join(f"{duplicate} ~ {other}" for duplicate, other in near_duplicates[:SHOWN])
    message = f"train: {format_count(len(near_duplicates), 'near-duplicate row')} ({shown})"
    hint = "keep them if they are real; generated near-duplicates teach little"
    return near, [make_finding("note", "duplicates", message, hint=hint, rows=[name for name, _ in near_duplicates])]


def _first(train: Sequence[TrainingRow], sources: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Map each source or group to the first train row that has it."""
    first: dict[str, str] = {}
    for row in train:
        for source in sources.get(row.id, ()):
            first.setdefault(source, row.id)
    return first


def _leak_finding(leaks: Sequence[Leak], total: int) -> PreflightFinding:
    first = leaks[0]
    sign = "=" if first.how == "exact" else "~"
    pairs = ", ".join(f"{leak.row} {sign} {leak.train}" for leak in leaks[:SHOWN])
    what = {
        "exact": "also in train",
        "near": "nearly the same as a train row",
        "group": "in the same group as a train row",
        "document": "with evidence in the same document as train rows",
    }[first.how]
    message = f"{first.split}: {len(leaks):,} of {format_count(total)} {what} ({pairs})"
    hint = {
        "exact": "remove them from one of the two splits: a memorised row says nothing about quality",
        "near": "check them; remove those from train that leak the answer",
        "group": "keep each group in one split",
        "document": "results apply to these documents only; "
        "to measure on unseen documents, keep all rows of a document in one split",
    }[first.how]
    serious = first.split == "test"
    level: Literal["error", "warning", "note"] = "error" if serious and first.how == "exact" else "warning"
    if first.how == "document" and not serious:
        level = "note"
    return make_finding(level, "leakage", message, hint=hint, rows=[leak.row for leak in leaks])


def _test_in_validation(splits: Mapping[str, Sequence[TrainingRow]]) -> list[PreflightFinding]:
    """Find test rows that are also in validation, which is used for early stopping and calibration."""
    validation_inputs = {row_key(row) for row in splits.get("validation", ())}
    both = [row.id for row in splits.get("test", ()) if row_key(row) in validation_inputs]
    if not both:
        return []
    message = f"test: {format_count(len(both))} also in validation ({format_ids(both)})"
    return [make_finding("warning", "leakage", message, hint="remove them from one of the two splits", rows=both)]
