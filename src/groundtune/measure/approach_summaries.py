"""Summarise each approach and compare each pair from the rows of the matrix. Decides nothing."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from types import MappingProxyType

import numpy as np

from groundtune.common.names import composed
from groundtune.common.support import is_cited, sentence_supports
from groundtune.measure.trainings import TrainingSpread
from groundtune.stats.anytime import anytime_differences, anytime_means
from groundtune.stats.intervals import Sample, bootstrap_means
from groundtune.stats.significance import PairedDifference, PairedSample, holm, paired_differences
from groundtune.stats.trainings import widened_difference, widened_interval
from groundtune.types import ApproachSummary, Difference, Example, Interval, Result

Clusters = Mapping[str, str]
"""Cluster label by example id; examples in the same cluster are not independent."""
"""Result by approach and example id."""
ScoreColumns = dict[tuple[str, str], dict[str, float]]
"""Scores by example id, for pairs of names such as approach and metric."""
ALONE = 1.5
"""Answers in a batch, on average, up to which each counts as written alone."""
SINGLE = TrainingSpread()
"""The spread where no approach was trained several times."""


def group_by_approach(results: Sequence[Result]) -> dict[str, dict[str, Result]]:
    """Group the results by approach, in order of first occurrence, and example id."""
    rows: dict[str, dict[str, Result]] = {}
    for result in results:
        rows.setdefault(result.approach, {})[result.example] = result
    return rows


def cluster_examples(examples: Sequence[Example]) -> Clusters:
    """Cluster examples by `group`, else by the document of their first evidence; empty if every cluster has one."""
    clusters: dict[str, str] = {}
    for example in examples:
        if example.group is not None:
            clusters[example.id] = f"group {example.group}"
        elif example.evidence:
            clusters[example.id] = f"document {composed(example.evidence[0].source)}"
        else:
            clusters[example.id] = f"example {example.id}"
    return clusters if len(set(clusters.values())) < len(clusters) else {}


def approach_summaries(
    results: Sequence[Result],
    *,
    primary: str,
    clusters: Clusters | None = None,
    spread: TrainingSpread = SINGLE,
    anytime: bool = False,
) -> list[ApproachSummary]:
    """Return one summary per approach, in order of first occurrence.

    spread: enters the intervals. anytime: whether the intervals must hold for a run that was stopped by its results.
    """
    rows = group_by_approach(results)
    columns: ScoreColumns = {}
    for name, by_example in rows.items():
        for row in filter(is_answer, by_example.values()):
            for metric, value in row.scores.items():
                columns.setdefault((name, metric), {})[row.example] = value
    reaches = {key: spread.reach(*key, column) for key, column in columns.items()}
    means = column_means(columns, clusters or {}, reaches, anytime=anytime)
    return [
        _summary(name, list(by_example.values()), primary, means.get(name, {})) for name, by_example in rows.items()
    ]


def differences(
    results: Sequence[Result],
    *,
    primary: str,
    clusters: Clusters | None = None,
    spread: TrainingSpread = SINGLE,
    anytime: bool = False,
) -> list[Difference]:
    """Compare every pair of approaches with common examples, the better one as `a`; p adjusted by Holm-Bonferroni.

    spread: enters the intervals and p-values. anytime: whether these must hold for a run that was stopped by its
    results; p is then adjusted over all pairs, whether they have common examples yet or not.
    """
    scores = {
        name: {example: value for example, row in rows.items() if (value := row_score(row, primary)) is not None}
        for name, rows in group_by_approach(results).items()
    }
    names, pairs, reaches = [], [], []
    for first, second in combinations(scores, 2):
        common = [example for example in scores[first] if example in scores[second]]
        if not common:
            continue
        first_scores, second_scores = ([scores[name][example] for example in common] for name in (first, second))
        if sum(first_scores) < sum(second_scores):
            first_scores, second_scores, first, second = second_scores, first_scores, second, first
        names.append((first, second))
        pairs.append(PairedSample(first_scores, second_scores, _labels(common, clusters or {})))
        reaches.append(math.hypot(*(spread.reach(name, primary, common) for name in (first, second))))
    compared = anytime_differences(pairs, largest=_largest(clusters or {})) if anytime else paired_differences(pairs)
    comparisons = [
        widened_difference(comparison, reach, bounds=_bounds([*pair.a, *pair.b], width=True))
        for comparison, pair, reach in zip(compared, pairs, reaches, strict=True)
    ]
    still_apart = math.comb(len(scores), 2) - len(pairs) if anytime else 0
    adjusted = holm([*(comparison.p for comparison in comparisons), *[1.0] * still_apart])[: len(pairs)]
    return [
        difference_of(*pair_names, comparison, p_adjusted=p)
        for pair_names, comparison, p in zip(names, comparisons, adjusted, strict=True)
    ]


def difference_of(a: str, b: str, found: PairedDifference, *, p_adjusted: float) -> Difference:
    """Name the two whose scores were compared."""
    return Difference(
        a,
        b,
        difference=found.difference,
        low=found.low,
        high=found.high,
        p=found.p,
        p_adjusted=p_adjusted,
        n=found.n,
        detectable=found.detectable,
        needed=found.needed,
    )


def tag_table(
    results: Sequence[Result],
    examples: Sequence[Example],
    *,
    primary: str,
    spread: TrainingSpread = SINGLE,
    anytime: bool = False,
) -> list[tuple[str, int, dict[str, Interval]]]:
    """Return each tag with its number of examples and the mean of each approach on them; most frequent tags first.

    anytime: as in `approach_summaries`.
    """
    tags: dict[str, dict[str, None]] = {}
    for example in examples:
        for tag in example.tags:
            tags.setdefault(tag, {})[example.id] = None
    rows = group_by_approach(results)
    columns: ScoreColumns = {}
    for tag, ids in tags.items():
        for name, by_example in rows.items():
            values = {
                example_id: value
                for example_id in ids
                if example_id in by_example and (value := row_score(by_example[example_id], primary)) is not None
            }
            if values:
                columns[tag, name] = values
    reaches = {(tag, name): spread.reach(name, primary, column) for (tag, name), column in columns.items()}
    means = column_means(columns, cluster_examples(examples), reaches, anytime=anytime)
    ordered = sorted(tags.items(), key=lambda item: (-len(item[1]), item[0]))
    return [(tag, len(ids), means.get(tag, {})) for tag, ids in ordered]


def row_score(row: Result, metric: str) -> float | None:
    """Return the score of a row, or None. Error rows have none, unless only a judge or a scorer failed."""
    return row.scores.get(metric) if is_answer(row) else None


def is_answer(row: Result) -> bool:
    """Whether a row counts in the figures of its approach: also where only a judge or a scorer failed."""
    return row.error is None or (row.error.kind in ("judge", "scoring") and bool(row.scores))


def _summary(name: str, rows: Sequence[Result], primary: str, metrics: Mapping[str, Interval]) -> ApproachSummary:
    answers = list(filter(is_answer, rows))
    main = metrics.get(primary)
    seconds = [row.usage.seconds for row in answers if row.usage.seconds is not None]
    machine = [row.usage.machine_seconds for row in answers if row.usage.machine_seconds is not None]
    usd = [row.usage.usd for row in answers if row.usage.usd is not None]
    written = [row for row in rows if row.status == "answered"]
    return ApproachSummary(
        name=name,
        n=main.n if main else 0,
        mean=main.mean if main else None,
        low=main.low if main else None,
        high=main.high if main else None,
        answered=len(written),
        abstained=sum(row.status == "abstained" for row in rows),
        errors=sum(row.error is not None for row in rows),
        usd_per_1k=1000 * math.fsum(usd) / len(usd) if usd and len(usd) == len(answers) else None,
        p50_seconds=float(np.percentile(seconds, 50)) if seconds else None,
        p95_seconds=float(np.percentile(seconds, 95)) if seconds else None,
        cited=_share([is_cited(row.citations) for row in written]),
        unchecked=_share([each is None for row in written for each in sentence_supports(row.citations).values()]),
        metrics=metrics,
        failures=dict(Counter(row.error.kind for row in rows if row.error).most_common()),
        cut=dict(Counter(row.cut for row in rows if row.cut).most_common()),
        machine_seconds=math.fsum(machine) / len(machine) if machine and len(machine) == len(answers) else None,
        answers_per_batch=_answers_per_batch(answers),
    )


def _answers_per_batch(answers: Sequence[Result]) -> float | None:
    """Return the mean size of the batches, weighted by their answers; None unless most answers shared one."""
    usages = [row.usage for row in answers]
    sizes = [usage.seconds / usage.machine_seconds for usage in usages if usage.seconds and usage.machine_seconds]
    mean = math.fsum(sizes) / len(sizes) if sizes and len(sizes) == len(usages) else 1.0
    return mean if mean > ALONE else None


def _share(values: Sequence[bool | None]) -> float | None:
    """Return the share of True among the known values; None without any."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _labels(examples: Sequence[str], clusters: Clusters) -> list[str] | None:
    """Return the cluster label of each example; an example without one forms its own cluster."""
    return [clusters.get(example, f"example {example}") for example in examples] if clusters else None


