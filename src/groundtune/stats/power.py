"""Compute required sample sizes and minimum detectable effects for 80% power at p < 0.05."""

import math

from groundtune.stats.inputs import Floats
from groundtune.stats.intervals import NORMAL, Z_975, standard_error

FEWEST = 6
"""With fewer independent observations no two-sided sign test reaches p < 0.05."""
POWER = NORMAL.inv_cdf(0.8)
"""Normal quantile of 80% power."""


def required_pairs(difference: float, share: float) -> float:
    """Required number of binary pairs of which `share` are discordant (Connor 1987).

    The last term corrects for the exact test; it was fitted by enumeration.
    """
    root = Z_975 * math.sqrt(share) + POWER * math.sqrt(max(0.0, share - difference**2))
    return (root / difference) ** 2 + 1 / difference


def detectable_difference(n: int, share: float) -> float | None:
    """Minimum detectable effect of n binary pairs of which `share` are discordant; None when n is too small.

    A difference above `share` requires more discordant pairs than observed, all in one direction.
    """
    if n < FEWEST or required_pairs(1.0, 1.0) > n:
        return None
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        enough = required_pairs(middle, max(share, middle)) <= n
        low, high = (low, middle) if enough else (middle, high)
    return high


def power_of_mean(sums: Floats, sizes: Floats, mean: float, scale: float) -> tuple[float | None, float | None]:
    """Return the required sample size for `mean` and the minimum detectable effect, from the spread between units."""
    units = sums.size
    spread = standard_error(sums, sizes) * math.sqrt(units) if units > 1 else 0.0
    if spread == 0.0:  # no variation: only the detectable share of differing units is known
        share = detectable_difference(units, 0.0)
        return (0.0 if mean and units > 1 else None), (None if share is None else share * scale)
    extra = Z_975**2 / 2  # because the spread is estimated (Guenther 1981)
    needed = (((Z_975 + POWER) * spread / mean) ** 2 + extra) * sizes.sum() / units if mean else None
    detectable = (Z_975 + POWER) * spread / math.sqrt(units - extra) if units >= FEWEST else None
    return needed, detectable if detectable is not None and detectable <= scale else None
