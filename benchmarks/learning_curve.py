"""Claim: the forecast of a learning curve contains what was forecast in at least 95% of simulated curves.

    python benchmarks/learning_curve.py [--curves 60]

Draws scores of the same test examples after trainings on 25, 50 and 100% of the examples from laws that the forecast
fits (a power of the error, a logarithm) and from others (a power towards a ceiling, a curve that flattens suddenly),
with trainings whose true score varies around the law. The truth is the law at 1.5 and 2 times the examples.
"""

import argparse
import math
from collections.abc import Callable, Sequence

import numpy as np

from common import machine, table
from groundtune.stats.learning_curve import forecast

SEED = 17
SIZES = (150, 300, 600)
FACTORS = (1.5, 2.0)
CLAIMED = 0.95
LAWS: dict[str, Callable[[float], float]] = {
    "error falls as a power": lambda n: 1 - 3 * n**-0.4,
    "score grows with the logarithm": lambda n: 0.05 + 0.1 * math.log(n),
    "power towards a ceiling of 85%": lambda n: 0.85 - 4 * n**-0.55,
    "flat from 300 examples on": lambda n: 0.4 + 0.06 * math.log(min(n, 300)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=int, default=60)
    curves = parser.parse_args().curves
    print(machine(), flush=True)
    rows = [("law", "test examples", "spread of trainings", "contained at 1.5", "at 2", "median width at 2", "claim")]
    for law, truth in LAWS.items():
        for n, spread in ((250, 0.0), (250, 0.02)):
            rows.append((law, f"{n:,}", f"{spread:.2f}", *measure(truth, n, spread, curves)))
    table(rows)


def measure(truth: Callable[[float], float], n: int, spread: float, curves: int) -> Sequence[str]:
    rng = np.random.default_rng(SEED)
    contained, widths = np.zeros(len(FACTORS)), []
    numbers = [round(factor * SIZES[-1]) for factor in FACTORS]
    for seed in range(curves):
        hard = rng.random(n)
        levels = [truth(size) + spread * rng.standard_normal() for size in SIZES]
        shared = rng.random(n) < 0.5  # half of the examples are right or wrong whatever the training
        columns = [(np.where(shared, hard, rng.random(n)) < level).astype(float).tolist() for level in levels]
        found = forecast(SIZES, columns, numbers, seed=seed)
        if isinstance(found, str):  # nothing was said, so nothing was wrong
            contained += 1
            continue
        contained += [row.score.low <= truth(row.examples) <= row.score.high for row in found]
        widths.append(found[-1].score.high - found[-1].score.low)
    shares = contained / curves
    return (*(f"{share:.1%}" for share in shares), f"{np.median(widths):.3f}", _claim(shares.min(), curves))


def _claim(share: float, curves: int) -> str:
    room = 2 * math.sqrt(CLAIMED * (1 - CLAIMED) / curves)
    return "PASS" if share >= CLAIMED - room else "FAIL"


if __name__ == "__main__":
    main()
