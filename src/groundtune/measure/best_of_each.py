"""Compute what asking the best approach for each question would reach: the most that any router can. Trains none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from groundtune.measure.approach_summaries import group_by_approach, row_score
from groundtune.types import Result


@dataclass(frozen=True, slots=True)
class BestOfEach:
    """The mean of the highest scores, question by question."""

    mean: float
    single: str
    """The approach with the highest mean on the same questions."""
    single_mean: float
    n: int
    """Questions that every approach has a score for."""


def best_of_each(rows: Sequence[Result], *, primary: str) -> BestOfEach | None:
    """Return what the best approach for each question reaches; None below two approaches or without a question."""
    scores = {
        name: {example: score for example, row in own.items() if (score := row_score(row, primary)) is not None}
        for name, own in group_by_approach(rows).items()
    }
    scores = {name: own for name, own in scores.items() if own}
    if len(scores) < 2:
        return None
    common = sorted(set.intersection(*(set(own) for own in scores.values())))
    if not common:
        return None
    means: Mapping[str, float] = {name: fmean(own[example] for example in common) for name, own in scores.items()}
    single = max(means, key=lambda name: means[name])
    best = fmean(max(own[example] for own in scores.values()) for example in common)
    return BestOfEach(best, single, means[single], len(common))
