"""Count examples by split, label, tag and origin, measure lengths and find duplicate inputs. Pure; judges nothing."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from groundtune.dataset.examples import example_key
from groundtune.types import Example, Split

LABEL_LENGTH = 80
"""Maximum number of characters in a label."""


@dataclass(frozen=True, slots=True)
class TextLengths:
    """Text lengths in characters."""

    median: int
    p95: int
    longest: int


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Duplicate inputs, histories included, ignoring case and white space. `rows` counts all but the first of each."""

    rows: int
    across_splits: int
    """Inputs that occur in more than one split, so test data leaks into training."""
    conflicting: int
    """Inputs with different outputs."""
    ids: tuple[tuple[str, ...], ...]
    """Ids of the examples that share an input, for the first few such inputs."""


@dataclass(frozen=True, slots=True)
class ExampleStats:
    """Summary of a set of examples."""

    examples: int
    splits: Mapping[str, int]
    kinds: Mapping[str, int]
    """Number of outputs by kind: text (labels included), list, object, none (abstain)."""
    labels: Mapping[str, Mapping[str, int]]
    """Count by label and split, most frequent label first; empty when the outputs are not labels."""
    tags: Mapping[str, int]
    origins: Mapping[str, int]
    reviews: Mapping[str, int]
    """Number of drafted examples by what a person decided; those that nobody looked at are in `origins` alone."""
    with_evidence: int
    groups: int
    """Number of clusters of dependent examples."""
    inputs: TextLengths | None
    """None when there are no examples."""
    outputs: TextLengths | None
    """None when no output is text."""
    twice: Duplicates


def summarise(examples: Sequence[Example], *, shown: int = 5) -> ExampleStats:
    """Summarise the examples. shown: number of duplicate inputs whose ids are listed."""
    texts = [example.output for example in examples if isinstance(example.output, str)]
    splits = Counter(example.split for example in examples)
    return ExampleStats(
        examples=len(examples),
        splits={split: splits[split] for split in get_args(Split)},
        kinds=_ordered(Counter(_kind(example.output) for example in examples)),
        labels=_labels(examples) if _are_labels(texts) else {},
        tags=_ordered(Counter(tag for example in examples for tag in example.tags)),
        origins=_ordered(Counter(example.origin for example in examples)),
        reviews=_ordered(Counter(example.review.state for example in examples if example.review)),
        with_evidence=sum(bool(example.evidence) for example in examples),
        groups=len({example.group for example in examples if example.group}),
        inputs=_lengths([example.input for example in examples]),
        outputs=_lengths(texts),
        twice=_duplicates(examples, shown),
    )


def _are_labels(texts: Sequence[str]) -> bool:
    """Whether the texts are short and each occurs five times on average."""
    return len(texts) >= 10 and len(set(texts)) <= max(2, len(texts) // 5) and max(map(len, texts)) <= LABEL_LENGTH


def _labels(examples: Sequence[Example]) -> dict[str, dict[str, int]]:
    total = Counter(example.output for example in examples if isinstance(example.output, str))
    by_split = Counter((example.output, example.split) for example in examples if isinstance(example.output, str))
    return {
        label: {split: by_split[label, split] for split in get_args(Split)}
        for label, _ in sorted(total.items(), key=lambda item: (-item[1], item[0]))
    }


def _kind(output: Any) -> str:
    if output is None:
        return "none"
    return "text" if isinstance(output, str) else "list" if isinstance(output, list) else "object"


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _lengths(texts: Sequence[str]) -> TextLengths | None:
    if not texts:
        return None
    lengths = sorted(map(len, texts))
    return TextLengths(
        lengths[(len(lengths) - 1) // 2], lengths[min(len(lengths) - 1, int(0.95 * len(lengths)))], lengths[-1]
    )


def _duplicates(examples: Sequence[Example], shown: int) -> Duplicates:
    by_input: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_input[example_key(example)].append(example)
    duplicates = [group for group in by_input.values() if len(group) > 1]
    return Duplicates(
        rows=sum(len(group) - 1 for group in duplicates),
        across_splits=sum(len({example.split for example in group}) > 1 for group in duplicates),
        conflicting=sum(any(example.output != group[0].output for example in group) for group in duplicates),
        ids=tuple(tuple(example.id for example in group) for group in duplicates[:shown]),
    )
