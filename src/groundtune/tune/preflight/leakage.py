"""What stands twice in the train split, and what of it stands in validation or test as well. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from groundtune.errors import MissingError
from groundtune.tune.job import Row
from groundtune.tune.preflight.findings import Finding, counted, finding, folded, named
from groundtune.tune.preflight.similar import Similar, comparable
from groundtune.types import Example

How = Literal["exact", "near", "document", "group"]
SHOWN = 3
"""Pairs that a message names."""
SPLITS = ("validation", "test")


@dataclass(frozen=True, slots=True)
class Leak:
    """A row that is measured on, and the train row that gives it away."""

    split: str
    row: str
    train: str
    how: How
    similarity: float = 1.0
    """Share of the runs of characters that both have."""


def apart(examples: Sequence[Example], test: Sequence[Example]) -> tuple[list[Example], dict[str, str]]:
    """The examples whose input is not one of the test split's, and of the others the id to that of the test example."""
    own = {folded(one.input): one.id for one in reversed(test)}
    both = {one.id: own[folded(one.input)] for one in examples if folded(one.input) in own}
    return [one for one in examples if one.id not in both], both


def duplicates(train: Sequence[Row]) -> list[Finding]:
    """The same input with the same output; with another output it is a conflict, which `labels.py` looks for."""
    first: dict[tuple[str, str], str] = {}
    again = [row.id for row in train if first.setdefault((folded(row.input), repr(row.output)), row.id) != row.id]
    if not again:
        return []
    message = f"train: {counted(len(again))} with input and output of another row"
    hint = "remove them, unless they are to weigh more"
    return [finding("warning", "duplicates", message, hint=hint, rows=again)]


def given_away(found: Mapping[str, Sequence[str]]) -> list[Finding]:
    """found: source of indexed passages to the ids of the test examples that stand in them, question and answer."""
    if not found:
        return []
    ids = list(dict.fromkeys(name for own in found.values() for name in own))
    files = sorted({source.partition("#")[0] for source in found})
    message = (
        f"test: {counted(len(ids))} with question and answer in indexed documents ({named(files)}); "
        "these passages are left out of what is trained on"
    )
    hint = "add them to [documents] exclude where they are exported examples: whatever retrieves finds the answer there"
    return [finding("warning", "leakage", message, hint=hint, rows=ids)]


def overlap(
    splits: Mapping[str, Sequence[Row]],
    *,
    documents: Mapping[str, Sequence[str]] | None = None,
    groups: Mapping[str, str] | None = None,
) -> tuple[list[Finding], list[Leak]]:
    """Near-duplicates within train, and leakage from train.

    splits: rows of train, validation and test. documents: id of a row to the sources of its evidence. groups: id of a
    row to the group of rows that it is not independent of. Each row leaks by the first that holds: exact, near,
    group, document.
    """
    train = splits.get("train", ())
    near, findings = _near(splits)
    leaks: list[Leak] = []
    own = {folded(row.input): row.id for row in reversed(train)}
    by_group = _first(train, {name: (group,) for name, group in (groups or {}).items()})
    by_document = _first(train, documents or {})
    for split in SPLITS:
        for row in splits.get(split, ()):
            group, sources = (groups or {}).get(row.id), (documents or {}).get(row.id, ())
            shared = next((by_document[one] for one in sources if one in by_document), None)
            if (found := own.get(folded(row.input))) is not None:
                leaks.append(Leak(split, row.id, found, "exact"))
            elif (split, row.id) in near:
                leaks.append(Leak(split, row.id, *near[split, row.id]))
            elif group is not None and group in by_group:
                leaks.append(Leak(split, row.id, by_group[group], "group"))
            elif shared is not None:
                leaks.append(Leak(split, row.id, shared, "document"))
    for split in SPLITS:
        for how in ("exact", "near", "group", "document"):
            own_leaks = [leak for leak in leaks if (leak.split, leak.how) == (split, how)]
            if own_leaks:
                findings.append(_leak_finding(own_leaks, len(splits[split])))
    return findings + _chosen_on(splits), leaks


def _near(splits: Mapping[str, Sequence[Row]]) -> tuple[dict[tuple[str, str], tuple[str, How, float]], list[Finding]]:
    """Near-duplicates of the train rows in the other splits by (split, id), and what is to be said of train itself."""
    train = {folded(row.input): row for row in reversed(splits.get("train", ()))}
    held = [(split, row) for split in SPLITS for row in splits.get(split, ()) if folded(row.input) not in train]
    rows = list(reversed(train.values()))
    try:
        index = Similar()
    except MissingError as error:
        message = f"near-duplicates were not looked for: {error.message}"
        return {}, [finding("warning", "duplicates", message, hint=error.hint)]
    texts = comparable([row.input for row in rows] + [row.input for _, row in held])
    pairs = [(row.id, index.add(text)) for row, text in zip(rows, texts, strict=False)]
    twins = [(name, rows[found[0]].id) for name, found in pairs if found]
    near: dict[tuple[str, str], tuple[str, How, float]] = {}
    for (split, row), text in zip(held, texts[len(rows) :], strict=True):
        if found := index.find(text):
            near[split, row.id] = (rows[found[0]].id, "near", found[1])
    if not twins:
        return near, []
    shown = ", ".join(f"{one} ~ {other}" for one, other in twins[:SHOWN])
    message = f"train: {counted(len(twins))} nearly the same as another ({shown})"
    hint = "keep them if they are real; made ones teach little more than one of them"
    return near, [finding("note", "duplicates", message, hint=hint, rows=[name for name, _ in twins])]


def _first(train: Sequence[Row], sources: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Source or group to the first train row that has it."""
    found: dict[str, str] = {}
    for row in train:
        for source in sources.get(row.id, ()):
            found.setdefault(source, row.id)
    return found


def _leak_finding(leaks: Sequence[Leak], total: int) -> Finding:
    first = leaks[0]
    sign = "=" if first.how == "exact" else "~"
    pairs = ", ".join(f"{leak.row} {sign} {leak.train}" for leak in leaks[:SHOWN])
    what = {
        "exact": "also in train",
        "near": "nearly the same as a train row",
        "group": "of one group with a train row",
        "document": "with evidence in a document that train rows have evidence in",
    }[first.how]
    message = f"{first.split}: {len(leaks):,} of {counted(total)} {what} ({pairs})"
    hint = {
        "exact": "remove them from one of the two splits: what was learnt by heart measures nothing",
        "near": "read them; remove those from train that give the answer away",
        "group": "put a group into one split",
        "document": "what is measured holds for these documents; put all rows of a document into one split for others",
    }[first.how]
    serious = first.split == "test"
    level: Literal["error", "warning", "note"] = "error" if serious and first.how == "exact" else "warning"
    if first.how == "document" and not serious:
        level = "note"
    return finding(level, "leakage", message, hint=hint, rows=[leak.row for leak in leaks])


def _chosen_on(splits: Mapping[str, Sequence[Row]]) -> list[Finding]:
    """Test rows that stand in validation, on which a training is stopped and calibrated."""
    held = {folded(row.input) for row in splits.get("validation", ())}
    both = [row.id for row in splits.get("test", ()) if folded(row.input) in held]
    if not both:
        return []
    message = f"test: {counted(len(both))} also in validation ({named(both)})"
    return [finding("warning", "leakage", message, hint="remove them from one of the two splits", rows=both)]
