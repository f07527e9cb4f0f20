"""The matrix to what each approach came to, and how each two differ. Reads rows, decides nothing."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from groundtune.measure.statistics import bootstrap_mean, holm, paired_difference
from groundtune.types import Difference, Example, Interval, Result, Standing

Clusters = Mapping[str, str]
"""Example id to what it is not independent of."""
Rows = Mapping[str, Mapping[str, Result]]
"""Approach to example id to result."""


def by_approach(results: Sequence[Result]) -> dict[str, dict[str, Result]]:
    """Approaches in the order in which they first come."""
    rows: dict[str, dict[str, Result]] = {}
    for result in results:
        rows.setdefault(result.approach, {})[result.example] = result
    return rows


def clusters_of(examples: Sequence[Example]) -> Clusters:
    """Examples belong together by `group`, else by the document of their first evidence; empty when none do."""
    found: dict[str, str] = {}
    for example in examples:
        if example.group is not None:
            found[example.id] = f"group {example.group}"
        elif example.evidence:
            found[example.id] = f"document {example.evidence[0].source}"
        else:
            found[example.id] = f"example {example.id}"
    return found if len(set(found.values())) < len(found) else {}


def standings(results: Sequence[Result], *, primary: str, clusters: Clusters | None = None) -> list[Standing]:
    """One an approach, in the order in which approaches first come."""
    return [
        _standing(name, list(rows.values()), primary, clusters or {}) for name, rows in by_approach(results).items()
    ]


def differences(results: Sequence[Result], *, primary: str, clusters: Clusters | None = None) -> list[Difference]:
    """Every pair of approaches with examples in common, the better one as `a`; p adjusted by Holm over all pairs."""
    scores = {
        name: {example: value for example, row in rows.items() if (value := score_of(row, primary)) is not None}
        for name, rows in by_approach(results).items()
    }
    pairs = []
    for first, second in combinations(scores, 2):
        common = [example for example in scores[first] if example in scores[second]]
        if not common:
            continue
        mine, other = ([scores[name][example] for example in common] for name in (first, second))
        names = (first, second)
        if sum(mine) < sum(other):
            mine, other, names = other, mine, (second, first)
        pairs.append((names, paired_difference(mine, other, clusters=_labels(common, clusters or {}))))
    adjusted = holm([pair.p for _, pair in pairs])
    return [
        Difference(
            *names,
            difference=pair.difference,
            low=pair.low,
            high=pair.high,
            p=pair.p,
            p_adjusted=p,
            n=pair.n,
            detectable=pair.detectable,
            needed=pair.needed,
        )
        for (names, pair), p in zip(pairs, adjusted, strict=True)
    ]


def tag_table(
    results: Sequence[Result], examples: Sequence[Example], *, primary: str
) -> list[tuple[str, int, dict[str, Interval]]]:
    """Tag, number of its examples, and the mean of each approach on them; most frequent tags first."""
    tags: dict[str, dict[str, None]] = {}
    for example in examples:
        for tag in example.tags:
            tags.setdefault(tag, {})[example.id] = None
    rows, clusters = by_approach(results), clusters_of(examples)
    table = []
    for tag, ids in sorted(tags.items(), key=lambda item: (-len(item[1]), item[0])):
        means = {}
        for name, own in rows.items():
            values = {one: value for one in ids if one in own and (value := score_of(own[one], primary)) is not None}
            if values:
                means[name] = _interval(list(values.values()), _labels(list(values), clusters))
        table.append((tag, len(ids), means))
    return table


def score_of(row: Result, metric: str) -> float | None:
    """A row without an answer has no score; one whose judge failed keeps its others."""
    if row.error is not None and row.error.kind != "judge":
        return None
    return row.scores.get(metric)


def _standing(name: str, rows: Sequence[Result], primary: str, clusters: Clusters) -> Standing:
    answers = [row for row in rows if row.error is None or row.error.kind == "judge"]
    columns: dict[str, dict[str, float]] = {}
    for row in answers:
        for metric, value in row.scores.items():
            columns.setdefault(metric, {})[row.example] = value
    metrics = {
        metric: _interval(list(column.values()), _labels(list(column), clusters)) for metric, column in columns.items()
    }
    main = metrics.get(primary)
    seconds = [row.usage.seconds for row in answers if row.usage.seconds is not None]
    usd = [row.usage.usd for row in answers if row.usage.usd is not None]
    written = [row for row in rows if row.status == "answered"]
    return Standing(
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
        cited=sum(map(_cites, written)) / len(written) if written else None,
        metrics=metrics,
        failures=dict(Counter(row.error.kind for row in rows if row.error).most_common()),
    )


def _cites(row: Result) -> bool:
    return any(citation.support != "missing" for citation in row.citations)


def _labels(examples: Sequence[str], clusters: Clusters) -> list[str] | None:
    """The cluster of each; one that no cluster is known of stands alone."""
    return [clusters.get(example, f"example {example}") for example in examples] if clusters else None


def _interval(column: Sequence[float], clusters: Sequence[str] | None = None) -> Interval:
    """Scores lie between 0 and 1, unless those of a check of one's own do not."""
    return bootstrap_mean(column, bounds=(min(0.0, *column), max(1.0, *column)), clusters=clusters)
