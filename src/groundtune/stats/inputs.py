"""Validate lists of numbers before computing with them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def as_floats(values: ArrayLike, *, finite: bool = True) -> Floats:
    data = np.asarray(values, dtype=np.float64)
    if np.isnan(data).any() or (finite and np.isinf(data).any()):
        raise ValueError("a value is NaN or infinite; leave out unknown values")
    return data


def require_same_length(first: NDArray[np.generic], second: NDArray[np.generic]) -> None:
    if first.shape != second.shape:
        raise ValueError(f"{first.size} and {second.size} values: the two lists must have equal length")
