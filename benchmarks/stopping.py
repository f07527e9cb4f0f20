"""Claim: `compare --until-decided` asks at most 40% of the full matrix where one of 6 approaches is 15 points ahead
(n = 1,000). In at most 5% of runs an approach is dropped behind one that is not better, which a winner among equals
requires.

    python benchmarks/stopping.py [--matrices 400] [--groups]

Simulates matrices of 0 and 1 with a known truth and goes through them as the command does: the same batches, the
package's own anytime-valid test, Holm over all pairs. Correlated means that half of the examples are equally hard for
all approaches. In groups means that ten examples at a time belong together, whose answers correlate: 100 and 1,000 such
groups (a quarter as many matrices of the latter). For the price of looking, the last column says how often the test for
a fixed n finds the winner on the full matrix. Every share has its Monte Carlo error (one standard error).
"""

import argparse
import itertools
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from common import machine, table
from groundtune.stats.anytime import anytime_differences, anytime_p
from groundtune.stats.intervals import UnitSums
from groundtune.stats.significance import PairedSample, exact_mcnemar, holm
from groundtune.workflows.until_decided import FEWEST, GROWTH

SEED = 13
N = 1000
MOST_CALLS = 0.40
MOST_FALSE = 0.05
PER_CLUSTER = 10
WITHIN = 0.3
"""Correlation of the answers to two examples of one cluster."""
RATES: dict[str, tuple[float, ...]] = {
    "85% and five at 70%": (0.85, *[0.7] * 5),
    "65% and five at 50%": (0.65, *[0.5] * 5),
    "95% and five at 80%": (0.95, *[0.8] * 5),
    "85, 82, 79, 76, 73, 70%": (0.85, 0.82, 0.79, 0.76, 0.73, 0.70),
    "three at 85%, three at 70%": (*[0.85] * 3, *[0.7] * 3),
    "85% and 80%": (0.85, 0.80),
    "six at 80%": (0.8,) * 6,
    "two at 80%": (0.8,) * 2,
}
GROUPED = ("85% and five at 70%", "85% and 80%", "six at 80%", "two at 80%")
"""Those that are simulated with examples in groups too."""
GROUPS = (100, 1_000)

Scores = NDArray[np.float64]
"""Scores, shape (approaches, examples)."""


