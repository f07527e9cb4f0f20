"""Turn two lists of labels for the same things into their agreement beyond chance. Never gives kappa to one class."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundtune.measure.statistics import bootstrap_mean
from groundtune.types import Interval

_CELLS = 1_000_000
"""Largest number of draws held at once: 8 MB."""
_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far `a` and `b` agree on n things."""

    kappa: Interval | None
    """Cohen's kappa, -1 to 1: 0 is what chance gives, 1 is all. None when it is undefined; `note` says why."""
    agreement: Interval
    """Share of equal labels."""
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Rows are labels of a, columns of b, both in the order of `labels`."""
    n: int
    note: str = ""
    """What the reader must know about kappa here."""


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable], *, resamples: int = 10_000, seed: int = 0) -> Agreement:
    """Cohen's kappa (Cohen 1960) with its 95 % interval by the percentile bootstrap over the pairs.

    Draws in which both sides have one and the same label only have no kappa and are left out. Where all n pairs
    agree every draw gives 1; the low end is then kappa at the least agreement that n equal pairs leave open,
    0.025^(1/n) (Clopper and Pearson 1934), as in `statistics.bootstrap_mean`.

    Raises ValueError when the lists are empty or not equally long.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"{len(a)} labels beside {len(b)}: kappa needs two equally long lists that are not empty")
    labels = sorted({*a, *b}, key=lambda label: (str(type(label)), str(label)))
    position = {label: at for at, label in enumerate(labels)}
    size, n = len(labels), len(a)
    pairs = [position[one] * size + position[other] for one, other in zip(a, b, strict=True)]
    counts = np.bincount(pairs, minlength=size * size).reshape(size, size)
    equal = bootstrap_mean([float(one == other) for one, other in zip(a, b, strict=True)], seed=seed)
    kappa, note = None, "both sides gave one and the same label throughout: kappa is undefined"
    if size > 1:
        kappa = _interval(counts, equal, resamples, seed)
        one_sided = [side for side, other in (("a", 1), ("b", 0)) if np.count_nonzero(counts.sum(axis=other)) == 1]
        note = f"side {one_sided[0]} gave one label throughout: kappa is 0 whatever the other gave" if one_sided else ""
    return Agreement(
        kappa=kappa,
        agreement=equal,
        labels=tuple(str(label) for label in labels),
        confusion=tuple(tuple(int(count) for count in row) for row in counts),
        n=n,
        note=note,
    )


def _interval(counts: NDArray[np.int64], equal: Interval, resamples: int, seed: int) -> Interval:
    n, size = int(counts.sum()), len(counts)
    mean = float(_kappas(counts[None])[0])
    if equal.mean == 1:
        chance = float((counts.sum(axis=0) * counts.sum(axis=1)).sum()) / n**2
        return Interval(mean, max(-1.0, (_TAIL ** (1 / n) - chance) / (1 - chance)), mean, n)
    rng = np.random.default_rng(seed)
    chunk = max(1, _CELLS // size**2)
    drawn = [
        _kappas(rng.multinomial(n, counts.ravel() / n, size=min(chunk, resamples - start)).reshape(-1, size, size))
        for start in range(0, resamples, chunk)
    ]
    kappas = np.concatenate(drawn)
    low, high = np.quantile(kappas[~np.isnan(kappas)], (_TAIL, 1 - _TAIL))
    return Interval(mean, float(low), float(high), n)


def _kappas(tables: NDArray[np.int64]) -> NDArray[np.float64]:
    """Kappa of each table, (m, k, k) to (m,); not a number where it is undefined."""
    n = tables[0].sum()
    same = np.trace(tables, axis1=1, axis2=2) / n
    chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / n**2
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = np.where(chance < 1, (same - chance) / (1 - chance), np.nan)
    return found