def _largest(clusters: Clusters) -> int:
    """Return the number of examples in the largest cluster."""
    return max(Counter(clusters.values()).values(), default=1)


def column_means(
    columns: ScoreColumns,
    clusters: Clusters,
    reaches: Mapping[tuple[str, str], float] = MappingProxyType({}),
    *,
    anytime: bool = False,
) -> dict[str, dict[str, Interval]]:
    """Return the mean of each column. reaches: of the trainings behind a column, by which its interval is widened."""
    values = [
        Sample(list(column.values()), _bounds(list(column.values())), _labels(list(column), clusters))
        for column in columns.values()
    ]
    means: dict[str, dict[str, Interval]] = {}
    intervals = anytime_means(values, largest=_largest(clusters)) if anytime else bootstrap_means(values)
    for (first, second), sample, interval in zip(columns, values, intervals, strict=True):
        reach = reaches.get((first, second), 0.0)
        means.setdefault(first, {})[second] = widened_interval(interval, reach, bounds=sample.bounds)
    return means


def _bounds(scores: Sequence[float], *, width: bool = False) -> tuple[float, float]:
    """Return 0 to 1, widened for custom scores outside that range. width: the bounds of differences."""
    low, high = min(0.0, *scores), max(1.0, *scores)
    return (low - high, high - low) if width else (low, high)
