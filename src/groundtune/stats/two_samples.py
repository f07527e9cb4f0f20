"""Say whether two samples differ, and by how much: of values, of shares, and of vectors.

Every p-value is of the hypothesis that both samples come from one distribution, so that no threshold has to be chosen:
with many values a small change is measurable, with few only a large one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from groundtune.stats.inputs import Floats, as_floats
from groundtune.stats.intervals import Z_975, student_quantile, wilson_interval
from groundtune.types import Interval

DRAWS = 1_999
"""Permutations. The smallest possible p-value, 1/2,000, is still measurable among 100 tests (Holm)."""
FOLDS = 10
MAX_PAIRS = 1_000
"""Values of each sample that are compared in pairs; of more, evenly spaced quantiles."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one sample lies above another."""

    difference: float
    low: float
    """Lower limit of the 95% interval of the difference."""
    high: float
    p: float
    """Two-sided p-value for the null hypothesis that both samples come from one distribution."""


def shift_of_values(sample: Sequence[float], reference: Sequence[float]) -> Shift:
    """Compare two independent lists of numbers by their ranks.

    p: the test of Mann and Whitney (1947). Difference: the median of all differences between two values (Hodges and
    Lehmann 1963), with the limits of the same test. Raises ValueError for an empty list, NaN or infinity.
    """
    from scipy.stats import mannwhitneyu  # importing it takes long, and asking tests nothing

    first, second = as_floats(sample), as_floats(reference)
    if not (first.size and second.size):
        raise ValueError("cannot compare empty lists")
    if first.min() == first.max() == second.min() == second.max():
        return Shift(0.0, 0.0, 0.0, 1.0)
    p = float(mannwhitneyu(first, second, alternative="two-sided").pvalue)
    left, right = _thinned(first), _thinned(second)
    differences = np.sort((left[:, None] - right[None, :]).ravel())
    pairs = differences.size
    spread = math.sqrt(1 / first.size + 1 / second.size + 1 / (first.size * second.size)) / math.sqrt(12)
    reach = math.ceil(pairs * (0.5 - Z_975 * spread)) - 1  # the number of pairs beyond each limit
    low, high = (differences[reach], differences[-1 - reach]) if reach >= 0 else (differences[0], differences[-1])
    return Shift(float(np.median(differences)), float(low), float(high), p)


def shift_of_shares(hits: int, of: int, reference_hits: int, reference_of: int) -> Shift:
    """Compare two independent shares: Fisher's exact test (1935), and Newcombe's interval of the difference (1998).

    Raises ValueError when either is a share of nothing.
    """
    from scipy.stats import fisher_exact

    if not (of and reference_of):
        raise ValueError("cannot compare a share of nothing")
    table = [[hits, of - hits], [reference_hits, reference_of - reference_hits]]
    p = min(1.0, float(fisher_exact(table).pvalue))
    first, second = hits / of, reference_hits / reference_of
    (low, high), (reference_low, reference_high) = _wilson(hits, of), _wilson(reference_hits, reference_of)
    difference = first - second
    below = math.hypot(first - low, reference_high - second)
    above = math.hypot(high - first, second - reference_low)
    return Shift(difference, difference - below, difference + above, p)


@dataclass(frozen=True, slots=True)
class VectorShift:
    """Whether two samples of vectors differ, and how well they can be told apart."""

    p: float
    separation: Interval
    """How often a vector of the first sample looks more like the first than one of the second does: 0.5 when both are
    alike, 1 when they can be told apart in every case. Measured out of fold."""
    leaning: Floats
    """By vector of the first sample: how much more it is like the rest of the first than like the second."""


