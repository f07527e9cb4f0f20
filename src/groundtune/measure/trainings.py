"""Measure several trainings of one approach, which differ in their seed alone, as one approach. Trains nothing."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from groundtune.stats.trainings import training_reach
from groundtune.types import Result


@dataclass(frozen=True, slots=True)
class TrainingSpread:
    """Scores of each training of the approaches that were trained several times."""

    scores: Mapping[tuple[str, str], Mapping[str, Sequence[float]]] = field(default_factory=dict)
    """Approach and metric to example to the score of each training, always in the same order."""

    def means(self, approach: str, metric: str, examples: Collection[str] | None = None) -> list[float]:
        """Return the mean score of each training, on these examples or on all; empty for a single training."""
        by_example = self.scores.get((approach, metric), {})
        chosen = [scores for example, scores in by_example.items() if examples is None or example in examples]
        return [sum(column) / len(column) for column in zip(*chosen, strict=True)]

    def reach(self, approach: str, metric: str, examples: Collection[str] | None = None) -> float:
        """Return how far the mean may lie from that over all seeds, with 95% confidence; 0 for a single training."""
        return training_reach(self.means(approach, metric, examples))


def pool_trainings(
    results: Sequence[Result], further: Mapping[str, Sequence[str]]
) -> tuple[list[Result], TrainingSpread]:
    """Return one row per approach and example, with the mean score of all its trainings, and the spread between them.

    further: approach to the names under which its other trainings were measured, which have rows of their own only if
    they are approaches of the mapping too. Text, status and price are those of
    the approach itself. A row where a training failed, or is not measured yet, is not scored.
    """
    hidden = {other for others in further.values() for other in others} - set(further)
    rows = {(result.approach, result.example): result for result in results}
    spread: dict[tuple[str, str], dict[str, Sequence[float]]] = defaultdict(dict)
    pooled = []
    for result in results:
        names = further.get(result.approach, ())
        if result.approach in hidden:
            continue
        if names:
            trainings = [
                rows[name, result.example] for name in (result.approach, *names) if (name, result.example) in rows
            ]
            result = _pooled(trainings) if len(trainings) == 1 + len(names) else replace(result, scores={})
            for metric in result.scores:
                spread[result.approach, metric][result.example] = [training.scores[metric] for training in trainings]
        pooled.append(result)
    return pooled, TrainingSpread(dict(spread))


def _pooled(trainings: Sequence[Result]) -> Result:
    """Return the first row with the mean of all scores, or with the first error."""
    first = trainings[0]
    if failed := next((row for row in trainings if row.error), None):
        return replace(failed, approach=first.approach, scores={})
    metrics = [metric for metric in first.scores if all(metric in row.scores for row in trainings)]
    means = {metric: sum(row.scores[metric] for row in trainings) / len(trainings) for metric in metrics}
    return replace(first, scores=means)
