"""Claim: however often somebody looks at `groundtune live`, two equal approaches are told apart in at most 5% of paths,
and its intervals hold the true difference at every look in at least 95%.

    python benchmarks/live.py [--paths 400]

Simulates what people decide, judgement by judgement, up to N, and looks after every STEP of them as the command does,
with the package's own tests. A shadow: pairs of decisions, half of them on questions that are equally hard for both. A
split: one thumb of each caller, who is drawn to the second approach with the given share. Also reports how many
judgements it takes where one approach is better, beside what the command foretells after 100 ("about N more"). Every
share has its Monte Carlo error (one standard error).
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common import machine, table
from groundtune.stats.anytime import (
    GroupDifference,
    anytime_differences,
    anytime_group_difference,
    anytime_group_p,
    anytime_p,
)
from groundtune.stats.intervals import UnitSums
from groundtune.stats.significance import PairedDifference, PairedSample

SEED = 17
N = 1_000
"""Pairs, or ratings of both sides."""
STEP = 25
ALPHA = 0.05
COVERED = 100
"""Paths on which the interval is computed at every look of LOOKS too: it takes longer than the test."""
LOOKS = (20, 50, 100, 200, 400, 700, 1_000)

Values = NDArray[np.float64]
Path = tuple[Values, Values]
"""Values of the choice and of the second approach; NaN for the side that a judgement is not of."""


@dataclass(frozen=True)
class Case:
    kind: str
    rates: tuple[float, float]
    """Shares of good answers of the choice and of the second approach."""
    share: float = 1.0

    @property
    def name(self) -> str:
        share = f", {self.share:.0%} to the second" if self.kind == "split" else ""
        return f"{self.kind}: {self.rates[0]:.0%} and {self.rates[1]:.0%}{share}"


CASES = (
    *(Case("shadow", (rate, rate)) for rate in (0.5, 0.7, 0.95)),
    *(Case("split", (rate, rate), share) for rate in (0.7, 0.95) for share in (0.1, 0.5)),
    Case("shadow", (0.6, 0.7)),
    Case("shadow", (0.6, 0.8)),
    Case("split", (0.6, 0.8), 0.1),
    Case("split", (0.6, 0.8), 0.5),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", type=int, default=400)
    paths, start = parser.parse_args().paths, time.perf_counter()
    print(machine(), flush=True)
    rows, failed = [("truth", "paths", "told apart", "wrongly", "interval misses", "judgements", "foretold")], False
    for case in CASES:
        row, holds = measure(case, paths)
        rows.append(row)
        failed |= not holds
        print(*row, flush=True)
    print()
    table(rows)
    print(f"\n{'FAIL' if failed else 'PASS'}; N {N:,}, a look every {STEP}, {time.perf_counter() - start:.0f} s")


def measure(case: Case, paths: int) -> tuple[tuple[str, ...], bool]:
    rng = np.random.default_rng(SEED)
    decided, wrong, missed, needed, foretold = [], [], [], [], []
    for number in range(paths):
        path = _shadow(rng, case) if case.kind == "shadow" else _split(rng, case)
        at = next((n for n in range(STEP, N + 1, STEP) if _p(case, path, n) < ALPHA), None)
        decided.append(at is not None)
        wrong.append(at is not None and _is_wrong(case, path, at))
        needed += [at] if at is not None else []
        if number < COVERED:
            missed.append(not all(_holds(case, path, n) for n in LOOKS))
            foretold += [found] if (found := _needed(case, path, 100)) else []
    equal = case.rates[0] == case.rates[1]
    row = (
        case.name,
        f"{paths:,}",
        _share(decided),
        _share(wrong),
        f"{_share(missed)} of {len(missed)}",
        "–" if equal or not needed else f"{np.median(needed):,.0f}",
        "–" if equal or not foretold else f"{np.median(foretold):,.0f}",
    )
    return row, bool(np.mean(wrong) <= ALPHA and np.mean(missed) <= ALPHA)


def _shadow(rng: np.random.Generator, case: Case) -> Path:
    """Half of the questions are equally hard for both approaches: what one gets right, the better one does too."""
    draws = rng.random((2, N))
    draws[1] = np.where(rng.random(N) < 0.5, draws[0], draws[1])
    choice, second = ((draw < rate).astype(float) for draw, rate in zip(draws, case.rates, strict=True))
    return choice, second


def _split(rng: np.random.Generator, case: Case) -> Path:
    is_second = rng.random(N) < case.share
    good = rng.random(N) < np.where(is_second, case.rates[1], case.rates[0])
    return np.where(is_second, np.nan, good), np.where(is_second, good, np.nan)


def _known(values: Values, n: int) -> list[float]:
    known = values[:n]
    return list(known[~np.isnan(known)].tolist())


def _p(case: Case, path: Path, n: int) -> float:
    choice, second = path
    if case.kind == "shadow":
        apart = second[:n] - choice[:n]
        return anytime_p(UnitSums(apart, np.ones(n), bounds=(-1.0, 1.0)))
    sides = _known(second, n), _known(choice, n)
    return anytime_group_p(*sides) if all(sides) else 1.0


def _is_wrong(case: Case, path: Path, n: int) -> bool:
    """Whether what is measurable is not so."""
    choice, second = (np.mean(_known(values, n)) for values in path)
    return bool((second > choice) != (case.rates[1] > case.rates[0]) or case.rates[0] == case.rates[1])


def _holds(case: Case, path: Path, n: int) -> bool:
    found, truth = _difference(case, path, n), case.rates[1] - case.rates[0]
    return found is None or found.low <= truth <= found.high


def _needed(case: Case, path: Path, n: int) -> int | None:
    found = _difference(case, path, n)
    return found.needed if found else None


def _difference(case: Case, path: Path, n: int) -> PairedDifference | GroupDifference | None:
    choice, second = _known(path[0], n), _known(path[1], n)
    if not choice or not second:
        return None
    if case.kind == "shadow":
        return anytime_differences([PairedSample(second, choice)])[0]
    return anytime_group_difference(second, choice)


def _share(values: list[bool]) -> str:
    share = float(np.mean(values))
    return f"{share:.1%} ± {(share * (1 - share) / len(values)) ** 0.5:.1%}"


if __name__ == "__main__":
    main()
