"""Claim: a verdict is rarely wrong. Equal approaches get a winner in at most 5% of comparisons, a cheaper or simpler
approach that is 10 points worse is chosen in at most 5%, and 95% intervals cover the truth in 93% to 97%.

    python benchmarks/verdict.py [--matrices 2000]

Simulates matrices of 0 and 1 (in some parts of fractions) with a known truth, and runs the package's own intervals,
tests and rules on them. Correlated means that a share of the examples is equally hard for both approaches. Coverage for
independent scores of 0 and 1 uses ten times as many matrices, since only the counts matter there and equal counts are
computed once. How often a true difference is found is reported, not claimed. Every figure has its Monte Carlo error
(one standard error). A claim must hold for the figure itself; only for clustered examples, where the chance of a false
claim is exactly 5% by construction, may the figure exceed the limit by two errors.
"""

import argparse
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from common import machine, table
from groundtune.decide.rules import Requirements, case_of
from groundtune.decide.verdict import decide
from groundtune.stats.intervals import bootstrap_mean
from groundtune.stats.significance import PairedDifference, holm, paired_difference
from groundtune.types import ApproachSummary, Difference, Interval, Verdict

SEED = 11
SIZES = (100, 300, 1000)
RATES = (0.6, 0.7, 0.8, 0.9, 0.95)
RESAMPLES = 2_000
"""Fewer than the package's 10,000, to save time; coverage hardly changes."""
SIMPLE = ("prompt", "fewshot", "rag", "tuned", "hybrid")
"""Approaches, the simplest first."""
PER_CLUSTER = 10
WITHIN = 0.3
"""Correlation of the answers to two examples of one cluster."""

Scores = NDArray[np.float64]
"""Scores, shape (approaches, examples)."""


@dataclass(frozen=True)
class Row:
    what: str
    n: int
    share: float
    matrices: int
    seconds: float
    low: float | None = None
    high: float | None = None
    slack: bool = False
    claim: str = ""

    @property
    def error(self) -> float:
        return math.sqrt(max(self.share * (1 - self.share), 1 / self.matrices) / self.matrices)

    @property
    def holds(self) -> bool:
        room = 2 * self.error if self.slack else 0.0
        above = self.low is None or self.share >= self.low - room
        return above and (self.high is None or self.share <= self.high + room)

    def cells(self) -> tuple[str, ...]:
        outcome = ("PASS" if self.holds else "FAIL") if self.claim else ""
        figures = (
            f"{100 * self.share:.1f}%",
            f"± {100 * self.error:.1f}",
            f"{self.matrices:,}",
            f"{self.seconds:.1f}",
        )
        return self.what, f"{self.n:,}", *figures, outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrices", type=int, default=2000)
    matrices = parser.parse_args().matrices
    start = time.perf_counter()
    print(machine(), flush=True)
    everything: list[Row] = []
    for title, part in PARTS.items():
        rows = list(part(matrices))
        print(f"\n{title}\n")
        head = ("", "n", "share", "error", "matrices", "seconds", "claim")
        table([head, *(row.cells() for row in rows)])
        everything += rows
    print(f"\ntotal: {time.perf_counter() - start:.0f} s\n")
    for claim in dict.fromkeys(row.claim for row in everything if row.claim):
        claim_rows = [row for row in everything if row.claim == claim]
        missed = [f"{row.what}, n = {row.n}: {100 * row.share:.1f}%" for row in claim_rows if not row.holds]
        shares = (
            f"{100 * min(row.share for row in claim_rows):.1f}% to {100 * max(row.share for row in claim_rows):.1f}%"
        )
        print(
            f"{'FAIL' if missed else 'PASS'}  {claim}: {shares} in {len(claim_rows)} rows"
            + "".join(f"\n      {m}" for m in missed)
        )


