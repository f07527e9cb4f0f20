"""Turn logits into probabilities. Pure functions of float64 arrays."""

from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from groundtune.stats.inputs import Floats


def softmax(logits: Floats) -> Floats:
    """Return probabilities, each row summing to 1."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return cast(Floats, exponentials / exponentials.sum(axis=1, keepdims=True))


def energy(logits: Floats) -> Floats:
    """Return log Σ exp of each row: high when any label fits."""
    highest = logits.max(axis=1)
    return cast(Floats, highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1)))


def logistic(logits: ArrayLike) -> Floats:
    """Return 1 / (1 + exp(-logit)) of each logit, limited to ±50 so that nothing overflows."""
    return cast(Floats, 1 / (1 + np.exp(-np.clip(logits, -50, 50))))
