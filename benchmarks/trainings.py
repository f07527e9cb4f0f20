"""How often intervals of a trained approach contain its mean score over all seeds and examples, by simulation.

    python benchmarks/trainings.py

A training with seed s answers example i correctly with probability expit(a + e_i + u_s): examples differ in difficulty,
trainings in their luck. One training is compared with three whose spread enters the interval; in the test of a
difference the other approach is no better over all seeds.
"""

import numpy as np

from groundtune.measure.trainings import TrainingSpread
from groundtune.stats.intervals import bootstrap_mean
from groundtune.stats.significance import paired_difference
from groundtune.stats.trainings import widened_difference, widened_interval

RUNS = 1000
RESAMPLES = 1000
LEVEL = 1.5
"""Log-odds of a right answer to an example of middling difficulty."""
DIFFICULTY = 1.5
"""Standard deviation of the log-odds between examples."""


def main() -> None:
    rows = [measure(n, spread) for n in (60, 200, 600) for spread in (0.0, 0.15, 0.4)]
    for row in rows:
        print(
            "  ".join(
                f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
            )
        )


def measure(n: int, spread: float) -> dict[str, float | int]:
    """Return coverage and false positives. spread: standard deviation of the log-odds between trainings."""
    rng = np.random.default_rng(n + int(1000 * spread))
    log_odds = LEVEL + DIFFICULTY * rng.standard_normal(400_000) + spread * rng.standard_normal(400_000)
    truth = float(_share(log_odds).mean())
    between = float(
        np.std(
            [
                _share(LEVEL + DIFFICULTY * rng.standard_normal(20_000) + u).mean()
                for u in spread * rng.standard_normal(200)
            ]
        )
    )
    hits, alarms = np.zeros(2), np.zeros(2)
    for _ in range(RUNS):
        difficulty = LEVEL + DIFFICULTY * rng.standard_normal(n)
        scores = _answers(rng, difficulty, spread * rng.standard_normal(3))
        other = (rng.random(n) < _share(difficulty + spread * rng.standard_normal(n))).astype(float)
        examples = [str(number) for number in range(n)]
        by_example = dict(zip(examples, scores.T.tolist(), strict=True))
        reach = TrainingSpread({("tuned", "correct"): by_example}).reach("tuned", "correct")
        pooled = scores.mean(axis=0).tolist()
        one = bootstrap_mean(scores[0].tolist(), resamples=RESAMPLES)
        three = widened_interval(bootstrap_mean(pooled, resamples=RESAMPLES), reach, bounds=(0, 1))
        hits += [interval.low <= truth <= interval.high for interval in (one, three)]
        pair = paired_difference(scores[0].tolist(), other.tolist(), resamples=RESAMPLES)
        pairs = widened_difference(
            paired_difference(pooled, other.tolist(), resamples=RESAMPLES), reach, bounds=(-1, 1)
        )
        alarms += [pair.p < 0.05, pairs.p < 0.05]
    return {
        "n": n,
        "sd_between_trainings": round(between, 3),
        "covered_by_one": float(hits[0]) / RUNS,
        "covered_by_three": float(hits[1]) / RUNS,
        "false_alarms_of_one": float(alarms[0]) / RUNS,
        "false_alarms_of_three": float(alarms[1]) / RUNS,
    }


def _answers(rng: np.random.Generator, difficulty: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """Return scores of 0 and 1, one row a training."""
    chances = _share(difficulty[None, :] + luck[:, None])
    return (rng.random(chances.shape) < chances).astype(float)


def _share(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-log_odds))


if __name__ == "__main__":
    main()
