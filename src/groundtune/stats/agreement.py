"""Measure chance-corrected agreement of two or more people who label. Leaves kappa undefined for a single class."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundtune.stats.intervals import bootstrap_mean
from groundtune.types import Interval

_CELLS = 1_000_000
"""Maximum number of table cells resampled at once: 8 MB."""
_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of `a` and `b` on n items."""

    kappa: Interval | None
    """Cohen's kappa, -1 to 1: 0 is chance level, 1 is perfect. None when undefined; `note` says why."""
    agreement: Interval
    """Share of items with equal labels."""
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Rows are labels of a, columns of b, both in the order of `labels`."""
    n: int
    note: str = ""
    """Caveat about kappa; empty when there is none."""


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable], *, resamples: int = 10_000, seed: int = 0) -> Agreement:
    """Cohen's kappa (Cohen 1960) with a 95% percentile bootstrap interval over the pairs.

    Resamples in which both sides have the same single label have no kappa and are dropped. When all n pairs agree,
    every resample gives 1; the lower limit is then kappa at the lowest agreement compatible with n equal pairs,
    0.025^(1/n) (Clopper and Pearson 1934), as in `stats.intervals.bootstrap_mean`.

    Raises ValueError when the lists are empty or differ in length.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"{len(a)} and {len(b)} labels: kappa needs two non-empty lists of equal length")
    labels = sorted({*a, *b}, key=lambda label: (str(type(label)), str(label)))
    position = {label: index for index, label in enumerate(labels)}
    size, n = len(labels), len(a)
    pairs = [position[first] * size + position[second] for first, second in zip(a, b, strict=True)]
    counts = np.bincount(pairs, minlength=size * size).reshape(size, size)
    agreement = bootstrap_mean([float(first == second) for first, second in zip(a, b, strict=True)], seed=seed)
    kappa, note = None, "all labels on both sides are the same, so kappa is undefined"
    if size > 1:
        kappa = _interval(counts, agreement, resamples, seed)
        constant_sides = [side for side, other in (("a", 1), ("b", 0)) if np.count_nonzero(counts.sum(axis=other)) == 1]
        note = f"all labels on side {constant_sides[0]} are the same, so kappa is always 0" if constant_sides else ""
    return Agreement(
        kappa=kappa,
        agreement=agreement,
        labels=tuple(str(label) for label in labels),
        confusion=tuple(tuple(int(count) for count in row) for row in counts),
        n=n,
        note=note,
    )


def fleiss_kappa(
    votes: Sequence[Sequence[Hashable]], *, resamples: int = 10_000, seed: int = 0
) -> tuple[Interval | None, str]:
    """Fleiss' kappa (Fleiss 1971) of any number of raters, with a 95% percentile bootstrap interval over the items.

    votes: the labels that each item got, two or more, perhaps not the same number for all. The agreement on an item is
    the share of its pairs of votes that are equal; chance is that of two votes drawn from all. With equal numbers of
    votes this is Fleiss' kappa, without them its usual extension. Where all votes on each item are equal, the lower
    limit is kappa at the lowest agreement compatible with n such items, as in `cohen_kappa`.

    Returns None and the reason where all votes are the same. Raises ValueError for an item with fewer than two votes.
    """
    if not votes or min(map(len, votes)) < 2:
        raise ValueError("kappa needs items with two or more votes each")
    labels = {label: place for place, label in enumerate(dict.fromkeys(vote for each in votes for vote in each))}
    if len(labels) == 1:
        return None, "all votes are the same, so kappa is undefined"
    counts = np.array([np.bincount([labels[vote] for vote in each], minlength=len(labels)) for each in votes])
    sizes, n = counts.sum(axis=1), len(votes)
    same = (counts * (counts - 1)).sum(axis=1) / (sizes * (sizes - 1))
    mean = float(_fleiss(same[None], counts[None])[0])
    if same.min() == 1:
        chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
        return Interval(mean, max(-1.0, (_TAIL ** (1 / n) - chance) / (1 - chance)), mean, n), ""
    rng = np.random.default_rng(seed)
    chunk = max(1, _CELLS // (n * len(labels)))
    drawn = [rng.integers(n, size=(min(chunk, resamples - start), n)) for start in range(0, resamples, chunk)]
    kappas = np.concatenate([_fleiss(same[rows], counts[rows]) for rows in drawn])
    low, high = np.quantile(kappas[~np.isnan(kappas)], (_TAIL, 1 - _TAIL))
    return Interval(mean, float(low), float(high), n), ""


def _fleiss(same: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Kappa of each sample, from the agreement on its items, (m, n), and their counts, (m, n, k); NaN if undefined."""
    totals = counts.sum(axis=1)
    chance = ((totals / totals.sum(axis=1, keepdims=True)) ** 2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        kappas: NDArray[np.float64] = np.where(chance < 1, (same.mean(axis=1) - chance) / (1 - chance), np.nan)
    return kappas


def _interval(counts: NDArray[np.int64], agreement: Interval, resamples: int, seed: int) -> Interval:
    n, size = int(counts.sum()), len(counts)
    mean = float(_kappas(counts[None])[0])
    if agreement.mean == 1:
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
    """Kappa of each table, (m, k, k) to (m,); NaN where undefined."""
    n = tables[0].sum()
    same = np.trace(tables, axis1=1, axis2=2) / n
    chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / n**2
    with np.errstate(invalid="ignore", divide="ignore"):
        kappas: NDArray[np.float64] = np.where(chance < 1, (same - chance) / (1 - chance), np.nan)
    return kappas
