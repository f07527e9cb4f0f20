"""Ask the examples in random order, and drop an approach once it is measurably behind. Knows no model and no file.

After each batch all pairs are compared by tests that hold at every moment (stats/anytime.py), adjusted over all pairs
by Holm: whatever the number of looks, the probability that any approach is found behind one that is not better is 5% at
most. Who is dropped follows from the rows alone, so an interrupted run goes through its batches again and comes to the
same point without asking anything twice.
"""

import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from groundtune.common.support import is_cited
from groundtune.decide.rules import ALPHA, MAX_ERRORS, MIN_CITED, Requirements, unmet_requirements
from groundtune.decide.verdict import FEW_EXAMPLES
from groundtune.measure.approach_summaries import Clusters, approach_summaries, differences, group_by_approach
from groundtune.measure.metric_names import ASSERTED_WRONG as WRONG
from groundtune.measure.trainings import pool_trainings
from groundtune.stats.anytime import anytime_means
from groundtune.stats.intervals import Sample
from groundtune.types import Example, Result
from groundtune.workflows.stopping import SEED, Dropped, Stopping

FEWEST = 20
"""Examples of a batch, at least: fewer decide nothing among several approaches."""
GROWTH = 0.05
"""Examples of a batch, at least, as a share of those asked before it: later looks need not be as dense."""
CELLS_PER_WORKER = 8
"""Questions of a batch, at least, for each concurrent worker: at the end of a batch all wait for the last answer."""

Ask = Callable[[Sequence[str], Sequence[Example]], Awaitable[Sequence[Result]]]
"""Asks approaches, by name, all of these examples that they were not asked yet; returns all their rows."""


