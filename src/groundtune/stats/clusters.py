"""Group vectors that lie close together. The number of groups follows from the vectors."""

import numpy as np

from groundtune.stats.inputs import Floats

MOST_GROUPS = 30
FEWEST = 4
"""Vectors below which each stands alone."""


def groups_of(vectors: Floats) -> list[list[int]]:
    """Return the places of unit vectors by group, the largest group first.

    Average linkage by cosine, cut where the mean silhouette is highest (Rousseeuw 1987).
    """
    from scipy.cluster.hierarchy import fcluster, linkage  # importing it takes long

    count = len(vectors)
    if count < FEWEST:
        return [[place] for place in range(count)]
    distances = np.clip(1 - vectors @ vectors.T, 0, None)
    np.fill_diagonal(distances, 0)
    tree = linkage(distances[np.triu_indices(count, 1)], "average")
    cuts = [fcluster(tree, number, "maxclust") for number in range(2, min(MOST_GROUPS, count - 1) + 1)]
    best = max(cuts, key=lambda labels: _silhouette(distances, labels))
    groups = [np.flatnonzero(best == label).tolist() for label in np.unique(best)]
    return sorted(groups, key=lambda places: (-len(places), places[0]))


def _silhouette(distances: Floats, labels: Floats) -> float:
    """Return the mean silhouette; that of a vector alone in its group is 0."""
    names, own = np.unique(labels, return_inverse=True)
    member = (own[:, None] == np.arange(len(names))).astype(np.float64)
    sizes = member.sum(axis=0)
    sums = distances @ member
    rows = np.arange(len(own))
    inside = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    means = sums / sizes
    means[rows, own] = np.inf
    nearest = means.min(axis=1)
    widths = np.where(sizes[own] > 1, (nearest - inside) / np.maximum(np.maximum(nearest, inside), 1e-12), 0.0)
    return float(widths.mean())
