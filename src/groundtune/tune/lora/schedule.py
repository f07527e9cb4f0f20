"""Choose epochs, batches per step and learning rate from the number of rows. Knows no row and no model.

The optimiser's steps decide whether a training learns, not its epochs: the fewer the rows, the more often each is read,
and the fewer of them share a step.
"""

import math
from dataclasses import dataclass

STEPS = 200
"""Optimiser steps to aim at."""
EPOCHS = (3, 12)
"""Fewest and most epochs."""
ROWS_PER_STEP = ((800, 4), (1600, 8))
"""Rows of a step, below a number of rows; MOST_PER_STEP from there on."""
MOST_PER_STEP = 16
FULL_RATES = {"full": 2e-5, "dpo": 1e-5}
ADAPTER_RATES = ((1024, 1e-3), (2560, 5e-4))
"""Learning rates of adapters, below a hidden size; WIDE_RATE from there on. The larger a model, the lower the rate at
which it learns best: the cookbook of Tinker takes one over the root of the number of weights."""
WIDE_RATE = 2e-4
TOO_FEW = 50
"""Optimiser steps below which a training rarely learns anything."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a model is trained."""

    epochs: int
    accumulate: int
    """Batches per step."""
    learning_rate: float
    steps: int
    """Optimiser steps of all epochs."""


def choose_schedule(
    rows: int,
    *,
    mode: str,
    width: int,
    batch_size: int,
    gpus: int = 1,
    epochs: int | None = None,
    accumulate: int | None = None,
    learning_rate: float | None = None,
) -> Schedule:
    """Choose what is None. rows: of the train split; width: hidden size of the base model; batch_size: per GPU."""
    together = batch_size * gpus
    if accumulate is None:
        target = next((size for limit, size in ROWS_PER_STEP if rows < limit), MOST_PER_STEP)
        accumulate = max(1, target // together)
    steps = math.ceil(rows / together / accumulate)  # of one epoch
    if epochs is None:
        fewest, most = EPOCHS
        epochs = max(fewest, min(most, math.ceil(STEPS / max(1, steps))))
    if learning_rate is None:
        rate = next((rate for limit, rate in ADAPTER_RATES if width < limit), WIDE_RATE)
        learning_rate = FULL_RATES.get(mode, rate)
    return Schedule(epochs, accumulate, learning_rate, epochs * steps)