def false_claims(matrices: int) -> Iterator[Row]:
    claim = "a winner among equal approaches in at most 5%"
    parted = "one of five equal approaches measurably worse than the best in at most 5%"
    for approaches, price in ((2, None), (2, 1.0), (5, None)):
        for together, n in itertools.product((0.0, 0.5), SIZES):
            priced = ", same known price" if price else ""
            what = f"{approaches} equal at 80%, {_how(together)}{priced}"
            rates, prices = [0.8] * approaches, [price] * approaches
            yield _claimed(what, n, matrices, rates, prices, together, _has_winner, claim)
            if approaches > 2:
                yield _claimed(f"{what}: any measurably worse", n, matrices, rates, prices, together, _parts, parted)


def cheap(matrices: int) -> Iterator[Row]:
    claim = "the cheaper approach, truly 10 points worse, chosen in at most 5%"
    for worse in (0.0, 0.05, 0.1):
        for together, n in itertools.product((0.0, 0.5), SIZES):
            what = f"a ninth of the price, {100 * worse:.0f} points worse, {_how(together)}: chosen"
            rates, prices = [0.85, 0.85 - worse], [9.0, 1.0]
            row_claim = claim if worse == 0.1 else ""
            yield _claimed(what, n, matrices, rates, prices, together, partial(_chooses, "1"), row_claim)


def simple(matrices: int) -> Iterator[Row]:
    """Report approaches that the order of simplicity knows; the other parts use names that it does not know."""
    claim = "the simplest approach, truly 10 points worse, chosen in at most 5%"
    combined = "a combination chosen over equal parts in at most 5%"
    for worse in (0.0, 0.05, 0.1):
        for names, (together, n) in itertools.product((SIMPLE[-2:], SIMPLE), itertools.product((0.0, 0.5), SIZES)):
            what = f"{len(names)} approaches, the simplest {100 * worse:.0f} points worse, {_how(together)}: chosen"
            rates, prices = [0.85 - worse] + [0.85] * (len(names) - 1), [None] * len(names)
            row_claim = claim if worse == 0.1 else ""
            chosen = partial(_chooses, names[0])
            yield _claimed(what, n, matrices, rates, prices, together, chosen, row_claim, names)
    for together, n in itertools.product((0.0, 0.5), SIZES):
        what = f"{' and '.join(SIMPLE[-3:])} equal at 80%, {_how(together)}: {SIMPLE[-1]} chosen"
        rates, prices, chosen = [0.8] * 3, [None] * 3, partial(_chooses, SIMPLE[-1])
        yield _claimed(what, n, matrices, rates, prices, together, chosen, combined, SIMPLE[-3:])


def power(matrices: int) -> Iterator[Row]:
    claim = "the worse approach chosen in at most 5%"
    for better in (0.05, 0.1):
        for together, n in itertools.product((0.0, 0.5), SIZES):
            what = f"{100 * better:.0f} points apart at 80%, {_how(together)}"
            rates = [0.8 + better / 2, 0.8 - better / 2]
            for name, outcome, row_claim in (("0", "right", ""), ("1", "wrong", claim)):
                right = partial(_chooses, name)
                yield _claimed(f"{what}: {outcome}", n, matrices, rates, [None, None], together, right, row_claim)


def coverage_of_means(matrices: int) -> Iterator[Row]:
    claim = "intervals of means cover the truth in 93% to 97%"
    for rate, n in itertools.product(RATES, SIZES):
        start, rng = time.perf_counter(), np.random.default_rng(SEED)
        rights = rng.binomial(n, rate, size=10 * matrices)
        coverage = _share(_covers(_mean_of_counts(int(right), n), rate) for right in rights)
        yield _covered(f"0/1, {100 * rate:.0f}%", n, coverage, 10 * matrices, start, claim)
    for n in SIZES[:2]:
        start, rng = time.perf_counter(), np.random.default_rng(SEED)
        truth = float(_fractions(rng, 2, 1_000_000)[0].mean())
        intervals = (bootstrap_mean(_fractions(rng, 2, n)[0].tolist(), resamples=RESAMPLES) for _ in range(matrices))
        yield _covered(
            "fractions (F1-like)", n, _share(_covers(interval, truth) for interval in intervals), matrices, start, claim
        )