def shift_of_vectors(sample: Floats, reference: Floats, *, draws: int = DRAWS, seed: int = 0) -> VectorShift:
    """Compare two samples of vectors, shape (n, d) and (m, d), by their maximum mean discrepancy (Gretton 2012).

    The kernel is Gaussian, as wide as the median distance; the p-value comes from permutations of the samples. The
    separation is the area under the ROC curve of the same kernel's witness function, out of fold, with the interval of
    DeLong (1988). Raises ValueError with fewer than ten vectors in either.
    """
    n, m = len(sample), len(reference)
    if min(n, m) < FOLDS:
        raise ValueError(f"{FOLDS} vectors of each sample are needed, not {n} and {m}")
    kernel = _kernel(np.concatenate([sample, reference]).astype(np.float32))
    rng = np.random.default_rng(seed)
    weights = np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])
    columns = np.stack([weights, *(rng.permutation(weights) for _ in range(draws))], axis=1).astype(np.float32)
    discrepancies = (columns * (kernel @ columns)).sum(axis=0)
    extreme = int((discrepancies[1:] >= discrepancies[0] * (1 - 1e-6)).sum())
    leaning = _out_of_fold(kernel, n, rng)
    return VectorShift((1 + extreme) / (1 + draws), area_under_curve(leaning[:n], leaning[n:]), leaning[:n])


def area_under_curve(first: Floats, second: Floats) -> Interval:
    """Return how often a value of the first sample is higher than one of the second: the area under the ROC curve.

    The interval is that of DeLong (1988), with Student's t for the smaller sample. Needs two values of each.
    """
    order = np.sort(second)
    above = (np.searchsorted(order, first, "left") + np.searchsorted(order, first, "right")) / (2 * second.size)
    order = np.sort(first)
    below = 1 - (np.searchsorted(order, second, "left") + np.searchsorted(order, second, "right")) / (2 * first.size)
    area = float(above.mean())
    spread = math.sqrt(float(above.var(ddof=1)) / first.size + float(below.var(ddof=1)) / second.size)
    reach = student_quantile(min(first.size, second.size) - 1) * spread
    return Interval(area, max(0.0, area - reach), min(1.0, area + reach), first.size + second.size)


def far_apart(vectors: Floats, order: Floats, count: int) -> list[int]:
    """Return the places of `count` vectors that lie far from each other, the one with the highest `order` first.

    Each next one is that whose nearest chosen neighbour is farthest away (Gonzalez 1985).
    """
    if not len(vectors) or count < 1:
        return []
    chosen = [int(np.argmax(order))]
    distances = ((vectors - vectors[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(count, len(vectors)):
        distances[chosen] = -1.0
        chosen.append(int(np.argmax(distances)))
        distances = np.minimum(distances, ((vectors - vectors[chosen[-1]]) ** 2).sum(axis=1))
    return chosen


def _thinned(values: Floats) -> Floats:
    """Return the values, or of many as many evenly spaced quantiles, which have nearly the same differences."""
    if values.size <= MAX_PAIRS:
        return values
    return np.quantile(values, (np.arange(MAX_PAIRS) + 0.5) / MAX_PAIRS)


def _wilson(hits: int, of: int) -> tuple[float, float]:
    """Return Wilson's interval of a share; of one that is 0 or 1, or of a single case, the exact one."""
    if 0 < hits < of:
        return wilson_interval(np.array([1.0] * hits + [0.0] * (of - hits)), np.ones(of))
    unseen = 1 - 0.025 ** (1 / of)
    return (0.0, unseen) if hits == 0 else (1 - unseen, 1.0)


def _kernel(vectors: Floats) -> Floats:
    squares = (vectors**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares[None, :] - 2 * vectors @ vectors.T, 0.0)
    apart = distances[np.triu_indices(len(vectors), 1)]
    width = float(np.median(apart)) or float(apart.mean()) or 1.0
    kernel: Floats = np.exp(-distances / width)
    return kernel


def _out_of_fold(kernel: Floats, n: int, rng: np.random.Generator) -> Floats:
    """Return for each vector how much more it is like the first n than like the rest, its own fold left out."""
    total = len(kernel)
    fold = np.empty(total, dtype=np.intp)
    fold[:n], fold[n:] = rng.permutation(n) % FOLDS, rng.permutation(total - n) % FOLDS
    first = np.arange(total) < n
    leaning = np.empty(total)
    for number in range(FOLDS):
        held, known = fold == number, fold != number
        leaning[held] = kernel[np.ix_(held, known & first)].mean(axis=1) - kernel[np.ix_(held, known & ~first)].mean(
            axis=1
        )
    return leaning
