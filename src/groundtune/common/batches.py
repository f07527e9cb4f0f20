"""Group rows of similar length into batches, so that little is spent on padding. Pure functions; no model."""

import random
from collections.abc import Sequence


def batches_by_length(lengths: Sequence[int], *, budget: int, rng: random.Random | None = None) -> list[list[int]]:
    """Group row indices into batches of similar length, at most `budget` tokens each with padding.

    A row longer than that forms its own batch. With `rng`, rows of equal length are shuffled and the batches come in
    random order; without, the shortest come first.
    """
    places = list(range(len(lengths)))
    if rng:
        rng.shuffle(places)
    grouped: list[list[int]] = []
    batch: list[int] = []
    for place in sorted(places, key=lambda index: lengths[index]):
        if batch and (len(batch) + 1) * lengths[place] > budget:
            grouped.append(batch)
            batch = []
        batch.append(place)
    if batch:
        grouped.append(batch)
    if rng:
        rng.shuffle(grouped)
    return grouped