def coverage_of_differences(matrices: int) -> Iterator[Row]:
    claim = "intervals of differences cover the truth in 93% to 97%"
    for rate, gap, together, n in itertools.product(RATES, (0.0, 0.05, 0.1), (0.0, 0.5, 0.7), SIZES):
        start, rng = time.perf_counter(), np.random.default_rng(SEED)
        both = together * (rate - gap) + (1 - together) * rate * (rate - gap)
        shares = (rate - both, rate - gap - both, 1 - 2 * rate + gap + 2 * both)
        counts = rng.multinomial(n, shares, size=10 * matrices)
        coverage = _share(_covers(_pair_of_counts(int(wins), int(losses), n), gap) for wins, losses, _ in counts)
        what = f"0/1, {100 * rate:.0f} and {100 * (rate - gap):.0f}%, {_how(together)}"
        yield _covered(what, n, coverage, 10 * matrices, start, claim)
    for n in SIZES[:2]:
        start, rng = time.perf_counter(), np.random.default_rng(SEED)
        pairs = []
        for _ in range(matrices):
            first, second = _fractions(rng, 2, n)
            pairs.append(paired_difference(first.tolist(), second.tolist(), resamples=RESAMPLES))
        yield _covered(
            "fractions (F1-like), equal", n, _share(_covers(pair, 0.0) for pair in pairs), matrices, start, claim
        )