@dataclass(frozen=True)
class Outcome:
    calls: float
    """Share of the full matrix."""
    winner: int | None
    false_drop: bool
    """Whether any approach was dropped behind one that is truly not better."""
    fixed_winner: int | None
    """The approach that is measurably better than all others on the full matrix, with the test for a fixed n."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrices", type=int, default=400)
    parser.add_argument("--groups", action="store_true", help="only examples in groups")
    options, start = parser.parse_args(), time.perf_counter()
    matrices: int = options.matrices
    print(machine(), flush=True)
    rows, failed = [("truth", "matrices", "calls", "decided", "wrong", "false drop", "fixed n finds", "claim")], False
    for how, groups, (what, rates) in itertools.product(("independent", "correlated"), (None, *GROUPS), RATES.items()):
        if groups is None and options.groups:
            continue
        if groups and (how == "correlated" or what not in GROUPED):
            continue
        count = matrices // 4 if groups == max(GROUPS) else matrices
        outcomes = list(simulate(rates, how, groups, count))
        row, holds = describe(rates, outcomes, clustered=groups is not None)
        rows.append((f"{what}, {f'{groups:,} groups' if groups else how}", f"{count:,}", *row))
        failed |= not holds
        print(*rows[-1], flush=True)
    print()
    table(rows)
    print(f"\n{'FAIL' if failed else 'PASS'}; {matrices} matrices a row, {time.perf_counter() - start:.0f} s")


def simulate(rates: Sequence[float], how: str, groups: int | None, matrices: int) -> Iterator[Outcome]:
    """groups: of examples; None: the N examples are independent of each other."""
    rng = np.random.default_rng(SEED)
    for _ in range(matrices):
        scores = _clustered(rng, rates, groups) if groups else _right(rng, rates, how)
        yield race(scores, rates, clustered=groups is not None)


def describe(rates: Sequence[float], outcomes: Sequence[Outcome], *, clustered: bool) -> tuple[tuple[str, ...], bool]:
    best = [place for place, rate in enumerate(rates) if rate == max(rates)]
    equal = len(best) == len(rates)
    calls = float(np.mean([outcome.calls for outcome in outcomes]))
    decided = [outcome.winner is not None for outcome in outcomes]
    wrong = [outcome.winner is not None and (len(best) > 1 or outcome.winner not in best) for outcome in outcomes]
    dropped = [outcome.false_drop for outcome in outcomes]
    fixed = [outcome.fixed_winner is not None for outcome in outcomes]
    ahead = not clustered and len(rates) == 6 and len(best) == 1 and max(rates) - sorted(rates)[-2] > 0.14
    holds = max(np.mean(wrong), np.mean(dropped)) <= MOST_FALSE and (not ahead or calls <= MOST_CALLS)
    claim = "calls" if ahead else "winner" if equal else "drop"
    shares = [_share(decided), _share(wrong), _share(dropped), "–" if clustered else _share(fixed)]
    return (f"{calls:.0%}", *shares, f"{claim}: {'PASS' if holds else 'FAIL'}"), bool(holds)


def race(scores: Scores, rates: Sequence[float], *, clustered: bool) -> Outcome:
    """Go through one matrix as the command does."""
    remaining, asked = list(range(len(scores))), dict.fromkeys(range(len(scores)), 0)
    pairs, n, false_drop = list(itertools.combinations(range(len(scores)), 2)), 0, False
    while n < scores.shape[1] and len(remaining) > 1:
        n = min(scores.shape[1], n + max(FEWEST, round(GROWTH * n)))
        n = min(scores.shape[1], -(-n // PER_CLUSTER) * PER_CLUSTER) if clustered else n
        asked |= dict.fromkeys(remaining, n)
        p, signs = [], []
        for a, b in pairs:
            apart = scores[a, : min(asked[a], asked[b])] - scores[b, : min(asked[a], asked[b])]
            signs.append(float(apart.sum()))
            p.append(_p_of_clusters(apart) if clustered else _p_of_counts(*_counts(apart)))
        for (a, b), adjusted, sign in zip(pairs, holm(p), signs, strict=True):
            better, worse = (a, b) if sign > 0 else (b, a)
            if adjusted < 0.05 and sign and worse in remaining:
                remaining.remove(worse)
                false_drop |= rates[better] <= rates[worse]
    calls = sum(asked.values()) / scores.size
    return Outcome(calls, remaining[0] if len(remaining) == 1 else None, false_drop, _fixed_winner(scores, pairs))


def _fixed_winner(scores: Scores, pairs: Sequence[tuple[int, int]]) -> int | None:
    p = [exact_mcnemar(*_counts(scores[a] - scores[b])[:2]) for a, b in pairs]
    beaten = {
        pair: scores[pair[0]].sum() > scores[pair[1]].sum()
        for pair, adjusted in zip(pairs, holm(p), strict=True)
        if adjusted < 0.05
    }
    wins = Counter(a if first else b for (a, b), first in beaten.items())
    return next((place for place, count in wins.items() if count == len(scores) - 1), None)


def _counts(apart: Scores) -> tuple[int, int, int]:
    return int((apart > 0).sum()), int((apart < 0).sum()), apart.size


@cache
def _p_of_counts(wins: int, losses: int, n: int) -> float:
    """Return the p-value; 1 for differences of under two standard errors, which never pass for a limit at all times."""
    if (wins - losses) ** 2 < 4 * (wins + losses):
        return 1.0
    same = [0.0] * (n - wins - losses)
    pair = PairedSample([1.0] * wins + [0.0] * losses + same, [0.0] * wins + [1.0] * losses + same)
    return anytime_differences([pair])[0].p


def _p_of_clusters(apart: Scores) -> float:
    sums = apart.reshape(-1, PER_CLUSTER).sum(axis=1)
    if sums.sum() ** 2 < 4 * (sums**2).sum():
        return 1.0
    units = UnitSums(sums, np.full(sums.size, float(PER_CLUSTER)), bounds=(-1.0, 1.0))
    return anytime_p(units, largest=PER_CLUSTER)


def _right(rng: np.random.Generator, rates: Sequence[float], how: str) -> Scores:
    shared, separate = rng.random(N), rng.random((len(rates), N))
    hard = np.where(rng.random(N) < (0.5 if how == "correlated" else 0.0), shared, separate)
    return (hard < np.asarray(rates)[:, None]).astype(np.float64)


def _clustered(rng: np.random.Generator, rates: Sequence[float], groups: int) -> Scores:
    weight, n = (1 - WITHIN) / WITHIN, groups * PER_CLUSTER
    of_group = [rng.beta(rate * weight, (1 - rate) * weight, size=groups) for rate in rates]
    return (rng.random((len(rates), n)) < np.repeat(of_group, PER_CLUSTER, axis=1)).astype(np.float64)


def _share(outcomes: Sequence[bool]) -> str:
    share = float(np.mean(outcomes))
    error = math.sqrt(max(share * (1 - share), 1 / len(outcomes)) / len(outcomes))
    return f"{share:.1%} ± {error:.1%}"


if __name__ == "__main__":
    main()
