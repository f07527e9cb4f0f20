"""The matrix to what each approach came to, and how each two differ. Reads rows, decides nothing."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from groundtune.measure.statistics import Pair, Values, bootstrap_means, holm, paired_differences
from groundtune.types import Difference, Example, Interval, Result, Standing

Clusters = Mapping[str, str]
"""Example id to what it is not independent of."""
Rows = Mapping[str, Mapping[str, Result]]
"""Approach to example id to result."""
Columns = dict[tuple[str, str], dict[str, float]]
"""Two names, as approach and metric, to example id to score."""


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
    rows = by_approach(results)
    columns: Columns = {}
    for name, own in rows.items():
        for row in filter(_is_answer, own.values()):
            for metric, value in row.scores.items():
                columns.setdefault((name, metric), {})[row.example] = value
    means = _means(columns, clusters or {})
    return [_standing(name, list(own.values()), primary, means.get(name, {})) for name, own in rows.items()]


def differences(results: Sequence[Result], *, primary: str, clusters: Clusters | None = None) -> list[Difference]:
    """Every pair of approaches with examples in common, the better one as `a`; p adjusted by Holm over all pairs."""
    scores = {
        name: {example: value for example, row in rows.items() if (value := score_of(row, primary)) is not None}
        for name, rows in by_approach(results).items()
    }
    names, pairs = [], []
    for first, second in combinations(scores, 2):
        common = [example for example in scores[first] if example in scores[second]]
        if not common:
            continue
        mine, other = ([scores[name][example] for example in common] for name in (first, second))
        if sum(mine) < sum(other):
            mine, other, first, second = other, mine, second, first
        names.append((first, second))
        pairs.append(Pair(mine, other, _labels(common, clusters or {})))
    found = paired_differences(pairs)
    adjusted = holm([pair.p for pair in found])
    return [
        Difference(
            *both,
            difference=pair.difference,
            low=pair.low,
            high=pair.high,
            p=pair.p,
            p_adjusted=p,
            n=pair.n,
            detectable=pair.detectable,
            needed=pair.needed,
        )
        for both, pair, p in zip(names, found, adjusted, strict=True)
    ]


def tag_table(
    results: Sequence[Result], examples: Sequence[Example], *, primary: str
) -> list[tuple[str, int, dict[str, Interval]]]:
    """Tag, number of its examples, and the mean of each approach on them; most frequent tags first."""
    tags: dict[str, dict[str, None]] = {}
    for example in examples:
        for tag in example.tags:
            tags.setdefault(tag, {})[example.id] = None
    rows = by_approach(results)
    columns: Columns = {}
    for tag, ids in tags.items():
        for name, own in rows.items():
            values = {one: value for one in ids if one in own and (value := score_of(own[one], primary)) is not None}
            if values:
                columns[tag, name] = values
    means = _means(columns, clusters_of(examples))
    ordered = sorted(tags.items(), key=lambda item: (-len(item[1]), item[0]))
    return [(tag, len(ids), means.get(tag, {})) for tag, ids in ordered]


def score_of(row: Result, metric: str) -> float | None:
    """A row without an answer has no score; one whose judge failed keeps its others."""
    return row.scores.get(metric) if _is_answer(row) else None


def _is_answer(row: Result) -> bool:
    return row.error is None or row.error.kind == "judge"


def _standing(name: str, rows: Sequence[Result], primary: str, metrics: Mapping[str, Interval]) -> Standing:
    answers = list(filter(_is_answer, rows))
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


def _means(columns: Columns, clusters: Clusters) -> dict[str, dict[str, Interval]]:
    """Scores lie between 0 and 1, unless those of a check of one's own do not."""
    values = [
        Values(scores, (min(0.0, *scores), max(1.0, *scores)), _labels(list(column), clusters))
        for column in columns.values()
        for scores in [list(column.values())]
    ]
    found: dict[str, dict[str, Interval]] = {}
    for (first, second), interval in zip(columns, bootstrap_means(values), strict=True):
        found.setdefault(first, {})[second] = interval
    return found
