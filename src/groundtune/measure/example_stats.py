"""Examples to counts: by split, label, tag and origin; lengths; what stands there twice. Pure; judges nothing."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from groundtune.measure.format_join import folded
from groundtune.types import Example, Split

LABEL_LENGTH = 80
"""Characters up to which an output may be a label."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Of texts, in characters."""

    median: int
    p95: int
    longest: int


@dataclass(frozen=True, slots=True)
class Twice:
    """Inputs that stand there more than once, case and white space aside. Rows: all but the first of each."""

    rows: int
    across_splits: int
    """Inputs that stand in more than one split: what is measured on the one was learnt in the other."""
    conflicting: int
    """Inputs with different outputs."""
    ids: tuple[tuple[str, ...], ...]
    """The first few, each with the ids that share it."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What a set of examples holds."""

    examples: int
    splits: Mapping[str, int]
    kinds: Mapping[str, int]
    """Of outputs: label or text, list, object, none (to abstain)."""
    labels: Mapping[str, Mapping[str, int]]
    """Label to split to number; empty where the outputs are no labels. Most frequent first."""
    tags: Mapping[str, int]
    origins: Mapping[str, int]
    with_evidence: int
    groups: int
    """Groups of examples that are not independent of each other."""
    inputs: Lengths | None
    """None without examples."""
    outputs: Lengths | None
    """None when no output is text."""
    twice: Twice


def stats(examples: Sequence[Example], *, shown: int = 5) -> Stats:
    """shown: how many repeated inputs are named."""
    texts = [one.output for one in examples if isinstance(one.output, str)]
    splits = Counter(one.split for one in examples)
    return Stats(
        examples=len(examples),
        splits={split: splits[split] for split in get_args(Split)},
        kinds=_ordered(Counter(_kind(one.output) for one in examples)),
        labels=_labels(examples) if _are_labels(texts) else {},
        tags=_ordered(Counter(tag for one in examples for tag in one.tags)),
        origins=_ordered(Counter(one.origin for one in examples)),
        with_evidence=sum(bool(one.evidence) for one in examples),
        groups=len({one.group for one in examples if one.group}),
        inputs=_lengths([one.input for one in examples]),
        outputs=_lengths(texts),
        twice=_twice(examples, shown),
    )


def _are_labels(texts: Sequence[str]) -> bool:
    """Short ones, each five times on average."""
    return len(texts) >= 10 and len(set(texts)) <= max(2, len(texts) // 5) and max(map(len, texts)) <= LABEL_LENGTH


def _labels(examples: Sequence[Example]) -> dict[str, dict[str, int]]:
    total = Counter(one.output for one in examples if isinstance(one.output, str))
    by_split = Counter((one.output, one.split) for one in examples if isinstance(one.output, str))
    return {
        label: {split: by_split[label, split] for split in get_args(Split)}
        for label, _ in sorted(total.items(), key=lambda item: (-item[1], item[0]))
    }


def _kind(output: Any) -> str:
    if output is None:
        return "none"
    return "text" if isinstance(output, str) else "list" if isinstance(output, list) else "object"


def _ordered(counted: Counter[str]) -> dict[str, int]:
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _lengths(texts: Sequence[str]) -> Lengths | None:
    if not texts:
        return None
    found = sorted(map(len, texts))
    return Lengths(found[(len(found) - 1) // 2], found[min(len(found) - 1, int(0.95 * len(found)))], found[-1])


def _twice(examples: Sequence[Example], shown: int) -> Twice:
    same: dict[str, list[Example]] = defaultdict(list)
    for one in examples:
        same[folded(one.input)].append(one)
    several = [group for group in same.values() if len(group) > 1]
    return Twice(
        rows=sum(len(group) - 1 for group in several),
        across_splits=sum(len({one.split for one in group}) > 1 for group in several),
        conflicting=sum(any(one.output != group[0].output for one in group) for group in several),
        ids=tuple(tuple(one.id for one in group) for group in several[:shown]),
    )