@dataclass(frozen=True, slots=True)
class Race:
    """What decides who is behind."""

    primary: str
    """Score that decides."""
    requirements: Requirements = field(default_factory=Requirements)
    further: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Approach to the names of its trainings with other seeds, which are measured as the same approach."""
    clusters: Clusters = field(default_factory=dict)
    """Cluster by example id. Whole clusters are drawn, because they are the units of the tests."""


async def ask_until_decided(
    ask: Ask,
    names: Sequence[str],
    examples: Sequence[Example],
    race: Race,
    *,
    concurrency: int = 1,
    record: Callable[[Stopping], None] = lambda _: None,
) -> None:
    """Ask batch after batch until at most one approach is left or all examples are used.

    names: approaches, and their trainings with other seeds. concurrency: of the approach that is asked most at a time.
    record: called before the first batch and after each. Raises what `ask` raises.
    """
    waiting = random_units(examples, race.clusters)
    asked: list[Example] = []
    rows: dict[tuple[str, str], Result] = {}
    trainings = {other for others in race.further.values() for other in others} - race.further.keys()
    contenders = tuple(name for name in names if name not in trainings)
    now = Stopping(len(examples), remaining=contenders)
    record(now)
    while waiting and not now.decided:
        per_worker = math.ceil(CELLS_PER_WORKER * concurrency / len(now.remaining))
        batch, waiting = _take(waiting, max(FEWEST, round(GROWTH * now.asked), per_worker))
        asked += batch
        # All examples so far: what left an approach behind may miss a requirement by now, so that it is asked again.
        for row in await ask(_with_further(now.remaining, race), asked):
            rows[row.approach, row.example] = row
        reasons = reasons_to_drop(list(rows.values()), race)
        earlier = {drop.approach: drop for drop in now.dropped}
        dropped = {
            name: earlier.get(name, Dropped(name, len(asked), *reasons[name])) for name in contenders if name in reasons
        }
        now = Stopping(
            len(examples),
            len(asked),
            tuple(sorted(dropped.values(), key=lambda drop: drop.asked)),
            tuple(name for name in contenders if name not in dropped),
        )
        record(now)


def most_cells(stopping: Stopping, race: Race) -> int:
    """Return how many questions there will be at most, as far as is known by now."""
    each = stopping.asked if stopping.decided else stopping.examples
    dropped = sum(drop.asked * len(_with_further([drop.approach], race)) for drop in stopping.dropped)
    return dropped + each * len(_with_further(stopping.remaining, race))


def random_units(examples: Sequence[Example], clusters: Clusters) -> list[list[Example]]:
    """Return the examples of each cluster, and each example without one, in random order, always the same."""
    units: dict[str, list[Example]] = {}
    for example in sorted(examples, key=lambda example: example.id):
        units.setdefault(clusters.get(example.id, f"example {example.id}"), []).append(example)
    labels = sorted(units)
    random.Random(SEED).shuffle(labels)
    return [units[label] for label in labels]


def reasons_to_drop(rows: Sequence[Result], race: Race) -> dict[str, tuple[str, str | None]]:
    """Map each approach that need not be asked further to the reason, and to the approach that it is behind.

    Only an approach that meets the requirements so far leaves others behind: one that cannot be chosen makes no other
    superfluous.
    """
    pooled, spread = pool_trainings(rows, race.further)
    by_approach = {name: list(column.values()) for name, column in group_by_approach(pooled).items()}
    pairs = differences(pooled, primary=race.primary, clusters=race.clusters, spread=spread, anytime=True)
    summaries = approach_summaries(pooled, primary=race.primary, clusters=race.clusters, spread=spread, anytime=True)
    reasons: dict[str, tuple[str, str | None]] = {}
    means: dict[str, float] = {}
    for summary in summaries:
        own = by_approach[summary.name]
        unmet = dict(unmet_requirements(summary, race.requirements, len(own), race.primary))
        if sure := [reason for key, reason in unmet.items() if _is_sure(key, own, race)]:
            reasons[summary.name] = (f"measurably misses a requirement: {sure[0]}", None)
        elif not unmet and (len(own) >= FEW_EXAMPLES or not _has_gates(race.requirements)):
            means[summary.name] = summary.mean or 0.0
    for pair in sorted(pairs, key=lambda pair: means.get(pair.a, 0.0)):
        if pair.p_adjusted < ALPHA and pair.difference > 0 and pair.a in means:
            reasons[pair.b] = (f"measurably behind {pair.a}", pair.a)
    return reasons


def _has_gates(requirements: Requirements) -> bool:
    """Whether a few rows may meet a requirement by chance."""
    limits = (
        requirements.min_quality,
        requirements.max_asserted_wrong,
        requirements.max_p95_seconds,
        requirements.max_usd_per_1k,
        requirements.max_usd_per_month,
    )
    return requirements.citations or any(limit is not None for limit in limits)


def _is_sure(requirement: str, rows: Sequence[Result], race: Race) -> bool:
    """Whether so many rows fail a requirement that it is no chance, at whatever moment one looks."""
    failing, allowed = _failing(requirement, rows, race)
    if not failing:
        return False
    labels = [race.clusters.get(example, f"example {example}") for example in failing]
    largest = max(Counter(race.clusters.values()).values(), default=1)
    (share,) = anytime_means([Sample(list(map(float, failing.values())), clusters=labels)], largest=largest)
    return share.low > allowed


def _failing(requirement: str, rows: Sequence[Result], race: Race) -> tuple[Mapping[str, float], float]:
    """Return for each example whether its row fails a requirement, where that is known, and the share that may.

    A price misses its limit if half the answers cost more: a few long answers make the mean larger than the median. Of
    a score between 0 and 1, a row fails by what it lacks to 1.
    """
    required = race.requirements
    if requirement == "min_quality" and (least := required.min_quality) is not None:
        scores = {row.example: row.scores[race.primary] for row in rows if race.primary in row.scores}
        are_shares = all(0 <= score <= 1 for score in scores.values())
        return {example: 1 - score for example, score in scores.items() if are_shares}, 1 - least
    answers = [row for row in rows if row.error is None]
    if requirement == "citations":
        cited = {row.example: is_cited(row.citations) for row in answers if row.status == "answered"}
        return {example: not known for example, known in cited.items() if known is not None}, 1 - MIN_CITED
    if requirement == "max_asserted_wrong" and (limit := required.max_asserted_wrong) is not None:
        return {row.example: row.scores[WRONG] > 0 for row in answers if WRONG in row.scores}, limit
    if requirement == "max_p95_seconds" and (limit := required.max_p95_seconds) is not None:
        return {row.example: row.usage.seconds > limit for row in answers if row.usage.seconds is not None}, 0.05
    usd = {row.example: row.usage.usd for row in answers if row.usage.usd is not None}
    if requirement == "max_usd_per_1k" and (limit := required.max_usd_per_1k) is not None:
        return {example: 1000 * price > limit for example, price in usd.items()}, 0.5
    if requirement == "max_usd_per_month" and (limit := required.max_usd_per_month) is not None:
        return {example: price * (required.requests_per_month or 0) > limit for example, price in usd.items()}, 0.5
    return {row.example: row.error is not None for row in rows}, MAX_ERRORS


def _take(units: list[list[Example]], size: int) -> tuple[list[Example], list[list[Example]]]:
    """Return the examples of the first units, at least `size` of them if there are as many, and the other units."""
    batch: list[Example] = []
    for place, unit in enumerate(units):
        if len(batch) >= size:
            return batch, units[place:]
        batch += unit
    return batch, []


def _with_further(names: Sequence[str], race: Race) -> list[str]:
    return list(dict.fromkeys(other for name in names for other in (name, *race.further.get(name, ()))))