def clustered(matrices: int) -> Iterator[Row]:
    """Report clustered examples; with ten clusters, or mostly all-right clusters, no claim is made."""
    covered = "clustered intervals at 80% cover the truth in 93% to 97% from 30 clusters on"
    refused = "a difference between equal approaches, clustered, in at most 5%"
    for rate, n, counted in itertools.product((0.8, 0.95), SIZES, (True, False)):
        groups = n // PER_CLUSTER
        labels = [place // PER_CLUSTER for place in range(n)] if counted else None
        start, rng, means, gaps, claims = time.perf_counter(), np.random.default_rng(SEED), 0, 0, 0
        for _ in range(matrices):
            first, second = (_in_clusters(rng, rate, groups).tolist() for _ in range(2))
            means += _covers(bootstrap_mean(first, clusters=labels), rate)
            pair = paired_difference(first, second, clusters=labels, resamples=RESAMPLES)
            gaps += _covers(pair, 0.0)
            claims += pair.p < 0.05
        how = f"{100 * rate:.0f}%, {groups} clusters {'counted' if counted else 'ignored'}"
        row_claim = covered if counted and groups >= 30 and rate == 0.8 else ""
        yield _covered(f"{how}: mean", n, means / matrices, matrices, start, row_claim)
        yield _covered(f"{how}: difference", n, gaps / matrices, matrices, start, row_claim)
        seconds = time.perf_counter() - start
        limit = refused if counted else ""
        yield Row(f"{how}: p < 0.05", n, claims / matrices, matrices, seconds, high=0.05, slack=True, claim=limit)


PARTS: dict[str, Callable[[int], Iterator[Row]]] = {
    "Equal approaches: how often there is a winner": false_claims,
    "A cheaper approach: how often it is chosen": cheap,
    "A simpler approach, prices unknown: how often it is chosen": simple,
    "A true difference, prices unknown: how often it is found": power,
    "Coverage of the 95% intervals of means": coverage_of_means,
    "Coverage of the 95% intervals of differences": coverage_of_differences,
    f"Two equal approaches, examples in clusters of {PER_CLUSTER} (correlation within a cluster {WITHIN})": clustered,
}


def _claimed(
    what: str,
    n: int,
    matrices: int,
    rates: Sequence[float],
    prices: Sequence[float | None],
    together: float,
    predicate: Callable[[Verdict], bool],
    claim: str,
    names: Sequence[str] = "01234",
) -> Row:
    start, rng = time.perf_counter(), np.random.default_rng(SEED)
    share = _share(predicate(_verdict(_right(rng, rates, together, n), prices, names)) for _ in range(matrices))
    return Row(what, n, share, matrices, time.perf_counter() - start, high=0.05, claim=claim)


def _covered(what: str, n: int, share: float, matrices: int, start: float, claim: str) -> Row:
    return Row(what, n, share, matrices, time.perf_counter() - start, low=0.93, high=0.97, claim=claim)


def _verdict(scores: Scores, prices: Sequence[float | None], names: Sequence[str]) -> Verdict:
    n = scores.shape[1]
    summaries = []
    for number, row in enumerate(scores):
        mean = _mean_of_counts(int(row.sum()), n)
        figures = {"usd_per_1k": prices[number], "p50_seconds": 1.0, "p95_seconds": 2.0, "cited": 1.0}
        summaries.append(ApproachSummary(names[number], n, mean.mean, mean.low, mean.high, n, 0, 0, **figures))
    pairs = []
    for first, second in itertools.combinations(range(len(scores)), 2):
        apart = scores[first] - scores[second]
        pairs.append((names[first], names[second], _pair_of_counts(int((apart > 0).sum()), int((apart < 0).sum()), n)))
    adjusted = holm([pair.p for *_, pair in pairs])
    differences = [
        Difference(a, b, pair.difference, pair.low, pair.high, pair.p, p, pair.n, pair.detectable, pair.needed)
        for (a, b, pair), p in zip(pairs, adjusted, strict=True)
    ]
    return decide(case_of(summaries, differences, Requirements(), primary="correct", examples=n))


@cache
def _mean_of_counts(right: int, n: int) -> Interval:
    return bootstrap_mean([1.0] * right + [0.0] * (n - right))


@cache
def _pair_of_counts(wins: int, losses: int, n: int) -> PairedDifference:
    same = [0.0] * (n - wins - losses)
    return paired_difference([1.0] * wins + [0.0] * losses + same, [0.0] * wins + [1.0] * losses + same)


def _right(rng: np.random.Generator, rates: Sequence[float], together: float, n: int) -> Scores:
    """Draw scores; with probability `together` an example is equally hard for all approaches, else independently."""
    shared, separate = rng.random(n), rng.random((len(rates), n))
    hard = np.where(rng.random(n) < together, shared, separate)
    return (hard < np.asarray(rates)[:, None]).astype(np.float64)


def _fractions(rng: np.random.Generator, approaches: int, n: int) -> Scores:
    """Draw fractional scores: 60% are 1, 15% are 0, the rest between; a third of the examples are equally hard."""
    shared, separate = rng.random(n), rng.random((approaches, n))
    at = np.where(rng.random(n) < 1 / 3, shared, separate)
    return np.where(at < 0.6, 1.0, np.where(at < 0.75, 0.0, rng.random((approaches, n))))


def _in_clusters(rng: np.random.Generator, rate: float, groups: int) -> NDArray[np.float64]:
    weight = (1 - WITHIN) / WITHIN
    of_group = np.repeat(rng.beta(rate * weight, (1 - rate) * weight, size=groups), PER_CLUSTER)
    return (rng.random(groups * PER_CLUSTER) < of_group).astype(np.float64)


def _covers(interval: Interval | PairedDifference, truth: float) -> bool:
    return interval.low - 1e-12 <= truth <= interval.high + 1e-12


def _has_winner(verdict: Verdict) -> bool:
    return verdict.choice is not None


def _parts(verdict: Verdict) -> bool:
    return len(verdict.leaders) < 5


def _chooses(name: str, verdict: Verdict) -> bool:
    return verdict.choice == name


def _share(outcomes: Iterator[bool]) -> float:
    return float(np.mean(list(outcomes)))


def _how(together: float) -> str:
    return f"correlated {together:g}" if together else "independent"


if __name__ == "__main__":
    main()
